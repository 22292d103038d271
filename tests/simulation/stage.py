"""The real services on gateways that a seed can trouble, delivery by delivery.

What the CRM and the browser ask for is a worker too: it can die, and is asked again.
"""

from __future__ import annotations

import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

from shared.bootstrap import Services
from shared.errors import NeedsReauth, Permanent, Problem, Transient
from shared.gateways.memory import MemoryRelay
from shared.ports import Event
from shared.services.sending.outbound import OutboundWork
from tests.simulation.cast import DROPS
from tests.simulation.watch import Watch
from tests.simulation.workers import Delivery, Troubled, Worker
from tests.support.consenting import Consenting
from tests.support.system import Push

GATEWAYS = ("documents", "blobs", "secrets", "topics", "google", "relay")
MOST_CRASHES = 3
"""Between two quiet moments: more of them in a row make the product set mail aside."""
PATIENCE, TROUBLED = 5, 2
"""How often a call is made until it is answered, and how many of them meet trouble."""
POISON = 400
"""Gmail refuses a mail for good: no fault that passes by itself."""
BREAKING = {"status", "drop_before", "drop_after"}
"""Faults that can be why a send fails."""
CAP = 2
"""Sends of a mailbox in 24 hours (S5), few enough to be used up."""


class Stage(Watch):
    """A deployment whose deliveries are played one by one, or side by side."""

    def __init__(self, seed: int) -> None:
        self.outbound: deque[Push] = deque()
        super().__init__(
            seed, validate=False, bcc_address_format=DROPS, daily_send_cap=CAP
        )
        self.outside.relay = MemoryRelay()
        self.rng = random.Random(seed)
        self.bag: list[Delivery] = []
        self.crashes = 0
        self.dies_after: str | None = None
        self.latest = self.clock.now()
        self.troubles = 0
        self.on_commit: Callable[[Sequence[Any]], None] = lambda _: None
        self.committed: Callable[[Sequence[Any]], None] = lambda _: None
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
            mock.patch("secrets.token_bytes", rng.randbytes),
            mock.patch("secrets.token_urlsafe", token),
            mock.patch("secrets.token_hex", token),
        ):
            yield

    def connect(
        self, u: str, address: str, *, moves: bool = True, **answer: Any
    ) -> Any:
        """Go through the consent, with the page's buttons left out.

        `moves` answers whether the connection shall move, where that is asked (C10).
        """
        if answer:
            return super().connect(u, address, **answer)
        flow = Consenting(self.services, u)
        asked = dict(parse_qsl(urlsplit(flow.url).query))
        oauth = self.world.oauth
        code, _ = oauth.issue_code(
            oauth.clients[asked["client_id"]],
            self.world.account(address),
            asked["scope"].split(),
            asked,
        )
        query = {"state": asked["state"], "code": code}
        result = flow.back(query)
        if result.question is None:
            return result
        return flow.answer(result.question, move=moves)

    # --- what calls meet -------------------------------------------------------------

    def lose_answer(self, worker: Worker, name: str) -> None:
        """It is done, and the worker dies; or the store did it, but nobody heard."""
        if name == self.dies_after:
            self.dies_after = None
            worker.dies_in = 0
        if worker.loses_in is None or name != "commit":
            return
        worker.loses_in -= 1
        if worker.loses_in < 0:
            worker.loses_in = None
            self.troubles += 1
            raise Transient

    def is_troubled(self) -> bool:
        """Whether a fault of earlier may still break calls of Gmail."""
        return any(
            fault.action in BREAKING
            and (fault.count is None or fault.struck < fault.count)
            for fault in self.world.faults
        )

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
            self.troubles += 1
            self.new_process()
        if worker.delivery is None:
            return
        if worker.crashed or not worker.acknowledged:
            later = timedelta(seconds=self.rng.choice((10, 10, 10, 200)))
            self.bag.append(
                Delivery(
                    worker.delivery.kind,
                    worker.delivery.push,
                    self.clock.now() + later,
                )
            )

    def call(self, run: Callable[[], Any], trouble: Callable[[Worker], None]) -> Any:
        """Call the API: it may die on the way, and is then called again.

        Others go on with their work meanwhile. Raises what the API refuses.
        """
        for attempt in range(PATIENCE):
            said: list[Any] = []
            worker = self.caller(run, said)
            if attempt < TROUBLED:
                trouble(worker)
            else:
                self.world.faults.clear()
                self.clock.advance(seconds=60)  # a dead holder's lease ends meanwhile
            while not worker.dead:
                self.go_on(self.rng.choice((worker, worker, *self.workers)))
            if not said:
                continue  # it died, or its answer got lost
            if isinstance(said[0], Problem):
                raise said[0]
            return said[0]
        raise AssertionError("a call is never answered")

    def caller(self, run: Callable[[], Any], said: list[Any]) -> Worker:
        """A call that has not begun yet; its answer goes to `said`."""

        def ask() -> bool:
            try:
                said.append(run())
            except Problem as refusal:
                said.append(refusal)
            except Transient:
                pass
            return True

        worker = Worker(None, ask, self.clock.now())
        worker.shared = bool(self.workers)
        self.workers.append(worker)
        return worker

    def finish_calls(self) -> None:
        """Let every call of the API come to its end."""
        while calls := [worker for worker in self.workers if worker.delivery is None]:
            self.go_on(self.rng.choice(calls))

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
        due = [item for item in self.bag if item.due <= now]
        if due:
            return self.rng.choice(due)
        first = min(self.bag, key=lambda item: item.due)
        self.clock.at = first.due
        return first

    def quieten(self, limit: int = 400) -> None:
        """Deliver everything, then sweep, until nothing is left to do."""
        self.finish()
        poison = [
            fault.__dict__ for fault in self.world.faults if fault.status == POISON
        ]
        self.world.faults.replace(poison)
        self.dies_after = None
        for swept in (False, True):
            if swept:
                # Who was busy before the clock jumped back is not silent until then.
                self.clock.at = max(self.clock.now(), self.latest)
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
