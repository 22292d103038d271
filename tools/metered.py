"""Counting what a document store is asked for, as Firestore bills it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from shared.ports import Delete, Documents, Path, Query, Snapshot, Write


@dataclass(frozen=True, slots=True)
class Usage:
    """Billed operations (reads, writes, deletes) and calls made (the rest)."""

    reads: int = 0
    writes: int = 0
    deletes: int = 0
    gets: int = 0
    queries: int = 0
    commits: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Sum."""
        return self._with(other, 1)

    def __sub__(self, other: Usage) -> Usage:
        """What came since."""
        return self._with(other, -1)

    def _with(self, other: Usage, sign: int) -> Usage:
        return Usage(
            self.reads + sign * other.reads,
            self.writes + sign * other.writes,
            self.deletes + sign * other.deletes,
            self.gets + sign * other.gets,
            self.queries + sign * other.queries,
            self.commits + sign * other.commits,
        )


class MeteredDocuments:
    """Implements `ports.Documents` by another one, and counts; thread safe.

    A document asked for is a read, also when it does not exist; a query is a read for
    each document of its answer, and one at least. A refused commit costs no writes.
    """

    def __init__(self, inner: Documents) -> None:
        """Begin at nothing."""
        self.inner = inner
        self._lock = threading.Lock()
        self._usage = Usage()
        self._queries: list[Query] = []

    @property
    def usage(self) -> Usage:
        """Everything counted so far."""
        with self._lock:
            return self._usage

    @property
    def asked(self) -> list[Query]:
        """Every query so far: what indexes are needed."""
        with self._lock:
            return list(self._queries)

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._lock:
            self._usage = Usage()
            self._queries = []

    def get(self, paths: Sequence[Path]) -> list[Snapshot]:
        """Read; the same document twice in one call is one read."""
        found = self.inner.get(paths)
        self._count(Usage(reads=len(set(paths)), gets=1))
        return found

    def query(self, query: Query) -> list[Snapshot]:
        """Read the documents that match."""
        found = self.inner.query(query)
        with self._lock:
            self._queries.append(query)
        self._count(Usage(reads=max(1, len(found)), queries=1))
        return found

    def commit(self, writes: Sequence[Write]) -> list[object]:
        """Apply all writes or none; the documents' versions after them."""
        versions = self.inner.commit(writes)
        deletes = sum(isinstance(write, Delete) for write in writes)
        self._count(Usage(writes=len(writes) - deletes, deletes=deletes, commits=1))
        return versions

    def _count(self, more: Usage) -> None:
        with self._lock:
            self._usage += more
