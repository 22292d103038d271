"""A message as it is recorded in one subaccount, and the people around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.core.ids import (
    ContactId,
    GmailMessageId,
    GmailThreadId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
)
from shared.core.mail import Address, Authenticity

Direction = Literal["inbound", "outbound"]
Route = Literal["crm", "gmail", "bcc"]
Kind = Literal["individual", "bulk", "workflow"]
Status = Literal["received", "sent", "queued", "failed"]
Logging = Literal["established", "all_contacts", "threads"]


@dataclass(frozen=True, slots=True)
class HeldBy:
    """One user's mailbox that holds the email (M9)."""

    user: UserId
    mailbox: MailboxId
    address: str
    gmail_message_id: GmailMessageId
    gmail_thread_id: GmailThreadId


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment of a recorded message. `stored` is false when a cap kept it out.

    `id` is stable: it counts the parts of the message. `inline` is what the HTML shows
    at a place of its own, by `content_id` if it has one.
    """

    id: str
    filename: str | None
    content_type: str
    size: int
    stored: bool
    content_id: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """Recipients, body and attachments: the part of a message that can be big.

    Stored inline up to `limits.INLINE_CONTENT_BYTES`, else as one blob.
    `html` is safe to show; `html_original` is what came. `truncated` says that a limit
    cut something, which is kept whole as an attachment. `list_unsubscribe` are the URIs
    that bulk and workflow mail carries (S14).
    """

    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    text: str | None = None
    html: str | None = None
    html_original: str | None = None
    attachments: tuple[Attachment, ...] = ()
    truncated: bool = False
    list_unsubscribe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bounce:
    """A server says that the message did not reach one of its recipients (S12).

    `address` is the recipient as the message names it. Not `permanent`: it is late, and
    the server goes on trying. `at` is when the bounce came, in milliseconds.
    """

    address: str
    code: str | None
    detail: str | None
    permanent: bool
    at: int


@dataclass(frozen=True, slots=True)
class Message:
    """One email as recorded in a conversation; `envelope` is None when not loaded.

    `sent_at` and `recorded_at` are milliseconds since the epoch, `sent_at` is Gmail's
    internal date. `rule` is the rule that recorded it. `exclusive` says that it answers
    mail that was sent from this subaccount's CRM (T3). `replaced_at` is when an
    authenticated copy last took the place of an unauthenticated one (M9). `blobs` is
    what the keys of its attachments begin with, None where there are none. `references`
    are those that its header named, as far as `kept_references` keeps them.
    `bounces` are what came back of it, in order (S12).
    """

    id: MessageId
    subaccount: SubaccountId
    contact: ContactId
    thread: ThreadId
    direction: Direction
    route: Route
    status: Status
    rule: str
    sent_at: int
    recorded_at: int
    sender: Address
    subject: str
    snippet: str
    user: UserId | None = None
    kind: Kind | None = None
    reason: dict[str, str] | None = None
    rfc822_message_id: Rfc822MessageId | None = None
    in_reply_to: Rfc822MessageId | None = None
    references: tuple[Rfc822MessageId, ...] = ()
    exclusive: bool = False
    automated: bool = False
    authenticity: Authenticity = "unknown"
    held_by: tuple[HeldBy, ...] = ()
    addresses: tuple[str, ...] = ()
    replaced_at: int | None = None
    blobs: str | None = None
    bounces: tuple[Bounce, ...] = ()
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Subaccount:
    """One CRM account (tenant)."""

    id: SubaccountId
    name: str
    logging: Logging = "established"
    internal_domains: tuple[str, ...] = ()
    never_log: tuple[str, ...] = ()
    default_provider: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A user as a member of one subaccount.

    `internal_addresses` are all addresses known to be the user's: profile, connected
    mailbox and its aliases; normalised. `sync` says whether the mailbox is recorded
    here (C11).
    """

    id: UserId
    subaccount: SubaccountId
    name: str
    email: str
    never_log: tuple[str, ...] = ()
    internal_addresses: tuple[str, ...] = ()
    sync: bool = True


@dataclass(frozen=True, slots=True)
class Contact:
    """A person in one subaccount. `created_at` in milliseconds since the epoch.

    `stored` tells one from another that got its id after it was erased. `given_emails`
    are `emails` as the CRM wrote them.
    """

    id: ContactId
    subaccount: SubaccountId
    name: str
    emails: tuple[str, ...]
    assigned_to: UserId | None
    created_at: int
    messages: int = 0
    last_message_at: int | None = None
    stored: str | None = None
    given_emails: tuple[str, ...] = ()
