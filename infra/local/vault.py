"""What the local Secret Manager holds: secrets, their versions, and a file of both.

Every change is on disk before it is answered (written aside, forced, renamed), so a
kill loses nothing.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

State = Literal["ENABLED", "DISABLED", "DESTROYED"]


class NoSuchSecretError(LookupError):
    """Not found."""


class SecretExistsError(Exception):
    """It exists already."""


class WrongStateError(Exception):
    """The version's state does not permit this."""


@dataclass(slots=True)
class Version:
    """One version of a secret; `value` is None once it is destroyed."""

    number: int
    state: State
    value: bytes | None = field(repr=False)


class Vault:
    """Secrets by full name (`projects/p/secrets/s`); thread safe."""

    def __init__(self, file: Path | None = None) -> None:
        """Take up what the file holds; without a file nothing is kept."""
        self._file = file
        self._lock = threading.Lock()
        self._secrets: dict[str, list[Version]] = {}
        if file is not None and file.exists():
            self._load(file)

    def create(self, name: str) -> None:
        """Make a secret without versions."""
        with self._changing():
            if name in self._secrets:
                raise SecretExistsError
            self._secrets[name] = []

    def has(self, name: str) -> bool:
        """Whether there is such a secret."""
        with self._lock:
            return name in self._secrets

    def names(self, parent: str) -> list[str]:
        """Secrets of a project, sorted."""
        with self._lock:
            return sorted(
                name for name in self._secrets if name.startswith(f"{parent}/secrets/")
            )

    def delete(self, name: str) -> None:
        """Remove a secret with its versions."""
        with self._changing():
            self._versions(name)
            del self._secrets[name]

    def add(self, name: str, value: bytes) -> Version:
        """Add a version, enabled."""
        with self._changing():
            versions = self._versions(name)
            version = Version(len(versions) + 1, "ENABLED", value)
            versions.append(version)
            return _copy(version)

    def versions(self, name: str) -> list[Version]:
        """Every version, newest first."""
        with self._lock:
            return [_copy(version) for version in reversed(self._versions(name))]

    def access(self, name: str, number: str) -> Version:
        """An enabled version, by number or `latest` (newest, in whatever state)."""
        with self._lock:
            version = self._version(name, number)
            if version.state != "ENABLED":
                raise WrongStateError(f"The version is {version.state}.")
            return _copy(version)

    def set_state(self, name: str, number: str, state: State) -> Version:
        """Enable, disable or destroy a version; what is destroyed stays so."""
        with self._changing():
            version = self._version(name, number)
            if version.state == "DESTROYED":
                raise WrongStateError("The version is DESTROYED.")
            version.state = state
            if state == "DESTROYED":
                version.value = None
            return _copy(version)

    def _versions(self, name: str) -> list[Version]:
        if name not in self._secrets:
            raise NoSuchSecretError
        return self._secrets[name]

    def _version(self, name: str, number: str) -> Version:
        versions = self._versions(name)
        index = len(versions) if number == "latest" else _number(number)
        if not 0 < index <= len(versions):
            raise NoSuchSecretError
        return versions[index - 1]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
            if self._file is not None:
                self._save(self._file)

    def _save(self, file: Path) -> None:
        held = {
            name: [
                {
                    "state": version.state,
                    "value": None
                    if version.value is None
                    else base64.b64encode(version.value).decode(),
                }
                for version in versions
            ]
            for name, versions in self._secrets.items()
        }
        aside = file.with_name(file.name + ".aside")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as stream:
            json.dump(held, stream)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _load(self, file: Path) -> None:
        for name, versions in json.loads(file.read_text()).items():
            self._secrets[name] = [
                Version(
                    number,
                    held["state"],
                    None if held["value"] is None else base64.b64decode(held["value"]),
                )
                for number, held in enumerate(versions, start=1)
            ]


def _copy(version: Version) -> Version:
    return Version(version.number, version.state, version.value)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
