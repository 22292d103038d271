"""Rebuilds a mailbox whose history has expired (W3): slow, bounded, once each.

What is done is saved after each batch, so it goes on from there after a crash, or in
the next function when the time is up (W4).
"""

from __future__ import annotations

from dataclasses import replace

from shared.core.ids import GmailMessageId
from shared.core.moments import to_epoch_ms
from shared.core.syncing.history import ToRead
from shared.core.syncing.resync import (
    Resync,
    narrowed,
    passed,
    plan_resync,
    still_to_read,
)
from shared.logs import log
from shared.ports import Clock
from shared.services.syncing.mailbox_lease import MailboxLease, Run
from shared.services.syncing.record import Recorder


class ResyncService:
    """Reads what Gmail's history no longer tells. For the holder of the lease."""

    def __init__(
        self, holding: MailboxLease, recorder: Recorder, clock: Clock, batch: int
    ) -> None:
        """Record so many messages at once."""
        self._lease = holding
        self._recorder = recorder
        self._clock = clock
        self._batch = batch

    def begin(self, run: Run) -> None:
        """Plan it. The id to go on from comes first: later changes follow it."""
        target = run.gmail.profile().history_id
        run.resync = plan_resync(
            target,
            now=to_epoch_ms(self._clock.now()),
            connected_at=min(run.mailbox.users.values()),
            last_success=run.mailbox.last_synced_at,
        )
        log.warning("resync_begins", mailbox=run.id)
        self._lease.checkpoint(run)

    def read(self, run: Run) -> None:
        """Go on to the end; then the cursor is the id that was asked for first.

        Raises OutOfTime, LeaseLost, and the passing fault that held a message.
        """
        while run.resync is not None:
            state = run.resync
            found = self._list(run, state)
            if found is None:
                run.resync = narrowed(state)
                continue
            for_now = still_to_read(found, state.last)
            for start in range(0, len(for_now), self._batch):
                self._record(run, for_now[start : start + self._batch])
                self._lease.checkpoint(run)
            self._pass(run, state, len(found))
            self._lease.checkpoint(run)

    def _list(self, run: Run, state: Resync) -> list[GmailMessageId] | None:
        """The window's messages, newest first; None when it must be cut."""
        page = run.gmail.list_messages(state.query)
        found = list(page.gmail_message_ids)
        if page.next_page_token is not None and not state.is_narrow:
            return None
        while page.next_page_token is not None:
            page = run.gmail.list_messages(state.query, page.next_page_token)
            found += page.gmail_message_ids
        return found

    def _record(self, run: Run, ids: list[GmailMessageId]) -> None:
        # The cursor stays where it is until all is durable.
        todo = [ToRead(message_id, run.cursor) for message_id in ids]
        outcome = self._recorder.record_for(run, todo)
        done = ids
        if outcome.held is not None and outcome.stopped_at is not None:
            done = ids[: ids.index(outcome.stopped_at.gmail_message_id)]
        elif outcome.held is not None:
            done = []
        if done and run.resync is not None:
            run.resync = replace(run.resync, last=done[-1])
        if outcome.held is not None:
            raise outcome.held

    def _pass(self, run: Run, state: Resync, count: int) -> None:
        run.resync = passed(state, count)
        if run.resync is None:
            run.cursor = state.target
            run.resynced_at = state.end * 1000
            log.info("resync_done", mailbox=run.id)
