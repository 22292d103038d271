"""Play many seeds, or tell one: `python -m tests.simulation --seed 1234 --verbose`.

A seed is a story on the real services, in-memory gateways and the Gmail simulator, in
one thread. It has four Gmail accounts (one with an alias), two subaccounts, four users,
and contacts that come, go and change their addresses; every twentieth has twelve
accounts, five subaccounts and fifteen users. What it plays:

people      mail in both directions, Cc, Bcc, answers, forwards, drafts, imported mail, mail
            that is moved to spam or trash and back, or vanishes; forged colleagues; two mails
            with one Message-ID
connections connect, update, disconnect, abandoned consents, changed passwords,
            reauthorisations, shared mailboxes
BCC         the logging mailbox, its copy and the Sent copy in either order, mail from other
            clients, forged and stolen addresses, answers to all, rotation, new contacts
sending     individual, workflow and bulk mail, answers (T3), repeated and simultaneous calls
            under one key, daily caps, a provider that is down, refuses, or leaves a doubt
settings    logging modes, never-log lists that change while workers are at it, erasure
operator    audits with and without repair, backfills, quarantine and its replay
product     notifications, renewals, sweeps, resyncs
faults      dropped, duplicated, reordered and delayed notifications, late histories, expired
            histories (404), mail that Gmail refuses, 429, 5xx, connections lost before and
            after the work, lost answers of the store, a crash before or after any gateway call
            of a worker or of an API call, stale leases, several workers and API calls
            interleaved at every gateway call, a clock that jumps forward and back

`model.py` and `model_bcc.py` say what must be recorded, from the rules and not from the code.
Checked at every step: nothing recorded that the model forbids (doubled, internal, foreign),
no contact made without cause, no cursor going back, one holder a mailbox and a send, no
write of one who was overtaken, one email a send and none asked for again blindly, no cap
exceeded. Checked whenever all is quiet: nothing lost, threads, copies, figures,
events, attachments, every send's end, no BCC address and no word of a mail where it must
not be.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tests.simulation.run import Failure, play_chunk, replay

OUT = Console()
CHUNK = 5
COLUMNS = (
    BarColumn(None),
    MofNCompleteColumn(),
    TextColumn("{task.fields[speed]:.1f} seeds/s"),
    TextColumn("{task.fields[failed]} failed"),
    TimeElapsedColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 1 when a seed failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    done = 0
    with Progress(*COLUMNS, console=OUT) as progress, ProcessPoolExecutor(jobs) as pool:
        task = progress.add_task("seeds", total=len(seeds), failed=0, speed=0.0)
        played = {pool.submit(play_chunk, chunk): len(chunk) for chunk in chunks}
        for future in as_completed(played):
            done += played[future]
            failures += future.result()
            for item in future.result():
                progress.console.print(str(item), markup=False, soft_wrap=True)
            speed = done / (time.perf_counter() - began)
            progress.update(task, completed=done, failed=len(failures), speed=speed)
            twentieths = (n * 20 // len(seeds) for n in (done - played[future], done))
            if not OUT.is_terminal and len(set(twentieths)) > 1:
                left = (len(seeds) - done) / speed
                OUT.print(_line(done, len(seeds), speed, left, len(failures)))
    _summary(len(seeds), failures, time.perf_counter() - began)
    return 1 if failures else 0


def _line(done: int, total: int, speed: float, left: float, failed: int) -> str:
    """Progress where no bar can be drawn, such as in a log."""
    return f"{done}/{total} seeds, {speed:.1f}/s, {left:.0f} s left, {failed} failed"


def _summary(count: int, failures: Iterable[Failure], seconds: float) -> None:
    failed = len(list(failures))
    OUT.print(
        f"{count - failed} of {count} seeds well, {failed} failed, "
        f"{seconds:.0f} s, {seconds / count * 1000:.0f} ms a seed"
    )


if __name__ == "__main__":
    sys.exit(main())
