"""B6: a BCC address is found in text however programs write it, and nothing else is."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import Rfc822MessageId
from shared.core.mail import Address, AttachmentPart, Content
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import (
    BCC_PLACEHOLDER,
    hide,
    hide_in_content,
    hide_in_file,
    redact_bcc_addresses,
)
from tests.support.crm import ME, mail

TOKEN = "abcdefghij2345672345"
FORM = BccAddressFormat("log+", "logs.example")
BARE = BccAddressFormat("", "bcc.example")
ADDRESS = FORM.address(TOKEN)
ADA = "ada@client.example"


def left(text: str) -> str:
    """What a reader could still put together of a text."""
    for _ in range(7):
        text = html.unescape(re.sub(r"%([0-7][0-9a-fA-F])", _char, text))
    shown = re.sub(r"[^a-z2-7]", "", re.sub(r"<[^<>]*>", "", text).lower())
    return shown + re.sub(r"[^a-z2-7]", "", text.lower())


def hide_in(text: str, *, cut: bool = False) -> str:
    return hide(text, FORM, cut=cut)


def _char(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("> Cc: {}\n> offer", "> Cc: BCC-address\n> offer"),
        ("<{}>, {}.", "<BCC-address>, BCC-address."),
        ("mailto:{}?subject=x", "mailto:BCC-address?subject=x"),
        ('<a href="mailto:{}">{}</a>', '<a href="mailto:BCC-address">BCC-address</a>'),
        ("'{}'", "'BCC-address'"),
        ("x{}", "xBCC-address"),
        ("{}.Then", "BCC-address.Then"),
        ("İ{}İ", "İBCC-addressİ"),
    ],
)
def test_b6_the_rest_of_the_text_stays(text: str, redacted: str) -> None:
    assert hide_in(text.format(ADDRESS, ADDRESS)) == redacted


HALVES = (TOKEN[:7], TOKEN[7:])
SPELT = {
    "upper case": ADDRESS.upper(),
    "percent": quote(ADDRESS),
    "percent twice": quote(quote(ADDRESS)),
    "percent four times": quote(quote(quote(quote(ADDRESS)))),
    "all percent": "".join(f"%{ord(char):02x}" for char in ADDRESS),
    "a blank for the plus": ADDRESS.replace("+", " ").replace("@", "%40"),
    "decimal": "".join(f"&#{ord(char)};" for char in ADDRESS),
    "decimal with zeros": ADDRESS.replace("@", "&#00064;"),
    "hexadecimal": "".join(f"&#x{ord(char):x};" for char in ADDRESS),
    "hexadecimal, open": ADDRESS.replace("@", "&#X40"),
    "names": ADDRESS.replace("@", "&commat;").replace("+", "&plus;"),
    "dots": ADDRESS.replace(".", "&period;"),
    "escaped twice": ADDRESS.replace("@", "&amp;#64;"),
    "percent in entities": quote(ADDRESS).replace("%", "&#37;"),
    "wbr": "<wbr>".join(ADDRESS),
    "wbr in the token": ADDRESS.replace(TOKEN, "<wbr>".join(HALVES)),
    "wbr around": ADDRESS.replace("@", "<wbr/>@<wbr />"),
    "span": ADDRESS.replace(TOKEN, f'<span style="color:red">{TOKEN}</span>'),
    "escaped tag": ADDRESS.replace("@", "&lt;wbr&gt;@"),
    "comment": ADDRESS.replace("@", "<!-- -->@"),
    "soft hyphens": "\u00ad".join(ADDRESS),
    "zero width": "\u200b".join(ADDRESS),
    "named soft hyphen": ADDRESS.replace(TOKEN, "&shy;".join(HALVES)),
    "percent soft hyphen": ADDRESS.replace(TOKEN, "%C2%AD".join(HALVES)),
    "folded": ADDRESS.replace(TOKEN, "\r\n> > ".join(HALVES)),
    "folded in a calendar": ADDRESS.replace(TOKEN, "\r\n ".join(HALVES)),
    "quoted-printable": ADDRESS.replace(TOKEN, "=\r\n".join(HALVES)),
    "quoted-printable @": ADDRESS.replace("@", "=40"),
    "return path": ADDRESS.replace("@", "=") + "@bounces.example",
    "archive": ADDRESS.replace("@", " (at) "),
    "blanks": ADDRESS.replace("@", " @ "),
    "wide": ADDRESS.translate({c: 0xFEE0 + c for c in range(33, 127)}),
    "quoted": f'"log+{TOKEN}"@logs.example',
    "UTF-16": "\0".join(ADDRESS),
}


LONG = "and so on, " * 300  # long texts are looked at closely only where it pays


@pytest.mark.parametrize(
    "around", ["{}", LONG + "{}" + LONG, "Cc: {}, x", "<p>{}</p>", '<a x="{}">y</a>']
)
@pytest.mark.parametrize("how", SPELT)
def test_b6_an_address_is_found_however_it_is_written(how: str, around: str) -> None:
    text = around.format(SPELT[how])
    redacted = hide_in(text)
    assert TOKEN not in left(redacted), redacted
    assert not any(half in redacted for half in HALVES)
    begin, end = around.split("{}")
    assert redacted.startswith(begin)
    assert redacted.endswith(end)


def test_b6_tags_in_the_middle_stay() -> None:
    text = f"<b>log+{HALVES[0]}</b><i>{HALVES[1]}@logs.example</i>"
    assert hide_in(text) == "<b>BCC-address</b><i></i>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        TOKEN,
        f"LOG {TOKEN}",
        f"{TOKEN}@logs.example",
        f"log+{TOKEN[1:]}@logs.example",
        f"log+{TOKEN}x@logs.example",
        f"log+{TOKEN[:-1]}1@logs.example",
        "log+internationalisations@logs.example",
        "log@logs.example, ada@logs.example",
        "catalog+things",
        "%" + "25" * 20 + "41",
        "a &amp; b &lt;c&gt; 100%25 <b>x</b>\n\n> y &nosuch; %zz &",
    ],
)
def test_b6_what_is_no_bcc_address_stays(text: str) -> None:
    assert hide_in(text) == text


def test_b6_a_form_without_a_prefix_has_its_addresses_found() -> None:
    assert hide(f"to {TOKEN}@bcc.example", BARE) == "to BCC-address"
    assert hide(f"x\n{TOKEN}@bcc.example", BARE) == "x\nBCC-address"
    assert hide("ada.lovelace@bcc.example", BARE) == "ada.lovelace@bcc.example"
    assert hide(f"to {TOKEN}", BARE, cut=True) == f"to {TOKEN}"


def test_b6_a_domain_is_found_as_people_write_it() -> None:
    form = BccAddressFormat.parse("log+{token}@xn--bcher-kva.example")
    assert form is not None
    assert hide(f"log+{TOKEN}@Bücher.example", form) == "BCC-address"
    assert hide(form.address(TOKEN), form) == "BCC-address"
    odd = BccAddressFormat("log+", "xn--a.example")
    assert hide(odd.address(TOKEN), odd) == "BCC-address"


@pytest.mark.parametrize("end", range(8, len(ADDRESS)))
def test_b6_of_an_address_that_was_cut_off_nothing_stays(end: int) -> None:
    text = f"Cc: {ADDRESS[:end]}"
    assert hide_in(text, cut=True) == "Cc: BCC-address"
    # A whole token is known for one without being told.
    if end < len(f"log+{TOKEN}"):
        assert hide_in(text) == text
    else:
        assert TOKEN not in hide_in(text)
    bare = f"Cc: {TOKEN}@bcc.example"[: end + 4]
    whole = "@" in bare
    assert hide(bare, BARE) == ("Cc: BCC-address" if whole else bare)


PIECES = st.sampled_from(
    [*SPELT.values(), "<wbr>", "&", "%", "%25", "&#", "&amp;", "\n> ", "log+", "=",
     "@logs.example", "<", ">", "x", "é", "\u200b", "\0", TOKEN, TOKEN[:9]]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
def test_b6_no_mixture_hides_one(text: str) -> None:
    redacted = hide_in(text)
    assert FORM.token_of(redacted) is None
    assert ADDRESS not in redacted.lower()
    assert quote(ADDRESS).lower() not in redacted.lower()
    assert hide_in(redacted) == redacted


# --- what is made of it ---------------------------------------------------------------


def test_b6_no_header_holds_one_in_its_words() -> None:
    name = f"Rep {ADDRESS}"
    path = f"bounce+{ADDRESS.replace('@', '=')}@esp.example"
    message = replace(
        mail(ADA, [ME]),
        sender=Address(name, ADA),
        to=(Address(name, ME), Address(None, path)),
        reply_to=(Address(name, ADA), Address(None, ADDRESS)),
        original_senders=(Address(None, path),),
        subject=f"Re: {ADDRESS}",
        rfc822_message_id=Rfc822MessageId(f"<1.{ADDRESS}>"),
        in_reply_to=(Rfc822MessageId(f"<2.{ADDRESS}>"),),
        references=(Rfc822MessageId(f"<3.{ADDRESS}>"), Rfc822MessageId("<4@x>")),
    )
    redacted = redact_bcc_addresses(message, FORM)
    assert TOKEN not in repr(redacted)
    assert redacted.sender == Address("Rep BCC-address", ADA)
    assert redacted.to == (Address("Rep BCC-address", ME),)
    assert redacted.cc == (BCC_PLACEHOLDER,)
    assert redacted.reply_to == (Address("Rep BCC-address", ADA),)
    assert redacted.original_senders == ()
    assert redacted.subject == "Re: BCC-address"
    assert redacted.rfc822_message_id == "<1.BCC-address>"
    assert redacted.references == ("<3.BCC-address>", "<4@x>")
    assert redacted.drops == ()  # only a recipient is written to


def test_b6_an_address_like_one_in_another_domain_is_anybodys() -> None:
    other = f"log+{TOKEN}@logs.example.com"
    message = redact_bcc_addresses(mail(ADA, [ME, other]), FORM)
    assert [address.address for address in message.to] == [ME, other]


def test_b6_no_content_holds_one() -> None:
    part = AttachmentPart(
        "1", f"{ADDRESS}.txt", f"text/{ADDRESS}", 1, content_id=f"x.{ADDRESS}"
    )
    nameless = AttachmentPart("2", None, "image/png", 1)
    content = Content(
        text=f"Cc: {ADDRESS}",
        html=f"<p>Cc: {SPELT['wbr']}</p>",
        attachments=(part, nameless),
        snippet=f"Cc: {ADDRESS[:-3]}",
    )
    redacted = hide_in_content(content, FORM)
    assert TOKEN not in left(repr(redacted))
    assert (redacted.text, redacted.snippet) == ("Cc: BCC-address",) * 2
    assert redacted.attachments[0].filename == "BCC-address.txt"
    assert redacted.attachments[1] == nameless
    assert hide_in_content(content, None) == content
    none = Content(None, None, snippet="as Gmail's parser made it")
    assert hide_in_content(none, FORM) == none
    cut = replace(none, text=f"Cc: {ADDRESS[:15]}", truncated=True)
    assert hide_in_content(cut, FORM).text == "Cc: BCC-address"


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16-le", "utf-16-be"])
def test_b6_no_text_file_holds_one(charset: str) -> None:
    text = f"é ATTENDEE:mailto:{ADDRESS}\r\né"
    redacted = hide_in_file("Text/Calendar", text.encode(charset), FORM)
    assert redacted.decode(charset) == text.replace(ADDRESS, "BCC-address")


def test_b6_other_files_stay_as_they_are() -> None:
    for data in (ADDRESS.encode(), b"\xff\x00log+"):
        assert hide_in_file("application/pdf", data, FORM) == data
    assert hide_in_file("text/plain", b"\xff\xfe x", FORM) == b"\xff\xfe x"
