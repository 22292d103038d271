"""The parts that every step of a story uses: the system, the model, and the checks."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shared.core.access import Caller
from shared.core.ids import SubaccountId
from shared.services.sending.send_records import SendRequest
from tests.simulation import cast
from tests.simulation.checks import Checks
from tests.simulation.ledger import Ledger
from tests.simulation.model_bcc import FullModel
from tests.simulation.post import Post
from tests.simulation.sends import Sends
from tests.simulation.stage import MOST_CRASHES, Stage
from tests.simulation.workers import Worker

SENDING, LOGGING, OPERATING, BOUNCING = 0.4, 0.4, 0.3, 0.3
"""Share of the seeds in which the CRM sends, BCC addresses are used, the operator works,
mail comes back: each costs time, and in small casts they meet more often."""
CRASHING, LOSING = 0.25, 0.1
"""How often work dies at some gateway call, or the store's answer gets lost."""


class WentWrong(AssertionError):
    """The product did something that the model does not allow."""


class Scene:
    """What a seed plays with. `told` is what happened, line by line."""

    def __init__(self, seed: int) -> None:
        self.stage = Stage(seed)
        self.cast = cast.WIDE if seed % cast.EVERY_WIDE == 0 else cast.SMALL
        self.rng = self.stage.rng
        self.sending = self.rng.random() < SENDING
        self.logging = self.rng.random() < LOGGING
        self.operating = self.rng.random() < OPERATING
        # Drawn apart: the stories of other seeds stay as they are.
        self.bouncing = random.Random(f"bouncing {seed}").random() < BOUNCING
        self.model = FullModel()
        self.ledger = Ledger(self.model, self.now)
        self.post = Post(self.stage, self.ledger)
        self.checks = Checks(self.stage, self.ledger)
        self.sends = Sends(self.stage, self.ledger)
        self.stage.on_commit = self.checks.on_commit
        self.stage.committed = self._committed
        self.requests: dict[str, tuple[str, SendRequest]] = {}
        self.poisoned: set[str] = set()
        self.told: list[str] = []
        self.logs = io.StringIO()

    def _committed(self, writes: Sequence[Any]) -> None:
        self.checks.committed(writes)
        self.sends.committed(writes)

    def tell(self, *words: object) -> None:
        """Note what happens."""
        at = self.stage.clock.now().strftime("%d %H:%M:%S")
        self.told.append(f"{at}  {' '.join(map(str, words))}")

    def now(self) -> int:
        """The moment in milliseconds."""
        return int(self.stage.clock.now().timestamp() * 1000)

    def trouble(self, worker: Worker) -> None:
        """Let it die at some gateway call, or lose an answer, or neither."""
        chance = self.rng.random()
        if chance < CRASHING and self.stage.crashes < MOST_CRASHES:
            worker.dies_in = self.rng.randrange(60)
        elif chance < CRASHING + LOSING:
            worker.loses_in = self.rng.randrange(4)

    def ask(self, call: Callable[[], Any]) -> Any:
        """The CRM or a browser calls the API, which may die; it calls again then."""
        return self.stage.call(call, self.trouble)

    def quiet(self) -> None:
        """Let everything come to rest, and check all of it."""
        self.tell("all is delivered, then a sweep")
        self.post.discover()
        self.ledger.look()
        self.sends.mend_relay()
        self.stage.quieten()
        self.post.discover()
        self.ledger.look()
        self.stage.world.faults.clear()
        if self.replay():
            self.stage.quieten()
        self.check(self.checks.cursors())
        self.check(self.checks.everything())
        self.check(self.sends.doubled())
        self.check(self.sends.ended())

    def replay(self) -> bool:
        """The operator tries everything again that was set aside (E3)."""
        caller = Caller(
            "crm", frozenset(map(SubaccountId, self.model.subs)), deployment=True
        )
        items = self.stage.services.quarantine.items(caller)
        for item in items:
            if item.mailbox in self.ledger.dead:
                continue
            self.tell("replay of", item.gmail_message_id, item.code)
            if item.gmail_message_id not in self.poisoned:
                self.fail([f"set aside without a cause: {item}"])
            self.stage.services.quarantine.replay(caller, item.id)
        return bool(items)

    def check(self, wrong: Iterable[str]) -> None:
        found = [*self.stage.wrong, *wrong]
        if found:
            self.fail(found)

    def fail(self, found: list[str]) -> None:
        raise WentWrong("; ".join(found))
