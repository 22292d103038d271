"""Who is who in one subaccount: internal (M11), of a thread (T2), or listed (M12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.matching.ancestors import KnownThread
from shared.core.matching.bcc import LOGGING
from shared.core.matching.facts import ContactAtAddress, ThreadKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.parsing.address import in_domains, is_listed
from shared.core.parsing.headers import is_forward_subject
from shared.core.parsing.spellings import mailbox_key, mailbox_keys
from shared.core.people import SubaccountForMatching, UserForMatching


@dataclass(frozen=True, slots=True)
class Parties:
    """The people of a message, by what one subaccount knows of their addresses.

    `ours` are the addresses that are our side's whatever the subaccount knows.
    """

    known: Known
    subaccount: SubaccountForMatching
    ours: frozenset[str]

    def is_internal(self, address: str) -> bool:
        """M11: a user's address, or one of an internal domain."""
        return self._is_ours(address) or self._is_members(address)

    def external(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those that are not internal."""
        return tuple(address for address in addresses if not self.is_internal(address))

    def participants(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Those that are external as far as they have been asked for, each once.

        Who is in copy of an inbound mail is not looked up: an address that turns out to
        be a colleague's later does no harm, because colleagues are left out before
        participants are looked at.
        """
        return tuple(
            fromkey
            for fromkey in dict.fromkeys(addresses)
            if not self._is_ours(fromkey)
            and not (
                self.known.has_address(self.subaccount.id, fromkey)
                and self._is_members(fromkey)
            )
        )

    def contact(self, address: str) -> ContactAtAddress | None:
        """Whose conversation mail with this address belongs to (M8)."""
        return self.known.address(self.subaccount.id, address).contact

    def is_contacts(self, address: str, contact: ContactId) -> bool:
        """Say whether it is an address of this contact, be it the first one or not."""
        contacts = self.known.address(self.subaccount.id, address).contacts
        return any(known.id == contact for known in contacts)

    def took_part(self, thread: KnownThread) -> Lookup[frozenset[str]]:
        """External addresses of the thread's messages so far."""
        key = ThreadKey(self.subaccount.id, thread.thread)
        yield from self.known.ask(key)
        fact = self.known.thread(key.subaccount, key.thread)
        return fact.participants if fact else frozenset()

    def is_forward(
        self, subject: str, thread: KnownThread | None, external: Iterable[str]
    ) -> Lookup[bool]:
        """M10: outbound mail that says so, or goes to nobody of its thread."""
        if is_forward_subject(subject):
            return True
        if thread is None:
            return False
        took_part = yield from self.took_part(thread)
        return not any(
            address in took_part or self.is_contacts(address, thread.contact)
            for address in external
        )

    def _is_ours(self, address: str) -> bool:
        return (
            address in self.ours
            or mailbox_key(address) in mailbox_keys(self.ours)
            or in_domains(address, self.subaccount.internal_domains)
        )

    def _is_members(self, address: str) -> bool:
        spellings = (address, mailbox_key(address))
        return any(
            self.known.address(self.subaccount.id, spelling).members
            for spelling in spellings
        )


def is_any_listed(emails: Iterable[str], never_log: Collection[str]) -> bool:
    """M12: a contact is listed when one of its addresses is."""
    return any(is_listed(email, never_log) for email in emails)


def holders(
    users: Iterable[UserForMatching],
    subaccount: SubaccountId,
    emails: Collection[str] = (),
) -> tuple[UserId, ...]:
    """M12: those of the subaccount on whose own lists the contact is not.

    The logging mailbox holds what is logged, and has no list.
    """
    return tuple(
        user.id
        for user in users
        if user.id == LOGGING
        or any(
            membership.subaccount == subaccount
            and not is_any_listed(emails, membership.never_log)
            for membership in user.memberships
        )
    )
