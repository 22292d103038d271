"""Where the local system keeps what must survive it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gmail_sync import running

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    `folder` holds the state; with `while_parent` the system ends when the process that
    started it is gone.
    """

    folder: Path
    while_parent: bool


def options(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, default=ROOT / ".local")
    parser.add_argument("--while-parent", action="store_true")
    found = parser.parse_args(arguments)
    return Options(found.state.resolve(), found.while_parent)


def secrets_file(folder: Path) -> Path:
    """What the local Secret Manager holds."""
    return folder / "secrets.json"


def blobs_folder(folder: Path) -> Path:
    """What the local Cloud Storage holds."""
    return folder / "blobs"


def addresses_file(folder: Path) -> Path:
    """Where a running system's parts answer, as JSON, for commands and tools."""
    return folder / running.FILE
