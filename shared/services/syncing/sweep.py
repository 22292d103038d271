"""Looks after what nobody asked for: the check that needs no notification (W2).

A sweep takes only mailboxes that have been quiet for long, a shard at a time, so busy
ones are never disturbed, and publishes one piece of work for each. It also publishes
events that a crash left behind, ends what a crash left half ended (C6), has blobs
removed that nothing names, and rescues watches that are about to end (W1).
"""

from __future__ import annotations

from shared.core.moments import to_epoch_ms
from shared.core.syncing.watches import SHARDS
from shared.core.syncing.work import READ_AGAIN, to_sync, work
from shared.errors import SyncError
from shared.logs import log
from shared.ports import Clock, Documents
from shared.repositories.mailboxes import Mailboxes
from shared.repositories.outbox import Outbox
from shared.repositories.quarantine import Quarantine
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.mailbox_closer import to_close
from shared.services.syncing.watches import Watches

SWEEP_SHARD, PUBLISH_LEFT = "sweep-shard", "publish-left"
REMOVE_LEFT = "remove-left"

SILENT_SECONDS = 3600
RUN_SECONDS = 60
PAGE = 200
LEFT_SECONDS = 30
"""An event that is older and unpublished was left behind by a crash."""
UNFINISHED_SECONDS = 3600
"""No function runs for so long: who uploads or erases since then has died or failed."""
CLOSED_PER_SWEEP = 200
READ_AGAIN_PER_SWEEP = 200


class Sweep:
    """The scheduled check."""

    def __init__(
        self,
        documents: Documents,
        outbox: Outbox,
        watches: Watches,
        queue: WorkQueue,
        clock: Clock,
    ) -> None:
        self._mailboxes = Mailboxes(documents)
        self._quarantine = Quarantine(documents)
        self._outbox = outbox
        self._watches = watches
        self._queue = queue
        self._clock = clock

    def sweep_all(self, silent_for: int | None = None) -> None:
        """Bring every mailbox up to date that was silent for so many seconds."""
        now = self._now()
        silent = SILENT_SECONDS if silent_for is None else silent_for
        # A mailbox of this very millisecond is silent for 0 seconds as well.
        before = now - silent * 1000 + (silent == 0)
        left = now - min(LEFT_SECONDS, silent) * 1000
        self._queue.add(
            [
                work(PUBLISH_LEFT, before=left + (silent == 0)),
                work(REMOVE_LEFT, before=now - UNFINISHED_SECONDS * 1000),
            ]
        )
        for shard in range(SHARDS):
            self.sweep_shard(shard, before, None, seconds=0)
        due = self._quarantine.due(now, READ_AGAIN_PER_SWEEP)
        self._queue.add([work(READ_AGAIN, item=item) for item in due])
        closing = self._mailboxes.to_close(now, CLOSED_PER_SWEEP)
        self._queue.add([to_close(mailbox.id) for mailbox in closing])
        try:
            self._watches.rescue()
        except SyncError as error:
            log.error("sweep_resume_failed", code=error.code)

    def sweep_shard(
        self,
        shard: int,
        before: int,
        after: tuple[int, str] | None,
        seconds: float = RUN_SECONDS,
    ) -> None:
        """Publish work for a shard's silent mailboxes; pass on the rest in time."""
        until = self._clock.now().timestamp() + seconds
        while page := self._mailboxes.quiet_in_shard(shard, before, after, PAGE):
            self._queue.add([to_sync(mailbox.id, before) for mailbox in page])
            if len(page) < PAGE:
                return
            after = (page[-1].quiet_since, page[-1].id)
            if self._clock.now().timestamp() >= until:
                self._queue.add(
                    [
                        work(
                            SWEEP_SHARD,
                            shard=shard,
                            before=before,
                            quiet_since=after[0],
                            after=after[1],
                        )
                    ]
                )
                return

    def publish_soon(self) -> None:
        """Have all published that waits, sooner than the next sweep would."""
        self._queue.add([work(PUBLISH_LEFT, before=self._now() + 1)])

    def publish_left(self, before: int) -> None:
        """Publish events that were committed before then (ms) and never published."""
        count = self._outbox.publish_left_before(before)
        if count:
            log.warning("outbox_backlog_found", count=count)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())
