"""The parts that every step of a story uses: the system, the model, and the checks."""

from __future__ import annotations

import io
from collections.abc import Iterable

from tests.simulation.checks import Checks
from tests.simulation.ledger import Ledger
from tests.simulation.model import Model
from tests.simulation.post import Post
from tests.simulation.sends import Sends
from tests.simulation.stage import Stage

SENDING = 0.4
"""Share of the seeds in which the CRM sends as well: it doubles their time."""


class WentWrong(AssertionError):
    """The product did something that the model does not allow."""


class Scene:
    """What a seed plays with. `told` is what happened, line by line."""

    def __init__(self, seed: int) -> None:
        self.stage = Stage(seed)
        self.rng = self.stage.rng
        self.sending = self.rng.random() < SENDING
        self.model = Model()
        self.ledger = Ledger(self.model)
        self.post = Post(self.stage, self.ledger)
        self.checks = Checks(self.stage, self.ledger)
        self.sends = Sends(self.stage)
        self.stage.on_commit = self.checks.on_commit
        self.told: list[str] = []
        self.logs = io.StringIO()

    def tell(self, *words: object) -> None:
        """Note what happens."""
        at = self.stage.clock.now().strftime("%d %H:%M:%S")
        self.told.append(f"{at}  {' '.join(map(str, words))}")

    def quiet(self) -> None:
        """Let everything come to rest, and check all of it."""
        self.tell("all is delivered, then a sweep")
        self.ledger.look()
        self.stage.quieten()
        self.check(self.checks.cursors())
        self.check(self.checks.everything())
        self.check(self.sends.doubled())
        self.check(self.sends.ended())

    def check(self, wrong: Iterable[str]) -> None:
        found = [*self.stage.wrong, *wrong]
        if found:
            self.fail(found)

    def fail(self, found: list[str]) -> None:
        raise WentWrong("; ".join(found))
