"""Blobs in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from shared.errors import DocumentMissing
from shared.gateways.blob_keys import PIECE_BYTES, check_key


class MemoryBlobs:
    """Implements `ports.Blobs`; thread safe."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._blobs: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002
        """Store, replacing what was there."""
        check_key(key)
        with self._lock:
            self._blobs[key] = bytes(data)

    def get(self, key: str) -> bytes:
        """Read; raises Missing."""
        check_key(key)
        with self._lock:
            if key not in self._blobs:
                raise DocumentMissing
            return self._blobs[key]

    def stream(self, key: str) -> Iterator[bytes]:
        """Read in pieces; raises Missing at once."""
        data = self.get(key)
        return (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))

    def delete_prefix(self, prefix: str) -> None:
        """Remove every key that begins with this."""
        check_key(prefix)
        with self._lock:
            for key in [key for key in self._blobs if key.startswith(prefix)]:
                del self._blobs[key]

    def keys(self) -> list[str]:
        """Every key there is, sorted, for checks."""
        with self._lock:
            return sorted(self._blobs)
