"""Mail that we write, read back by parsers that are not ours (S10)."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.limits import MAX_SUBJECT_CHARS
from shared.core.mail import Address
from shared.core.parsing.address import parse_list
from shared.core.sending.composing import (
    MailToBuild,
    PartToBuild,
    inline_ids,
    mail_size,
    subject_to_send,
    write_mail,
)
from shared.errors import Malformed

BASE = {
    "message_id": "<crm.1@agency.example>",
    "mark": "s/m1",
    "date": 1_793_600_000_000,
    "sender": Address("Mia Berger", "mia@agency.example"),
    "to": (Address("Carla", "carla@customer.example"),),
}


def built(contents=(), *, with_bcc=True, **fields):
    mail = MailToBuild(**{**BASE, **fields})
    raw = b"".join(write_mail(mail, lambda n: contents[n], with_bcc=with_bcc))
    return raw, message_from_bytes(raw, policy=policy.default)


# Any script, no controls, no surrogates; on one line with single blanks, as the API
# makes it.
TEXT = (
    st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Cn", "Co", "Cf")),
        min_size=1,
        max_size=120,
    )
    .map(subject_to_send)
    .filter(bool)
)
FILENAME = (
    TEXT.map(lambda t: t[:80].strip())
    .filter(bool)
    .filter(
        # Python's reader takes a name in angle brackets for an address, and unquotes it.
        lambda name: not (name.startswith("<") and name.endswith(">"))
    )
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(subject=TEXT, name=TEXT, to_name=TEXT)
def test_s10_names_and_subjects_of_any_script_come_back_as_they_were(
    subject, name, to_name
):
    raw, parsed = built(
        subject=subject,
        sender=Address(name, "mia@agency.example"),
        to=(Address(to_name, "carla@customer.example"),),
        cc=(Address(None, "x@y.example"),),
    )
    assert _one_blank(parsed["Subject"]) == _one_blank(subject)
    (sender,) = parsed["From"].addresses
    (to,) = parsed["To"].addresses
    assert (sender.addr_spec, to.addr_spec) == (
        "mia@agency.example",
        "carla@customer.example",
    )
    legacy = message_from_bytes(raw)
    for header, wanted in (("From", name), ("To", to_name)):
        # The newer parser puts a blank between the encoded words of a long name.
        phrase, _, _ = legacy[header].rpartition("<")
        if "=?" in phrase:
            assert str(make_header(decode_header(phrase.strip()))) == wanted
        assert [item.name for item in parse_list([legacy[header]])] == [wanted]
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)


def _one_blank(text):
    return " ".join(str(text).split())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(FILENAME, min_size=1, max_size=3),
    bodies=st.lists(st.binary(max_size=400), min_size=3, max_size=3),
    cut=st.integers(1, 100),
)
def test_s6_file_names_and_bytes_come_back_as_they_were(names, bodies, cut):
    parts = tuple(
        PartToBuild(name, "application/pdf", len(body))
        for name, body in zip(names, bodies, strict=False)
    )
    pieces = [[b[i : i + cut] for i in range(0, len(b), cut)] for b in bodies]
    raw, parsed = built(pieces, attachments=parts, text="see attached")
    found = list(parsed.iter_attachments())
    assert [item.get_filename() for item in found] == [part.filename for part in parts]
    assert [item.get_content() for item in found] == bodies[: len(parts)]
    assert parsed.get_body().get_content().rstrip("\r\n") == "see attached"
    assert mail_size(
        MailToBuild(**BASE, attachments=parts, text="see attached")
    ) == len(raw)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_s1_text_of_any_script_comes_back(text):
    _, parsed = built(text=text)
    wanted = re.sub(r"\r\n|\r", "\n", text)
    got = parsed.get_body().get_payload(decode=True).decode()
    assert got.replace("\r\n", "\n") == wanted


def test_s1_html_brings_its_own_text_and_shows_images_inline():
    raw, parsed = built(
        [[b"PNG"], [b"PDF"]],
        html='<p>Grüße</p><img src="cid:logo">',
        attachments=(
            PartToBuild("logo.png", "image/png", 3, "logo"),
            PartToBuild("bill.pdf", "application/pdf", 3),
        ),
    )
    assert parsed.get_content_type() == "multipart/mixed"
    related, pdf = parsed.iter_parts()
    assert related.get_content_type() == "multipart/related"
    words, image = related.iter_parts()
    assert [iter_part.get_content_type() for iter_part in words.iter_parts()] == [
        "text/plain",
        "text/html",
    ]
    assert "Grüße" in parsed.get_body(("plain",)).get_content()
    assert "Grüße" in parsed.get_body(("html",)).get_content()
    assert (image["Content-ID"], image.get_content_disposition()) == (
        "<logo>",
        "inline",
    )
    assert (pdf.get_filename(), pdf.get_content_disposition()) == (
        "bill.pdf",
        "attachment",
    )
    assert b"multipart/related" in raw


def test_s4_a_mail_byte_by_byte():
    raw, _ = built(
        cc=(Address(None, "cc@x.example"),),
        bcc=(Address(None, "bcc@x.example"),),
        reply_to=Address(None, "desk@agency.example"),
        subject="Offer",
        text="Hello",
        in_reply_to="<p@x>",
        references=("<r@x>", "<p@x>"),
    )
    assert raw.decode().split("\r\n") == [
        "Date: Mon, 02 Nov 2026 06:13:20 +0000",
        'From: "Mia Berger"',
        " <mia@agency.example>",
        "Reply-To: desk@agency.example",
        'To: "Carla"',
        " <carla@customer.example>",
        "Cc: cc@x.example",
        "Bcc: bcc@x.example",
        "Subject: Offer",
        "Message-ID: <crm.1@agency.example>",
        "In-Reply-To: <p@x>",
        "References: <r@x>",
        " <p@x>",
        "X-CRM-Message: s/m1",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Hello",
    ]


def test_s1_a_mail_of_many_parts_byte_by_byte():
    raw, _ = built(
        [[b"PNG"], [b"PD", b"F"]],
        html="<p>Hi</p>",
        attachments=(
            PartToBuild("logo.png", "image/png", 3, "logo"),
            PartToBuild("bill.pdf", "application/pdf", 3),
        ),
    )
    mixed, related, alternative = dict.fromkeys(re.findall(r"=_\w+", raw.decode()))
    _, _, body = raw.decode().partition("MIME-Version: 1.0\r\n")
    assert body.split("\r\n") == [
        "Content-Type: multipart/mixed;",
        f' boundary="{mixed}"',
        "",
        f"--{mixed}",
        "Content-Type: multipart/related;",
        f' boundary="{related}"',
        "",
        f"--{related}",
        "Content-Type: multipart/alternative;",
        f' boundary="{alternative}"',
        "",
        f"--{alternative}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Hi",
        f"--{alternative}",
        "Content-Type: text/html; charset=utf-8",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "<p>Hi</p>",
        f"--{alternative}--",
        "",
        f"--{related}",
        "Content-Type: image/png",
        "Content-Disposition: inline;",
        ' filename="logo.png"',
        "Content-Transfer-Encoding: base64",
        "Content-ID: <logo>",
        "",
        "UE5H",
        "",
        f"--{related}--",
        "",
        f"--{mixed}",
        "Content-Type: application/pdf",
        "Content-Disposition: attachment;",
        ' filename="bill.pdf"',
        "Content-Transfer-Encoding: base64",
        "",
        "UERG",
        "",
        f"--{mixed}--",
        "",
    ]


def test_boundaries_differ_from_mail_to_mail_and_are_the_same_on_every_retry():
    def boundary(**fields):
        return built(html="<p>Hi</p>", **fields)[1].get_boundary()

    assert boundary() == boundary(subject="Read again")
    assert boundary() != boundary(message_id="<crm.2@agency.example>")
    assert len(boundary()) <= 70


def test_what_a_mail_does_not_say_it_has_not():
    assert MailToBuild(**BASE) == MailToBuild(
        **BASE,
        cc=(),
        bcc=(),
        reply_to=None,
        subject="",
        text=None,
        html=None,
        in_reply_to=None,
        references=(),
        attachments=(),
    )
    assert PartToBuild(None, "x/y", 1) == PartToBuild(None, "x/y", 1, content_id=None)
    assert b"\r\nSubject: \r\n" in built()[0]


def test_s1_a_mail_may_be_empty_and_a_given_text_is_kept():
    assert built()[0].endswith(b"quoted-printable\r\n\r\n")
    _, parsed = built(html="<p>Hi</p>", text="Mine")
    assert parsed.get_body(("plain",)).get_content().strip() == "Mine"
    _, parsed = built(html="<p>Hi</p>", text="")
    assert parsed.get_body(("plain",)).get_content().strip() == ""


def test_s6_the_size_is_known_before_the_bytes_are():
    parts = tuple(PartToBuild("é" * 30, "x/y", size) for size in (0, 1, 57, 1000))
    fields = {"attachments": parts, "html": "<p>é</p>", "bcc": BASE["to"]}
    raw, _ = built([[b"x" * part.size] for part in parts], **fields)
    assert mail_size(MailToBuild(**BASE, **fields)) == len(raw)


def test_nothing_is_written_of_a_mail_that_is_refused():
    mail = MailToBuild(**{**BASE, "subject": "a\0"})
    with pytest.raises(Malformed):
        next(write_mail(mail, lambda _: (), with_bcc=True))


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        (" An\r\n offer ", "An offer"),
        ("x" * (MAX_SUBJECT_CHARS + 1), "x" * MAX_SUBJECT_CHARS),
        ("x" * (MAX_SUBJECT_CHARS - 1) + " y", "x" * (MAX_SUBJECT_CHARS - 1)),
    ],
)
def test_s10_the_subject_is_one_line_of_bounded_length(subject, sent):
    assert subject_to_send(subject) == sent


@pytest.mark.parametrize(
    ("html", "part", "shown"),
    [
        ('<img src="cid:logo">', PartToBuild(None, "image/png", 1, "logo"), "logo"),
        ('<img src="cid:logo">', PartToBuild("logo", "image/png", 1, "other"), None),
        ('<img src="cid:logo">', PartToBuild(None, "image/png", 1), None),
        ('<img src="cid:a\u00e9">', PartToBuild("a\u00e9", "image/png", 1), None),
        (f'<img src="cid:{"a" * 200}">', PartToBuild("a" * 200, "x/y", 1), "a" * 200),
        ("url(cid:logo)", PartToBuild("logo", "image/png", 1), "logo"),
        ("cid: logo", PartToBuild("logo", "image/png", 1), None),
        (None, PartToBuild("logo", "image/png", 1), None),
    ],
)
def test_a_part_is_shown_inline_when_the_html_names_it(html, part, shown):
    assert inline_ids(html, [part]) == (shown,)


def test_inline_images_are_named_by_content_id_or_file_name():
    parts = (
        PartToBuild("logo.png", "image/png", 1),
        PartToBuild("a.png", "image/png", 1, "pic@1"),
        PartToBuild("bill.pdf", "application/pdf", 1),
        PartToBuild("b.png", "image/png", 1, "unused"),
    )
    html = "<img src=\"cid:logo.png\"><img src='CID:pic@1'>"
    assert inline_ids(html, parts) == ("logo.png", "pic@1", None, None)


BAD = [
    "a\r\nBcc: x@y.example",
    "a\nb",
    "a\0b",
    "a\u2028b",
    "a\x7fb",
    "a\x85b",
    "a\ud800b",
]


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(
    "fields",
    [
        lambda bad: {"subject": bad},
        lambda bad: {"sender": Address(bad, "mia@agency.example")},
        lambda bad: {"to": (Address(bad, "carla@customer.example"),)},
        lambda bad: {"to": (Address(None, f"carla@customer.example{bad}"),)},
        lambda bad: {"cc": (Address(None, f"{bad}@customer.example"),)},
        lambda bad: {"reply_to": Address(bad, "mia@agency.example")},
        lambda bad: {"in_reply_to": f"<{bad}@x>"},
        lambda bad: {"references": ("<a@b>", f"<{bad}@x>")},
        lambda bad: {"message_id": f"<{bad}@x>"},
        lambda bad: {"mark": bad},
        lambda bad: {"attachments": (PartToBuild(bad, "image/png", 0),)},
        lambda bad: {"attachments": (PartToBuild("a", "image/png", 0, bad),)},
    ],
)
def test_s10_no_header_value_smuggles_anything(bad, fields):
    with pytest.raises(Malformed):
        built([[]], **fields(bad))


@pytest.mark.parametrize(
    "address", ["a@b.example, evil@x.example", "A@B.example", "a@b.example>", "", "a"]
)
def test_s10_one_address_is_never_two(address):
    with pytest.raises(Malformed):
        built(to=(Address(None, address),))


def test_s10_as_many_recipients_come_out_as_went_in():
    everybody = tuple(
        Address(f'"{n}", x@y.example <', f"p{n}@z.example") for n in range(9)
    )
    _, parsed = built(to=everybody[:3], cc=everybody[3:6], bcc=everybody[6:])
    found = [
        address.addr_spec
        for name in ("To", "Cc", "Bcc")
        for address in parsed[name].addresses
    ]
    assert found == [person.address for person in everybody]


def test_bcc_is_left_out_for_a_relay():
    _, parsed = built(bcc=(Address(None, "hidden@z.example"),), with_bcc=False)
    assert "Bcc" not in parsed
    assert "hidden" not in parsed.as_string()


def test_a_subject_that_looks_encoded_stays_literal():
    _, parsed = built(subject="=?utf-8?q?evil?= and more")
    assert parsed["Subject"] == "=?utf-8?q?evil?= and more"


@pytest.mark.parametrize(
    ("declared", "sent"),
    [
        ("image/png", "image/png"),
        ("text/plain; charset=x", "text/plain"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("a/b\r\nX: y", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_attachment_types_are_taken_only_when_they_are_types(declared, sent):
    _, parsed = built([[b"x"]], attachments=(PartToBuild("f", declared, 1),))
    (part,) = parsed.iter_attachments()
    assert part.get_content_type() == sent
