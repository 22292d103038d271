"""Keeps the emulators for one parent, and ends them when the parent is gone.

A process of its own, in its own session: it notices by the end of its input that the
parent ended, however that happened (SIGKILL of the whole process group included), so
no java is ever left behind.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

from infra.local import emulators
from infra.local.emulators import Kind


class Keeper:
    """The parent's side: starts the emulators, knows where they answer."""

    def __init__(self, kinds: tuple[Kind, ...], on_end: Callable[[str], None]) -> None:
        """Start; `on_end` is called once, from a thread, when one ends by itself."""
        self._on_end = on_end
        self._stopping = False
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "infra.local.keeper", *kinds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def hosts(self) -> dict[Kind, str]:
        """Wait until all answer; `name:port` of each. Raises RuntimeError."""
        line = self._line()
        if "error" in line:
            raise RuntimeError(line["error"])
        threading.Thread(target=self._watch, daemon=True).start()
        return cast("dict[Kind, str]", line)

    def stop(self) -> None:
        """End the emulators and wait until they are gone."""
        self._stopping = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _watch(self) -> None:
        line = self._line()
        if not self._stopping:
            self._on_end(line["error"])

    def _line(self) -> dict[str, str]:
        assert self._process.stdout is not None  # noqa: S101 - piped above
        line = self._process.stdout.readline()
        if not line:
            return {"error": "The process that keeps the emulators ended."}
        answer: dict[str, str] = json.loads(line)
        return answer


def main(kinds: list[Kind]) -> int:
    """Run the emulators until the parent closes our input or is gone."""
    # The parent decides when we end, also where a signal reaches its whole session.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, because an ignored signal stays ignored in java.
        signal.signal(number, lambda *_: None)
    running: list[emulators.Running] = []
    try:
        with ThreadPoolExecutor() as pool:
            for emulator in pool.map(emulators.start, kinds):
                running.append(emulator)  # noqa: PERF402 - a late failure stops the first
        _say({emulator.kind: emulator.host for emulator in running})
        for emulator in running:
            threading.Thread(target=_report_end, args=(emulator,), daemon=True).start()
        sys.stdin.read()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent shows it
        _say({"error": str(error)})
        return 1
    finally:
        with ThreadPoolExecutor() as pool:
            list(pool.map(emulators.Running.stop, running))
    return 0


def _report_end(emulator: emulators.Running) -> None:
    if emulator.process is not None:
        code = emulator.process.wait()
        kind = emulator.kind
        _say({"error": f"The {kind} emulator ended by itself (exit code {code})."})


def _say(line: dict[str, str] | dict[Kind, str]) -> None:
    try:
        print(json.dumps(line), flush=True)
    except BrokenPipeError:
        # Nobody reads any more; the end of the input says so too.
        sys.stdout = None


if __name__ == "__main__":
    sys.exit(main(cast("list[Kind]", sys.argv[1:])))
