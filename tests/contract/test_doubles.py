"""The doubles that other tests stand on: the meter and the crash plan."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import AlreadyExists, DocumentMissing
from shared.gateways.memory import MemoryBlobs, MemoryDocuments, MemorySecrets
from shared.ports import Create, Delete, Put, Query
from tests.support.crash import Crash, Crashing, CrashPlan, CrashPoint
from tools.metered import MeteredDocuments, Usage


@pytest.fixture
def metered() -> MeteredDocuments:
    return MeteredDocuments(MemoryDocuments())


def test_reads_are_counted_as_billed(metered: MeteredDocuments) -> None:
    metered.commit([Put(f"c/{n}", {"n": n}) for n in range(4)])
    metered.reset()
    metered.get(["c/0", "c/none", "c/0"])
    assert metered.usage == Usage(reads=2, gets=1)
    metered.query(Query("c"))
    metered.query(Query("nothing"))
    assert metered.usage == Usage(reads=2 + 4 + 1, gets=1, queries=2)
    assert metered.asked == [Query("c"), Query("nothing")]


def test_writes_and_deletes_are_counted_when_they_are_done(
    metered: MeteredDocuments,
) -> None:
    metered.commit([Create("c/a", {}), Put("c/b", {}), Delete("c/z")])
    before = metered.usage
    assert before == Usage(writes=2, deletes=1, commits=1)
    with pytest.raises(AlreadyExists):
        metered.commit([Create("c/a", {}), Put("c/c", {})])
    assert metered.usage - before == Usage()
    assert before + before == Usage(writes=4, deletes=2, commits=2)


def work(documents: Any, blobs: Any) -> None:
    blobs.put("k", b"v", "text/plain")
    documents.commit([Create("c/a", {})])
    documents.get(["c/a"])


def test_a_dry_run_numbers_the_calls_of_all_ports_together() -> None:
    plan = CrashPlan()
    work(Crashing(MemoryDocuments(), plan), Crashing(MemoryBlobs(), plan))
    assert plan.calls == [
        "MemoryBlobs.put",
        "MemoryDocuments.commit",
        "MemoryDocuments.get",
    ]
    assert [str(point) for point in plan.points()][:3] == [
        "before 1 MemoryBlobs.put",
        "after 1 MemoryBlobs.put",
        "before 2 MemoryDocuments.commit",
    ]


@pytest.mark.parametrize(
    ("point", "blob", "document"),
    [
        (CrashPoint(1, "before"), False, False),
        (CrashPoint(1, "after"), True, False),
        (CrashPoint(2, "before"), True, False),
        (CrashPoint(2, "after"), True, True),
    ],
)
def test_the_process_dies_where_the_plan_says(
    point: CrashPoint, blob: bool, document: bool
) -> None:
    plan = CrashPlan(point)
    documents, blobs = MemoryDocuments(), MemoryBlobs()
    with pytest.raises(Crash):
        work(Crashing(documents, plan), Crashing(blobs, plan))
    assert (blobs.keys() == ["k"]) is blob
    assert documents.get(["c/a"])[0].exists is document


def test_a_dead_process_calls_nothing_any_more() -> None:
    plan = CrashPlan(CrashPoint(1, "after"))
    store = MemoryDocuments()
    documents = Crashing(store, plan)

    def tidy() -> None:
        try:
            documents.commit([Put("c/a", {})])
        finally:
            documents.commit([Put("c/b", {})])

    with pytest.raises(Crash):
        tidy()
    assert list(store.dump()) == ["c/a"]


def test_no_handler_of_errors_survives_a_crash() -> None:
    secrets = Crashing(MemorySecrets(), CrashPlan(CrashPoint(1, "before")))

    def careless() -> None:
        try:
            secrets.read("s")
        except Exception:  # noqa: BLE001
            return

    with pytest.raises(Crash):
        careless()


def test_the_process_can_die_just_after_a_refusal() -> None:
    refused = Crashing(MemorySecrets(), CrashPlan())
    with pytest.raises(DocumentMissing):
        refused.read("s")
    dead = Crashing(MemorySecrets(), CrashPlan(CrashPoint(1, "after")))
    with pytest.raises(Crash):
        dead.read("s")


def test_a_port_that_a_port_makes_is_wrapped_and_a_stream_is_one_call() -> None:
    class Google:
        def gmail(self, _token: str) -> Any:
            return blobs

    plan = CrashPlan()
    blobs = MemoryBlobs()
    blobs.put("k", b"x" * 3_000_000, "text/plain")
    gmail = Crashing(Google(), plan).gmail("t")
    assert sum(map(len, gmail.stream("k"))) == 3_000_000
    assert plan.calls == ["MemoryBlobs.stream"]
