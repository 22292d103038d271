"""Secrets in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from shared.errors import DocumentMissing
from shared.gateways.secret_rules import check_name, check_value


class MemorySecrets:
    """Implements `ports.Secrets`; thread safe. Its repr shows no value."""

    def __init__(self, initial: Mapping[str, Sequence[bytes]] | None = None) -> None:
        """Begin with these secrets, versions oldest first."""
        self._lock = threading.Lock()
        self._versions = {
            name: list(versions) for name, versions in (initial or {}).items()
        }

    def read(self, name: str) -> bytes:
        """Newest version; raises Missing."""
        versions = self.read_all(name)
        if not versions:
            raise DocumentMissing
        return versions[0]

    def read_all(self, name: str) -> list[bytes]:
        """All versions, newest first."""
        check_name(name)
        with self._lock:
            return self._versions.get(name, [])[::-1]

    def write(self, name: str, value: bytes) -> None:
        """Keep this version alone."""
        check_name(name)
        check_value(value)
        with self._lock:
            self._versions[name] = [bytes(value)]

    def add(self, name: str, value: bytes) -> None:
        """Add a version beside the older ones, as an operator rotates a key."""
        check_name(name)
        check_value(value)
        with self._lock:
            self._versions.setdefault(name, []).append(bytes(value))

    def destroy(self, name: str) -> None:
        """Remove the secret."""
        check_name(name)
        with self._lock:
            self._versions.pop(name, None)

    def names(self) -> list[str]:
        """Every secret there is, sorted, for checks."""
        with self._lock:
            return sorted(self._versions)
