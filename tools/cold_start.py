"""What a cold start costs: each entry point's import against that of its bare clients.

python -m tools.cold_start [--rounds 5] [--limit 1.3]

A fresh interpreter each time, with bytecode compiled. The process's CPU time, because
an import waits for nothing and a busy machine would blur the clock's; medians of rounds
in turns. `main.py` imports an entry point at its first call, so this is the wait of the
first caller.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT = 1.3
"""How much longer than its bare clients an entry point may take."""

_FRAMEWORK = ("functions_framework", "flask", "structlog", "pydantic_settings", "jwt")
_GMAIL = ("googleapiclient.discovery", "requests")
_FIRESTORE = ("google.cloud.firestore",)
_PUBSUB = ("google.cloud.pubsub_v1",)
_SECRETS = ("google.cloud.secretmanager_v1",)
_STORAGE = ("google.cloud.storage",)
_READING = (*_FIRESTORE, *_PUBSUB, *_SECRETS, *_STORAGE, *_GMAIL, "nh3", "idna")

CLIENTS: dict[str, tuple[str, ...]] = {
    "api": (*_READING, "pydantic"),
    "bcc": _READING,
    "connect": (*_FIRESTORE, *_PUBSUB, *_SECRETS, *_GMAIL, "jinja2", "pydantic"),
    "dead_letter": _FIRESTORE,
    "inbound": _READING,
    "outbound": (*_READING, "smtplib"),
    "schedule": (*_FIRESTORE, *_PUBSUB),
    "work": _READING,
}
"""What each function cannot do without, imported by itself."""

GATEWAYS: dict[str, tuple[str, ...]] = {
    "api": ("documents", "topics", "secrets", "blobs"),
    "bcc": ("documents", "topics", "secrets", "blobs"),
    "connect": ("documents", "topics", "secrets"),
    "dead_letter": ("documents",),
    "inbound": ("documents", "topics", "secrets", "blobs"),
    "outbound": ("documents", "topics", "secrets", "blobs"),
    "schedule": ("documents", "topics"),
    "work": ("documents", "topics", "secrets", "blobs"),
}
"""Gateways that the first call of each function builds."""

_ENVIRONMENT = {
    "BLOB_BUCKET": "cold-start-blobs",
    "GOOGLE_CLOUD_PROJECT": "cold-start",
    "PUBLIC_URL": "https://connect.example.com",
    "PUSH_AUDIENCE": "https://inbound.example.com",
    "PUSH_SERVICE_ACCOUNT": "push@cold-start.iam.gserviceaccount.com",
}
_TIMED = """
import sys, time
sys.modules["rich"] = None  # a developer's machine has it, a function has not
began = time.process_time()
{body}
print(time.process_time() - began)
"""


def clients_code(function: str) -> str:
    """Import the bare clients."""
    return "\n".join(f"import {name}" for name in (*_FRAMEWORK, *CLIENTS[function]))


def entry_code(function: str) -> str:
    """Import the entry point and the gateways of its first call."""
    lines = [
        "import functions_framework",
        "import main",
        f"import functions.{function}",
        "from shared import bootstrap",
        *(f"bootstrap.gateways().{name}" for name in GATEWAYS[function]),
    ]
    if "googleapiclient.discovery" in CLIENTS[function]:
        lines.append("import shared.gateways.google_oauth")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """CPU seconds of the bare clients and of the entry point, medians of the rounds."""

    function: str
    clients: float
    entry: float
    ratio: float


def measure(function: str, rounds: int) -> ColdStart:
    """Import both in turns, so that whatever else the machine does hits both."""
    pairs = [
        (_seconds(clients_code(function)), _seconds(entry_code(function)))
        for _ in range(rounds + 1)
    ][1:]  # the first one may compile
    return ColdStart(
        function,
        statistics.median(clients for clients, _ in pairs),
        statistics.median(entry for _, entry in pairs),
        statistics.median(entry / clients for clients, entry in pairs),
    )


def table(measured: Sequence[ColdStart]) -> str:
    """The figures, in Markdown."""
    lines = [
        "| function | bare clients | entry point | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {start.function} | {start.clients:.2f} s | {start.entry:.2f} s "
        f"| {start.ratio:.2f} |"
        for start in measured
    ]
    return "\n".join(lines)


def _seconds(body: str) -> float:
    """Run in a fresh interpreter."""
    done = subprocess.run(  # noqa: S603  (our own code)
        [sys.executable, "-c", _TIMED.format(body=body)],
        cwd=ROOT,
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when an entry point is over the limit."""
    parser = argparse.ArgumentParser(prog="cold_start")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("functions", nargs="*", default=sorted(CLIENTS))
    given = parser.parse_args(arguments)
    measured = [measure(function, given.rounds) for function in given.functions]
    sys.stdout.write(table(measured) + "\n")
    over = [start.function for start in measured if start.ratio > given.limit]
    if over:
        sys.stdout.write(f"Over {given.limit}: {', '.join(over)}\n")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
