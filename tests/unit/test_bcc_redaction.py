"""B6: a BCC address is found in whatever a mail program makes of it."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.mail import Address, AttachmentPart, Content
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import (
    IN_TEXT,
    hide,
    hide_in_content,
    hide_in_file,
    redact_bcc_addresses,
)
from tests.support.crm import ME, mail

TOKEN = "k3v" * 6 + "q7"
FORM = BccAddressFormat.parse("log+{token}@logs.example")
BARE = BccAddressFormat.parse("{token}@bücher.example")
ADDRESS = f"log+{TOKEN}@logs.example"
ADA = "ada@client.example"


@pytest.mark.parametrize(
    "written",
    [
        ADDRESS,
        ADDRESS.upper(),
        quote(ADDRESS, safe=""),
        quote(ADDRESS, safe="").lower(),
        ADDRESS.replace("@", "&#64;").replace("+", "&#43;"),
        ADDRESS.replace("@", "&#064;").replace("+", "&#x2b;"),
        ADDRESS.replace("@", "&commat;").replace(".", "&period;"),
        f"log+{TOKEN[:7]}<wbr>{TOKEN[7:]}<wbr/><wbr>@<wbr>logs.example",
        f"log+{TOKEN[:7]}&shy;{TOKEN[7:]}\u200b@logs.example",
        f"log+{TOKEN[:3]}&#8203;{TOKEN[3:]}@logs.example",
        f"log+{TOKEN}",
    ],
)
def test_b6_a_form_in_which_programs_write_it_is_hidden(written: str) -> None:
    assert hide(f"<{written}>", FORM) == f"<{IN_TEXT}>"
    link = f'<a href="mailto:{written}">{written}</a>, {written}'
    assert hide(link, FORM) == f'<a href="mailto:{IN_TEXT}">{IN_TEXT}</a>, {IN_TEXT}'


@pytest.mark.parametrize(
    "written", ["bücher.example", "xn--bcher-kva.example", "B%C3%BCcher.example"]
)
def test_b6_the_domain_is_known_as_it_is_shown(written: str) -> None:
    assert hide(f"{TOKEN}@{written}", BARE) == IN_TEXT


@pytest.mark.parametrize(
    "text",
    [
        f"log+{TOKEN[1:]}@logs.example",
        f"log+{TOKEN}x@logs.example",
        f"log+{TOKEN[1:]}1@logs.example",
        f"log-{TOKEN}@logs.example",
        f"{TOKEN}@logs.example",
        "",
    ],
)
def test_b6_other_text_stays_the_same_object(text: str) -> None:
    assert hide(text, FORM) is text
    assert hide(TOKEN, BARE) is TOKEN
    assert hide(ADDRESS, None) is ADDRESS


@given(
    before=st.text(max_size=40),
    after=st.text(max_size=40),
    way=st.sampled_from([str, quote, html.escape, str.upper]),
)
def test_b6_whatever_stands_around_it(before: str, after: str, way) -> None:
    hidden = hide(f"{before}{way(ADDRESS)}{after}", FORM)
    assert not re.search(TOKEN, hidden, re.IGNORECASE)


def test_b6_bytes_keep_what_is_not_the_address() -> None:
    around = bytes(range(256))
    hidden = hide_in_file("text/plain", around + ADDRESS.encode() + around, FORM)
    assert hidden == around + IN_TEXT.encode() + around
    assert hide_in_file("text/plain", around, FORM) is around


def test_b6_names_subject_and_answer_address_hold_none() -> None:
    named = Address(f"Rep ({ADDRESS})", ADA)
    secret = Address(None, ADDRESS)
    message = replace(
        mail(ME, [ADA], subject=f"Re: {ADDRESS}"), reply_to=(named, secret), cc=(named,)
    )
    shown = redact_bcc_addresses(message, FORM)
    assert TOKEN not in repr(shown)
    assert shown.reply_to == shown.cc == (Address(f"Rep ({IN_TEXT})", ADA),)
    assert redact_bcc_addresses(mail(ADDRESS, [ADA]), FORM).sender is None
    sent = replace(mail(ME, [ADA]), sender=Address(ADDRESS, ME))
    assert redact_bcc_addresses(sent, FORM).sender == Address(IN_TEXT, ME)


def test_b6_bodies_snippet_and_file_names_hold_none() -> None:
    part = AttachmentPart("1", f"{ADDRESS}.txt", "text/plain", 3, data=b"abc")
    nameless = AttachmentPart("2", None, "text/plain", 3, data=b"abc")
    content = Content(ADDRESS, f"<p>{ADDRESS}", (part, nameless), ADDRESS)
    shown = hide_in_content(content, FORM)
    assert TOKEN not in repr(shown)
    assert shown.attachments[0].filename == f"{IN_TEXT}.txt"
    assert shown.attachments[1] == nameless
    assert hide_in_content(content, None) is content
    empty = Content(None, None)
    assert hide_in_content(empty, FORM) == empty
