"""Finds the system that `make up` runs on this machine, whatever its port or backend.

A running system writes `addresses.json` into its state folder, and removes it when it
ends. What a killed one left is recognised by nobody answering there. A file that names
another machine is not believed: it may have come with somebody else's folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

import requests

FILE = "addresses.json"
STATE = "GMAIL_SYNC_STATE"
"""Environment variable that names another state folder than `.local`."""
NOT_RUNNING = (
    "No system runs here: `make up` starts one. For a deployment, give --api (or "
    "SYNC_API) and SYNC_TOKEN; --project for orders."
)
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_SECONDS = 5
_CHECKOUT = Path(__file__).resolve().parents[1]


class CommandError(Exception):
    """A command cannot do its work; the text says why, to a person."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where the parts of a running system answer, and its key of callers' tokens."""

    api: str
    push: str
    pubsub: str
    project: str
    signing_key: str


_FIELDS = fields(Running)


def find(environment: Mapping[str, str] = os.environ) -> Running:
    """The system that runs now; raises CommandError when there is none."""
    for folder in _folders(environment):
        running = _read(folder / FILE)
        if running is not None and _answers(running.api):
            return running
    raise CommandError(NOT_RUNNING)


def _folders(environment: Mapping[str, str]) -> list[Path]:
    """The folder that is named, else `.local` here, above, and in this checkout."""
    if named := environment.get(STATE):
        return [Path(named)]
    here = Path.cwd()
    places = dict.fromkeys([here, *here.parents, _CHECKOUT])
    return [place / ".local" for place in places]


def _read(file: Path) -> Running | None:
    try:
        found = json.loads(file.read_text("utf-8"))
        running = Running(**{field.name: str(found[field.name]) for field in _FIELDS})
        hosts = {urlsplit(address).hostname for address in (running.api, running.push)}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if hosts <= _THIS_MACHINE else None


def _answers(api: str) -> bool:
    """Whether it is up; its health may be bad, or another address public."""
    try:
        requests.get(f"{api}/health", timeout=_SECONDS)
    except requests.RequestException:
        return False
    return True
