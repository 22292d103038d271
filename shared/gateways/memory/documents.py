"""The document store in memory: Firestore's semantics without Firestore.

Stored data is never changed in place and never handed out: a commit builds new
documents that share what they did not touch, a read copies.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import AlreadyExists, Conflict, DocumentFull, DocumentMissing
from shared.gateways import document_rules as rules
from shared.gateways import query_rules as queries
from shared.gateways.memory import values
from shared.ports import (
    Create,
    Delete,
    Merge,
    Path,
    Put,
    Query,
    Snapshot,
    Update,
    Write,
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """A document; `bytes_bound` is never below its size."""

    data: dict[str, Any]
    version: int
    created: int
    bytes_bound: int


_Row = tuple[tuple[values.SortKey, ...], str, _Stored]


class MemoryDocuments:
    """Implements `ports.Documents`; thread safe."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._collections: dict[str, dict[str, _Stored]] = {}
        self._version = 0

    def get(self, paths: Sequence[Path]) -> list[Snapshot]:
        """Read these documents; in order, missing ones included."""
        for path in paths:
            rules.check_document(path)
        with self._lock:
            found = [self._find(path) for path in paths]
        return [
            _snapshot(path, stored) for path, stored in zip(paths, found, strict=True)
        ]

    def query(self, query: Query) -> list[Snapshot]:
        """Read the documents that match."""
        queries.check_query(query)
        with self._lock:
            rows = list(self._collections.get(query.collection, {}).items())
        for name, operator, value in query.where:
            keep = _filter(operator, value)
            path = queries.field_path(name)
            rows = [row for row in rows if _holds(row[1].data, path, keep)]
        return [
            _snapshot(f"{query.collection}/{name}", stored)
            for name, stored in _ordered(rows, query)
        ]

    def commit(self, writes: Sequence[Write]) -> list[object]:
        """Apply all writes or none; the documents' versions after them."""
        changes = rules.prepared(writes)
        with self._lock:
            version = self._version + 1
            staged: dict[Path, _Stored | None] = {}
            for write, change in zip(writes, changes, strict=True):
                path = write.path
                old = staged[path] if path in staged else self._find(path)
                _check_precondition(write, old)
                staged[path] = (
                    None
                    if isinstance(write, Delete) or change is None
                    else _applied(write, change, old, version)
                )
            self._version = version
            for path, stored in staged.items():
                self._install(path, stored)
            after = [self._find(write.path) for write in writes]
        return [stored.version if stored else None for stored in after]

    def dump(self) -> dict[Path, dict[str, Any]]:
        """Copy of every document by path, for checks and for people."""
        with self._lock:
            everything = [
                (f"{collection}/{name}", stored.data)
                for collection, documents in self._collections.items()
                for name, stored in documents.items()
            ]
        return {path: values.copied(data) for path, data in everything}

    def load(self, documents: Iterable[tuple[Path, dict[str, Any]]]) -> None:
        """Put documents in place, unchecked and fast: for a big store to begin with."""
        with self._lock:
            self._version += 1
            for path, data in documents:
                collection, _, name = path.rpartition("/")
                at = self._version
                stored = _Stored(data, at, at, rules.MAX_DOCUMENT_BYTES)
                self._collections.setdefault(collection, {})[name] = stored

    def _find(self, path: Path) -> _Stored | None:
        collection, _, name = path.rpartition("/")
        documents = self._collections.get(collection)
        return documents.get(name) if documents else None

    def _install(self, path: Path, stored: _Stored | None) -> None:
        collection, _, name = path.rpartition("/")
        if stored is not None:
            # A document that a commit leaves as it was keeps its version.
            old = self._find(path)
            if old is not None and values.same(old.data, stored.data):
                return
            self._collections.setdefault(collection, {})[name] = stored
        elif collection in self._collections:
            self._collections[collection].pop(name, None)


def _snapshot(path: Path, stored: _Stored | None) -> Snapshot:
    if stored is None:
        return Snapshot(path, exists=False)
    return Snapshot(
        path,
        exists=True,
        data=values.copied(stored.data),
        version=stored.version,
        created=str(stored.created),
    )


def _check_precondition(write: Write, old: _Stored | None) -> None:
    if isinstance(write, Create):
        if old is not None:
            raise AlreadyExists
        return
    version = None if isinstance(write, Merge) else write.version
    if version is not None:
        if old is None or old.version != version:
            raise Conflict
    elif isinstance(write, Update) and old is None:
        raise DocumentMissing


def _applied(
    write: Create | Put | Merge | Update,
    change: rules.Change,
    old: _Stored | None,
    version: int,
) -> _Stored:
    """The document after the write."""
    size = rules.name_size(write.path) + change.size
    if isinstance(write, Merge | Update):
        data = values.merged(old.data if old else {}, change)
        bound = size + (old.bytes_bound if old else 0)
    else:
        data = values.replaced(change)
        bound = size
    if bound > rules.MAX_DOCUMENT_BYTES:
        bound = rules.document_size(write.path, data)
        if bound > rules.MAX_DOCUMENT_BYTES:
            raise DocumentFull
    return _Stored(data, version, old.created if old else version, bound)


def _holds(
    data: dict[str, Any], path: rules.FieldPath, keep: Callable[[Any], bool]
) -> bool:
    found, value = values.lookup(data, path)
    return found and keep(value)


def _filter(operator: str, wanted: Any) -> Callable[[Any], bool]:
    """A filter as a test of one value; ranges hold within one type only."""
    key = values.sort_key
    if operator == "array_contains":
        wanted = [wanted]
    if operator in {"array_contains", "array_contains_any"}:
        any_of = {key(item) for item in wanted}
        return lambda value: (
            isinstance(value, list) and not any_of.isdisjoint(map(key, value))
        )
    bound = key(wanted)
    compare: Callable[[values.SortKey], bool]
    if operator == "==":
        return lambda value: key(value) == bound
    if operator == "<":
        compare = bound.__gt__
    elif operator == "<=":
        compare = bound.__ge__
    elif operator == ">":
        compare = bound.__lt__
    else:
        compare = bound.__le__

    def within(value: Any) -> bool:
        found = key(value)
        return found[0] == bound[0] and found != values.NAN and compare(found)

    return within


def _ordered(
    rows: list[tuple[str, _Stored]], query: Query
) -> Iterable[tuple[str, _Stored]]:
    orders = _all_orders(query)
    last = orders[-1][1] if orders else "asc"
    directions = [direction for _, direction in orders] + [last]
    keyed: list[_Row] = []
    for name, stored in rows:
        looked_up = [values.lookup(stored.data, path) for path, _ in orders]
        # A document without an ordered field is not in the answer.
        if all(found for found, _ in looked_up):
            keys = tuple(values.sort_key(value) for _, value in looked_up)
            keyed.append((keys, name, stored))
    if query.start_after is not None:
        *cursor, after = query.start_after
        bound = (*map(values.sort_key, cursor), after)
        keyed = [
            row for row in keyed if _is_after((*row[0], row[1]), bound, directions)
        ]
    return [
        (name, stored) for _, name, stored in _sorted(keyed, directions, query.limit)
    ]


def _all_orders(query: Query) -> Sequence[tuple[rules.FieldPath, str]]:
    """The orders asked for, then those that Firestore adds for range filters."""
    orders = [(queries.field_path(name), way) for name, way in query.order_by]
    last = orders[-1][1] if orders else "asc"
    known = {path for path, _ in orders}
    ranges = {
        queries.field_path(name)
        for name, operator, _ in query.where
        if operator in queries.RANGES
    }
    return orders + [(path, last) for path in sorted(ranges - known)]


def _is_after(
    keys: Sequence[Any], bound: Sequence[Any], directions: Sequence[str]
) -> bool:
    for key, limit, direction in zip(keys, bound, directions, strict=True):
        if key != limit:
            return bool(key > limit) if direction == "asc" else bool(key < limit)
    return False


def _sorted(
    keyed: list[_Row], directions: Sequence[str], limit: int | None
) -> Iterable[_Row]:
    if len(set(directions)) == 1:
        pick = heapq.nsmallest if directions[0] == "asc" else heapq.nlargest
        if limit is not None and limit < len(keyed):
            return pick(limit, keyed, key=lambda row: row[:2])
        return sorted(keyed, key=lambda row: row[:2], reverse=directions[0] == "desc")
    # Stable sorts from the last key to the first; the id is the last of all.
    keyed.sort(key=lambda row: row[1], reverse=directions[-1] == "desc")
    for at in reversed(range(len(directions) - 1)):
        keyed.sort(key=lambda row: row[0][at], reverse=directions[at] == "desc")
    return keyed[:limit]
