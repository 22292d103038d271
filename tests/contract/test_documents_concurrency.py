"""What every document store promises: many at once, each with its own client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.errors import AlreadyExists, Conflict
from shared.ports import Create, Documents, Increment, Merge, Put, Union, Update

MakeDocuments = Callable[[], Documents]
WORKERS = 6


def together(work: Callable[[int], Any]) -> list[Any]:
    """Run it in all workers, beginning at the same moment."""
    barrier = threading.Barrier(WORKERS)

    def run(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, range(WORKERS)))


def test_of_many_who_create_one_document_one_wins(
    make_documents: MakeDocuments,
) -> None:
    stores = [make_documents() for _ in range(WORKERS)]

    def create(number: int) -> bool:
        try:
            stores[number].commit([Create("c/d", {"winner": number})])
        except AlreadyExists:
            return False
        return True

    won = together(create)
    assert sum(won) == 1
    assert stores[0].get(["c/d"])[0].data == {"winner": won.index(True)}


def test_of_many_who_compare_and_set_one_wins(make_documents: MakeDocuments) -> None:
    stores = [make_documents() for _ in range(WORKERS)]
    stores[0].commit([Put("c/d", {"n": 0})])
    version = stores[0].get(["c/d"])[0].version

    def swap(number: int) -> bool:
        try:
            stores[number].commit([Update("c/d", {"n": number + 1}, version=version)])
        except Conflict:
            return False
        return True

    won = together(swap)
    assert sum(won) == 1
    assert stores[0].get(["c/d"])[0].data == {"n": won.index(True) + 1}


def test_increments_are_exact(make_documents: MakeDocuments) -> None:
    stores = [make_documents() for _ in range(WORKERS)]

    def count(number: int) -> None:
        for _ in range(15):
            stores[number].commit([Merge("c/d", {"a": {"n": Increment(1)}})])

    together(count)
    assert stores[0].get(["c/d"])[0].data == {"a": {"n": 15 * WORKERS}}


def test_compare_and_set_loops_lose_nothing(make_documents: MakeDocuments) -> None:
    stores = [make_documents() for _ in range(WORKERS)]
    stores[0].commit([Put("c/d", {"seen": []})])

    def add(number: int) -> None:
        for at in range(5):
            while True:
                (read,) = stores[number].get(["c/d"])
                seen = [*read.data["seen"], f"{number}-{at}"]
                try:
                    stores[number].commit(
                        [Update("c/d", {"seen": seen}, version=read.version)]
                    )
                except Conflict:
                    continue
                break

    together(add)
    seen = stores[0].get(["c/d"])[0].data["seen"]
    assert sorted(seen) == sorted(
        f"{n}-{at}" for n in range(WORKERS) for at in range(5)
    )


def test_unions_lose_nothing(make_documents: MakeDocuments) -> None:
    stores = [make_documents() for _ in range(WORKERS)]

    def add(number: int) -> None:
        for at in range(5):
            stores[number].commit([Merge("c/d", {"l": Union((f"{number}-{at}",))})])

    together(add)
    assert len(stores[0].get(["c/d"])[0].data["l"]) == 5 * WORKERS


def test_a_commit_is_applied_whole(make_documents: MakeDocuments) -> None:
    """Once both writers are done, one of them has won everywhere.

    A read of several documents outside a transaction may fall between two commits on
    the emulator; no use case relies on more.
    """
    stores = [make_documents() for _ in range(WORKERS)]
    paths = [f"c/{n}" for n in range(5)]
    stores[0].commit([Put(path, {"n": 0}) for path in paths])

    def work(number: int) -> None:
        for at in range(10):
            value = number * 100 + at
            stores[number].commit([Put(path, {"n": value}) for path in paths])

    together(work)
    assert len({item.data["n"] for item in stores[0].get(paths)}) == 1
