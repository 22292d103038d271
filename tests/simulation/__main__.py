"""Play many seeds, or tell one: `python -m tests.simulation --seed 1234 --verbose`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeElapsedColumn

from tests.simulation.run import CHUNK, Failure, play_chunk, replay

OUT = Console()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when a seed failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=300, help="how many to play")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--verbose", action="store_true", help="print its story")
    asked = parser.parse_args(arguments)
    if asked.seed is not None:
        return _one(asked.seed, verbose=asked.verbose)
    return _many(range(asked.start, asked.start + asked.seeds), asked.jobs)


def _one(seed: int, *, verbose: bool) -> int:
    told, failure = replay(seed)
    if verbose:
        OUT.print(*told, sep="\n", highlight=False, markup=False, soft_wrap=True)
    OUT.print(failure or f"seed {seed}: all is well", markup=False)
    return 1 if failure else 0


def _many(seeds: range, jobs: int) -> int:
    began = time.perf_counter()
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    failures: list[Failure] = []
    columns = (SpinnerColumn(), *Progress.get_default_columns(), MofNCompleteColumn())
    with (
        Progress(*columns, TimeElapsedColumn(), console=OUT) as progress,
        ProcessPoolExecutor(jobs) as pool,
    ):
        task = progress.add_task("seeds", total=len(seeds))
        for chunk, found in zip(chunks, pool.map(play_chunk, chunks), strict=True):
            progress.advance(task, len(chunk))
            failures += found
            for one in found:
                progress.console.print(str(one), markup=False)
    _summary(len(seeds), failures, time.perf_counter() - began)
    return 1 if failures else 0


def _summary(count: int, failures: Iterable[Failure], seconds: float) -> None:
    failed = len(list(failures))
    OUT.print(
        f"{count - failed} of {count} seeds well, {failed} failed, "
        f"{seconds:.0f} s, {seconds / count * 1000:.0f} ms a seed"
    )


if __name__ == "__main__":
    sys.exit(main())
