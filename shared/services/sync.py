"""Brings a mailbox up to date with Gmail (DESIGN §2).

The notification is a hint; what to read comes from our own cursor. The cursor moves
only after everything before it is durable, under the mailbox's lease.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.core.address import normalise
from shared.core.history import ToRead, is_older, newest, order, plan_reading
from shared.core.ids import GmailMessageId, HistoryId, MailboxId, mailbox_id
from shared.core.lease import (
    WORK_BUDGET_SECONDS,
    LeaseDecision,
    release,
    take,
)
from shared.core.limits import HEADERS_PER_BATCH, MAX_LAG_LOOKS
from shared.core.people import MailboxForMatching
from shared.errors import (
    Conflict,
    HistoryExpired,
    Malformed,
    NeedsReauth,
    SyncError,
    Transient,
)
from shared.logs import log
from shared.ports import Clock, Documents, Event, Gmail
from shared.repositories import people
from shared.repositories.mailboxes import Mailbox, Mailboxes, advance
from shared.services.accounts import Accounts
from shared.services.record import Recorder

HISTORY_ID = re.compile(r"[0-9]{1,30}")
RESYNC_OVERLAP = timedelta(hours=1)
"""How far before the last success a resync reads again; what is known is joined."""


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    """Gmail's notification: a hint that a mailbox changed."""

    address: str
    history_id: HistoryId

    @classmethod
    def from_push(cls, event: Event) -> MailboxChanged:
        """Read Gmail's payload; raises Malformed. The id comes as number or text."""
        try:
            payload = json.loads(event.data)
            address, history_id = payload["emailAddress"], str(payload["historyId"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Malformed from None
        if not isinstance(address, str) or not HISTORY_ID.fullmatch(history_id):
            raise Malformed
        return cls(address, HistoryId(history_id))


class NotReadableYet(Transient):
    """Gmail announced a change that it cannot show yet; look again soon."""


class OutOfTime(Transient):
    """The work budget is spent; the rest goes on with the next delivery."""


class LeaseLost(Transient):
    """Another delivery works on this mailbox now."""


@dataclass(slots=True)
class _Run:
    """One holder's work on one mailbox."""

    mailbox: Mailbox
    gmail: Gmail
    people: MailboxForMatching
    careful: bool
    deadline: float
    cursor: HistoryId
    empty: bool = True

    @property
    def id(self) -> MailboxId:
        """The mailbox's id."""
        return self.mailbox.id


class Sync:
    """Incremental reading, one holder a mailbox at a time."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        recorder: Recorder,
        clock: Clock,
        headers_per_batch: int = HEADERS_PER_BATCH,
    ) -> None:
        """Use these gateways; Gmail is asked for so many headers at once."""
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._recorder = recorder
        self._clock = clock
        self._headers_per_batch = headers_per_batch

    def notified(self, change: MailboxChanged, delivery: str) -> None:
        """Act on a notification; `delivery` is the Pub/Sub message id.

        Unknown or disconnected mailboxes, and hints older than the cursor, do nothing.
        Raises Transient when the same delivery must come again.
        """
        address = normalise(change.address)
        if address is None:
            log.warning("notification_malformed")
            return
        self.bring_up_to_date(mailbox_id(address), delivery, change.history_id)

    def bring_up_to_date(
        self, mailbox: MailboxId, delivery: str, hint: HistoryId | None = None
    ) -> None:
        """Read what is new, or leave it to the holder that is at it already."""
        taken: list[LeaseDecision] = []

        def begin(before: Mailbox | None) -> Mailbox | None:
            taken.clear()
            if before is None or before.status != "active":
                return None
            if hint is not None and is_older(hint, before.cursor):
                return None
            decision = take(before.lease, delivery, self._now())
            taken.append(decision)
            if not decision.changed:
                return None
            pushed = before.last_pushed_at if hint is None else self._now()
            return replace(before, lease=decision.lease, last_pushed_at=pushed)

        state, _ = self._mailboxes.change(mailbox, begin)
        if state is None or not taken:
            log.info("notification_does_nothing", mailbox=mailbox)
            return
        if taken[0].action == "again":
            raise Conflict
        if taken[0].action == "work":
            self._work(state, hint, careful=taken[0].careful)

    # --- under the lease ---------------------------------------------------------

    def _work(self, mailbox: Mailbox, hint: HistoryId | None, *, careful: bool) -> None:
        cursor = mailbox.cursor
        try:
            run = _Run(
                mailbox=mailbox,
                gmail=self._accounts.gmail(mailbox.id),
                people=people.for_matching(self._documents, mailbox),
                careful=careful,
                deadline=self._clock.now().timestamp() + WORK_BUDGET_SECONDS,
                cursor=cursor,
            )
            try:
                while True:
                    self._read(run)
                    if not self._finish(run, hint):
                        break
                    run.empty, hint = True, None
                    run.people = people.for_matching(self._documents, mailbox)
            finally:
                cursor = run.cursor
        except NeedsReauth:
            self._accounts.needs_reauth(mailbox.id, mailbox.lease.fence)
            log.warning("mailbox_needs_reauth", mailbox=mailbox.id)
        except (LeaseLost, NotReadableYet):
            raise
        except SyncError as error:
            self._give_up(mailbox, cursor)
            log.warning("sync_interrupted", mailbox=mailbox.id, code=error.code)
            raise

    def _read(self, run: _Run) -> None:
        try:
            self._read_history(run)
        except HistoryExpired:
            log.warning("history_expired", mailbox=run.id)
            self._resync(run)

    def _read_history(self, run: _Run) -> None:
        """All pages since our cursor, each durable before the cursor passes it."""
        start = run.cursor
        page_token: str | None = None
        seen: frozenset[GmailMessageId] = frozenset()
        while True:
            page = run.gmail.history(start, page_token)
            todo = plan_reading(page.entries, seen)
            self._record(run, todo)
            seen |= {one.gmail_message_id for one in todo}
            run.cursor = newest(run.cursor, page.newest_record) or run.cursor
            run.empty = run.empty and page.newest_record is None
            page_token = page.next_page_token
            if page_token is None:
                return
            self._checkpoint(run)

    def _record(self, run: _Run, todo: Sequence[ToRead]) -> None:
        for start in range(0, len(todo), self._headers_per_batch):
            batch = todo[start : start + self._headers_per_batch]
            outcome = self._recorder.record(
                run.gmail, run.people, batch, careful=run.careful
            )
            log.info(
                "batch_recorded",
                mailbox=run.id,
                recorded=outcome.recorded,
                ignored=outcome.ignored,
                quarantined=outcome.quarantined,
            )
            if outcome.held is not None:
                if outcome.held_at is not None:
                    run.cursor = _before(run.cursor, todo, outcome.held_at)
                raise outcome.held
            if self._clock.now().timestamp() > run.deadline and start + len(
                batch
            ) < len(todo):
                run.cursor = _before(run.cursor, todo, todo[start + len(batch)])
                raise OutOfTime

    def _resync(self, run: _Run) -> None:
        """W3: everything since the last success, with overlap, then on from now."""
        now = run.gmail.profile().history_id
        since = min(run.mailbox.users.values())
        if run.mailbox.last_synced_at is not None:
            overlap = int(RESYNC_OVERLAP.total_seconds() * 1000)
            since = max(since, run.mailbox.last_synced_at - overlap)
        query = f"after:{since // 1000}"
        page_token: str | None = None
        found: list[GmailMessageId] = []
        while True:
            page = run.gmail.list_messages(query, page_token)
            found += page.gmail_message_ids
            page_token = page.next_page_token
            if page_token is None:
                break
        # Gmail lists the newest first; threads want the oldest first. The cursor stays
        # where it is until all is durable.
        start = run.cursor
        self._record(run, [ToRead(one, start) for one in reversed(found)])
        run.cursor, run.empty = now, False

    def _checkpoint(self, run: _Run) -> None:
        """Save the cursor between pages; stop when the time is up."""

        def save(before: Mailbox | None) -> Mailbox | None:
            return advance(_held(before, run.mailbox), run.cursor)

        self._mailboxes.change(run.id, save)
        if self._clock.now().timestamp() > run.deadline:
            raise OutOfTime

    def _finish(self, run: _Run, hint: HistoryId | None) -> bool:
        """Move the cursor and free the lease in one write; say whether to go on.

        A mailbox that got dirty meanwhile keeps its holder. An empty answer to a newer
        hint keeps the cursor and asks for the delivery again, a few times.
        """
        lagging = run.empty and hint is not None and order(hint) > order(run.cursor)
        again: list[bool] = []

        def end(before: Mailbox | None) -> Mailbox | None:
            held = _held(before, run.mailbox)
            looks = held.lag_looks + 1 if lagging else 0
            again[:] = [held.lease.dirty, 0 < looks < MAX_LAG_LOOKS]
            return replace(
                advance(held, run.cursor),
                lease=(
                    replace(held.lease, dirty=False)
                    if held.lease.dirty
                    else release(held.lease)
                ),
                last_synced_at=self._now(),
                lag_looks=looks if looks < MAX_LAG_LOOKS else 0,
            )

        self._mailboxes.change(run.id, end)
        dirty, look_again = again
        if not dirty and look_again:
            raise NotReadableYet
        return dirty

    def _give_up(self, mailbox: Mailbox, cursor: HistoryId) -> None:
        """Free the lease after a fault, with what is durable; the delivery returns."""

        def end(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.lease.fence != mailbox.lease.fence:
                return None
            return replace(advance(before, cursor), lease=release(before.lease))

        self._mailboxes.change(mailbox.id, end)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _held(before: Mailbox | None, ours: Mailbox) -> Mailbox:
    """The mailbox as stored, if its lease is still ours."""
    if before is None or before.lease.fence != ours.lease.fence:
        raise LeaseLost
    return before


def _before(cursor: HistoryId, todo: Sequence[ToRead], at: ToRead) -> HistoryId:
    """The newest record that is durable when everything before `at` is.

    Records can name several messages: the one of `at` is not durable yet.
    """
    done = todo[: todo.index(at)]
    durable = [
        one.history_id for one in done if order(one.history_id) < order(at.history_id)
    ]
    return newest(cursor, *durable) or cursor
