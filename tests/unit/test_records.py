"""What a message, a record or a person does not say is empty: no default says more."""

from __future__ import annotations

import pytest

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.mail import Address, AttachmentPart, Content, MessageHeaders
from shared.core.people import Membership, SubaccountForMatching, UserForMatching
from shared.core.records import (
    Attachment,
    Contact,
    Envelope,
    Member,
    Message,
    Subaccount,
)

S, U, C = SubaccountId("s"), UserId("u"), ContactId("c")
HEADERS = {
    "gmail_message_id": "g",
    "gmail_thread_id": "gt",
    "labels": frozenset(),
    "internal_date": 7,
    "sender": None,
}
MESSAGE = {
    "id": "m",
    "subaccount": S,
    "contact": C,
    "thread": "t",
    "direction": "inbound",
    "route": "gmail",
    "status": "received",
    "rule": "M5",
    "sent_at": 7,
    "recorded_at": 8,
    "sender": Address(None, "ada@client.example"),
    "subject": "Hello",
    "snippet": "Hi",
}


@pytest.mark.parametrize(
    ("kind", "said", "rest"),
    [
        (
            MessageHeaders,
            HEADERS,
            {
                "to": (),
                "cc": (),
                "bcc": (),
                "subject": "",
                "date": None,
                "rfc822_message_id": None,
                "in_reply_to": (),
                "references": (),
                "authenticity": "unknown",
                "authenticated": False,
                "automated": False,
                "original_senders": (),
                "reply_to": (),
                "is_list": False,
                "crm_message": None,
                "delivered_to": (),
                "drops": (),
                "may_be_bounce": False,
                "report": None,
            },
        ),
        (
            AttachmentPart,
            {"part_id": "1", "filename": None, "content_type": "x/y", "size": 1},
            {
                "gmail_attachment_id": None,
                "data": None,
                "content_id": None,
                "inline": False,
            },
        ),
        (
            Content,
            {"text": None, "html": None},
            {
                "attachments": (),
                "snippet": "",
                "truncated": False,
            },
        ),
        (
            Message,
            MESSAGE,
            {
                "user": None,
                "kind": None,
                "reason": None,
                "rfc822_message_id": None,
                "in_reply_to": None,
                "references": (),
                "exclusive": False,
                "automated": False,
                "authenticity": "unknown",
                "held_by": (),
                "addresses": (),
                "replaced_at": None,
                "blobs": None,
                "bounces": (),
                "envelope": None,
            },
        ),
        (
            Envelope,
            {},
            {
                "to": (),
                "cc": (),
                "bcc": (),
                "text": None,
                "html": None,
                "html_original": None,
                "attachments": (),
                "truncated": False,
                "list_unsubscribe": (),
            },
        ),
        (
            Attachment,
            {
                "id": "1",
                "filename": None,
                "content_type": "x/y",
                "size": 1,
                "stored": True,
            },
            {"content_id": None, "inline": False},
        ),
        (
            Subaccount,
            {"id": S, "name": "Agency"},
            {
                "logging": "established",
                "internal_domains": (),
                "never_log": (),
                "default_provider": None,
            },
        ),
        (
            SubaccountForMatching,
            {"id": S},
            {"logging": "established", "internal_domains": (), "never_log": ()},
        ),
        (Membership, {"subaccount": S}, {"never_log": (), "sync": True}),
        (UserForMatching, {"id": U, "since": 7}, {"memberships": ()}),
        (
            Member,
            {"id": U, "subaccount": S, "name": "Uma", "email": "uma@ours.example"},
            {"never_log": (), "internal_addresses": (), "sync": True},
        ),
        (
            Contact,
            {
                "id": C,
                "subaccount": S,
                "name": "Ada",
                "emails": (),
                "assigned_to": None,
                "created_at": 7,
            },
            {
                "messages": 0,
                "last_message_at": None,
                "stored": None,
                "given_emails": (),
            },
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_is_not_said_is_empty(
    kind: type, said: dict[str, object], rest: dict[str, object]
) -> None:
    short = kind(**said)
    assert {name: getattr(short, name) for name in rest} == rest
    assert set(kind.__dataclass_fields__) == {*said, *rest}
    assert all(type(getattr(short, name)) is type(rest[name]) for name in rest)
