"""What may be recorded and what must be, while mail is on its way.

A mail is read some time after it arrived, and settings change meanwhile: until all is
quiet, everything is allowed that the model said at any moment since. When all is quiet
again (`settle`), what the product did is held against that, and becomes the truth that
later mail builds on. Where nothing changed there is exactly one allowed answer.

Longer than other modules: what is allowed and what is required are two sides of one
account, and are read against each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.simulation.cast import Copy, Mail
from tests.simulation.facts import Person
from tests.simulation.model import Rec
from tests.simulation.model_bcc import FullModel
from tests.simulation.threads import Threads
from tests.simulation.views import Views
from tests.simulation.waiting import ANY, MAX_VIEWS, Found, Waiting, is_contact


class Ledger(Views):
    """All mails, those on their way, and what is known to be recorded."""

    def __init__(self, model: FullModel, now: Callable[[], int]) -> None:
        super().__init__(model)
        self.now = now
        self.mails: list[Mail] = []
        self.dead: set[str] = set()
        self.erased: set[tuple[str, int]] = set()
        self.certain = self.open_questions = 0
        self._threads = Threads()

    # --- what happens ----------------------------------------------------------------

    def begun(self, mail: Mail) -> None:
        """Somebody wrote a mail."""
        self.mails.append(mail)
        family = next(
            (self.families[answer.no] for answer in mail.answers),
            [],
        )
        family.append(mail)
        self.families[mail.no] = family

    def appears(self, copy: Copy, *, fresh: bool = True) -> None:
        """A copy comes into view: new, or taken out of spam or trash (M1)."""
        old = self.waiting.pop(copy, None)
        # It may be read where the history first names it: that is its place.
        new = Waiting(copy.order, self._nothing(), self._nothing(), fresh=fresh)
        if old is not None:
            new.late = old.late
            new.before = {
                s: {item for item in old.may(s) if item is not None}
                for s in old.allowed
            }
        self.waiting[copy] = new
        if copy.account in self.expired and not fresh:
            self.need_not_be_read(copy)

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
                self.need_not_be_read(copy)
        self.expired.add(account)

    def need_not_be_read(self, copy: Copy) -> None:
        """As when it is too old for a resync's overlap, and its change in no history."""
        for s in self.model.subs:
            self.waiting[copy].need_not(s)

    def is_sent_by_crm(self, mail: Mail, rec: Rec) -> None:
        """The CRM sends a mail: it is recorded from this moment, here only (T3)."""
        self.begun(mail)
        self.settled.setdefault(mail.crm, {})[mail] = rec

    def is_refused(self, mail: Mail) -> None:
        """The CRM's mail was not accepted after all."""
        self.settled[mail.crm].pop(mail, None)

    def erase(self, s: str, contact: str) -> None:
        """A contact goes, with its conversation."""
        person = self.model.contacts.pop((s, contact))
        made = self._made(s, contact)
        records = self.settled.setdefault(s, {})
        gone_with_it = {item for item, rec in records.items() if rec.contact == contact}
        for mail in gone_with_it:
            del records[mail]
            self.erased.add((s, mail.no))
        for copy, item in self.waiting.items():
            # One that was read while its mail was recorded here has joined it (M9).
            joined = copy.mail in gone_with_it
            if joined or any(
                rec and is_contact(rec, contact, made) for rec in item.may(s)
            ):
                item.need_not(s)
                self.erased.add((s, copy.mail.no))
        now = self.now()
        for address in person.emails:
            self.model.erased[s, address] = now
        gone = {
            item
            for item in self.model.established
            if item[0] == s and item[1] in person.emails
        }
        # Nothing says whether the user's relation to the address ends with the contact.
        self.model.established -= gone
        self.model.perhaps |= gone

    def is_erased(self, s: str, contact: str) -> None:
        """It is done: who gets the id next has nothing of all that."""
        made = self._made(s, contact)
        for item in self.waiting.values():
            for may in (item.allowed[s], item.joins[s], item.before.get(s, set())):
                may -= {
                    rec
                    for rec in may
                    if rec and rec is not ANY and is_contact(rec, contact, made)
                }
        self.look()

    def look(self) -> None:
        """Note what the model says now of everything that is on its way."""
        for copy, item in sorted(self.waiting.items(), key=lambda two: two[1].order):
            for s in self.model.subs:
                if not self.model.users_of(copy.account, s, copy.at):
                    item.need_not(s)
                    continue
                self._look_at(copy, item, s)

    def _look_at(self, copy: Copy, waiting: Waiting, s: str) -> None:
        views = list(self.views(copy, waiting, s))
        if len(views) > MAX_VIEWS:
            waiting.allowed[s] |= {None, ANY}
            waiting.joins[s] |= {None, ANY}
            views = views[:MAX_VIEWS]
        shown = [copy]
        if waiting.seen and (copy.hidden or copy.gone):
            shown.append(replace(copy, hidden=False, gone=False))
        for view, some in itertools.product(views, shown):
            waiting.allowed[s] |= self.model.would_record(some, s, view)
            waiting.joins[s] |= self.model.would_record(some, s, view, whoever=True)
            if not copy.mail.drop:
                continue
            logged = self.model.logged(some, s, view) or [None]
            waiting.logs.setdefault(s, []).extend(logged)
            self.model.perhaps |= {
                (s, address, log.user)
                for log in logged
                if log is not None
                for address in log.related
            }

    # --- contacts that a BCC address makes -------------------------------------------

    def may_make(self, s: str, address: str) -> str | None:
        """The user in whose name B2 may make a contact of this address now."""
        found = (item.may_make(s, address) for item in self.waiting.values())
        return next(filter(None, found), None)

    def adopt(self, s: str, contact: str, address: str) -> None:
        """The product has made a contact, rightly."""
        user = self.may_make(s, address)
        self.model.contacts[s, contact] = Person(
            (address,), user, (self.now(), contact)
        )
        self.made[s, contact] = address
        self.look()

    def _made(self, s: str, contact: str) -> frozenset[str]:
        address = self.made.get((s, contact))
        return frozenset({address} if address else ())

    def says(self, copy: Copy, s: str, *, whoever: bool) -> set[Rec | None]:
        """What the model says of a copy if it were read now, and all is quiet."""
        waiting = self.waiting.get(copy) or Waiting(copy.order, {}, {})
        return {
            rec
            for view in self.views(copy, waiting, s)
            for rec in self.model.would_record(copy, s, view, whoever=whoever)
        }

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
        for records in self.settled.values():
            for mail, rec in records.items():
                records[mail] = replace(rec, root=self._threads.now(rec.root))
        for copy, item in closing.items():
            yield from self._contacts(copy, item)
        for copy in closing:
            del self.waiting[copy]
        self.expired &= self.dead

    def _contacts(self, copy: Copy, waiting: Waiting) -> Iterator[str]:
        """B2, B3: what a logged mail must have brought with it."""
        for s in self.model.subs:
            for address in waiting.makes(s):
                gone = self.model.erased.get((s, address), 0) >= copy.at
                if self.model.contact_of(s, address) is None and not gone:
                    yield f"{copy.mail} made no contact of {address} in {s}"
            _, user = self.model.drops.get(copy.mail.drop, ("", ""))
            if user:
                new = {(s, address, user) for address in waiting.relates(s)}
                self.model.established |= new

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
            if mail in records or any(None not in item.may(s) for item in read):
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
            made = self._made(s, rec.contact)
            surely = all(
                item and is_contact(item, rec.contact, made) for item in wanted
            )
            if surely and copy.account not in found.held:
                yield f"{mail} in {s} does not list the copy of {copy.account}"

    def _as_rec(
        self, s: str, found: Found, options: Iterable[Rec | None]
    ) -> Rec | None:
        """Which of the options it is; one root is one thread, and the other way."""
        made = self._made(s, found.contact)
        fitting = {
            option
            for option in options
            if option
            and is_contact(option, found.contact, made)
            and (option is ANY or option.only == found.only)
        }
        root = self._threads.root(s, found, fitting)
        if root is None:
            return None
        return Rec(found.contact, root, found.only, found.held)

    def _nothing(self) -> dict[str, set[Rec | None]]:
        return {s: set() for s in self.model.subs}
