"""What must be recorded, straight from rules M and T: the opposite of an implementation.

It knows who wrote what, when and from where; it parses nothing, stores nothing and has
no order of its own. `would_record` answers for one copy of one mail in one subaccount,
given what is recorded at that moment (`View`). Small enough to be read beside docs/rules.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from tests.simulation.cast import Copy, Mail
from tests.simulation.facts import Facts, Relation

UNKNOWN = 1_000_000
"""Roots from here on stand for threads that may have begun in more than one way."""


@dataclass(frozen=True)
class Rec:
    """A mail is recorded under this contact, in the thread that began with `root`.

    `only` is T3: it exists in this subaccount alone. `held` are the accounts whose copy
    the record lists, as far as that is known.
    """

    contact: str
    root: int
    only: bool = False
    held: frozenset[str] = field(default=frozenset(), compare=False)


@dataclass(frozen=True)
class View:
    """What is recorded at some moment: here, elsewhere only (T3), elsewhere as well."""

    here: Mapping[Mail, Rec]
    elsewhere: frozenset[Mail] = frozenset()
    also: frozenset[Mail] = frozenset()


class Refused:
    """T3: the nearest known ancestor exists in another subaccount only."""


ELSEWHERE = Refused()
Thread = Rec | Refused | None


class Model(Facts):
    """The rules M and T."""

    def would_record(
        self, copy: Copy, s: str, view: View, *, whoever: bool = False
    ) -> set[Rec | None]:
        """Where a copy that is read at this moment is recorded, or nowhere (None).

        More than one answer only where the rules leave it open, or where a relation may
        have been established (M3). With `whoever` M3 is left out: the copy then belongs
        to a record that somebody else's copy has made (M9).
        """
        users = self.users_of(copy.account, s, copy.at)
        if not users or copy.hidden or copy.gone:
            return {None}  # M1, C2, C6
        return {
            self._in(copy, s, view, users, thread, whoever, also, to_us=to_us)
            for thread in self.threads(copy, s, view)
            for also in self._perhaps(copy, users)
            for to_us in self._to_us(copy, s, view)
        }

    def _in(
        self,
        copy: Copy,
        s: str,
        view: View,
        users: list[str],
        thread: Thread,
        whoever: bool,
        also: frozenset[Relation],
        *,
        to_us: bool,
    ) -> Rec | None:
        mail = copy.mail
        if isinstance(thread, Refused):
            return None  # T3
        outside = self.outside(copy, s)
        took_part = self.took_part(s, copy.account, view, thread)
        only = thread is not None and thread.only  # T3: a forward answers, too
        if copy.sent or self.internal(s, copy.account, mail.writer):
            if not (copy.sent or mail.true) or not outside:
                return None  # M2, M11
            stays = thread is not None and self.stays(s, thread, outside, took_part)
            if thread is not None and stays and not mail.forward:
                return self._unless_listed(s, users, thread)  # T2
            begins = mail if mail.forward or thread is not None else mail.root  # M10
            candidates = outside  # M6
        else:
            belongs = any(
                a in took_part or self.contact_of(s, a) for a in (mail.writer, *outside)
            )
            if thread is not None and (belongs or to_us):
                return self._unless_listed(s, users, thread)  # T2
            begins = mail.root
            candidates = [mail.writer]  # M5
        for address in candidates:
            contact = self.contact_of(s, address)
            if contact and (whoever or self.permitted(s, address, users, also)):
                rec = Rec(contact, number_of(begins), only)
                return self._unless_listed(s, users, rec)
        return None  # M7

    def _to_us(self, copy: Copy, s: str, view: View) -> set[bool]:
        """T2: whether it directly answers a recorded mail of our side.

        Who of two colleagues was one when the answered mail was recorded is not known
        any more: another's mailbox may have shown it as a contact's.
        """
        asked = next(iter(copy.mail.answers), None)
        rec = view.here.get(asked) if asked is not None else None
        if asked is None or rec is None:
            return {False}
        if asked.crm:
            return {True}
        sent = any(item.sent and item.account in rec.held for item in asked.copies)
        if sent and len(rec.held) == 1:
            return {True}
        ours = sent or self.internal(s, copy.account, asked.writer)
        return {True, False} if ours else {False}

    def _unless_listed(self, s: str, users: list[str], rec: Rec) -> Rec | None:
        emails = self.contacts[s, rec.contact].emails
        allowed = self.allowing(s, emails, users)
        return Rec(rec.contact, rec.root, rec.only) if allowed else None  # M12

    def _perhaps(self, copy: Copy, users: Iterable[str]) -> list[frozenset[Relation]]:
        """Which of the open relations may hold, as far as they matter here."""
        known = set(users)
        people = {copy.mail.writer, *copy.others}
        open_ones = sorted(
            perhap
            for perhap in self.perhaps
            if perhap[1] in people and perhap[2] in known
        )
        if len(open_ones) > 3:
            return [frozenset(), frozenset(open_ones)]
        return [
            frozenset(some)
            for size in range(len(open_ones) + 1)
            for some in itertools.combinations(open_ones, size)
        ]

    # --- parts that B uses as well ---------------------------------------------------

    def outside(self, copy: Copy, s: str) -> list[str]:
        """The recipients that are external, in their order."""
        return [a for a in copy.others if not self.internal(s, copy.account, a)]

    def stays(
        self, s: str, thread: Rec, outside: Iterable[str], took_part: set[str]
    ) -> bool:
        """M10: whether somebody of the thread is among the recipients."""
        emails = self.contacts[s, thread.contact].emails
        return any(a in took_part or a in emails for a in outside)

    def threads(self, copy: Copy, s: str, view: View) -> list[Thread]:
        """T1: the nearest known ancestor, else Gmail's thread in the same mailbox.

        T3: one that exists in another subaccount only keeps all that answers it there,
        unless a nearer one is known in a subaccount as any other mail.
        """
        for number, ancestor in enumerate(copy.mail.answers):
            rec, away = view.here.get(ancestor), ancestor in view.elsewhere
            if view.also.intersection(copy.mail.answers[:number]):
                away, rec = False, rec and replace(rec, only=False)
            if rec is not None:
                return [rec, ELSEWHERE] if away and not rec.only else [rec]
            if away:
                return [ELSEWHERE]
        return self._beside(copy, s, view)

    def _beside(self, copy: Copy, s: str, view: View) -> list[Thread]:
        beside = [
            replace(rec, only=only)
            for mail, rec in view.here.items()
            if mail is not copy.mail
            and copy.account in rec.held
            and self._may_be_in_its_thread(s, copy.account, mail, rec)
            and lies_beside(mail, copy)
            for only in self._ways(rec, view)
        ]
        if view.also.intersection(copy.mail.answers):
            return [replace(item, only=False) for item in beside] or [None]
        # Of Gmail's thread nobody can tell what the nearest ancestor is; an audit or a
        # backfill reads a mail again after those that came later.
        if any(
            lies_beside(mail, copy) or mail.no > copy.mail.no for mail in view.elsewhere
        ):
            return [*beside, None, ELSEWHERE]
        sure = any(item.root < UNKNOWN for item in beside)
        return [*beside] if sure else [*beside, None]

    def _ways(self, rec: Rec, view: View) -> set[bool]:
        """T3: a thread with mail of the CRM in it may count as its own, or not."""
        mixed = any(item.only != rec.only for item in view.here.values())
        return {False, True} if mixed else {rec.only}

    def _may_be_in_its_thread(self, s: str, account: str, mail: Mail, rec: Rec) -> bool:
        """M10: whether it was not recorded as a forward, as far as that is known."""
        ours = self.internal(s, account, mail.writer)
        leaves = ours and (mail.forward or mail.root is not mail)
        return not (leaves and rec.root == mail.no)

    def took_part(self, s: str, account: str, view: View, thread: Thread) -> set[str]:
        """T2: external senders and recipients of the thread's recorded mails."""
        if not isinstance(thread, Rec):
            return set()
        return {
            address
            for mail, rec in view.here.items()
            if (rec.contact, rec.root) == (thread.contact, thread.root)
            for address in (*_from(mail), *mail.to, *mail.cc, *_bcc(mail, rec))
            if not self.internal(s, account, address)
        }


def number_of(root: Mail) -> int:
    """The thread that begins with this mail.

    The CRM's mail has a thread of its own from the start: who answers it before its
    Message-ID is known begins another.
    """
    return -2 - root.no if root.crm else root.no


def _from(mail: Mail) -> tuple[str, ...]:
    """The writer; a provider's address is nobody who takes part."""
    return () if mail.crm else (mail.writer,)


def _bcc(mail: Mail, rec: Rec) -> tuple[str, ...]:
    """Bcc is known when the record lists the sender's own copy."""
    sent = any(copy.sent and copy.account in rec.held for copy in mail.copies)
    return mail.bcc if sent else ()


def lies_beside(mail: Mail, copy: Copy) -> bool:
    """Whether Gmail shows the mail in the thread of this copy."""
    return any(
        item.account == copy.account and item.gmail_thread == copy.gmail_thread
        for item in mail.copies
    )
