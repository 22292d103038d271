"""Blobs that no document names: not yet, or not any more. None of them stays.

`uploads/{u}` holds where they are. It is written before the first of them, and goes in
the very commit by which a document names them; or it comes in the commit that takes
their document away. What is still there after an hour is removed by the sweep, so that
a crash anywhere leaves nothing, and nobody ever has to list a bucket.
"""

from __future__ import annotations

import secrets as random_names
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from shared.core.moments import to_epoch_ms
from shared.errors import SyncError
from shared.logs import log
from shared.ports import (
    Blobs,
    Clock,
    Create,
    Delete,
    Documents,
    Put,
    Query,
    Snapshot,
    Update,
    Write,
)
from shared.services.compare_and_set import CONFLICTS

PAGE = 100


@dataclass(frozen=True, slots=True)
class Removal:
    """Blobs whose document goes away: `writes` are for the commit that takes it."""

    path: str
    prefixes: tuple[str, ...]
    at: int

    def writes(self) -> list[Write]:
        """Keep where they are, in case that the process dies before they are gone."""
        if not self.prefixes:
            return []
        data = {"prefixes": list(self.prefixes), "at": self.at, "removing": True}
        return [Create(self.path, data)]


class BlobUploads:
    """Begins uploads, and removes what nothing names."""

    def __init__(self, documents: Documents, blobs: Blobs, clock: Clock) -> None:
        self._documents = documents
        self._blobs = blobs
        self._clock = clock

    def begin(self, under: str) -> BlobUpload:
        """A place of its own for blobs, with a key that begins so."""
        at = to_epoch_ms(self._clock.now())
        return BlobUpload(self._documents, self._blobs, under, at)

    def removal(self, prefixes: Sequence[str]) -> Removal:
        """Let go of what has such keys, in one commit with the document's end."""
        at = to_epoch_ms(self._clock.now())
        return Removal(_path(random_names.token_hex(16)), tuple(prefixes), at)

    def remove(self, removal: Removal) -> None:
        """Remove them now that the commit is made; a fault leaves it to the sweep."""
        if not removal.prefixes:
            return
        try:
            _remove(self._documents, self._blobs, removal.path, removal.prefixes)
        except SyncError as error:
            log.warning("blobs_left", code=error.code)

    def remove_left(self, before: int) -> int:
        """Remove what was left behind before then (ms); says of how many uploads."""
        query = Query(
            "uploads",
            where=(("at", "<", before),),
            order_by=(("at", "asc"),),
            limit=PAGE,
        )
        count = 0
        while left := self._documents.query(query):
            count += sum(map(self._take, left))
            if len(left) < PAGE:
                break
        return count

    def _take(self, found: Snapshot) -> bool:
        """Remove what a dead process left; false when it has just been named."""
        if not found.data["removing"]:
            try:
                self._documents.commit([_marking(found.path, found.version)])
            except CONFLICTS:
                return False
        _remove(self._documents, self._blobs, found.path, found.data["prefixes"])
        return True


class BlobUpload:
    """Blobs on their way to one document.

    Use it as a context: what no commit has named when it ends is removed. Nobody else
    ever writes under `prefix`, which it has from its first blob on.
    """

    def __init__(self, documents: Documents, blobs: Blobs, under: str, at: int) -> None:
        """Write nothing yet: most messages have no blobs."""
        self.prefix = under
        self._documents = documents
        self._blobs = blobs
        self._path = ""
        self._at = at
        self._version: object | None = None

    def put(self, name: str, data: bytes, content_type: str) -> str:
        """Store a blob; gives its key."""
        if self._version is None:
            self._announce()
        self._blobs.put(self.prefix + name, data, content_type)
        return self.prefix + name

    def _announce(self) -> None:
        own = random_names.token_hex(16)
        self._path, self.prefix = _path(own), f"{self.prefix}{own}/"
        row = {"prefixes": [self.prefix], "at": self._at, "removing": False}
        (self._version,) = self._documents.commit([Put(self._path, row)])

    def naming(self) -> list[Write]:
        """Writes for the commit whose document names the blobs.

        The commit fails with Conflict when they have been given up meanwhile.
        """
        return [] if self._version is None else [Delete(self._path, self._version)]

    def named(self) -> None:
        """The commit is made: the blobs stay."""
        self._version = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what was not named; a fault leaves it to the sweep.

        A commit whose answer was lost may have named them: then they stay.
        """
        if self._version is None:
            return
        try:
            self._documents.commit([_marking(self._path, self._version)])
            _remove(self._documents, self._blobs, self._path, [self.prefix])
        except CONFLICTS:
            return
        except SyncError as fault:
            log.warning("blobs_left", code=fault.code)


def _path(name: str) -> str:
    return f"uploads/{name}"


def _marking(path: str, version: object) -> Write:
    """From here on no commit can name the blobs."""
    return Update(path, {"removing": True}, version)


def _remove(
    documents: Documents, blobs: Blobs, path: str, prefixes: Sequence[str]
) -> None:
    for prefix in prefixes:
        blobs.delete_prefix(prefix)
    documents.commit([Delete(path)])
