"""Work on a mailbox under its lease: taken, kept, given back.

Whatever is written to the mailbox by a holder goes through here, and only while the
lease is the holder's own: a holder that has been overtaken writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.ids import HistoryId, MailboxId
from shared.core.limits import MAX_LAG_LOOKS
from shared.core.moments import to_epoch_ms
from shared.core.syncing.history import (
    after_empty,
    is_older,
    order,
    was_just_looked_for,
)
from shared.core.syncing.lease import WORK_BUDGET_SECONDS, LeaseDecision, release, take
from shared.core.syncing.resync import Resync
from shared.core.syncing.trouble import Trouble
from shared.errors import Conflict, SyncError, Transient
from shared.ports import Clock, Documents, Gmail
from shared.repositories.mailboxes import Mailbox, Mailboxes, advance

SHORT_REST_SECONDS = 1800
"""So long the tries of one delivery last at least (subscriptions.tf)."""


class NotReadableYet(Transient):
    """Gmail announced a change that it cannot show yet; look again soon."""


class OutOfTime(Transient):
    """The work budget is spent; the rest goes on in a piece of work of its own."""


class AddressUnknown(SyncError):
    """A notification names an address that no mailbox has."""

    code = "address_unknown"


class LeaseLost(Transient):
    """Another delivery works on this mailbox now, or nobody may any more."""


@dataclass(frozen=True, slots=True)
class LeasedMailbox:
    """A mailbox whose lease was taken just now."""

    mailbox: Mailbox
    one_at_a_time: bool


@dataclass(slots=True)
class Run:
    """One holder's work on one mailbox.

    `cursor` and `resync` are how far the durable work has come. `seen` is the
    mailbox's newest id in Gmail's last answer, `empty` says that no answer of this
    reading had a record; `looked_at` (ms) is when it began. `trouble` is the message
    that alone could not be read, if that ended it.
    """

    mailbox: Mailbox
    gmail: Gmail
    one_at_a_time: bool
    deadline: float
    cursor: HistoryId
    resync: Resync | None
    empty: bool = True
    seen: HistoryId | None = None
    looked_at: int | None = None
    resynced_at: int | None = None
    progressed: bool = False
    trouble: Trouble | None = None

    @property
    def id(self) -> MailboxId:
        """The mailbox's id."""
        return self.mailbox.id


class MailboxLease:
    """Takes mailboxes for work and gives them back."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._mailboxes = Mailboxes(documents)
        self._clock = clock

    def take(
        self,
        mailbox: MailboxId,
        delivery: str,
        hint: HistoryId | None,
        silent_since: int | None,
        address: str | None = None,
    ) -> LeasedMailbox | None:
        """Take the lease; None when there is nothing to do for this delivery.

        A notification for a mailbox that somebody holds leaves its work to the holder.
        With `silent_since` (a sweep) only a mailbox that has been quiet since then is
        taken, and none that is held. A notification, which has a hint, names an
        `address`: it is for the account that has the address now; raises AddressUnknown
        where no mailbox has it. Raises Conflict when the same delivery must come again
        to tell whether its holder is dead, Transient while the mailbox rests; a long
        rest ends with a sweep, which no delivery could wait for.
        """
        taken: list[LeaseDecision] = []
        rest = 0

        def begin(before: Mailbox | None) -> Mailbox | None:
            nonlocal rest
            taken.clear()
            rest = 0
            if before is None or not _is_meant(before, hint, address):
                return None
            # A holder that died after saving its progress comes back with an old hint;
            # others may have left their work to it.
            own = before.lease.holder == delivery
            if hint is not None and not own and self._tells_nothing(hint, before):
                return None
            busy = silent_since is not None and before.quiet_since > silent_since
            rest = (before.rests_until or 0) - self._now()
            if rest > 0 or (busy and not own):
                return None
            decision = take(before.lease, delivery, self._now())
            if silent_since is not None and decision.action == "wait":
                return None
            taken.append(decision)
            if not decision.changed:
                return None
            pushed = before.last_pushed_at if hint is None else self._now()
            return replace(before, lease=decision.lease, last_pushed_at=pushed)

        state, _ = self._mailboxes.change(mailbox, begin)
        if address is not None and (state is None or state.address != address):
            return self._take_renamed(delivery, hint, address)
        if successor := _successor(state, hint):
            return self.take(successor, delivery, hint, silent_since)
        if 0 < rest <= SHORT_REST_SECONDS * 1000 and silent_since is None:
            raise Transient("Gmail wants this mailbox to rest.")
        return _outcome(state, taken[0]) if state is not None and taken else None

    def _take_renamed(
        self, delivery: str, hint: HistoryId | None, address: str
    ) -> LeasedMailbox | None:
        """Take the mailbox that got this address after it was connected (C9)."""
        found = self._mailboxes.at_address(address)
        if found is None:
            raise AddressUnknown
        return self.take(found.id, delivery, hint, None)

    def _tells_nothing(self, hint: HistoryId, mailbox: Mailbox) -> bool:
        return is_older(hint, mailbox.cursor) or was_just_looked_for(
            hint, mailbox.idle, mailbox.last_synced_at, self._now()
        )

    def begin(self, held: LeasedMailbox, gmail: Gmail) -> Run:
        """Start to work; the time counts from now."""
        return Run(
            mailbox=held.mailbox,
            gmail=gmail,
            one_at_a_time=held.one_at_a_time,
            deadline=self._clock.now().timestamp() + WORK_BUDGET_SECONDS,
            cursor=held.mailbox.cursor,
            resync=held.mailbox.resync,
        )

    def checkpoint(self, run: Run) -> None:
        """Save how far the work is; stop when the time is up or the lease is lost.

        Also sees who has come to the mailbox or left it since.
        """

        def save(before: Mailbox | None) -> Mailbox | None:
            return self._with_progress(_held(before, run.mailbox), run)

        state, _ = self._mailboxes.change(run.id, save, known=run.mailbox)
        run.mailbox = state or run.mailbox
        self.stop_in_time(run)

    def mark_polled(self, run: Run) -> None:
        """Note that Gmail is asked for what is new, now."""
        run.looked_at = self._now()

    def stop_in_time(self, run: Run) -> None:
        """Raise OutOfTime when the work budget is spent."""
        if self._clock.now().timestamp() > run.deadline:
            raise OutOfTime

    def finish(self, run: Run, hint: HistoryId | None) -> bool:
        """Save the end and free the lease in one write; say whether to go on.

        A mailbox that got dirty meanwhile keeps its holder. An empty answer to a newer
        hint keeps the cursor and asks for the delivery again, a few times.
        """
        lagging = run.empty and hint is not None and order(hint) > order(run.cursor)
        again: list[bool] = []

        def end(before: Mailbox | None) -> Mailbox | None:
            held = _held(before, run.mailbox)
            looks = held.lag_looks + 1 if lagging else 0
            given_up = looks >= MAX_LAG_LOOKS
            unsettled = not given_up and bool(lagging or held.lag_looks)
            dirty = held.lease.dirty
            again[:] = [dirty, looks > 0 and not given_up]
            lease = replace(held.lease, dirty=False) if dirty else release(held.lease)
            return replace(
                self._with_idle(
                    self._with_progress(held, run), run, unsettled=unsettled
                ),
                lease=lease,
                # What came since is not read: a resync would have to begin there.
                last_synced_at=run.looked_at or self._now(),
                lag_looks=0 if given_up else looks,
                failing_since=None,
                failure=None,
                rests_until=None,
                trouble=None,
            )

        state, _ = self._mailboxes.change(run.id, end, known=run.mailbox)
        run.mailbox = state or run.mailbox
        dirty, look_again = again
        if not dirty and look_again:
            raise NotReadableYet
        if dirty:
            run.empty, run.progressed = True, True
        return dirty

    def release_after_failure(
        self, mailbox: Mailbox, run: Run | None, error: SyncError
    ) -> None:
        """Free the lease after a fault, with what is durable; the work returns."""

        def end(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.lease.fence != mailbox.lease.fence:
                return None
            saved = self._with_progress(before, run) if run else before
            if not isinstance(error, OutOfTime):
                saved = replace(
                    saved,
                    failing_since=saved.failing_since or self._now(),
                    failure=error.code,
                    rests_until=self._rest(error),
                )
            if run is not None and run.trouble is not None:
                saved = replace(saved, trouble=run.trouble)
            return replace(saved, lease=release(before.lease))

        self._mailboxes.change(mailbox.id, end)

    def _rest(self, error: SyncError) -> int | None:
        """When Gmail, or whoever failed, may be asked again, if it says so."""
        wait = error.retry_after if isinstance(error, Transient) else None
        return self._now() + int(wait * 1000) if wait else None

    def _with_progress(self, held: Mailbox, run: Run) -> Mailbox:
        synced = max(held.last_synced_at or 0, run.resynced_at or 0) or None
        saved = replace(
            advance(held, run.cursor), resync=run.resync, last_synced_at=synced
        )
        if saved != held:
            run.progressed = True
        return saved

    def _with_idle(self, held: Mailbox, run: Run, *, unsettled: bool) -> Mailbox:
        """Let the cursor of an idle mailbox follow, unless a change is awaited."""
        if not run.empty or run.seen is None:
            return replace(held, idle=None)
        if unsettled or held.lease.dirty:
            return held
        move, idle = after_empty(held.idle, run.seen, self._now())
        return replace(advance(held, move), idle=idle)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _held(before: Mailbox | None, ours: Mailbox) -> Mailbox:
    """The mailbox as stored, if its lease is still ours."""
    if before is None or before.lease.fence != ours.lease.fence:
        raise LeaseLost
    return before


def _is_meant(mailbox: Mailbox, hint: HistoryId | None, address: str | None) -> bool:
    """Whether it is read at all, and has the address that a notification names."""
    if mailbox.status != "active" or _successor(mailbox, hint):
        return False
    return address is None or mailbox.address == address


def _successor(mailbox: Mailbox | None, hint: HistoryId | None) -> MailboxId | None:
    """Whose notification it is, where another account has the address now."""
    return mailbox.successor if mailbox is not None and hint is not None else None


def _outcome(mailbox: Mailbox, decision: LeaseDecision) -> LeasedMailbox | None:
    if decision.action == "wait":
        return None
    if decision.action == "again":
        raise Conflict
    return LeasedMailbox(mailbox, one_at_a_time=decision.one_at_a_time)
