"""Bounds: those that RFCs, Google and the product's promises set, and our own."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from shared.core import limits
from shared.core.parsing.address import parse_list
from shared.core.parsing.gmail_message import content_of
from shared.core.parsing.headers import message_ids, subject_text
from shared.core.parsing.plain_text import safe_filename
from shared.core.parsing.sanitise import safe_html

MIB = 1024 * 1024
WORDS = "x" * 3 * MIB


def test_bounds_of_the_rfcs() -> None:
    assert limits.MAX_LOCAL_PART_CHARS == 64, "RFC 5321 4.5.3.1.1"
    assert 256 - len("<>") == limits.MAX_ADDRESS_CHARS, "RFC 5321 4.5.3.1.3"
    assert 1000 - len("\r\n") == limits.MAX_MESSAGE_ID_CHARS, "RFC 5322 2.1.1"


def test_bounds_that_the_product_promises() -> None:
    assert limits.DECISION_DAYS == 30, "E2"
    assert limits.MAX_NEW_CONTACTS == 50, "B7"


def test_bounds_of_google() -> None:
    assert 10 < limits.HEADERS_PER_BATCH <= 100, "parts of one batch"
    assert limits.MAX_ATTACHMENT_BYTES > 25 * MIB * 4 / 3, "what Gmail takes, encoded"


def test_a_record_fits_a_document_of_the_store() -> None:
    """1 MiB, half of which stays free for what other mailboxes add (M9)."""
    # UTF-8 needs four bytes for a character at most, an index entry at most 2 kB.
    fixed = 4 * (
        limits.MAX_SUBJECT_CHARS + limits.MAX_MESSAGE_ID_CHARS + limits.SNIPPET_CHARS
    )
    addresses = limits.MAX_INDEXED_ADDRESSES * limits.MAX_ADDRESS_CHARS * 4
    assert limits.INLINE_CONTENT_BYTES > 100_000
    assert limits.INLINE_CONTENT_BYTES + fixed + addresses < MIB / 2


def test_a_thread_fits_a_document_of_the_store() -> None:
    addresses = limits.MAX_THREAD_PARTICIPANTS * limits.MAX_ADDRESS_CHARS * 4
    assert addresses < MIB / 2


def name_of(name: str) -> str:
    return parse_list([f"{name} <ada@client.example>"])[0].name or ""


def text_of(text: str) -> str:
    data = base64.urlsafe_b64encode(text.encode()).decode()
    return (
        content_of({"payload": {"mimeType": "text/plain", "body": {"data": data}}}).text
        or ""
    )


def levels(count: int) -> bool:
    """Whether a text is found so deep in a mail."""
    tree: dict[str, object] = {"mimeType": "text/plain", "body": {"data": "eA"}}
    for _ in range(count):
        tree = {"mimeType": "multipart/mixed", "parts": [tree]}
    return content_of({"payload": tree}).text == "x"


@pytest.mark.parametrize(
    ("kept", "most"),
    [
        (lambda: len(subject_text(WORDS)), 2000),
        (lambda: len(name_of(WORDS)), 256),
        (lambda: len(safe_filename(WORDS) or ""), 200),
        (lambda: len(message_ids([f"<{n}@x>" for n in range(999)])), 100),
        (lambda: len(text_of(WORDS)), MIB),
        (lambda: safe_html(WORDS).count("xx") * 2, MIB),
        (lambda: sum(levels(count) for count in range(50)), 20 + 1),
    ],
    ids=[
        *("subject", "name", "file name", "references", "text", "HTML"),
        "levels of parts",
    ],
)
def test_so_much_is_kept_of_a_mail_and_no_more(
    kept: Callable[[], int], most: int
) -> None:
    assert kept() == most


def test_so_much_is_read_of_a_header() -> None:
    assert subject_text(" " * (64 * 1024 - 1) + "ab") == "a"


def test_html_is_shown_up_to_a_depth_and_a_number_of_tags() -> None:
    assert "<div>" in safe_html("<div>" * 1000 + "x")
    assert "<div>" not in safe_html("<div>" * 1001 + "x")
    assert "<i>" in safe_html("<i>x</i>" * 20_000)
    assert "<i>" not in safe_html("<i>x</i>" * 20_000 + "<i>")


def test_what_is_asked_stored_and_tried_at_once_is_a_choice() -> None:
    """Costs and times are counted with these: change them with the documents."""
    assert {
        "mails of one batch": limits.HEADERS_PER_BATCH,
        "bytes of an attachment": limits.MAX_ATTACHMENT_BYTES,
        "bytes of a content that stays in its document": limits.INLINE_CONTENT_BYTES,
        "addresses that find a mail": limits.MAX_INDEXED_ADDRESSES,
        "participants of a thread": limits.MAX_THREAD_PARTICIPANTS,
        "looks for a change that Gmail has announced": limits.MAX_LAG_LOOKS,
        "attempts at a mail": limits.MAX_ATTEMPTS,
    } == {
        "mails of one batch": 25,
        "bytes of an attachment": 50 * MIB,
        "bytes of a content that stays in its document": 200_000,
        "addresses that find a mail": 100,
        "participants of a thread": 100,
        "looks for a change that Gmail has announced": 4,
        "attempts at a mail": 3,
    }


def test_what_keeps_documents_and_work_bounded() -> None:
    assert limits.MAX_HTML_TAGS == 40_000
    assert limits.MAX_HTML_DEPTH == 1000
    assert limits.MAX_COPIES_LISTED == 500, "M9"
    assert limits.MAX_ALIASES == 500
    assert limits.READ_AGAIN_HOURS == (1, 6, 24), "E3"
