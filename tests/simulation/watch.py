"""What must hold of every gateway call of a worker: who holds what, and who looks first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from shared.core.moments import to_epoch_ms
from shared.core.syncing.lease import TAKE_OVER_SECONDS
from shared.ports import Snapshot
from tests.simulation.leases import broken
from tests.simulation.workers import Worker
from tests.support.system import System


class Watch(System):
    """Looks at what workers do; `wrong` is what it has seen."""

    def __init__(self, seed: int, **settings: Any) -> None:
        super().__init__(seed, **settings)
        self.workers: list[Worker] = []
        self.wrong: list[str] = []
        self._calls = 0

    def has_written(
        self, worker: Worker, writes: Sequence[Any], before: Sequence[Snapshot]
    ) -> None:
        """A worker has changed what has a lease; `before` is what it was."""
        now = to_epoch_ms(self.clock.now())
        self.wrong += broken(worker.fences, writes, before, now)

    def asks_for(self, worker: Worker | None, name: str, draft: str) -> None:
        """S7: a send of unknown fate is resolved by looking, never by sending again."""
        self._calls = len(self.world.calls)
        if worker is None:
            return
        if name == "send_draft" and draft in worker.unsure:
            self.wrong.append("a mail is sent again by one who has not looked")
        worker.unsure.discard(draft)

    def was_asked(self, worker: Worker | None, draft: str, *, sure: bool) -> None:
        """S7: one call of ours is one request to Gmail."""
        requests = [call.method for call in self.world.calls[self._calls :]]
        if requests.count("gmail.users.drafts.send") > 1:
            self.wrong.append("Gmail is asked to send a mail more than once")
        if worker is not None and not sure:
            worker.unsure.add(draft)

    def reads(self, worker: Worker, token: str) -> None:
        """One holder a mailbox, until the holder has been at it for ten seconds (C4)."""
        young = [
            item
            for item in self.workers
            if self.clock.now() - item.since < timedelta(seconds=TAKE_OVER_SECONDS)
        ]
        others = [
            item for item in young if item is not worker and token in item.reading
        ]
        if worker in young and others:
            self.wrong.append("two holders read one mailbox")
        worker.reading.add(token)
