"""The local system as a child process, for the demo and the end-to-end tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from infra.local.emulators import free_port, wait_until
from infra.local.state import ROOT, addresses_file

_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
# Settings that a caller of the demo or the tests may have exported for other work.
_OWN = (
    "PORT",
    "PUBLIC_URL",
    "BACKEND",
    "GMAIL_API_ENDPOINT",
    "API_SIGNING_KEY",
    "GOOGLE_OAUTH_CLIENT_FILE",
    "FIRESTORE_EMULATOR_HOST",
    "PUBSUB_EMULATOR_HOST",
    "SECRET_MANAGER_ENDPOINT",
    "GOOGLE_CLOUD_PROJECT",
)


class LocalProcess:
    """`python -m infra.local.up` on a free port, with its own state folder.

    Ends with the block, and also when this process is killed.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Start; `settings` are environment variables."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        # Its own: a second one on the same folder must not wipe what this one said.
        self._log = folder / f"up-{uuid.uuid4().hex[:8]}.log"
        # An empty value counts as not set, and hides what `local.env` says.
        environment = {**os.environ, **dict.fromkeys(_OWN, "")}
        environment |= {"PORT": str(free_port()), **(settings or {})}
        self.url = f"http://localhost:{environment['PORT']}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    "-m",
                    "infra.local.up",
                    "--while-parent",
                    "--state",
                    str(folder),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        """Hold it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()

    def wait_ready(self) -> dict[str, str]:
        """Wait for `ready`; returns where the parts answer. Raises RuntimeError."""
        wait_until(lambda: self._is_ready() or self.has_ended(), _START_SECONDS)
        if not self._is_ready():
            raise RuntimeError(f"The system did not start:\n{self.log()}")
        addresses: dict[str, str] = json.loads(addresses_file(self.folder).read_text())
        return addresses

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.poll() is not None

    def log(self) -> str:
        """All that it printed so far."""
        return self._log.read_text(errors="replace")

    def stop(self) -> int:
        """End it and wait; returns its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def _is_ready(self) -> bool:
        return any(line.startswith("ready") for line in self.log().splitlines())
