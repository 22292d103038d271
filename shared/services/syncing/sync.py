"""Brings a mailbox up to date with Gmail.

The notification is a hint; what to read comes from our own cursor. The cursor moves
only after everything before it is durable, under the mailbox's lease.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.ids import GmailMessageId, HistoryId, MailboxId, mailbox_id
from shared.core.limits import HEADERS_PER_BATCH
from shared.core.parsing.address import normalise
from shared.core.syncing.history import ToRead, newest, order, plan_reading
from shared.core.syncing.work import to_sync
from shared.errors import (
    HistoryExpired,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    SyncError,
)
from shared.logs import log
from shared.ports import Clock, Documents, Event
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import Accounts
from shared.services.connecting.renaming import Renaming
from shared.services.syncing.batch import Outcome
from shared.services.syncing.mailbox_lease import (
    AddressUnknown,
    LeasedMailbox,
    LeaseLost,
    MailboxLease,
    NotReadableYet,
    OutOfTime,
    Run,
)
from shared.services.syncing.record import Recorder
from shared.services.syncing.resync import ResyncService

HISTORY_ID = re.compile(r"[0-9]{1,30}")


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


class Sync:
    """Incremental reading, one holder a mailbox at a time."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        recorder: Recorder,
        clock: Clock,
        queue: WorkQueue,
        renaming: Renaming,
        headers_per_batch: int = HEADERS_PER_BATCH,
    ) -> None:
        """Use these gateways; Gmail is asked for so many headers at once."""
        self._accounts = accounts
        self._recorder = recorder
        self._queue = queue
        self._renaming = renaming
        self._lease = MailboxLease(documents, clock)
        self._resync = ResyncService(self._lease, recorder, clock, headers_per_batch)
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
        mailbox = mailbox_id(address)
        try:
            held = self._lease.take(mailbox, delivery, change.history_id, None, address)
        except AddressUnknown:
            self._renaming.look_for(address)
            held = None
        self._work_on(mailbox, held, change.history_id)

    def bring_up_to_date(
        self,
        mailbox: MailboxId,
        delivery: str,
        hint: HistoryId | None = None,
        *,
        silent_since: int | None = None,
    ) -> None:
        """Read what is new, or leave it to the holder that is at it already.

        With `silent_since` only when nobody has looked after the mailbox since (W2).
        """
        held = self._lease.take(mailbox, delivery, hint, silent_since)
        self._work_on(mailbox, held, hint)

    def _work_on(
        self, mailbox: MailboxId, held: LeasedMailbox | None, hint: HistoryId | None
    ) -> None:
        if held is None:
            # The live check looks for this line, and for whose mailbox it is.
            log.info("notification_ignored", mailbox=mailbox)
        else:
            self._work(held, hint)

    # --- under the lease ---------------------------------------------------------

    def _work(self, held: LeasedMailbox, hint: HistoryId | None) -> None:
        mailbox, run = held.mailbox, None
        try:
            run = self._lease.begin(held, self._accounts.gmail(mailbox.id))
            if hint is None:
                # Nothing was announced under the address: is it the account's still?
                run.mailbox = self._renaming.check(run.mailbox, run.gmail)
            self._read(run)
            while self._lease.finish(run, hint):
                self._lease.stop_in_time(run)
                hint = None
                self._read(run)
        except NeedsReauth:
            self._accounts.needs_reauth(mailbox.id, mailbox.lease.fence)
            log.warning("mailbox_needs_reauth", mailbox=mailbox.id)
        except (LeaseLost, NotReadableYet):
            raise
        except SyncError as error:
            self._lease.release_after_failure(mailbox, run, error)
            log.warning("sync_interrupted", mailbox=mailbox.id, code=error.code)
            self._go_on_or_raise(run, error)

    def _go_on_or_raise(self, run: Run | None, error: SyncError) -> None:
        """Go on in a piece of work of its own, with all its tries, after progress (W4).

        The lease is free and what is done is saved before the work is published, and
        this delivery is acknowledged only after it: a crash anywhere leaves one of the
        two. Without progress the delivery comes again, later each time.
        """
        slice_ended = isinstance(error, OutOfTime | RateLimited)
        if not slice_ended or run is None or not run.progressed:
            raise error
        self._queue.add([to_sync(run.id)])

    def _read(self, run: Run) -> None:
        if run.resync is None:
            try:
                self._read_history(run)
            except HistoryExpired:
                log.warning("history_expired", mailbox=run.id)
                self._resync.begin(run)
            else:
                return
        self._resync.read(run)
        self._read_history(run)

    def _read_history(self, run: Run) -> None:
        """All pages since our cursor, each durable before the cursor passes it."""
        self._lease.mark_polled(run)
        start = run.cursor
        page_token: str | None = None
        seen: frozenset[GmailMessageId] = frozenset()
        while True:
            page = run.gmail.history(start, page_token)
            todo = plan_reading(page.entries, seen)
            self._record(run, todo)
            seen |= {task.gmail_message_id for task in todo}
            run.cursor = newest(run.cursor, page.newest_record) or run.cursor
            run.empty = run.empty and page.newest_record is None
            run.seen = page.history_id
            page_token = page.next_page_token
            if page_token is None:
                return
            self._lease.checkpoint(run)

    def _record(self, run: Run, todo: Sequence[ToRead]) -> None:
        for start in range(0, len(todo), self._headers_per_batch):
            if start > 0:
                run.cursor = _before(run.cursor, todo, todo[start])
                self._lease.checkpoint(run)
            batch = todo[start : start + self._headers_per_batch]
            outcome = self._record_batch(run, batch)
            if outcome.held is not None:
                if outcome.stopped_at is not None:
                    run.cursor = _before(run.cursor, todo, outcome.stopped_at)
                raise outcome.held

    def _record_batch(self, run: Run, batch: Sequence[ToRead]) -> Outcome:
        """Record a batch; what no single message could be blamed for, one by one.

        So the message that it follows is found and set aside, and never holds the
        mailbox: the delivery of a permanent failure does not come again.
        """
        try:
            return self._recorder.record_for(run, batch)
        except (Misconfigured, HistoryExpired):
            raise
        except Permanent as error:
            if run.one_at_a_time:
                raise
            log.error("batch_failed", mailbox=run.id, code=error.code)
            run.one_at_a_time = True
            return self._recorder.record_for(run, batch)


def _before(cursor: HistoryId, todo: Sequence[ToRead], at: ToRead) -> HistoryId:
    """The newest record that is durable when everything before `at` is.

    Records can name several messages: the one of `at` is not durable yet.
    """
    done = todo[: todo.index(at)]
    durable = [
        message.history_id
        for message in done
        if order(message.history_id) < order(at.history_id)
    ]
    return newest(cursor, *durable) or cursor
