"""One system at a time for one state folder, and how to end it."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from pathlib import Path

from shared.errors import Misconfigured

_FILE = "up.pid"
_END_SECONDS = 30.0
# A system whose `make` was killed needs a moment to notice and to end.
_PATIENCE_SECONDS = 3.0
_LOOK_SECONDS = 0.05


class Single:
    """Holds the folder until this process ends, however it ends.

    The kernel lets go of the lock, so an old file means nothing.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder, or raise Misconfigured that says who has it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / _FILE).open("a+")
        if not _lock(self._file.fileno(), _PATIENCE_SECONDS):
            self._file.seek(0)
            raise Misconfigured(
                f"The system is running already (process {self._file.read()}): "
                "`make down` ends it."
            )
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()


def end(folder: Path) -> str:
    """End the system of this folder and wait for it; says what was done.

    Raises TimeoutError when it does not end.
    """
    path = folder / _FILE
    if not path.exists():
        return "Nothing is running."
    with path.open("r+") as file:
        if _lock(file.fileno(), 0):
            return "Nothing is running."
        process = int(file.read())
        try:
            os.kill(process, signal.SIGTERM)
        except ProcessLookupError:
            return "Nothing is running."
        if not _lock(file.fileno(), _END_SECONDS):
            raise TimeoutError(
                f"Process {process} did not end in {_END_SECONDS:.0f} seconds."
            )
    return f"Ended (process {process})."


def _lock(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_SECONDS)
        else:
            return True
