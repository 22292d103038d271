"""Google's Firestore and Pub/Sub emulators, as processes of this one.

Java is started directly: one process each, up in about a second, gone on SIGTERM
(`gcloud emulators … start` leaves its java behind). Nothing is downloaded: where the
Google Cloud SDK lacks an emulator, `missing()` says what to install.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["firestore", "pubsub"]

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_ATTEMPTS = 3
_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_HOST_VARIABLE: dict[Kind, str] = {
    "firestore": "FIRESTORE_EMULATOR_HOST",
    "pubsub": "PUBSUB_EMULATOR_HOST",
}
_FIRESTORE_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


class EmulatorMissingError(RuntimeError):
    """This machine has no such emulator."""


@dataclass(frozen=True, slots=True)
class Running:
    """An emulator that answers at `host` (`name:port`).

    `process` is None when it belongs to somebody else (an exported host variable);
    then `stop` leaves it alone.
    """

    kind: Kind
    host: str
    process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the process, if it is ours; twice is no error."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(kind: Kind, port: int | None = None) -> Running:
    """Start an emulator, or take the one whose host variable is exported."""
    exported = os.environ.get(_HOST_VARIABLE[kind])
    if exported:
        return Running(kind, exported)
    reason = missing(kind)
    if reason:
        raise EmulatorMissingError(reason)
    # Another process can take a free port between our look and java's bind.
    for attempt in range(_ATTEMPTS):
        chosen = port or free_port()
        process = subprocess.Popen(  # noqa: S603 - our own command line
            _command(kind, chosen),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C at the terminal must reach us alone: we stop it in our order.
            start_new_session=True,
        )
        running = Running(kind, f"127.0.0.1:{chosen}", process)
        try:
            if _ready(running):
                return running
        except BaseException:
            running.stop()
            raise
        running.stop()
        if port is not None or attempt == _ATTEMPTS - 1:
            break
    raise RuntimeError(f"The {kind} emulator did not start on port {chosen}.")


def start_firestore(port: int | None = None) -> Running:
    """Start the Firestore emulator."""
    return start("firestore", port)


def start_pubsub(port: int | None = None) -> Running:
    """Start the Pub/Sub emulator."""
    return start("pubsub", port)


def available(kind: Kind) -> bool:
    """Whether `start` can work here."""
    return bool(os.environ.get(_HOST_VARIABLE[kind])) or missing(kind) is None


def missing(kind: Kind) -> str | None:
    """What has to be installed for this emulator; None when all is there."""
    if shutil.which("java") is None:
        return f"No java on the PATH: the {kind} emulator cannot run."
    if _jar(kind) is None:
        package = (
            "cloud-firestore-emulator" if kind == "firestore" else "pubsub-emulator"
        )
        return (
            f"No {kind} emulator in the Google Cloud SDK: "
            f"`gcloud components install {package}`."
        )
    return None


def empty_firestore(host: str, project: str) -> None:
    """Remove every document of a project, at once."""
    request = urllib.request.Request(
        f"http://{host}/emulator/v1/projects/{project}/databases/(default)/documents",
        method="DELETE",
    )
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(
    true: Callable[[], bool], seconds: float, *, every: float = 0.02
) -> bool:
    """Poll until `true()` or the time is over; says which."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def _ready(running: Running) -> bool:
    """Wait until the emulator answers HTTP; False when its process has ended."""
    process = running.process

    def ended_or_answers() -> bool:
        return (process is not None and process.poll() is not None) or _answers(
            running.host
        )

    wait_until(ended_or_answers, _START_SECONDS)
    return (process is None or process.poll() is None) and _answers(running.host)


def _answers(host: str) -> bool:
    with (
        contextlib.suppress(OSError, urllib.error.URLError),
        urllib.request.urlopen(f"http://{host}/", timeout=2) as answer,
    ):
        return bool(answer.status == 200)  # noqa: PLR2004
    return False


def _command(kind: Kind, port: int) -> list[str]:
    jar = _jar(kind)
    java = shutil.which("java")
    if jar is None or java is None:
        raise EmulatorMissingError(missing(kind))
    # The Firestore emulator supports English error messages only.
    begin = [java, "-Duser.language=en", *_JAVA]
    where = ["--host=127.0.0.1", f"--port={port}"]
    if kind == "firestore":
        return [*begin, "-cp", str(jar), _FIRESTORE_CLASS, "start", *where]
    return [*begin, "-jar", str(jar), *where]


def _jar(kind: Kind) -> Path | None:
    root = _sdk_root()
    if root is None:
        return None
    folder = root / "platform"
    pattern = (
        "cloud-firestore-emulator/*firestore*.jar"
        if kind == "firestore"
        else "pubsub-emulator/lib/*pubsub-emulator*.jar"
    )
    return max(folder.glob(pattern), default=None)


@cache
def _sdk_root() -> Path | None:
    """Where the Google Cloud SDK is installed, as `gcloud` itself says."""
    named = os.environ.get("GOOGLE_CLOUD_SDK") or os.environ.get("CLOUDSDK_ROOT_DIR")
    if named:
        return Path(named)
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        return None
    # The launcher lies in <root>/bin, often behind a link: half a second cheaper than
    # asking it, which is done only when the guess is wrong.
    guess = Path(gcloud).resolve().parent.parent
    if (guess / "platform").is_dir():
        return guess
    answer = subprocess.run(  # noqa: S603 - found on the PATH above
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    root = answer.stdout.strip()
    return Path(root) if root else None
