"""What may be recorded and what must be, while mail is on its way.

A mail is read some time after it arrived, and settings change meanwhile: until all is
quiet, everything is allowed that the model said at any moment since. When all is quiet
again (`settle`), what the product did is held against that, and becomes the truth that
later mail builds on. Where nothing changed there is exactly one allowed answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.cast import Copy, Mail
from tests.simulation.model import Model, Rec

MAX_VIEWS = 24
"""More ways than this in which mail on its way can be known: anything is allowed."""

ANY = Rec("*", -1)


@dataclass(frozen=True)
class Found:
    """A record of the product, as the checks read it."""

    contact: str
    thread: str
    held: frozenset[str]


@dataclass
class Waiting:
    """A copy that has not certainly been read. `joins` leaves M3 out (M9)."""

    order: int
    allowed: dict[str, set[Rec | None]]
    joins: dict[str, set[Rec | None]]
    before: dict[str, set[Rec]] = field(default_factory=dict)
    fresh: bool = True

    def may(self, s: str) -> set[Rec | None]:
        """All that can have come of it."""
        return self.allowed[s] | self.before.get(s, set())


class Ledger:
    """All mails, those on their way, and what is known to be recorded."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.mails: list[Mail] = []
        self.waiting: dict[Copy, Waiting] = {}
        self.settled: dict[str, dict[Mail, Rec]] = {}
        self.dead: set[str] = set()
        self._expired: set[str] = set()
        self.erased: set[tuple[str, int]] = set()
        self.certain = self.open_questions = 0
        self._threads: dict[tuple[str, str], tuple[str, int]] = {}
        self._families: dict[int, list[Mail]] = {}

    # --- what happens ----------------------------------------------------------------

    def begun(self, mail: Mail) -> None:
        """Somebody wrote a mail."""
        self.mails.append(mail)
        family = next(
            (self._families[one.no] for one in mail.answers),
            [],
        )
        family.append(mail)
        self._families[mail.no] = family

    def appears(self, copy: Copy, *, fresh: bool = True) -> None:
        """A copy comes into view: new, or taken out of spam or trash (M1)."""
        old = self.waiting.pop(copy, None)
        # It may be read where the history first names it: that is its place.
        new = Waiting(copy.order, self._nothing(), self._nothing(), fresh=fresh)
        if old is not None:
            new.before = {
                s: {one for one in old.may(s) if one is not None} for s in old.allowed
            }
        self.waiting[copy] = new
        if copy.account in self._expired and not fresh:
            self._need_not_be_read(copy)

    def may_be_read_again(self, account: str) -> None:
        """History expired: copies of long ago may be read once more (W3)."""
        for mail in self.mails:
            for copy in mail.copies:
                if copy.account != account or copy.hidden or copy.gone:
                    continue
                if copy not in self.waiting:
                    self.appears(copy, fresh=False)
                if self.waiting[copy].fresh:
                    continue
                self._need_not_be_read(copy)
        self._expired.add(account)

    def _need_not_be_read(self, copy: Copy) -> None:
        """Too old for a resync's overlap, and its change is in no history."""
        for s in self.model.subs:
            self.waiting[copy].allowed[s].add(None)
            self.waiting[copy].joins[s].add(None)

    def erase(self, s: str, contact: str) -> None:
        """A contact goes, with its conversation."""
        records = self.settled.setdefault(s, {})
        for mail in [one for one, rec in records.items() if rec.contact == contact]:
            del records[mail]
            self.erased.add((s, mail.no))
        for copy, one in self.waiting.items():
            if any(rec and rec.contact in (contact, "*") for rec in one.may(s)):
                one.allowed[s].add(None)
                self.erased.add((s, copy.mail.no))

    def look(self) -> None:
        """Note what the model says now of everything that is on its way."""
        for copy, one in sorted(self.waiting.items(), key=lambda two: two[1].order):
            for s in self.model.subs:
                if not self.model.users_of(copy.account, s, copy.at):
                    one.allowed[s].add(None)
                    one.joins[s].add(None)
                    continue
                views = list(self._views(copy, one, s))
                if len(views) > MAX_VIEWS:
                    one.allowed[s] |= {None, ANY}
                    one.joins[s] |= {None, ANY}
                    continue
                for seen in views:
                    one.allowed[s] |= self.model.would_record(copy, s, seen)
                    one.joins[s] |= self.model.would_record(copy, s, seen, whoever=True)

    def uncertain(self, mail: Mail) -> bool:
        """Whether it is not known yet where this mail will be."""
        return any(
            len(self.waiting[copy].may(s)) > 1
            for copy in mail.copies
            if copy in self.waiting
            for s in self.model.subs
        )

    # --- what came of it -------------------------------------------------------------

    def may_be(self, s: str, mail: Mail) -> set[Rec | None]:
        """All places in which the mail may be recorded at this moment."""
        base = self.settled.get(s, {}).get(mail)
        found: set[Rec | None] = {base} if base else set()
        for copy in mail.copies:
            if copy in self.waiting:
                found |= self.waiting[copy].may(s)
        return found

    def settle(self, actual: dict[tuple[str, int], Found]) -> Iterator[str]:
        """Compare with all records, now that everything was read; yields what is wrong.

        Copies in mailboxes whose credentials are dead stay on their way.
        """
        closing = {c: w for c, w in self.waiting.items() if c.account not in self.dead}
        for mail in self.mails:
            for s in self.model.subs:
                yield from self._compare(s, mail, actual.get((s, mail.no)), closing)
        for copy in closing:
            del self.waiting[copy]
        self._expired &= self.dead

    def _compare(
        self, s: str, mail: Mail, found: Found | None, closing: dict[Copy, Waiting]
    ) -> Iterator[str]:
        records = self.settled.setdefault(s, {})
        read = [closing[copy] for copy in mail.copies if copy in closing]
        if not read and not any(copy in self.waiting for copy in mail.copies):
            if (mail in records) != (found is not None):
                yield f"{mail} in {s} was {records.get(mail)}, is {found}"
            return
        options = self.may_be(s, mail)
        if read:
            self.certain += len(options) == 1
            self.open_questions += len(options) > 1
        if found is None:
            if mail in records or any(None not in one.may(s) for one in read):
                yield f"{mail} is lost in {s}: should be {options}"
            return
        rec = self._as_rec(s, found, options)
        if rec is None:
            yield f"{mail} in {s} is {found}, should be {options}"
            return
        records[mail] = rec
        if (s, mail.no) in self.erased:
            return
        for copy in mail.copies:
            wanted = closing[copy].joins[s] if copy in closing else {None}
            surely = all(one and one.contact == rec.contact for one in wanted)
            if surely and copy.account not in found.held:
                yield f"{mail} in {s} does not list the copy of {copy.account}"

    def _as_rec(
        self, s: str, found: Found, options: Iterable[Rec | None]
    ) -> Rec | None:
        """Which of the options it is; one root is one thread, and the other way."""
        known = self._threads.get((s, found.thread))
        taken = set(self._threads.values())
        for one in sorted(filter(None, options), key=lambda r: r.root):
            if one.contact not in (found.contact, "*"):
                continue
            root = (s, one.root, found.contact) if one is not ANY else known
            if known == root or (known is None and root not in taken):
                if root is not None:
                    self._threads[s, found.thread] = root
                number = root[1] if root is not None else -1
                return Rec(found.contact, number, found.held)
        return None

    # --- what can be known when a copy is read ---------------------------------------

    def _views(self, copy: Copy, one: Waiting, s: str) -> Iterator[dict[Mail, Rec]]:
        family = [m for m in self._families[copy.mail.no] if m is not copy.mail]
        choices = [self._options(other, copy, one, s) for other in family]
        for some in itertools.islice(itertools.product(*choices), MAX_VIEWS + 1):
            yield {mail: rec for mail, rec in zip(family, some, strict=True) if rec}

    def _options(
        self, other: Mail, copy: Copy, one: Waiting, s: str
    ) -> tuple[Rec | None, ...]:
        base = self.settled.get(s, {}).get(other)
        if base is not None:
            return (base,)
        ways: dict[tuple[str, int, frozenset[str]], Rec] = {}
        surely = False
        for theirs in other.copies:
            their = self.waiting.get(theirs)
            if their is None:
                continue
            here = theirs.account == copy.account
            if here and their.order < one.order and None not in their.may(s):
                surely = True
            held = frozenset({theirs.account})
            ways |= {
                (rec.contact, rec.root, held): Rec(rec.contact, rec.root, held)
                for rec in their.may(s)
                if rec and (s, rec.contact) in self.model.contacts
            }
        known = ways.values()
        return (*known,) if surely and known else (None, *known)

    def _nothing(self) -> dict[str, set[Rec | None]]:
        return {s: set() for s in self.model.subs}
