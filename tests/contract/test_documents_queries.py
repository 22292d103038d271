"""What every document store promises: queries."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.errors import Permanent
from shared.ports import Delete, Documents, Put, Query

A_TIME = datetime(2026, 11, 5, tzinfo=UTC)

# In Firestore's order: null, booleans, numbers, times, text, bytes, lists, maps.
EVERYTHING: list[Any] = [
    None,
    False,
    True,
    math.nan,
    -math.inf,
    -5,
    -0.5,
    0,
    1,
    1.5,
    2**53,
    2**62,
    A_TIME,
    A_TIME.replace(microsecond=1),
    "",
    "A",
    "a",
    "aa",
    "b",
    "é",
    "日",
    "😀",
    b"",
    b"\x00",
    b"a",
    [],
    [1],
    [1, 2],
    [2],
    ["a"],
    {},
    {"a": 1},
    {"a": 1, "b": 1},
    {"a": 2},
    {"b": 0},
]


def fill(documents: Documents, values: list[Any], field: str = "v") -> None:
    documents.commit(
        [Put(f"c/{at:03}", {field: value}) for at, value in enumerate(values)]
    )


def ids(documents: Documents, **query: Any) -> list[str]:
    return [found.id for found in documents.query(Query("c", **query))]


def test_an_empty_collection_answers_nothing(documents: Documents) -> None:
    assert documents.query(Query("c")) == []


def test_a_query_reads_its_own_collection_only(documents: Documents) -> None:
    documents.commit(
        [Put("c/a", {"x": 1}), Put("c/a/c/b", {"x": 2}), Put("d/c", {"x": 3})]
    )
    (found,) = documents.query(Query("c"))
    assert (found.path, found.exists, found.data) == ("c/a", True, {"x": 1})
    (inner,) = documents.query(Query("c/a/c"))
    assert (inner.path, inner.data) == ("c/a/c/b", {"x": 2})


def test_a_snapshot_of_a_query_is_that_of_a_get(documents: Documents) -> None:
    documents.commit([Put("c/a", {"x": [1]})])
    assert documents.query(Query("c")) == documents.get(["c/a"])


def test_without_an_order_documents_come_by_id(documents: Documents) -> None:
    names = ["b", "a", "10", "9", "B", "é", "😀", "~", "a.b"]
    documents.commit([Put(f"c/{name}", {}) for name in names])
    assert ids(documents) == sorted(names)


def test_a_query_sees_every_write_before_it(documents: Documents) -> None:
    fill(documents, [1, 2, 3])
    documents.commit([Delete("c/001")])
    assert ids(documents, order_by=(("v", "asc"),)) == ["000", "002"]


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_values_are_ordered_by_type_then_value(
    documents: Documents, direction: Any
) -> None:
    fill(documents, EVERYTHING)
    expected = [f"{at:03}" for at in range(len(EVERYTHING))]
    if direction == "desc":
        expected.reverse()
    assert ids(documents, order_by=(("v", direction),)) == expected


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_ties_are_broken_by_id_in_the_direction_of_the_last_order(
    documents: Documents, direction: Any
) -> None:
    fill(documents, [1, 0, 1, 1.0, 0])
    found = ids(documents, order_by=(("v", direction),))
    expected = ["001", "004", "000", "002", "003"]
    assert found == (expected if direction == "asc" else expected[::-1])


def test_documents_without_an_ordered_field_are_left_out(documents: Documents) -> None:
    documents.commit(
        [
            Put("c/a", {"v": 1}),
            Put("c/b", {"w": 1}),
            Put("c/c", {"v": None}),
            Put("c/d", {"v": 2, "w": 2}),
        ]
    )
    assert ids(documents, order_by=(("v", "asc"),)) == ["c", "a", "d"]
    assert ids(documents, order_by=(("v", "asc"), ("w", "asc"))) == ["d"]


def test_two_orders_in_different_directions(documents: Documents) -> None:
    documents.commit(
        [
            Put(f"c/{v}{w}{n}", {"v": v, "w": w})
            for v in "ab"
            for w in "xy"
            for n in "12"
        ]
    )
    assert ids(documents, order_by=(("v", "asc"), ("w", "desc"))) == [
        "ay2", "ay1", "ax2", "ax1", "by2", "by1", "bx2", "bx1",
    ]  # fmt: skip


def test_a_field_inside_a_map_orders_and_filters(documents: Documents) -> None:
    documents.commit(
        [
            Put("c/a", {"m": {"n": 2}}),
            Put("c/b", {"m": {"n": 1}}),
            Put("c/c", {"m": 1}),
            Put("c/d", {"m.n": 0}),
        ]
    )
    assert ids(documents, order_by=(("m.n", "asc"),)) == ["b", "a"]
    assert ids(documents, where=(("m.n", "==", 2),)) == ["a"]


def test_an_odd_field_name_is_quoted(documents: Documents) -> None:
    documents.commit([Put("c/a", {"a-b.c`": {"~": 1}}), Put("c/b", {"x": 1})])
    assert ids(documents, where=((r"`a-b.c\``.`~`", "==", 1),)) == ["a"]


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("==", 2, [2, 2.0]),
        ("==", 2.0, [2, 2.0]),
        ("==", True, [True]),
        ("==", 1, [1]),
        ("==", "a", ["a"]),
        ("==", None, [None]),
        ("==", [1, 2], [[1, 2]]),
        ("==", {"k": 1}, [{"k": 1}]),
        ("==", b"a", [b"a"]),
        ("==", A_TIME, [A_TIME]),
        ("<", 2, [0, 1, 1.5]),
        ("<=", 2, [0, 1, 1.5, 2, 2.0]),
        (">", 1.5, [2, 2.0, 3]),
        (">=", 2, [2, 2.0, 3]),
        (">", "a", ["b"]),
        ("<", "b", ["a"]),
        (">=", A_TIME, [A_TIME]),
        ("<=", True, [False, True]),
        (">", 100, []),
    ],
)
def test_filters_hold_within_one_type(
    documents: Documents, operator: Any, value: Any, expected: list[Any]
) -> None:
    fill(
        documents,
        [
            0, 1, 1.5, 2, 2.0, 3, None, True, False, "a", "b", b"a", A_TIME, [1, 2],
            [1], {"k": 1}, {},
        ],
    )  # fmt: skip
    found = documents.query(Query("c", where=(("v", operator, value),)))
    values = sorted((item.data["v"] for item in found), key=str)
    # True equals 1 in Python.
    assert [isinstance(item, bool) for item in values] == [
        isinstance(item, bool) for item in sorted(expected, key=str)
    ]
    assert values == sorted(expected, key=str)


def test_nan_equals_nan_only(documents: Documents) -> None:
    fill(documents, [math.nan, 1, None])
    assert ids(documents, where=(("v", "==", math.nan),)) == ["000"]
    assert ids(documents, where=(("v", "<", 5),)) == ["001"]


def test_array_contains(documents: Documents) -> None:
    fill(documents, [["a", "b"], ["b"], [], "a", None, [1, {"k": "a"}], ["a", "a"]])
    assert ids(documents, where=(("v", "array_contains", "a"),)) == ["000", "006"]
    assert ids(documents, where=(("v", "array_contains", {"k": "a"}),)) == ["005"]
    assert ids(documents, where=(("v", "array_contains", 1.0),)) == ["005"]


def test_array_contains_any_finds_each_document_once(documents: Documents) -> None:
    fill(documents, [["a", "b"], ["b"], ["c"], [], "a", [1]])
    assert ids(documents, where=(("v", "array_contains_any", ["a", "b", 1]),)) == [
        "000",
        "001",
        "005",
    ]


def test_several_filters_all_hold(documents: Documents) -> None:
    documents.commit(
        [Put(f"c/{n}", {"n": n, "even": n % 2 == 0, "l": [n % 3]}) for n in range(9)]
    )
    assert ids(
        documents,
        where=(("even", "==", True), ("n", ">=", 2), ("n", "<", 8)),
        order_by=(("n", "desc"),),
    ) == ["6", "4", "2"]
    assert ids(documents, where=(("even", "==", True), ("l", "array_contains", 0))) == [
        "0",
        "6",
    ]


def test_a_range_without_an_order_comes_in_the_order_of_its_field(
    documents: Documents,
) -> None:
    fill(documents, [3, 1, 2, 1])
    assert ids(documents, where=(("v", ">", 0),)) == ["001", "003", "002", "000"]


def test_limit_takes_the_first(documents: Documents) -> None:
    fill(documents, [3, 1, 2, 5, 4])
    assert ids(documents, order_by=(("v", "asc"),), limit=2) == ["001", "002"]
    assert ids(documents, order_by=(("v", "desc"),), limit=2) == ["003", "004"]
    assert ids(documents, limit=99) == ["000", "001", "002", "003", "004"]


@pytest.mark.parametrize("first", ["asc", "desc"])
@pytest.mark.parametrize("second", ["asc", "desc"])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_hold_every_document_once_and_in_order(
    documents: Documents, first: Any, second: Any, size: int
) -> None:
    documents.commit(
        [
            Put(f"c/{n:02}~", {"v": [None, 1, "x", 1.0][n % 4], "w": n % 2})
            for n in range(12)
        ]
    )
    order = (("v", first), ("w", second))
    whole = ids(documents, order_by=order)
    assert len(whole) == 12
    paged: list[str] = []
    after: tuple[Any, ...] | None = None
    while True:
        page = documents.query(
            Query("c", order_by=order, limit=size, start_after=after)
        )
        if not page:
            break
        paged += [found.id for found in page]
        last = page[-1]
        after = (last.data["v"], last.data["w"], last.id)
    assert paged == whole


def test_pages_by_id_alone(documents: Documents) -> None:
    fill(documents, [1] * 5)
    assert ids(documents, limit=2, start_after=("001",)) == ["002", "003"]
    assert ids(documents, start_after=("0015",)) == ["002", "003", "004"]


def test_pages_with_a_filter(documents: Documents) -> None:
    documents.commit([Put(f"c/{n}", {"n": n, "k": n % 2}) for n in range(8)])
    assert ids(
        documents,
        where=(("k", "==", 1),),
        order_by=(("n", "desc"),),
        start_after=(5, "5"),
    ) == ["3", "1"]


def test_a_cursor_need_not_exist_any_more(documents: Documents) -> None:
    fill(documents, [1, 2, 3])
    documents.commit([Delete("c/001")])
    assert ids(documents, order_by=(("v", "asc"),), start_after=(2, "001")) == ["002"]


@pytest.mark.parametrize(
    "query",
    [
        Query(""),
        Query("c/d"),
        Query("c//d"),
        Query("c", where=(("", "==", 1),)),
        Query("c", where=(("a..b", "==", 1),)),
        Query("c", where=(("a b", "==", 1),)),
        Query("c", where=(("v", "!=", 1),)),  # type: ignore[arg-type]
        Query("c", where=(("v", "<", None),)),
        Query("c", where=(("v", ">", math.nan),)),
        Query("c", where=(("v", "==", 2**64),)),
        Query("c", where=(("v", "==", ...),)),
        Query("c", where=(("v", "array_contains_any", []),)),
        Query("c", where=(("v", "array_contains_any", list(range(31))),)),
        Query("c", where=(("v", "array_contains_any", "ab"),)),
        Query("c", where=(("v", "array_contains", [1]),)),
        Query("c", limit=0),
        Query("c", order_by=(("v", "asc"),), start_after=(1,)),
        Query("c", order_by=(("v", "asc"),), start_after=(1, 2)),
        Query("c", start_after=()),
        Query("c", where=(("v", ">", 1),), start_after=("x",)),
    ],
    ids=str,
)
def test_queries_that_firestore_refuses_are_permanent_errors(
    documents: Documents, query: Query
) -> None:
    with pytest.raises(Permanent):
        documents.query(query)


def test_thirty_values_are_not_too_many(documents: Documents) -> None:
    fill(documents, [[29], [30]])
    assert ids(documents, where=(("v", "array_contains_any", list(range(30))),)) == [
        "000"
    ]
