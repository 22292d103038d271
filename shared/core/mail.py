"""Mail as the rules see it: plain frozen data, already parsed.

Named by use: `MessageHeaders` is all that matching may look at (M14), `Content` is read
only for a message that is to be recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from shared.core.ids import GmailMessageId, GmailThreadId, Rfc822MessageId

Authenticity = Literal["pass", "fail", "unknown"]

NEVER_READ = frozenset({"DRAFT", "CHAT"})
"""Drafts are saved many times a minute; they count when they are sent."""

LABELS_OUT_OF_SIGHT = frozenset({"SPAM", "TRASH"})


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of an address header: display name (or None) and address.

    `address` is normalised (M13); equality of people is equality of addresses, never of
    names. `written` is how it was given, where that is another spelling: matching never
    looks at it, and sending and showing never look at anything else.
    """

    name: str | None
    address: str
    written: str | None = field(default=None, compare=False)

    @property
    def shown(self) -> str:
        """The address as it was given."""
        return self.written or self.address


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """One recipient whom a bounce says was not reached, or not yet (S12).

    `addresses` are the recipient's, first as the sender knows it. `code` is the
    enhanced status code (RFC 3463), else the SMTP reply code. `detail` are the server's
    words, on one line. Not `permanent`: the server goes on trying.
    """

    addresses: tuple[str, ...]
    code: str | None
    detail: str | None
    permanent: bool


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a bounce claims: who was not reached, and which email it returns.

    `message_ids` are those inside it, `crm_message` is our own `X-CRM-Message` there: a
    provider may have replaced the Message-ID.
    """

    failures: tuple[DeliveryFailure, ...] = ()
    message_ids: tuple[Rfc822MessageId, ...] = ()
    crm_message: str | None = None


@dataclass(frozen=True, slots=True)
class MessageHeaders:
    """What the header pass knows of one Gmail message; no body, no snippet.

    `sender` is None when From does not hold exactly one address (M13).
    `internal_date` is Gmail's, in milliseconds since the epoch.
    `date` is the Date header in milliseconds, or None when it cannot be read.
    `to`, `cc`, `bcc` hold each address once, in header order.
    `original_senders` and `reply_to` tell whose mail it is that a group of ours passed
    on, `is_list` that one did (M2).
    `crm_message` is our own `X-CRM-Message` header: a hint, never proof.
    `delivered_to` are the envelope's recipients; `bcc_redaction` takes BCC addresses
    out of all fields and leaves their tokens in `drops`.
    `may_be_bounce` says that it must be read as a bounce before it is decided, `report`
    is what that found (S12).
    """

    gmail_message_id: GmailMessageId
    gmail_thread_id: GmailThreadId
    labels: frozenset[str]
    internal_date: int
    sender: Address | None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    date: int | None = None
    rfc822_message_id: Rfc822MessageId | None = None
    in_reply_to: tuple[Rfc822MessageId, ...] = ()
    references: tuple[Rfc822MessageId, ...] = ()
    authenticity: Authenticity = "unknown"
    authenticated: bool = False
    automated: bool = False
    original_senders: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    is_list: bool = False
    crm_message: str | None = None
    delivered_to: tuple[str, ...] = ()
    drops: tuple[str, ...] = ()
    may_be_bounce: bool = False
    report: DeliveryReport | None = None


@dataclass(frozen=True, slots=True)
class AttachmentPart:
    """A part of the message that is kept as an attachment, not yet fetched.

    `data` is set when Gmail sent the bytes inline, else `gmail_attachment_id` names
    them (the id is good for this answer only: Gmail gives new ones each time).
    `content_id` is without angle brackets.
    """

    part_id: str
    filename: str | None
    content_type: str
    size: int
    gmail_attachment_id: str | None = None
    data: bytes | None = None
    content_id: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Content:
    """Body and attachments of one message, within the caps of `limits`.

    `html` is the sender's original: never show it; `sanitise.safe_html` makes what is
    shown. `truncated` says that a cap cut something off.
    """

    text: str | None
    html: str | None
    attachments: tuple[AttachmentPart, ...] = ()
    snippet: str = ""
    truncated: bool = False
