"""Ids and keys: digests that neither collide by concatenation nor change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.core.events import (
    connection_event,
    contact_event,
    message_event,
    send_event,
)
from shared.core.ids import (
    ContactId,
    GmailThreadId,
    MailboxId,
    SubaccountId,
    UserId,
    address_key,
    digest,
    gmail_thread_key,
    mailbox_id,
    message_id_key,
)
from shared.core.matching import bcc
from shared.core.matching.ancestors import new_thread
from shared.core.matching.places import NewContact
from shared.core.matching.recording import message_id
from tests.support.api import a_message
from tests.support.crm import mail

MESSAGE = mail(
    "ada@client.example",
    subject="An offer",
    message_id="<m@x>",
    references=["<root@x>"],
)
NAMELESS = mail(message_id=None)
B, S, U = MailboxId("b"), SubaccountId("s"), UserId("u")
C = ContactId("c")


@pytest.mark.parametrize(
    ("make", "stored"),
    [
        (digest, "e3b0c44298fc1c149afbf4c8996fb924"),
        (lambda: digest("a", "ä"), "5de57cd5a13fb425cca4628ec8bd6f38"),
        (lambda: address_key("ada@client.example"), "7030164de21517402b732e8467f33b39"),
        (lambda: mailbox_id("rep@ours.example"), "4f5fd78d9270d63552cabbe98380d6ee"),
        (
            lambda: mailbox_id("rep@ours.example", "1"),
            "4b4b7a1bd02773c9b5eda342a2c65f9b",
        ),
        (lambda: message_id_key("<m@x>"), "4bd06d33a3c4bca9ad201d4080678d63"),
        (
            lambda: gmail_thread_key(B, GmailThreadId("gt")),
            "c71a38e956288e0c24eab47d97d7ae34",
        ),
        (lambda: message_id(MESSAGE, B), "a9a2bbe63586d6483e22a04df85c8e01"),
        (lambda: message_id(NAMELESS, B), "5cb761f0026dc0e5b67310b1b650da5f"),
        (
            lambda: new_thread(MESSAGE, B, C, forward=False),
            "3a00aa3d1c37df3d36e82d0dd24c4833",
        ),
        (
            lambda: new_thread(MESSAGE, B, C, forward=True),
            "82dc5da475631b72d7ccc6381c3faea7",
        ),
        (
            lambda: new_thread(NAMELESS, B, C, forward=False),
            "14affdd0080c57efad317133c719f686",
        ),
        (lambda: bcc.derive_token(b"key", S, U, 1), "4uk42mjownwojghmh5rx"),
        (lambda: bcc.token_key("a" * 20), "68146fbf1db830d723fd73b0a54c6910"),
        (
            lambda: bcc.contact_id(S, "ada@client.example", 0),
            "e8d5b19f6169e559a0ea75cd8f80d43d",
        ),
        (
            lambda: bcc.contact_id(S, "ada@client.example", 1),
            "0b9ef7d0be37d0134a5e82f503d7de15",
        ),
        (lambda: message_event(a_message(), 7).id, "0b78bc523186a8852186cc4e25481208"),
        (
            lambda: send_event("message.sent", a_message(), 7).id,
            "1e2400543bd366b08273644c005cae61",
        ),
        (
            lambda: contact_event(S, NewContact(C, "a@x.example", "Ada", U), 7).id,
            "bd0633b7ad2f7c77fce51caf52c4354f",
        ),
        (
            lambda: connection_event("connection.updated", U, "a@x.example", 7).id,
            "a50bd2d86a7fb7802889108a15350bd0",
        ),
    ],
)
def test_what_is_stored_is_found_again_by_every_later_version(
    make: Callable[[], str], stored: str
) -> None:
    """Records, tokens and events are known by these; none of them may ever change."""
    assert make() == stored


def test_a_digest_tells_lists_of_parts_apart() -> None:
    lists = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("\ud800",)]
    assert len({digest(*item) for item in lists}) == len(lists)


def test_keys_of_different_things_differ() -> None:
    thread = GmailThreadId("t")
    keys = {
        address_key("x"),
        mailbox_id("x"),
        mailbox_id("x", "y"),
        message_id_key("x"),
        gmail_thread_key(MailboxId("x"), thread),
        gmail_thread_key(MailboxId("y"), thread),
        gmail_thread_key(MailboxId("x"), GmailThreadId("u")),
    }
    assert len(keys) == 7
    assert all(len(key) == 32 for key in keys)
