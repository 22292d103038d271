"""Who is who in the CRM: what the model's rules look at. It parses and stores nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.cast import LOG, LOGGER, OURS, domain


@dataclass
class Sub:
    """A subaccount's settings."""

    logging: str = "established"
    internal: tuple[str, ...] = ()
    never_log: tuple[str, ...] = ()


@dataclass
class Person:
    """A contact. `born` orders contacts of one address (M8)."""

    emails: tuple[str, ...]
    assigned: str | None
    born: tuple[int, str]


@dataclass
class Link:
    """A user's connection."""

    account: str
    since: int


Relation = tuple[str, str, str]
"""Subaccount, address, user: the user has mailed or logged the address (M3)."""


@dataclass
class Facts:
    """The CRM's side of the world.

    `established` relations are certain; `perhaps` may have come about, because the mail
    that makes them is on its way. `drops` are the BCC addresses that work, with their
    owners. `erased` says when the last contact with an address was erased.
    """

    subs: dict[str, Sub] = field(default_factory=dict)
    members: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    own_lists: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    contacts: dict[tuple[str, str], Person] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    aliases: dict[str, frozenset[str]] = field(default_factory=dict)
    established: set[Relation] = field(default_factory=set)
    perhaps: set[Relation] = field(default_factory=set)
    drops: dict[str, tuple[str, str]] = field(default_factory=dict)
    erased: dict[tuple[str, str], int] = field(default_factory=dict)

    def users_of(self, account: str, s: str, at: int | None = None) -> list[str]:
        """Users of a mailbox who belong to the subaccount, connected by then (C2)."""
        if account == LOG:
            return [LOGGER]
        return sorted(
            user
            for user, link in self.links.items()
            if link.account == account
            and (s, user) in self.members
            and (at is None or link.since <= at)
        )

    def identity(self, user: str) -> frozenset[str]:
        """B5: the user's addresses now: profile, connected mailbox, its aliases."""
        link = self.links.get(user)
        own = self.aliases[link.account] if link else frozenset()
        return own | {f"{user}@{OURS}"}

    def internal(self, s: str, account: str, address: str) -> bool:
        """M11: users, their aliases, the subaccount's domains; M2: the owner."""
        return (
            address in self.aliases[account]
            or any(
                address in known for (at, _), known in self.members.items() if at == s
            )
            or covers(self.subs[s].internal, address)
        )

    def contact_of(self, s: str, address: str) -> str | None:
        """M8: the first created contact with this address."""
        having = [
            (contact.born, c)
            for (at, c), contact in self.contacts.items()
            if at == s and address in contact.emails
        ]
        return min(having)[1] if having else None

    def permitted(
        self, s: str, address: str, users: Iterable[str], also: Iterable[Relation] = ()
    ) -> bool:
        """M3: whether the setting records mail with this contact's address.

        `also` are relations that are taken as established.
        """
        if self.subs[s].logging != "established":
            return self.subs[s].logging == "all_contacts"
        known = {*self.established, *also}
        return any(
            (contact.assigned == user and address in contact.emails)
            for user in users
            for (at, _), contact in self.contacts.items()
            if (at, user) in self.members
        ) or any(
            known_address == address and (at, user) in self.members and user in users
            for at, known_address, user in known
        )

    def listed(self, s: str, user: str, emails: Iterable[str]) -> bool:
        """M12: on the subaccount's never-log list, or on the user's own."""
        lists = (*self.subs[s].never_log, *self.own_lists.get((s, user), ()))
        return any(covers(lists, email) for email in emails)

    def allowing(self, s: str, emails: Iterable[str], users: Iterable[str]) -> bool:
        """M12: whether for one of the users nothing is on a never-log list."""
        known = tuple(emails)
        return any(not self.listed(s, user, known) for user in users)


def covers(entries: Iterable[str], address: str) -> bool:
    """Whether a list of addresses and domains names this address."""
    return any(entry in (address, domain(address)) for entry in entries)
