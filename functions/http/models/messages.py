"""Conversations and the messages in them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from functions.http.fields import Id, Time
from functions.http.models.base import Out


class Address(Out):
    """A person on a message, with the address as it was written.

    It is null for a user's BCC address (B6).
    """

    name: str | None
    address: str | None


class Conversation(Out):
    """Everything said with one contact."""

    contact: Id
    name: str
    last_message_at: Time
    messages: int


class Conversations(Out):
    """A page of conversations, newest first."""

    items: list[Conversation]
    next_page_token: str | None


class Reason(Out):
    """Why a message failed."""

    code: str
    detail: str


class HeldBy(Out):
    """A user's mailbox that holds the message."""

    user: Id
    address: str
    gmail_message_id: str
    gmail_thread_id: str


class Bounce(Out):
    """A server says that the message did not reach a recipient, or is late (S12)."""

    address: str
    code: str | None
    detail: str | None
    permanent: bool
    at: Time


class Attachment(Out):
    """An attachment; its bytes can be had when it is stored."""

    id: str
    filename: str | None
    content_type: str
    size: int
    stored: bool
    content_id: str | None
    inline: bool


class Message(Out):
    """One email as recorded in a conversation."""

    id: str
    subaccount: Id
    contact: Id
    user: Id | None
    thread_id: str
    direction: Literal["inbound", "outbound"]
    kind: Literal["individual", "bulk", "workflow"] | None
    route: Literal["crm", "gmail", "bcc"]
    status: Literal["received", "sent", "queued", "failed"]
    reason: Reason | None
    from_: Address = Field(alias="from")
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]
    subject: str
    text: str | None
    html: str | None
    snippet: str
    sent_at: Time
    rfc822_message_id: str | None
    in_reply_to: str | None
    mailboxes: list[HeldBy]
    attachments: list[Attachment]
    truncated: bool
    bounces: list[Bounce]
    automated: bool
    authenticity: Literal["pass", "fail", "unknown"]


class Messages(Out):
    """A page of messages, newest first. May be short; the token says if more follow."""

    items: list[Message]
    next_page_token: str | None
