"""The in-memory store and Firestore do the same, whatever is done to them.

Random commits of random writes, some with the version read last, and queries in
between: both must take or refuse the same, hold the same, and give a new version for
the same writes.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.firestore import Client
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from shared.errors import SyncError
from shared.gateways.firestore import FirestoreDocuments
from shared.gateways.memory import MemoryDocuments
from shared.ports import (
    Create,
    Delete,
    DeleteField,
    Documents,
    Increment,
    Maximum,
    Merge,
    Put,
    Query,
    Snapshot,
    Union,
    Update,
    Write,
)
from tests.support.emulators import emulator, unique_project

EXAMPLES = int(os.environ.get("RANDOM_EXAMPLES", "150"))
NAMES = ["d0", "d1", "d2", "d3"]

keys = st.sampled_from(["a", "b", "a.b", "~-"])
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, -(2**63), 2**53, 1.0, -0.0, 0.5, 2.0**53]),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.sampled_from(["", "a", "b", "é", "😀", b"", b"a"]),
    st.just(datetime(2026, 11, 5, 1, 2, 3, 4, tzinfo=UTC)),
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=3),
        st.lists(scalars, max_size=3),
        st.lists(st.dictionaries(keys, inner, max_size=2), max_size=2),
    ),
    max_leaves=5,
)
counters = st.sampled_from([-1, 0, 1, 5, 2**62, -(2**62), 2**63 - 1])
transforms = st.one_of(
    counters.map(Increment),
    counters.map(Maximum),
    st.lists(scalars, max_size=3).map(lambda values: Union(tuple(values))),
)


def maps(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    inner = st.dictionaries(keys, st.one_of(plain, leaf), max_size=3)
    return st.dictionaries(keys, st.one_of(plain, leaf, inner), max_size=3)


written = maps(transforms)
merged = maps(st.one_of(transforms, st.just(DeleteField())))
names = st.sampled_from(NAMES)
versioned = st.sampled_from([None, None, None, "now", "old"])
writes = st.one_of(
    st.tuples(st.just("create"), names, written, st.none()),
    st.tuples(st.just("put"), names, written, versioned),
    st.tuples(st.just("merge"), names, merged, st.none()),
    st.tuples(st.just("update"), names, merged, versioned),
    st.tuples(st.just("delete"), names, st.none(), versioned),
)
commits = st.lists(writes, min_size=1, max_size=3)

# Null and NaN are compared with == alone.
comparable = scalars.filter(
    lambda value: (
        not (value is None or (isinstance(value, float) and math.isnan(value)))
    )
)
fields = st.sampled_from(["a", "b", "`a.b`", "a.b", "a.a"])
filters = st.one_of(
    st.tuples(
        fields,
        st.sampled_from(["==", "<", "<=", ">", ">="]),
        comparable,
    ),
    st.tuples(fields, st.just("array_contains"), comparable),
    st.tuples(
        fields,
        st.just("array_contains_any"),
        st.lists(comparable, min_size=1, max_size=3),
    ),
)
directions = st.sampled_from(["asc", "desc"])
queries = st.tuples(
    st.lists(filters, max_size=1),
    st.lists(
        st.tuples(fields, directions), max_size=2, unique_by=lambda order: order[0]
    ),
    st.one_of(st.none(), st.integers(1, 3)),
)


class Side:
    """One store, with the versions that were read from it."""

    def __init__(self, store: Documents, collection: str) -> None:
        self.store = store
        self.collection = collection
        self.now: dict[str, Any] = {}
        self.old: dict[str, Any] = {}
        self.look()

    def look(self) -> list[Snapshot]:
        found = self.store.get([f"{self.collection}/{name}" for name in NAMES])
        self.old = self.now or {item.id: item.version for item in found}
        self.now = {item.id: item.version for item in found}
        return found

    def write(self, kind: str, name: str, data: Any, which: str | None) -> Write:
        path = f"{self.collection}/{name}"
        version = {"now": self.now, "old": self.old}.get(which or "", {}).get(name)
        if kind == "create":
            return Create(path, data)
        if kind == "put":
            return Put(path, data, version)
        if kind == "merge":
            return Merge(path, data)
        if kind == "update":
            return Update(path, data, version)
        return Delete(path, version)

    def commit(self, planned: list[Any]) -> str:
        try:
            self.store.commit([self.write(*item) for item in planned])
        except SyncError as refusal:
            return type(refusal).__name__
        return "done"

    def ask(self, query: Any) -> list[str]:
        where, order_by, limit = query
        found = self.store.query(
            Query(self.collection, tuple(where), tuple(order_by), limit)
        )
        return [item.id for item in found]


@pytest.fixture(scope="module")
def firestore() -> Iterator[Documents]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRESTORE_EMULATOR_HOST", emulator("firestore"))
        client = Client(project=unique_project())
        yield FirestoreDocuments(client_factory=lambda: client)
        client.close()


numbered = itertools.count()


@pytest.mark.emulator
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.tuples(commits, queries), min_size=1, max_size=6))
def test_memory_and_firestore_do_the_same(
    firestore: Documents, steps: list[Any]
) -> None:
    collection = f"c{next(numbered)}"
    memory = Side(MemoryDocuments(), collection)
    real = Side(firestore, collection)
    for planned, query in steps:
        note(f"{planned}\n{query}")
        assert memory.commit(planned) == real.commit(planned)
        before = memory.now, real.now
        ours, theirs = memory.look(), real.look()
        for our, other in zip(ours, theirs, strict=True):
            assert our.exists == other.exists
            assert repr_of(our.data) == repr_of(other.data)
            if ("delete", our.id) in {(kind, name) for kind, name, *_ in planned}:
                continue  # deleted and made anew in one commit: either is right
            changed = before[0][our.id] != our.version
            assert changed == (before[1][our.id] != other.version)
        assert memory.ask(query) == real.ask(query)


def repr_of(value: Any) -> Any:
    """Tell apart what Python counts as equal: 1, 1.0 and True; 0.0 and -0.0."""
    if isinstance(value, dict):
        return {key: repr_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [repr_of(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return repr(value)
