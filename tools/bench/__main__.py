"""Run the benchmarks and write docs/performance.md: `make bench`, `make bench QUICK=1`.

    python -m tools.bench [--quick] [--out docs/performance.md]

About five minutes on a quiet machine, one with `--quick`, which is for trying it and
writes a page of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tools import cold_start
from tools.bench import growth, latency, memory, profiling, report, speed
from tools.bench.post import RemotePost
from tools.bench.speed import Load
from tools.bench.stage import Environment, InMemory, on_emulators

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
LEARNT = Path(__file__).parent / "learnt.md"

Say = Callable[[str], None]


def loads(*, quick: bool) -> list[Load]:
    """What is sent; Gmail notifies once a second, so that one can stand for many."""
    return [
        Load("one by one", 8 if quick else 30, 1),
        Load("bursts of 25", 2 if quick else 4, 25),
        Load("bursts of 25, one in five from a contact", 2 if quick else 4, 25, 20),
    ]


def measure(figures: report.Figures, say: Say, *, quick: bool) -> None:
    """All benchmarks, each said when it begins."""
    post = RemotePost()
    with closing(post), on_emulators(post, say) as emulators:
        in_memory = InMemory(post)
        environments: list[Environment] = [in_memory]
        if emulators is None:
            figures.not_measured.append(
                "anything on the emulators, and with it the latency: they are not "
                "installed on this machine"
            )
        else:
            environments.insert(0, emulators)
        say("Speed")
        for load in loads(quick=quick):
            for environment in environments:
                rounds = 2 if quick else 5
                figures.speed.append(speed.measure(environment, load, rounds, say))
            figures.trips.append((load, speed.trips(in_memory, load)))
        say("Latency")
        mails, rounds = (5, 1) if quick else (15, 3)
        if emulators is not None:
            figures.latency = latency.on_emulators(emulators, mails, rounds, say)
        figures.latency += latency.in_memory(in_memory, mails, rounds, say)
        say("Growth")
        figures.growth = growth.measure(in_memory, emulators, say, quick=quick)
        say("Where the time goes")
        figures.profiles = _profiles(emulators or in_memory, quick=quick)
    say("Memory")
    figures.memory = memory.measured()
    say("Cold start")
    some = ("api", "inbound") if quick else sorted(cold_start.CLIENTS)
    figures.cold = [cold_start.measure(item, 1 if quick else 3) for item in some]


def _profiles(environment: Environment, *, quick: bool) -> list[profiling.Profile]:
    single, burst, _ = loads(quick=quick)
    return [profiling.measure(environment, load) for load in (single, burst)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page, and name what was missed."""
    parser = argparse.ArgumentParser(prog="bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    out = given.out or (ROOT / ".local" / "performance.md" if given.quick else PAGE)
    began = time.monotonic()
    screen = sys.stdout

    def say(text: str) -> None:
        screen.write(f"{time.monotonic() - began:4.0f} s  {text}\n")
        screen.flush()

    figures = report.Figures("make bench QUICK=1" if given.quick else "make bench")
    # The product's own log lines belong to its work, and nobody reads them here.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        measure(figures, say, quick=given.quick)
    figures.seconds = time.monotonic() - began
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(report.write(figures, LEARNT.read_text().strip()))
    for item in figures.not_measured:
        say(f"NOT MEASURED: {item}")
    for miss in report.misses(figures):
        say(f"MISSED: {miss}")
    say(f"Written: {out}")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Clients' threads (gRPC, Pub/Sub) would hold the interpreter for seconds.
    os._exit(code)
