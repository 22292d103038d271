"""Mails per second: the product, its floor and the tutorial way, in turns."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.bench.cast import ME, Writer
from tools.bench.contenders import Contender, Recording, Tapes, contenders
from tools.bench.stage import Environment, InMemory, Stage
from tools.bench.tape import recording

GMAIL_SECONDS, STORE_SECONDS = 0.05, 0.01
"""Assumed, not measured: a call of Gmail's in the cloud, and one of Firestore's, Secret
Manager's or Pub/Sub's."""
_WARM_UP = 2
"""Notifications of one mail each, before the clock runs: clients connect."""


@dataclass(frozen=True, slots=True)
class Load:
    """Mails in groups, with a notification for each group."""

    name: str
    notifications: int
    mails: int
    from_contacts: int = 100
    """Per cent of the mails that belong in the CRM."""

    @property
    def total(self) -> int:
        """Mails in all."""
        return self.notifications * self.mails


@dataclass(frozen=True, slots=True)
class Round:
    """One run. Seconds are the clock's, `cpu` those of this process."""

    seconds: float
    cpu: float
    recorded: int


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds of one load on one kind of stage, by contender."""

    stage: str
    load: Load
    tapes: Tapes
    rounds: dict[str, list[Round]]

    def per_second(self, contender: str) -> float:
        """Mails per second in the median round."""
        seconds = statistics.median(round_.seconds for round_ in self.rounds[contender])
        return self.load.total / seconds

    def cpu_ms(self, contender: str) -> float:
        """CPU milliseconds of our process for one mail, in the median round."""
        cpu = statistics.median(round_.cpu for round_ in self.rounds[contender])
        return cpu * 1000 / self.load.total

    def times_as_fast_as(self, other: str) -> list[float]:
        """The product's speed over the other's, round by round, the slowest first."""
        pairs = zip(self.rounds["product"], self.rounds[other], strict=True)
        return sorted(theirs.seconds / ours.seconds for ours, theirs in pairs)


def measure(
    environment: Environment, load: Load, rounds: int, say: Callable[[str], None]
) -> Result:
    """Record one run of the product, then let all contenders run in turns."""
    tapes = record(environment.stage(), load)
    found: dict[str, list[Round]] = {}
    for number in range(1, rounds + 1):
        for name, contender in contenders(tapes).items():
            stage = environment.stage()
            found.setdefault(name, []).append(play(stage, load, contender(stage)))
        speeds = ", ".join(
            f"{name} {load.total / all_rounds[-1].seconds:.0f}"
            for name, all_rounds in found.items()
        )
        say(f"{environment.name}, {load.name}, round {number}: {speeds} mails/s")
    return Result(environment.name, load, tapes, found)


@dataclass(frozen=True, slots=True)
class Trips:
    """Calls that wait for each other, for one notification."""

    gmail: int
    others: int

    def seconds(self) -> float:
        """How long a network like the cloud's would take for them."""
        return self.gmail * GMAIL_SECONDS + self.others * STORE_SECONDS


def trips(environment: InMemory, load: Load) -> dict[str, Trips]:
    """What each contender waits for at one notification, counted in memory."""
    found: dict[str, Trips] = {}
    tapes = record(environment.stage(), replace(load, notifications=1))
    for name, contender in contenders(tapes).items():
        stage, tape = recording(environment.stage())
        ready, writer = contender(stage), Writer()
        for number, size in enumerate([1] * _WARM_UP + [load.mails]):
            hint = _arrive(stage, writer, load, size)
            tape.clear()
            before = stage.post.requests()
            ready.handle(number, hint)
        others = [call for call in tape if call.port != "gmail"]
        found[name] = Trips(stage.post.requests() - before, len(others))
    return found


def record(stage: Stage, load: Load) -> Tapes:
    """Put a run of the product on tape."""
    recording = Recording.of(stage)
    play(stage, load, recording)
    return recording.tapes


def play(stage: Stage, load: Load, contender: Contender) -> Round:
    """Let the mail come and the contender handle it; only the latter is timed."""
    writer, seconds, cpu = Writer(), 0.0, 0.0
    groups = [1] * _WARM_UP + [load.mails] * load.notifications
    gc.collect()  # what the last contender has left behind
    for number, size in enumerate(groups):
        hint = _arrive(stage, writer, load, size)
        began, cpu_began = time.perf_counter(), time.process_time()
        contender.handle(number, hint)
        if number >= _WARM_UP:
            seconds += time.perf_counter() - began
            cpu += time.process_time() - cpu_began
    return Round(seconds, cpu, contender.recorded())


def _arrive(stage: Stage, writer: Writer, load: Load, size: int) -> bytes:
    """So many mails come; returns the notification that covers them all."""
    stage.post.hints()
    stage.post.arrive(writer.mails(size, from_contacts=load.from_contacts), ME)
    return stage.post.hints()[-1]
