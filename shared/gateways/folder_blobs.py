"""Blobs in a folder of this machine: the stand-in for Cloud Storage.

A blob is written aside, forced to disk and renamed into place, so that a kill leaves
the old one or the new one. Its file name is the whole key, quoted, cut into pieces that
a file system takes: folders end in `+`, files in `=`, neither of which quoting makes.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from shared.errors import DocumentMissing
from shared.gateways.blob_keys import PIECE_BYTES, check_key

_PIECE = 200
_ASIDE = ".aside"


class FolderBlobs:
    """Implements `ports.Blobs`; safe for threads and processes."""

    def __init__(self, root: Path | str) -> None:
        """Keep blobs below this folder, which is made when missing."""
        self._root = Path(root)
        self._aside = self._root / _ASIDE
        self._aside.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002
        """Store, replacing what was there."""
        check_key(key)
        target = self._root / _file(quote(key, safe=""))
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = self._aside / uuid.uuid4().hex
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        finally:
            aside.unlink(missing_ok=True)
        for folder in (target.parent, *target.parent.parents):
            _force(folder)
            if folder == self._root:
                break

    def get(self, key: str) -> bytes:
        """Read; raises Missing."""
        check_key(key)
        try:
            return (self._root / _file(quote(key, safe=""))).read_bytes()
        except FileNotFoundError:
            raise DocumentMissing from None

    def stream(self, key: str) -> Iterator[bytes]:
        """Read in pieces; raises Missing at once."""
        check_key(key)
        try:
            file = (self._root / _file(quote(key, safe=""))).open("rb")
        except FileNotFoundError:
            raise DocumentMissing from None

        def pieces() -> Iterator[bytes]:
            with file:
                while piece := file.read(PIECE_BYTES):
                    yield piece

        return pieces()

    def delete_prefix(self, prefix: str) -> None:
        """Remove every key that begins with this."""
        check_key(prefix)
        self._delete(self._root, "", quote(prefix, safe=""))

    def _delete(self, folder: Path, begun: str, prefix: str) -> None:
        """Go only where names and prefix agree as far as both reach."""
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                quoted = begun + entry.name[:-1]
                if entry.name.endswith("="):
                    if quoted.startswith(prefix):
                        Path(entry.path).unlink(missing_ok=True)
                elif entry.name.endswith("+") and (
                    quoted.startswith(prefix) or prefix.startswith(quoted)
                ):
                    self._delete(Path(entry.path), quoted, prefix)


def _file(quoted: str) -> Path:
    pieces = [quoted[at : at + _PIECE] for at in range(0, len(quoted), _PIECE)]
    return Path(*(f"{piece}+" for piece in pieces[:-1]), f"{pieces[-1]}=")


def _force(folder: Path) -> None:
    """Bring a folder's list of names to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
