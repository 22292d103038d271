"""The real services on gateways that a seed can trouble, and workers side by side.

Every gateway call of a worker is a place where it can die, where the store's answer can
get lost, and where another worker can go on instead (greenlets; one thread). What the
CRM and the browser ask for runs undisturbed.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock

from greenlet import getcurrent, greenlet

from shared.bootstrap import Services
from shared.core.syncing.lease import TAKE_OVER_SECONDS
from shared.errors import NeedsReauth, Permanent, Transient
from shared.ports import Delete, Event
from shared.services.sending.outbound import OutboundWork
from tests.support.crash import Crash
from tests.support.system import Push, System

GATEWAYS = ("documents", "blobs", "secrets", "topics", "google")
MOST_CRASHES = 3
"""Between two quiet moments: more of them in a row make the product set mail aside."""


@dataclass
class Delivery:
    """A Pub/Sub message that is on its way to a worker."""

    kind: str
    push: Push
    due: datetime


class Worker(greenlet):
    """One delivery at work."""

    def __init__(
        self, delivery: Delivery, run: Callable[[], bool], since: datetime
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

    def __init__(self, inner: Any, stage: Stage, token: str = "") -> None:
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
                return found(*args, **kwargs)
            worker.at_call()
            if name == "history":
                self._stage.reads(worker, self._token)
            if name == "commit":
                self._stage.on_commit(args[0])
            answer = found(*args, **kwargs)
            if name == "commit":
                worker.lets_go(args[0])
            if isinstance(answer, Iterator):
                answer = iter(list(answer))
            self._stage.lose_answer(worker, name)
            worker.at_call()
            return answer

        return call


class Stage(System):
    """A deployment whose deliveries are played one by one, or side by side."""

    def __init__(self, seed: int) -> None:
        self.outbound: deque[Push] = deque()
        super().__init__(seed, validate=False)
        self.rng = random.Random(seed)
        self.bag: list[Delivery] = []
        self.workers: list[Worker] = []
        self.crashes = 0
        self.faults: list[str] = []
        self.wrong: list[str] = []
        self.on_commit: Callable[[Sequence[Any]], None] = lambda _: None
        self.new_process()

    def new_process(self) -> None:
        """A process without memory, on the same state."""
        at: Any = self.outside
        ports = {name: Troubled(getattr(at, name), self) for name in GATEWAYS}
        self.services = Services(
            SimpleNamespace(clock=at.clock, settings=at.settings, **ports)
        )

    @contextlib.contextmanager
    def repeatable(self) -> Iterator[None]:
        """Let the seed make what the product makes at random: states, tokens, keys."""
        rng = random.Random(self.rng.random())

        def token(size: int | None = None) -> str:
            return f"{rng.getrandbits(8 * (size or 32)):x}"

        with (
            mock.patch("secrets.token_urlsafe", token),
            mock.patch("secrets.token_hex", token),
        ):
            yield

    # --- what calls meet -------------------------------------------------------------

    def lose_answer(self, worker: Worker, name: str) -> None:
        """The store did it, but nobody heard."""
        if worker.loses_in is None or name != "commit":
            return
        worker.loses_in -= 1
        if worker.loses_in < 0:
            worker.loses_in = None
            raise Transient

    def reads(self, worker: Worker, token: str) -> None:
        """One holder a mailbox, until the holder has been at it for ten seconds (C4)."""
        young = [
            one
            for one in self.workers
            if self.clock.now() - one.since < timedelta(seconds=TAKE_OVER_SECONDS)
        ]
        others = [one for one in young if one is not worker and token in one.reading]
        if worker in young and others:
            self.wrong.append("two holders read one mailbox")
        worker.reading.add(token)

    # --- Pub/Sub ---------------------------------------------------------------------

    def collect(self) -> None:
        """Take what was published meanwhile."""
        now = self.clock.now()
        queues = {"gmail": self.pushes, "work": self.work, "outbound": self.outbound}
        for kind, queue in queues.items():
            while queue:
                self.bag.append(Delivery(kind, queue.popleft(), now))

    def begin(self, delivery: Delivery) -> Worker:
        """Give a delivery to a worker, which has not begun yet."""
        self.bag.remove(delivery)

        def run() -> bool:
            if delivery.kind == "gmail":
                return self.deliver(delivery.push)
            if delivery.kind == "outbound":
                return self._send(delivery.push)
            return self.do_work(delivery.push)

        worker = Worker(delivery, run, self.clock.now())
        self.workers.append(worker)
        return worker

    def _queued(self, topic: str, event: Event) -> None:
        if topic == "outbound-messages":
            self.outbound.append(Push(event, f"o{next(self._deliveries)}"))
        super()._queued(topic, event)

    def _send(self, push: Push) -> bool:
        try:
            self.services.outbound.handle(
                OutboundWork.from_push(push.event), push.delivery
            )
        except Transient:
            return False
        except (Permanent, NeedsReauth):
            return True
        return True

    def go_on(self, worker: Worker) -> None:
        """Let it work up to its next gateway call, or to its end."""
        worker.switch()
        if not worker.dead:
            return
        self.workers.remove(worker)
        self.collect()
        if worker.crashed:
            self.crashes += 1
            self.new_process()
        if worker.crashed or not worker.acknowledged:
            later = timedelta(seconds=self.rng.choice((10, 10, 10, 200)))
            self.bag.append(
                Delivery(
                    worker.delivery.kind,
                    worker.delivery.push,
                    self.clock.now() + later,
                )
            )

    def finish(self) -> None:
        """Let every worker come to its end."""
        while self.workers:
            worker = self.rng.choice(self.workers)
            worker.shared = len(self.workers) > 1
            self.go_on(worker)

    def next_due(self) -> Delivery | None:
        """The delivery that is due, or the next one, with the clock moved to it."""
        self.collect()
        if not self.bag:
            return None
        now = self.clock.now()
        due = [one for one in self.bag if one.due <= now]
        if due:
            return self.rng.choice(due)
        first = min(self.bag, key=lambda one: one.due)
        self.clock.at = first.due
        return first

    def quieten(self, limit: int = 400) -> None:
        """Deliver everything, then sweep, until nothing is left to do."""
        self.finish()
        self.world.faults.clear()
        for swept in (False, True):
            if swept:
                self.clock.advance(seconds=1)
                self.services.sweep.sweep_all(0)
            for _ in range(limit):
                self.world.release_notifications()
                delivery = self.next_due()
                if delivery is None:
                    break
                self.go_on(self.begin(delivery))
            else:
                self.wrong.append("deliveries never come to an end")
                self.bag.clear()
        self.crashes = 0
