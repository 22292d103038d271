"""Bounds that others set: RFCs, Google, and what the product promises."""

from __future__ import annotations

from shared.core import limits

MIB = 1024 * 1024


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


def test_a_message_is_tried_more_than_once_and_not_for_ever() -> None:
    assert 1 < limits.MAX_ATTEMPTS < 10
    assert 1 < limits.MAX_LAG_LOOKS < 10
