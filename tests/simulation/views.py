"""What can be known at the moment in which a copy is read.

Mail on its way may be recorded by then, or not yet: each combination is a view.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.cast import LOG, Copy, Mail
from tests.simulation.model import Rec, View, lies_beside
from tests.simulation.model_bcc import NEW, FullModel
from tests.simulation.waiting import MAX_VIEWS, Waiting


class Views:
    """Which mails are on their way, which are recorded, and what may follow."""

    def __init__(self, model: FullModel) -> None:
        self.model = model
        self.waiting: dict[Copy, Waiting] = {}
        self.settled: dict[str, dict[Mail, Rec]] = {}
        self.families: dict[int, list[Mail]] = {}
        self.expired: set[str] = set()
        self.made: dict[tuple[str, str], str] = {}

    def views(self, copy: Copy, waiting: Waiting, s: str) -> Iterator[View]:
        family = [m for m in self.families[copy.mail.no] if m is not copy.mail]
        own = self.settled.get(s, {}).get(copy.mail) if copy.mail.crm else None
        choices = [self._options(other, copy, waiting, s) for other in family]
        of_the_crm = any(m.crm for m in (copy.mail, *family))
        away = [
            self._away(other, copy, waiting, s) if of_the_crm else ("",)
            for other in family
        ]
        for some in itertools.islice(
            itertools.product(itertools.product(*choices), itertools.product(*away)),
            MAX_VIEWS + 1,
        ):
            here = {m: rec for m, rec in zip(family, some[0], strict=True) if rec}
            if own is not None:
                here[copy.mail] = own
            there = list(zip(family, some[1], strict=True))
            only, also = (
                frozenset(m for m, how in there if how == wanted)
                for wanted in ("only", "also")
            )
            yield View(here, only, also)

    def _options(
        self, other: Mail, copy: Copy, waiting: Waiting, s: str
    ) -> tuple[Rec | None, ...]:
        base = self.settled.get(s, {}).get(other)
        if base is not None:
            known_as = (base, *self._with_this(other, copy, base))
            if other.crm and not self._is_known(other, copy, waiting):
                return (None, *known_as)
            return known_as
        ways: dict[tuple[str, int, bool, frozenset[str]], Rec] = {}
        surely = False
        for theirs in other.copies:
            their = self.waiting.get(theirs)
            if their is None:
                continue
            if (
                self._is_before(theirs, their, copy, waiting)
                and not their.late
                and None not in their.may(s)
            ):
                surely = True
            ways |= {
                (contact, rec.root, rec.only, held): Rec(
                    contact, rec.root, rec.only, held
                )
                for rec in their.may(s)
                if rec
                for contact in self._contacts_of(s, rec)
                for held in (frozenset({theirs.account}), self._joined(other, rec, s))
            }
        known = ways.values()
        return (*known,) if surely and known else (None, *known)

    def _with_this(self, other: Mail, copy: Copy, rec: Rec) -> Iterator[Rec]:
        """A record may list a copy by now that lies beside this one (T1)."""
        if copy.account in rec.held or not lies_beside(other, copy):
            return
        if any(
            theirs in self.waiting
            for theirs in other.copies
            if theirs.account == copy.account
        ):
            yield replace(rec, held=rec.held | {copy.account})

    def _contacts_of(self, s: str, rec: Rec) -> list[str]:
        """The contact of a record, also when B2 has made it meanwhile."""
        address = rec.contact.removeprefix(NEW)
        return [
            contact
            for at, contact in self.model.contacts
            if at == s
            and (rec.contact == contact or self.made.get((s, contact)) == address)
        ]

    def _is_before(
        self, theirs: Copy, their: Waiting, copy: Copy, waiting: Waiting
    ) -> bool:
        """Whether theirs is certainly read before this copy, in the same mailbox.

        The rules leave open in which order a resync reads (W3): Gmail then tells the date of
        a mail only, and its clock may have gone back between two of them.
        """
        if theirs.account != copy.account or their.order >= waiting.order:
            return False
        return copy.account not in self.expired or theirs.at <= copy.at

    def _joined(self, other: Mail, rec: Rec, s: str) -> frozenset[str]:
        """The accounts whose copies may be listed by this record as well (M9)."""
        return frozenset(
            copy.account
            for copy in other.copies
            if copy in self.waiting
            and any(
                item and item.contact == rec.contact
                for item in self.waiting[copy].joins[s] | self.waiting[copy].may(s)
            )
        )

    def _is_known(self, other: Mail, copy: Copy, own: Waiting) -> bool:
        """Whether the Message-ID that Gmail gave the CRM's mail is known by then."""
        if any(
            theirs.sent
            and (theirs.unread or (theirs.hidden and theirs in self.waiting))
            for theirs in other.copies
        ):
            return False  # perhaps nobody has seen which one Gmail gave
        waiting = [self.waiting.get(theirs) for theirs in other.copies]
        return (
            None in waiting
            or not waiting
            or any(
                self._is_before(theirs, their, copy, own)
                for theirs, their in zip(other.copies, waiting, strict=True)
                if their is not None
            )
        )

    def _away(
        self, other: Mail, copy: Copy, waiting: Waiting, s: str
    ) -> tuple[str, ...]:
        """T3: whether a mail exists elsewhere `only`, elsewhere as well, or neither."""
        users = self._reach(copy)
        sure: set[str] = set()
        open_ones = {""}
        for there in self.model.subs:
            reached = any((there, user) in self.model.members for user in users)
            if there == s or not reached:
                continue
            base = self.settled.get(there, {}).get(other)
            if base is not None:
                how = "only" if base.only else "also"
                known = not other.crm or self._is_known(other, copy, waiting)
                (sure if known else open_ones).add(how)
                continue
            for theirs in other.copies:
                may = self.waiting[theirs].may(there) if theirs in self.waiting else ()
                open_ones |= {"only" if rec.only else "also" for rec in may if rec}
        # Where it exists only counts before where it exists as well.
        if "only" in sure:
            return ("only",)
        return (*sorted(sure or {""}), *sorted(open_ones - sure - {""}))

    def _reach(self, copy: Copy) -> set[str]:
        """The users in whose subaccounts ancestors are looked for."""
        if copy.account == LOG:
            return {self.model.drops.get(copy.mail.drop, ("", ""))[1]}
        return {
            user
            for user, link in self.model.links.items()
            if link.account == copy.account and link.since <= copy.at
        }
