"""Runs the whole system on this machine until it is told to end (`make up`).

One process: functions, push shim, Secret Manager, Gmail simulator; Google's emulators
are processes beside it that never outlive it.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from infra.local.state import options
from infra.local.system import System
from shared.errors import Misconfigured

_LOOK_SECONDS = 0.2
_EXIT_MISCONFIGURED = 2


def say(text: str) -> None:
    """Tell the person at the terminal, at once."""
    print(text, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Start, wait, stop; returns the exit code."""
    chosen = options(sys.argv[1:] if arguments is None else arguments)
    parent = os.getppid()
    stop = threading.Event()
    problems: list[str] = []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    def on_problem(problem: str) -> None:
        problems.append(problem)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    system = System(chosen.folder, say, on_problem)
    try:
        system.start()
        _wait(stop, parent if chosen.while_parent else None)
    except Misconfigured as error:
        problems.append(error.detail)
        return _end(system, problems, _EXIT_MISCONFIGURED)
    except RuntimeError as error:
        problems.append(str(error))
        return _end(system, problems, 1)
    return _end(system, problems, 1 if problems else 0)


def _wait(stop: threading.Event, parent: int | None) -> None:
    """Wait for the end; with `parent`, also for that process's own."""
    while not stop.wait(_LOOK_SECONDS):
        if parent is not None and os.getppid() != parent:
            return


def _end(system: System, problems: list[str], code: int) -> int:
    for problem in problems:
        print(f"\n{problem}", file=sys.stderr, flush=True)
    system.stop()
    if code == 0:
        say("Ended.")
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Clients' threads (gRPC, Pub/Sub) would hold the interpreter for seconds.
    os._exit(code)
