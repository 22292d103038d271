"""What matching may ask about the CRM, and the answers.

A rule asks by key; the shell looks many keys up in one round trip. Nothing here knows
where the answers come from.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

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
    assigned_to: UserId | None = None
    emails: tuple[str, ...] = ()


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
    """A recorded thread. `participants` are external addresses; None: unknown."""

    id: ThreadId
    contact: ContactId
    exclusive: bool = False
    participants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ContactFact:
    """Whether a contact exists, and its addresses, normalised.

    `taken`: the id cannot be given to a new contact, because one exists or is being
    erased.
    """

    exists: bool = False
    emails: tuple[str, ...] = ()
    taken: bool = False


@dataclass(frozen=True, slots=True)
class DropKey:
    """Whose BCC address has this token?"""

    token: str


@dataclass(frozen=True, slots=True)
class DropFact:
    """The owner of a BCC address: one user in one subaccount.

    `addresses` are those the user writes from: of the profile, of the connected mailbox
    and its aliases (B5). `memberships` are all of the user's subaccounts.
    """

    subaccount: SubaccountForMatching
    user: UserId
    never_log: tuple[str, ...] = ()
    addresses: frozenset[str] = frozenset()
    memberships: tuple[SubaccountId, ...] = ()


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


Key = (
    AddressKey
    | MessageIdKey
    | GmailThreadKey
    | ThreadKey
    | ContactKey
    | CrmMessageKey
    | DropKey
)
Fact = (
    AddressFact
    | tuple[KnownMessage, ...]
    | tuple[ThreadFact, ...]
    | ThreadFact
    | ContactFact
    | CrmMessageFact
    | DropFact
    | None
)
Facts = Mapping[Key, Fact]
Result = TypeVar("Result")
Asking = Generator[frozenset[Key], Facts, Result]
"""A pure computation that yields the keys it needs next and is sent their facts."""


class Known:
    """The facts one computation has been told so far."""

    def __init__(self) -> None:
        """Know nothing."""
        self._facts: dict[Key, Fact] = {}

    def ask(self, *keys: Key) -> Asking[None]:
        """Ask for those keys that are not known yet, in one go."""
        missing = frozenset(key for key in keys if key not in self._facts)
        if missing:
            answers = yield missing
            for key in missing:
                self._facts[key] = answers[key]

    def address(self, subaccount: SubaccountId, address: str) -> AddressFact:
        """What is known of an address that has been asked for."""
        return cast(AddressFact, self._facts[AddressKey(subaccount, address)])

    def has_address(self, subaccount: SubaccountId, address: str) -> bool:
        """Say whether this address has been asked for."""
        return AddressKey(subaccount, address) in self._facts

    def is_contact(self, subaccount: SubaccountId, contact: ContactId) -> bool:
        """Say whether an address that has been asked for shows that it exists."""
        return any(
            isinstance(key, AddressKey)
            and key.subaccount == subaccount
            and isinstance(fact, AddressFact)
            and any(one.id == contact for one in fact.contacts)
            for key, fact in self._facts.items()
        )

    def emails(self, subaccount: SubaccountId, contact: ContactId) -> tuple[str, ...]:
        """All addresses of a contact, as far as the facts at hand tell."""
        for key, fact in self._facts.items():
            if isinstance(key, DropKey) or key.subaccount != subaccount:
                continue
            if isinstance(fact, AddressFact):
                for one in fact.contacts:
                    if one.id == contact:
                        return one.emails
            elif (
                isinstance(fact, ContactFact)
                and isinstance(key, ContactKey)
                and key.contact == contact
            ):
                return fact.emails
        return ()

    def messages(
        self, subaccount: SubaccountId, message_id: Rfc822MessageId
    ) -> tuple[KnownMessage, ...]:
        """Recorded messages with this Message-ID, first recorded first."""
        return cast(
            tuple[KnownMessage, ...],
            self._facts.get(MessageIdKey(subaccount, message_id), ()),
        )

    def threads(self, key: GmailThreadKey) -> tuple[ThreadFact, ...]:
        """Recorded threads of a Gmail thread."""
        return cast(tuple[ThreadFact, ...], self._facts[key])

    def thread(self, subaccount: SubaccountId, thread: ThreadId) -> ThreadFact | None:
        """A thread that has been asked for."""
        return cast(ThreadFact | None, self._facts[ThreadKey(subaccount, thread)])

    def crm_message(self, key: CrmMessageKey) -> CrmMessageFact | None:
        """A mail of the CRM that has been asked for."""
        return cast(CrmMessageFact | None, self._facts[key])

    def drop(self, token: str) -> DropFact | None:
        """The owner of a BCC address that has been asked for."""
        return cast(DropFact | None, self._facts[DropKey(token)])

    def contact(self, subaccount: SubaccountId, contact: ContactId) -> ContactFact:
        """A contact that has been asked for."""
        return cast(ContactFact, self._facts[ContactKey(subaccount, contact)])


def run(asking: Asking[Result], facts: Facts) -> Result:
    """Run a computation against facts that are all at hand."""
    try:
        keys = next(asking)
        while True:
            keys = asking.send({key: facts[key] for key in keys})
    except StopIteration as done:
        return cast(Result, done.value)
