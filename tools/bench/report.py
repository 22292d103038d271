"""docs/performance.md: what was measured, as tables, and which targets are missed."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tools import cold_start
from tools.bench import memory
from tools.bench.growth import Point
from tools.bench.latency import Latency
from tools.bench.profiling import Profile
from tools.bench.speed import GMAIL_SECONDS, STORE_SECONDS, Load, Result, Trips

FLOOR, TUTORIAL = 0.7, 3.0
"""How fast the product must be, as a part of the floor and of the tutorial way."""
_CLIENTS = (
    "google-api-python-client",
    "google-cloud-firestore",
    "google-cloud-pubsub",
    "grpcio",
    "protobuf",
)


@dataclass(slots=True)
class Figures:
    """Everything that one run has measured."""

    command: str
    speed: list[Result] = field(default_factory=list)
    trips: list[tuple[Load, dict[str, Trips]]] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    growth: list[Point] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)
    cold: list[cold_start.ColdStart] = field(default_factory=list)
    profiles: list[Profile] = field(default_factory=list)
    not_measured: list[str] = field(default_factory=list)
    seconds: float = 0


def write(figures: Figures, learnt: str) -> str:
    """The page; `learnt` is what people have written about it."""
    sections = [
        _head(figures),
        _targets(figures),
        _speed(figures.speed),
        _trips(figures),
        _latency(figures.latency),
        _growth(figures.growth),
        _memory(figures.memory),
        _cold(figures.cold),
        *map(_profile, figures.profiles),
        learnt,
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def misses(figures: Figures) -> list[str]:
    """Targets that this run has missed, by name."""
    found: list[str] = []
    for result in figures.speed:
        for other, wanted in (("floor", FLOOR), ("tutorial", TUTORIAL)):
            ratio = statistics.median(result.times_as_fast_as(other))
            if ratio < wanted:
                found.append(
                    f"speed, {result.stage}, {result.load.name}: {ratio:.2f} times the "
                    f"{other}, {wanted} wanted"
                )
    found += [
        f"memory, {what}: {times:.2f} times its size, {memory.LIMIT} wanted"
        for what, times in figures.memory.items()
        if times > memory.LIMIT
    ]
    found += [
        f"cold start, {start.function}: {start.ratio:.2f}, {cold_start.LIMIT} wanted"
        for start in figures.cold
        if start.ratio > cold_start.LIMIT
    ]
    return found


def _head(figures: Figures) -> str:
    clients = ", ".join(f"{name} {version(name)}" for name in _CLIENTS)
    cores = os.cpu_count()
    lacking = "".join(f"\n- **NOT MEASURED**: {item}" for item in figures.not_measured)
    return f"""\
# Performance

Written by `{figures.command}` on {datetime.now(UTC):%Y-%m-%d}, in \
{figures.seconds:.0f} s. Nothing here was measured in the cloud.

- Machine: {_processor()}, {cores} cores, {platform.system()} {platform.release()}; \
load at the end {os.getloadavg()[0]:.1f}.
- Python {platform.python_version()}; {clients}; {_java()}.{lacking}

Three programs do the same work in turns, so that whatever else the machine does hits
all of them: the **product**; the **floor**, which makes the product's own calls again,
recorded before, with the same clients and nothing in between; and the **tutorial** way,
a handler as most begin with (`tools/bench/tutorial.py`). Medians of the rounds, with
the spread in brackets."""


def _targets(figures: Figures) -> str:
    missed = misses(figures)
    if not missed:
        return "Every target is met."
    return "## Targets missed\n\n" + "\n".join(f"- {item}" for item in missed)


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Markdown; the first column is words, the others are numbers."""
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _speed(results: Sequence[Result]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for result in results:
            names = ("product", "floor", "tutorial")
            yield (
                f"{result.stage}: {result.load.name}",
                *(f"{result.per_second(name):.0f}" for name in names),
                _spread(result.times_as_fast_as("floor")),
                _spread(result.times_as_fast_as("tutorial")),
                " / ".join(f"{result.cpu_ms(name):.1f}" for name in names),
            )

    head = ("mails per second", "product", "floor", "tutorial")
    more = ("times the floor", "times the tutorial", "CPU ms a mail")
    return f"""\
## Speed

{_table((*head, *more), rows())}

The last column is the CPU time of the program itself, which a busy machine blurs less
than the clock."""


def _spread(ratios: Sequence[float]) -> str:
    middle = statistics.median(ratios)
    return f"{middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def _trips(figures: Figures) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for load, found in figures.trips:
            ours, usual = found["product"], found["tutorial"]
            yield (
                load.name,
                f"{ours.gmail} + {ours.others}",
                f"{usual.gmail} + {usual.others}",
                f"{ours.seconds():.2f} s",
                f"{usual.seconds():.2f} s",
                f"{usual.seconds() / ours.seconds():.1f}",
            )

    head = ("a notification", "calls, product", "calls, tutorial")
    more = ("waits, product", "waits, tutorial", "ratio")
    return f"""\
## Calls that wait for each other

Loopback has no distance; the cloud has. What follows is counted exactly (Gmail's calls
+ others) and then multiplied by {GMAIL_SECONDS * 1000:.0f} ms for a call of Gmail's and
{STORE_SECONDS * 1000:.0f} ms for any other, which is assumed.

{_table((*head, *more), rows())}"""


def _latency(found: Sequence[Latency]) -> str:
    if not found:
        return ""
    rows = (
        (
            f"{latency.stage}: {latency.contender}",
            f"{latency.mails}",
            f"{latency.median:.1f} ms",
            f"{latency.p95:.1f} ms",
            f"{latency.longest:.1f} ms",
        )
        for latency in found
    )
    return f"""\
## From the notification to the record

On the emulators: published to Pub/Sub's, pushed with a signed token to the function,
and read back from Firestore's (Pub/Sub's looks for what to push every 100 ms). In
memory: from the call of the contender to the end of the commit.

{_table(("one mail", "mails", "median", "p95", "longest"), rows)}"""


def _growth(points: Sequence[Point]) -> str:
    rows = (
        (
            f"{point.size:,} {point.what} ({point.stage})",
            f"{point.per_second:.0f}",
            f"{point.cpu_ms:.1f}",
            f"{point.gmail_calls:.2f}",
            f"{point.firestore_calls:.2f}",
            f"{point.reads:.2f}",
            f"{point.writes:.2f}",
        )
        for point in points
    )
    head = ("with", "mails/s", "CPU ms", "Gmail calls", "Firestore calls")
    return f"""\
## Growth

All for one recorded mail, in notifications of 25 (of one, for mailboxes). A batch
counts as a call for each message in it.

{_table((*head, "documents read", "written, deleted"), rows)}"""


def _memory(found: dict[str, float]) -> str:
    rows = ((what, f"{times:.2f}") for what, times in found.items())
    return f"""\
## Memory of a mail of 25 MiB

The most that Python held, as multiples of 25 MiB; at most {memory.LIMIT} is wanted.

{_table(("what", "times its size"), rows)}"""


def _cold(found: Sequence[cold_start.ColdStart]) -> str:
    return f"""\
## Cold start

CPU seconds of importing an entry point with its gateways, and of importing no more than
the clients that it needs; at most {cold_start.LIMIT} times as long is wanted.

{cold_start.table(found)}"""


def _profile(profile: Profile) -> str:
    rows = (
        (layer, f"{each:.2f}", f"{each / profile.total:.0%}")
        for layer, each in profile.layers.items()
        if each >= profile.total / 200
    )
    return f"""\
## Where the time goes ({profile.stage}: {profile.load.name})

Of a recorded mail's {profile.wall:.1f} ms, {profile.waiting:.1f} are waiting.
CPU time of our thread, under the profiler, which makes Python slower than it is.

{_table(("layer", "ms a mail", "share"), rows)}"""


def _processor() -> str:
    with Path("/proc/cpuinfo").open() as lines:
        names = [
            line.partition(":")[2] for line in lines if line.startswith("model name")
        ]
    return names[0].strip() if names else platform.machine()


def _java() -> str:
    try:
        said = subprocess.run(
            ["java", "-version"],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        ).stderr
    except OSError:
        return "no java"
    return said.splitlines()[0] if said else "java"
