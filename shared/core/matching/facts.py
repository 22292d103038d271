"""What matching may ask about the CRM (keys), and the answers (facts)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.ids import (
    ContactId,
    GmailThreadId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
)
from shared.core.limits import MAX_ESTABLISHED
from shared.core.people import SubaccountForMatching


@dataclass(frozen=True, slots=True)
class AddressKey:
    """Who has this (normalised) address in this subaccount?"""

    subaccount: SubaccountId
    address: str


@dataclass(frozen=True, slots=True)
class MessageIdKey:
    """Which recorded messages carry this Message-ID?"""

    subaccount: SubaccountId
    rfc822_message_id: Rfc822MessageId


@dataclass(frozen=True, slots=True)
class GmailThreadKey:
    """Which recorded threads does Gmail show in this thread of this mailbox?"""

    subaccount: SubaccountId
    mailbox: MailboxId
    gmail_thread: GmailThreadId


@dataclass(frozen=True, slots=True)
class ThreadKey:
    """What is known of this thread?"""

    subaccount: SubaccountId
    thread: ThreadId


@dataclass(frozen=True, slots=True)
class ContactKey:
    """Which addresses has this contact?"""

    subaccount: SubaccountId
    contact: ContactId


@dataclass(frozen=True, slots=True)
class ContactAtAddress:
    """One contact that has the address. `emails` are all of its addresses."""

    id: ContactId
    created_at: int
    assigned_to: UserId | None
    emails: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddressFact:
    """Everything that one subaccount knows of one address.

    `erased_at` (ms) is when its last contact was erased, if it was.
    """

    contacts: tuple[ContactAtAddress, ...] = ()
    members: frozenset[UserId] = frozenset()
    established: frozenset[UserId] = frozenset()
    erased_at: int | None = None

    @property
    def has_room(self) -> bool:
        """Whether mail may still add a contact or a relation to what is known."""
        return len(self.established) < MAX_ESTABLISHED

    @property
    def contact(self) -> ContactAtAddress | None:
        """The contact that gets the mail: the first created one (M8)."""
        return min(self.contacts, key=lambda c: (c.created_at, c.id), default=None)


@dataclass(frozen=True, slots=True)
class KnownMessage:
    """A recorded message, as its answers need it."""

    id: MessageId
    thread: ThreadId
    contact: ContactId
    exclusive: bool
    recorded_at: int


@dataclass(frozen=True, slots=True)
class ThreadFact:
    """A recorded thread. `participants` are external addresses."""

    id: ThreadId
    contact: ContactId
    exclusive: bool
    participants: frozenset[str]


@dataclass(frozen=True, slots=True)
class ContactFact:
    """Whether a contact exists, and its addresses, normalised.

    `taken`: the id cannot be given to a new contact, because one exists or is being
    erased.
    """

    exists: bool
    emails: tuple[str, ...]
    taken: bool


@dataclass(frozen=True, slots=True)
class BccOwnerKey:
    """Whose BCC address has this token?"""

    token: str


@dataclass(frozen=True, slots=True)
class BccOwner:
    """The owner of a BCC address: one user in one subaccount.

    `addresses` are those the user writes from: of the profile, of the connected mailbox
    and its aliases (B5). `memberships` are all of the user's subaccounts.
    """

    subaccount: SubaccountForMatching
    user: UserId
    never_log: tuple[str, ...]
    addresses: frozenset[str]
    memberships: tuple[SubaccountId, ...]


@dataclass(frozen=True, slots=True)
class QuotaKey:
    """How many contacts may mail to this user's BCC address still make today?"""

    subaccount: SubaccountId
    user: UserId


@dataclass(frozen=True, slots=True)
class CrmMessageKey:
    """Which mail did the CRM of this subaccount send under this id?"""

    subaccount: SubaccountId
    message: MessageId


@dataclass(frozen=True, slots=True)
class CrmMessageFact:
    """A mail that the CRM sends or has sent, as its copies must show it."""

    id: MessageId
    contact: ContactId
    thread: ThreadId
    sender: str
    subject: str
    user: UserId | None


@dataclass(frozen=True, slots=True)
class SentKey:
    """Did our side send this recorded message?"""

    subaccount: SubaccountId
    message: MessageId


@dataclass(frozen=True, slots=True)
class OutboundKey:
    """To whom did our side send this recorded message, and from where?"""

    subaccount: SubaccountId
    message: MessageId


@dataclass(frozen=True, slots=True)
class OutboundFact:
    """A recorded message that our side sent, as its bounces need it (S12)."""

    contact: ContactId
    sender: str
    user: UserId | None
    recipients: frozenset[str]
    mailboxes: frozenset[MailboxId]


Key = (
    AddressKey
    | MessageIdKey
    | GmailThreadKey
    | ThreadKey
    | ContactKey
    | CrmMessageKey
    | SentKey
    | OutboundKey
    | BccOwnerKey
    | QuotaKey
)
Fact = (
    AddressFact
    | tuple[KnownMessage, ...]
    | tuple[ThreadFact, ...]
    | ThreadFact
    | ContactFact
    | CrmMessageFact
    | OutboundFact
    | BccOwner
    | int
    | None
)
