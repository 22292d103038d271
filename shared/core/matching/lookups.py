"""How a rule asks: it yields keys and is sent their facts.

So the rules stay pure, and the shell looks many keys up in one round trip. Nothing here
knows where the answers come from.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TypeVar, cast

from shared.core.ids import (
    ContactId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
)
from shared.core.matching.facts import (
    AddressFact,
    AddressKey,
    BccOwner,
    BccOwnerKey,
    ContactAtAddress,
    ContactFact,
    ContactKey,
    CrmMessageFact,
    CrmMessageKey,
    Fact,
    GmailThreadKey,
    Key,
    KnownMessage,
    MessageIdKey,
    OutboundFact,
    OutboundKey,
    QuotaKey,
    SentKey,
    ThreadFact,
    ThreadKey,
)

Facts = Mapping[Key, Fact]
Result = TypeVar("Result")
Lookup = Generator[frozenset[Key], Facts, Result]
"""A pure computation that yields the keys it needs next and is sent their facts."""


class Known:
    """The facts one computation has been told so far.

    To read a fact that was not asked for is a mistake in a rule: it raises `KeyError`.
    """

    def __init__(self) -> None:
        self._facts: dict[Key, Fact] = {}

    def ask(self, *keys: Key) -> Lookup[None]:
        """Ask for those keys that are not known yet, in one go."""
        missing = frozenset(key for key in keys if key not in self._facts)
        if missing:
            answers = yield missing
            for key in missing:
                self._facts[key] = answers[key]

    def has_address(self, subaccount: SubaccountId, address: str) -> bool:
        """Say whether this address has been asked for."""
        return AddressKey(subaccount, address) in self._facts

    def address(self, subaccount: SubaccountId, address: str) -> AddressFact:
        """What is known of an address."""
        return cast(AddressFact, self._facts[AddressKey(subaccount, address)])

    def contacts_left(self, subaccount: SubaccountId, user: UserId) -> int:
        """What is left of a quota that has been asked for."""
        return cast(int, self._facts[QuotaKey(subaccount, user)])

    def contact(self, subaccount: SubaccountId, contact: ContactId) -> ContactFact:
        """What is known of a contact."""
        return cast(ContactFact, self._facts[ContactKey(subaccount, contact)])

    def messages(
        self, subaccount: SubaccountId, message_id: Rfc822MessageId
    ) -> tuple[KnownMessage, ...]:
        """Recorded messages with this Message-ID, first recorded first."""
        fact = self._facts[MessageIdKey(subaccount, message_id)]
        return cast(tuple[KnownMessage, ...], fact)

    def threads(self, key: GmailThreadKey) -> tuple[ThreadFact, ...]:
        """Recorded threads of a Gmail thread."""
        return cast(tuple[ThreadFact, ...], self._facts[key])

    def thread(self, subaccount: SubaccountId, thread: ThreadId) -> ThreadFact | None:
        """What is known of a thread."""
        return cast(ThreadFact | None, self._facts[ThreadKey(subaccount, thread)])

    def crm_message(self, key: CrmMessageKey) -> CrmMessageFact | None:
        """A mail of the CRM."""
        return cast(CrmMessageFact | None, self._facts[key])

    def is_sent(self, key: SentKey) -> bool:
        """Whether our side sent a recorded message."""
        return bool(self._facts[key])

    def outbound(self, key: OutboundKey) -> OutboundFact | None:
        """A message that our side sent; None when it is none."""
        return cast(OutboundFact | None, self._facts[key])

    def drop(self, token: str) -> BccOwner | None:
        """The owner of a BCC address."""
        return cast(BccOwner | None, self._facts[BccOwnerKey(token)])

    def is_contact(self, subaccount: SubaccountId, contact: ContactId) -> bool:
        """Say whether an address that has been asked for shows that it exists."""
        return any(
            at_address.id == contact for at_address in self._at_addresses(subaccount)
        )

    def emails(self, subaccount: SubaccountId, contact: ContactId) -> tuple[str, ...]:
        """All addresses of a contact, by whichever fact tells them."""
        for at_address in self._at_addresses(subaccount):
            if at_address.id == contact:
                return at_address.emails
        return self.contact(subaccount, contact).emails

    def _at_addresses(self, subaccount: SubaccountId) -> Iterator[ContactAtAddress]:
        for key, fact in self._facts.items():
            if isinstance(key, AddressKey) and key.subaccount == subaccount:
                yield from cast(AddressFact, fact).contacts
