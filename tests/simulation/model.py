"""What must be recorded, straight from SPEC M and T: the opposite of an implementation.

It knows who wrote what, when and from where; it parses nothing, stores nothing and has
no order of its own. `would_record` answers for one copy of one mail in one subaccount,
given which other mails are recorded (`Seen`). Small enough to be read beside SPEC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.simulation.cast import Copy, Mail, domain


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


@dataclass(frozen=True)
class Rec:
    """A mail is recorded under this contact, in the thread that began with `root`.

    `held` are the accounts whose copy the record lists, as far as that is known.
    """

    contact: str
    root: int
    held: frozenset[str] = field(default=frozenset(), compare=False)


Seen = Mapping[Mail, Rec | None]
"""Which mails are recorded in a subaccount at some moment."""


@dataclass
class Model:
    """The CRM's side of the world."""

    subs: dict[str, Sub] = field(default_factory=dict)
    members: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    own_lists: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    contacts: dict[tuple[str, str], Person] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    aliases: dict[str, frozenset[str]] = field(default_factory=dict)

    # --- who is who ------------------------------------------------------------------

    def users_of(self, account: str, s: str, at: int | None = None) -> list[str]:
        """Users of a mailbox who belong to the subaccount, connected by then (C2)."""
        return sorted(
            user
            for user, link in self.links.items()
            if link.account == account
            and (s, user) in self.members
            and (at is None or link.since <= at)
        )

    def internal(self, s: str, account: str, address: str) -> bool:
        """M11: team members, their aliases, the subaccount's domains; M2: the owner."""
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
            (one.born, c)
            for (at, c), one in self.contacts.items()
            if at == s and address in one.emails
        ]
        return min(having)[1] if having else None

    def permitted(self, s: str, address: str, users: Iterable[str]) -> bool:
        """M3: whether the setting records mail with this contact's address."""
        if self.subs[s].logging != "established":
            return self.subs[s].logging == "all_contacts"
        return any(
            one.assigned == user
            and address in one.emails
            and (at, user) in self.members
            for user in users
            for (at, _), one in self.contacts.items()
        )

    def allowing(self, s: str, contact: str, users: Iterable[str]) -> list[str]:
        """M12: the users for whom the contact is not on a never-log list."""
        emails = self.contacts[s, contact].emails
        if any(covers(self.subs[s].never_log, one) for one in emails):
            return []
        return [
            user
            for user in users
            if not any(covers(self.own_lists[s, user], one) for one in emails)
        ]

    # --- the rules -------------------------------------------------------------------

    def would_record(
        self, copy: Copy, s: str, seen: Seen, *, whoever: bool = False
    ) -> set[Rec | None]:
        """Where a copy that is read at this moment is recorded, or nowhere (None).

        More than one answer only where SPEC leaves it open. With `whoever` M3 is left
        out: the copy then belongs to a record that somebody else's copy has made (M9).
        """
        users = self.users_of(copy.account, s, copy.at)
        if not users or copy.hidden or copy.gone:
            return {None}  # M1, C2, C6
        threads = self._threads(copy, s, seen)
        return {self._in(copy, s, seen, users, one, whoever) for one in threads}

    def _in(
        self,
        copy: Copy,
        s: str,
        seen: Seen,
        users: list[str],
        thread: Rec | None,
        whoever: bool,
    ) -> Rec | None:
        mail = copy.mail
        outside = [a for a in copy.others if not self.internal(s, copy.account, a)]
        took_part = self._took_part(s, copy.account, seen, thread)
        if self.internal(s, copy.account, mail.writer):
            if not (copy.sent or mail.true) or not outside:
                return None  # M2, M11
            stays = thread is not None and any(
                a in took_part or a in self.contacts[s, thread.contact].emails
                for a in outside
            )
            if thread is not None and stays and not mail.forward:
                return self._unless_listed(s, users, thread)  # T2
            begins = mail if mail.forward or thread is not None else mail.root  # M10
            candidates = outside  # M6
        else:
            belongs = any(
                a in took_part or self.contact_of(s, a) for a in (mail.writer, *outside)
            )
            if thread is not None and belongs:
                return self._unless_listed(s, users, thread)  # T2
            begins = mail.root
            candidates = [mail.writer]  # M5
        for address in candidates:
            contact = self.contact_of(s, address)
            if contact and (whoever or self.permitted(s, address, users)):
                return self._unless_listed(s, users, Rec(contact, begins.no))
        return None  # M7

    def _unless_listed(self, s: str, users: list[str], rec: Rec) -> Rec | None:
        allowing = self.allowing(s, rec.contact, users)
        return Rec(rec.contact, rec.root) if allowing else None  # M12

    def _threads(self, copy: Copy, s: str, seen: Seen) -> list[Rec | None]:
        """T1: the nearest known ancestor, else Gmail's thread in the same mailbox."""
        for ancestor in copy.mail.answers:
            if rec := seen.get(ancestor):
                return [rec]
        beside: list[Rec | None] = [
            rec
            for mail, rec in seen.items()
            if rec
            and mail is not copy.mail
            and copy.account in rec.held
            and not self._left_its_thread(s, copy.account, mail, rec)
            and any(
                one.account == copy.account and one.gmail_thread == copy.gmail_thread
                for one in mail.copies
            )
        ]
        return beside or [None]

    def _left_its_thread(self, s: str, account: str, mail: Mail, rec: Rec) -> bool:
        """M10: whether it was recorded as a forward."""
        ours = self.internal(s, account, mail.writer)
        return ours and rec.root == mail.no and (mail.forward or mail.root is not mail)

    def _took_part(
        self, s: str, account: str, seen: Seen, thread: Rec | None
    ) -> set[str]:
        """T2: external senders and recipients of the thread's recorded mails."""
        if thread is None:
            return set()
        return {
            address
            for mail, rec in seen.items()
            if rec and (rec.contact, rec.root) == (thread.contact, thread.root)
            for address in (mail.writer, *mail.to, *mail.cc, *self._bcc(mail, rec))
            if not self.internal(s, account, address)
        }

    def _bcc(self, mail: Mail, rec: Rec) -> tuple[str, ...]:
        """Bcc is known when the record lists the sender's own copy."""
        sent = any(one.sent and one.account in rec.held for one in mail.copies)
        return mail.bcc if sent else ()


def covers(entries: Iterable[str], address: str) -> bool:
    """Whether a list of addresses and domains names this address."""
    return any(one in (address, domain(address)) for one in entries)
