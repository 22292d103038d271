"""Workers side by side, and the gateways that trouble them.

Every gateway call of a worker is a place where it can die, where the store's answer can
get lost, and where another worker can go on instead (greenlets; one thread).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from greenlet import getcurrent, greenlet

from shared.errors import SyncError, Transient
from shared.ports import Delete, Snapshot
from tests.simulation.leases import under_lease
from tests.support.crash import Crash
from tests.support.system import Push


class Watching(Protocol):
    """Who looks at what workers do."""

    wrong: list[str]
    on_commit: Callable[[Sequence[Any]], None]
    committed: Callable[[Sequence[Any]], None]

    def reads(self, worker: Worker, token: str) -> None:
        """A worker reads a mailbox's history."""

    def lose_answer(self, worker: Worker, name: str) -> None:
        """Perhaps it dies now, or the store's answer gets lost."""

    def has_written(
        self, worker: Worker, writes: Sequence[Any], before: Sequence[Snapshot]
    ) -> None:
        """A worker has changed what has a lease; `before` is what it was."""

    def asks_for(self, worker: Worker | None, name: str, draft: str) -> None:
        """Gmail is asked about a draft, or to send it."""

    def was_asked(self, worker: Worker | None, draft: str, *, sure: bool) -> None:
        """Gmail was asked to send a draft; `sure`: it has said what came of it."""


@dataclass
class Delivery:
    """A Pub/Sub message that is on its way to a worker."""

    kind: str
    push: Push
    due: datetime


class Worker(greenlet):
    """One delivery at work, or one call of the API (which no delivery brought)."""

    def __init__(
        self, delivery: Delivery | None, run: Callable[[], bool], since: datetime
    ) -> None:
        super().__init__(self._work)
        self.delivery = delivery
        self.acknowledged = False
        self.crashed = False
        self.dies_in: int | None = None
        self.loses_in: int | None = None
        self.shared = False
        self.since = since
        self.reading: set[str] = set()
        self.unsure: set[str] = set()
        self.fences: dict[str, int] = {}
        self._run = run

    def _work(self) -> None:
        try:
            self.acknowledged = self._run()
        except Crash:
            self.crashed = True

    def lets_go(self, writes: Sequence[Any]) -> None:
        """See that it has given its mailbox back."""
        for write in writes:
            if write.path.startswith("mailboxes/") and not isinstance(write, Delete):
                lease = write.data.get("lease")
                if lease is not None and lease["holder"] is None:
                    self.reading.clear()

    def at_call(self) -> None:
        """Before and after each gateway call."""
        if self.dies_in is not None:
            if self.dies_in <= 0:
                self.crashed = True
                raise Crash
            self.dies_in -= 1
        if self.shared:
            self.parent.switch()


class Troubled:
    """A gateway as the services see it."""

    def __init__(self, inner: Any, stage: Watching, token: str = "") -> None:
        self._inner = inner
        self._stage = stage
        self._token = token

    def __getattr__(self, name: str) -> Any:
        """Wrap the gateway's method."""
        found = getattr(self._inner, name)
        if not callable(found) or name.startswith("_"):
            return found
        if name == "gmail":
            return lambda token: Troubled(found(token), self._stage, token)

        def call(*args: Any, **kwargs: Any) -> Any:
            worker = getcurrent()
            if not isinstance(worker, Worker):
                return self._do(found, name, args, kwargs)
            worker.at_call()
            if name == "history":
                self._stage.reads(worker, self._token)
            answer = self._do(found, name, args, kwargs)
            if name == "commit":
                worker.lets_go(args[0])
            if isinstance(answer, Iterator):
                answer = iter(list(answer))
            self._stage.lose_answer(worker, name)
            worker.at_call()
            return answer

        return call

    def _do(self, found: Any, name: str, args: Any, kwargs: Any) -> Any:
        if name in {"send_draft", "draft_exists"}:
            return self._about_draft(found, name, args[0])
        if name != "commit":
            return found(*args, **kwargs)
        found_wrong = len(self._stage.wrong)
        self._stage.on_commit(args[0])
        paths = under_lease(args[0])
        before = self._inner.get(paths) if paths else ()
        try:
            answer = found(*args, **kwargs)
        except SyncError:
            del self._stage.wrong[found_wrong:]  # the store has refused it
            raise
        self._stage.committed(args[0])
        at = getcurrent()
        if before and isinstance(at, Worker):
            self._stage.has_written(at, args[0], before)
        return answer

    def _about_draft(self, found: Any, name: str, draft: str) -> Any:
        at = getcurrent()
        worker = at if isinstance(at, Worker) else None
        self._stage.asks_for(worker, name, draft)
        sure = False
        try:
            answer = found(draft)
            sure = True
        except Transient:
            raise
        except SyncError:
            sure = True
            raise
        finally:
            if name == "send_draft":
                self._stage.was_asked(worker, draft, sure=sure)
        return answer
