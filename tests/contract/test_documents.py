"""What every document store promises: reads and commits."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from shared.errors import AlreadyExists, Conflict, DocumentMissing, Permanent
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
    Union,
    Update,
)

ODD_KEYS = (
    "a.b",
    "~",
    "-",
    "_",
    "0",
    "1a",
    "a b",
    "a/b",
    "a`b",
    "a\\b",
    "a\\`b",
    "[*]",
    "Ünïcode",
    "日本",
    "😀",
    "a\nb",
    "'",
    '"',
    "__",
    "__x",
    "$",
)
NOW = datetime(2026, 11, 5, 12, 30, 15, 123456, tzinfo=UTC)


def data_of(documents: Documents, path: str = "c/d") -> Any:
    (snapshot,) = documents.get([path])
    return snapshot.data


def version_of(documents: Documents, path: str = "c/d") -> object:
    (snapshot,) = documents.get([path])
    return snapshot.version


# --- reading ---------------------------------------------------------------------


def test_missing_document_is_read_as_not_existing(documents: Documents) -> None:
    (snapshot,) = documents.get(["c/none"])
    assert (snapshot.exists, dict(snapshot.data), snapshot.version) == (False, {}, None)
    assert (snapshot.path, snapshot.id) == ("c/none", "none")


def test_reads_come_in_the_order_asked_with_duplicates_and_missing_ones(
    documents: Documents,
) -> None:
    documents.commit([Put(f"c/{name}", {"n": name}) for name in "abc"])
    asked = ["c/c", "c/x", "c/a", "c/c", "c/b", "c/x"]
    found = documents.get(asked)
    assert [snapshot.path for snapshot in found] == asked
    assert [snapshot.data.get("n") for snapshot in found] == [*"c", None, *"acb", None]


def test_reading_nothing_answers_nothing(documents: Documents) -> None:
    assert documents.get([]) == []


def test_every_supported_value_comes_back_as_it_was(documents: Documents) -> None:
    data = {
        "text": "x",
        "empty": "",
        "unicode": "Zoë 😀 \0",
        "int": 3,
        "least": -(2**63),
        "greatest": 2**63 - 1,
        "float": 1.5,
        "whole_float": 2.0,
        "true": True,
        "false": False,
        "none": None,
        "bytes": b"\0\xff",
        "time": NOW,
        "list": [1, "a", None, {"x": [1]}],
        "map": {"k": {"deep": []}},
        "empty_list": [],
        "empty_map": {},
    }
    documents.commit([Create("c/d", data)])
    assert data_of(documents) == data
    types = {
        key: type(data_of(documents)[key]) for key in ("int", "whole_float", "true")
    }
    assert types == {"int": int, "whole_float": float, "true": bool}


def test_nan_and_infinity_come_back(documents: Documents) -> None:
    documents.commit([Put("c/d", {"nan": math.nan, "inf": math.inf})])
    found = data_of(documents)
    assert math.isnan(found["nan"])
    assert found["inf"] == math.inf


def test_a_tuple_is_kept_as_a_list_and_an_enum_as_its_text(
    documents: Documents,
) -> None:
    class Colour(StrEnum):
        RED = "red"

    documents.commit([Put("c/d", {"t": (1, 2), "e": Colour.RED})])
    assert data_of(documents) == {"t": [1, 2], "e": "red"}
    assert type(data_of(documents)["e"]) is str


def test_changing_what_was_read_or_written_does_not_change_the_store(
    documents: Documents,
) -> None:
    given = {"list": [1], "map": {"a": 1}}
    documents.commit([Put("c/d", given)])
    given["list"].append(2)
    read = data_of(documents)
    read["map"]["b"] = 2
    read["list"].append(3)
    assert data_of(documents) == {"list": [1], "map": {"a": 1}}


def test_subcollections_live_apart_from_their_document(documents: Documents) -> None:
    documents.commit([Put("c/d/e/f", {"x": 1})])
    assert documents.get(["c/d"])[0].exists is False
    documents.commit([Put("c/d", {"y": 1}), Delete("c/d")])
    assert documents.get(["c/d/e/f"])[0].exists is True


# --- create ----------------------------------------------------------------------


def test_create_makes_a_new_document(documents: Documents) -> None:
    documents.commit([Create("c/d", {"x": 1})])
    assert data_of(documents) == {"x": 1}


def test_create_of_an_existing_document_is_refused(documents: Documents) -> None:
    documents.commit([Create("c/d", {"x": 1})])
    with pytest.raises(AlreadyExists):
        documents.commit([Create("c/d", {"x": 2})])
    assert data_of(documents) == {"x": 1}


def test_create_of_an_empty_document(documents: Documents) -> None:
    documents.commit([Create("c/d", {})])
    assert documents.get(["c/d"])[0].exists
    with pytest.raises(AlreadyExists):
        documents.commit([Create("c/d", {})])


def test_create_applies_transforms(documents: Documents) -> None:
    documents.commit(
        [
            Create(
                "c/d",
                {"n": Increment(2), "m": {"k": Maximum(3)}, "u": Union(("a", "a"))},
            )
        ]
    )
    assert data_of(documents) == {"n": 2, "m": {"k": 3}, "u": ["a"]}


# --- put -------------------------------------------------------------------------


def test_put_replaces_the_whole_document(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1, "y": 1})])
    documents.commit([Put("c/d", {"x": 2})])
    assert data_of(documents) == {"x": 2}


def test_put_with_the_version_read_replaces(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    documents.commit([Put("c/d", {"y": 2}, version=version_of(documents))])
    assert data_of(documents) == {"y": 2}


def test_put_with_an_old_version_is_a_conflict(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Put("c/d", {"x": 2})])
    with pytest.raises(Conflict):
        documents.commit([Put("c/d", {"x": 3}, version=old)])
    assert data_of(documents) == {"x": 2}


def test_put_counts_up_from_nothing(documents: Documents) -> None:
    documents.commit([Put("c/d", {"n": 5})])
    documents.commit([Put("c/d", {"n": Increment(1), "m": {"k": Increment(2)}})])
    assert data_of(documents) == {"n": 1, "m": {"k": 2}}


# --- versions --------------------------------------------------------------------


def test_every_change_gives_a_new_version(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    first = version_of(documents)
    documents.commit([Merge("c/d", {"y": 1})])
    second = version_of(documents)
    documents.commit([Update("c/d", {"y": Increment(1)})])
    assert len({str(first), str(second), str(version_of(documents))}) == 3


def test_a_write_that_changes_nothing_keeps_the_version(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1, "l": ["a"]})])
    first = version_of(documents)
    documents.commit([Put("c/d", {"x": 1, "l": ["a"]})])
    documents.commit([Merge("c/d", {"x": Maximum(0), "l": Union(("a",))})])
    assert version_of(documents) == first


def test_a_commit_tells_the_versions_that_a_read_would(documents: Documents) -> None:
    documents.commit([Put("c/e", {"x": 1})])
    told = documents.commit(
        [Create("c/d", {"x": 1}), Merge("c/e", {"x": 1}), Merge("c/f", {"y": 1})]
    )
    read = documents.get(["c/d", "c/e", "c/f"])
    assert told == [item.version for item in read]
    (after,) = documents.commit([Put("c/d", {"x": 2}, version=told[0])])
    documents.commit([Update("c/d", {"x": 3}, version=after)])
    with pytest.raises(Conflict):
        documents.commit([Update("c/d", {"x": 4}, version=told[0])])


def test_reading_does_not_change_the_version(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    assert version_of(documents) == version_of(documents)


def test_a_recreated_document_has_a_new_version(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Delete("c/d")])
    documents.commit([Put("c/d", {"x": 1})])
    with pytest.raises(Conflict):
        documents.commit([Update("c/d", {"x": 2}, version=old)])


def test_created_tells_a_recreated_document_from_one_that_changed(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    (first,) = documents.get(["c/d"])
    documents.commit([Put("c/d", {"x": 2})])
    documents.commit([Update("c/d", {"y": 1}), Put("c/e", {"x": 1})])
    (changed,) = documents.query(Query("c", where=(("x", "==", 2),)))
    assert changed.created == first.created is not None
    documents.commit([Delete("c/d")])
    assert documents.get(["c/d"])[0].created is None
    documents.commit([Put("c/d", {"x": 1})])
    assert documents.get(["c/d"])[0].created != first.created


def test_version_of_a_document_deleted_meanwhile_is_a_conflict(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Delete("c/d")])
    for write in (
        Put("c/d", {"x": 2}, version=old),
        Update("c/d", {"x": 2}, version=old),
        Delete("c/d", version=old),
    ):
        with pytest.raises(Conflict):
            documents.commit([write])
    assert documents.get(["c/d"])[0].exists is False


# --- merge and update ------------------------------------------------------------


def test_merge_creates_a_missing_document(documents: Documents) -> None:
    documents.commit([Merge("c/d", {"x": {"y": 1}})])
    assert data_of(documents) == {"x": {"y": 1}}


def test_merge_with_nothing_creates_an_empty_document(documents: Documents) -> None:
    documents.commit([Merge("c/d", {})])
    assert documents.get(["c/d"])[0].exists


def test_merge_with_nothing_leaves_a_document_as_it_was(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    documents.commit([Merge("c/d", {}), Update("c/d", {})])
    assert data_of(documents) == {"x": 1}


def test_merge_with_transforms_alone_creates_the_document(documents: Documents) -> None:
    documents.commit([Merge("c/d", {"a": {"n": Increment(1)}})])
    assert data_of(documents) == {"a": {"n": 1}}


def test_merge_leaves_other_fields_at_every_depth(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": {"b": {"c": 1, "d": 2}, "e": 3}, "f": 4})])
    documents.commit([Merge("c/d", {"a": {"b": {"c": 9}}})])
    assert data_of(documents) == {"a": {"b": {"c": 9, "d": 2}, "e": 3}, "f": 4}


def test_merge_replaces_lists_whole(documents: Documents) -> None:
    documents.commit([Put("c/d", {"l": [1, 2]})])
    documents.commit([Merge("c/d", {"l": [3]})])
    assert data_of(documents) == {"l": [3]}


def test_an_empty_map_replaces_what_was_there(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": {"b": 1}, "c": {"d": {"e": 1}}})])
    documents.commit([Merge("c/d", {"a": {}, "c": {"d": {}}})])
    assert data_of(documents) == {"a": {}, "c": {"d": {}}}


def test_merge_puts_a_map_in_place_of_a_plain_value(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": 1, "l": [1]})])
    documents.commit([Merge("c/d", {"a": {"b": 2}, "l": {"k": 1}})])
    assert data_of(documents) == {"a": {"b": 2}, "l": {"k": 1}}


@pytest.mark.parametrize("key", ODD_KEYS)
def test_merge_and_remove_with_odd_keys(documents: Documents, key: str) -> None:
    documents.commit([Put("c/d", {"m": {key: {"x": 1}, "other": 1}, key: 1})])
    documents.commit([Merge("c/d", {"m": {key: {key: 2}}, key: Increment(1)})])
    assert data_of(documents) == {"m": {key: {"x": 1, key: 2}, "other": 1}, key: 2}
    documents.commit([Update("c/d", {"m": {key: DeleteField()}, key: DeleteField()})])
    assert data_of(documents) == {"m": {"other": 1}}


def test_update_of_a_missing_document_is_refused(documents: Documents) -> None:
    with pytest.raises(DocumentMissing):
        documents.commit([Update("c/d", {"x": 1})])
    with pytest.raises(DocumentMissing):
        documents.commit([Update("c/d", {"n": Increment(1)})])
    with pytest.raises(DocumentMissing):
        documents.commit([Update("c/d", {})])
    assert documents.get(["c/d"])[0].exists is False


def test_update_merges_as_merge_does(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": {"b": 1, "c": 2}})])
    documents.commit([Update("c/d", {"a": {"b": 3}, "z": None})])
    assert data_of(documents) == {"a": {"b": 3, "c": 2}, "z": None}


def test_update_with_the_version_read(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Update("c/d", {"x": 2}, version=old)])
    with pytest.raises(Conflict):
        documents.commit([Update("c/d", {"x": 3}, version=old)])
    assert data_of(documents) == {"x": 2}


# --- removing --------------------------------------------------------------------


def test_delete_removes_and_a_missing_document_is_no_error(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    documents.commit([Delete("c/d"), Delete("c/none")])
    assert documents.get(["c/d"])[0].exists is False


def test_delete_with_a_version(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Put("c/d", {"x": 2})])
    with pytest.raises(Conflict):
        documents.commit([Delete("c/d", version=old)])
    documents.commit([Delete("c/d", version=version_of(documents))])
    assert documents.get(["c/d"])[0].exists is False


def test_delete_field_at_every_depth(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": {"b": 1, "c": 2}, "d": 3})])
    documents.commit(
        [Merge("c/d", {"a": {"b": DeleteField()}, "d": DeleteField(), "e": 1})]
    )
    assert data_of(documents) == {"a": {"c": 2}, "e": 1}


def test_removing_the_last_field_of_a_map_leaves_an_empty_map(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"a": {"b": 1}})])
    documents.commit([Merge("c/d", {"a": {"b": DeleteField()}})])
    assert data_of(documents) == {"a": {}}


def test_removing_a_missing_field_is_no_error(documents: Documents) -> None:
    documents.commit([Put("c/d", {"x": 1, "s": "text"})])
    documents.commit([Merge("c/d", {"a": {"b": DeleteField()}, "y": DeleteField()})])
    documents.commit([Merge("c/d", {"s": {"b": DeleteField()}})])
    found = data_of(documents)
    assert found["x"] == 1
    assert "y" not in found


@pytest.mark.parametrize("kind", [Create, Put])
def test_only_merge_and_update_can_remove_a_field(
    documents: Documents, kind: Any
) -> None:
    with pytest.raises(Permanent):
        documents.commit([kind("c/d", {"a": DeleteField()})])


# --- transforms ------------------------------------------------------------------


def test_increment_adds_to_numbers_and_begins_at_nothing(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": 5, "f": 1.5, "t": "text"})])
    increments = dict.fromkeys("aftn", Increment(2))
    documents.commit([Merge("c/d", {**increments, "m": {"k": Increment(-1)}})])
    assert data_of(documents) == {"a": 7, "f": 3.5, "t": 2, "n": 2, "m": {"k": -1}}


def test_increment_stops_at_the_ends_of_64_bits(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": 2**63 - 2, "b": -(2**63)})])
    documents.commit([Merge("c/d", {"a": Increment(5), "b": Increment(-5)})])
    assert data_of(documents) == {"a": 2**63 - 1, "b": -(2**63)}


def test_maximum_keeps_the_greater(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": 5, "b": 5, "t": "text"})])
    documents.commit(
        [
            Update(
                "c/d",
                {"a": Maximum(3), "b": Maximum(8), "t": Maximum(1), "n": Maximum(-4)},
            )
        ]
    )
    assert data_of(documents) == {"a": 5, "b": 8, "t": 1, "n": -4}


def test_union_adds_each_value_once_in_order(documents: Documents) -> None:
    documents.commit([Put("c/d", {"l": ["a", 1], "t": "text"})])
    documents.commit(
        [
            Merge(
                "c/d",
                {
                    "l": Union(("b", "a", 1.0, "b", {"k": 1})),
                    "t": Union(("x",)),
                    "n": Union(("y",)),
                    "e": Union(()),
                },
            )
        ]
    )
    found = data_of(documents)
    assert found["l"] == ["a", 1, "b", {"k": 1}]
    assert (found["t"], found["n"]) == (["x"], ["y"])


def test_a_transform_inside_a_list_is_refused(documents: Documents) -> None:
    with pytest.raises(Permanent):
        documents.commit([Put("c/d", {"l": [Increment(1)]})])


def test_fields_and_transforms_of_one_map_go_together(documents: Documents) -> None:
    documents.commit([Put("c/d", {"m": {"n": 1, "gone": 1, "kept": 1}})])
    documents.commit(
        [Update("c/d", {"m": {"n": Increment(1), "gone": DeleteField(), "new": "x"}})]
    )
    assert data_of(documents) == {"m": {"n": 2, "kept": 1, "new": "x"}}


# --- commits ---------------------------------------------------------------------


def test_an_empty_commit_does_nothing(documents: Documents) -> None:
    documents.commit([])


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Create("c/there", {"x": 2}), AlreadyExists),
        (Update("c/none", {"x": 2}), DocumentMissing),
    ],
)
def test_when_one_write_is_refused_nothing_is_written(
    documents: Documents, bad: Any, error: type[Exception]
) -> None:
    documents.commit([Put("c/there", {"x": 1})])
    for position in (0, 1, 2):
        writes = [Put("c/a", {"x": 1}), Merge("c/b", {"n": Increment(1)})]
        writes.insert(position, bad)
        with pytest.raises(error):
            documents.commit(writes)
    assert [s.exists for s in documents.get(["c/a", "c/b", "c/there"])] == [
        False,
        False,
        True,
    ]
    assert data_of(documents, "c/there") == {"x": 1}


def test_a_stale_version_beside_other_writes_is_a_conflict_and_writes_nothing(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    old = version_of(documents)
    documents.commit([Put("c/d", {"x": 2})])
    with pytest.raises(Conflict):
        documents.commit(
            [Create("c/new", {}), Update("c/d", {"x": 3}, version=old), Delete("c/d")]
        )
    assert [s.exists for s in documents.get(["c/d", "c/new"])] == [True, False]


def test_two_writes_of_one_document_apply_in_order(documents: Documents) -> None:
    documents.commit([Create("c/d", {"x": 1}), Merge("c/d", {"n": Increment(1)})])
    documents.commit([Update("c/d", {"n": Increment(1)}), Merge("c/d", {"x": 5})])
    assert data_of(documents) == {"x": 5, "n": 2}


def test_five_hundred_writes_are_one_commit_and_one_more_is_refused(
    documents: Documents,
) -> None:
    writes = [Put(f"c/{n}", {"n": n}) for n in range(501)]
    with pytest.raises(Permanent):
        documents.commit(writes)
    assert documents.get(["c/0"])[0].exists is False
    documents.commit(writes[:500])
    assert data_of(documents, "c/499") == {"n": 499}


# --- what is refused -------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        [[1]],
        [1, [2]],
        {"a": [[1]]},
        2**63,
        -(2**63) - 1,
        {1, 2},
        ...,
        1j,
        bytearray(b"x"),
        "\ud800",
        datetime(2026, 1, 1),  # noqa: DTZ001 - that is the point
        {"": 1},
        {"__reserved__": 1},
        {1: 2},
        {"k" * 1501: 1},
    ],
    ids=repr,
)
def test_values_that_firestore_refuses_are_permanent_errors(
    documents: Documents, value: Any
) -> None:
    with pytest.raises(Permanent):
        documents.commit([Put("c/d", {"x": value})])
    with pytest.raises(Permanent):
        documents.commit([Merge("c/d", {"x": value})])
    assert documents.get(["c/d"])[0].exists is False


def test_values_nest_at_most_twenty_deep(documents: Documents) -> None:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(depth):
            value = {"k": value}
        return value

    documents.commit([Put("c/d", nested(20)), Merge("c/m", nested(20))])
    for kind in (Put, Merge):
        with pytest.raises(Permanent):
            documents.commit([kind("c/d", nested(21))])


@pytest.mark.parametrize(
    "path",
    [
        "",
        "c",
        "c/",
        "/d",
        "c//e/f",
        "c/d/e",
        "c/.",
        "c/..",
        "c/__x__",
        "c/" + "x" * 1501,
    ],
)
def test_paths_that_name_no_document_are_refused(
    documents: Documents, path: str
) -> None:
    with pytest.raises(Permanent):
        documents.get([path])
    with pytest.raises(Permanent):
        documents.commit([Put(path, {"x": 1})])


@pytest.mark.parametrize("name", ["a.b", "~", "-", "_", "é", "a b", "x" * 1500, "..."])
def test_odd_document_ids_work(documents: Documents, name: str) -> None:
    documents.commit([Create(f"c/{name}", {"x": 1})])
    assert data_of(documents, f"c/{name}") == {"x": 1}


def test_a_document_of_more_than_one_mebibyte_is_refused(documents: Documents) -> None:
    documents.commit([Put("c/d", {"a": "x" * 500_000, "b": b"x" * 500_000})])
    with pytest.raises(Permanent):
        documents.commit([Put("c/e", {"a": "x" * 600_000, "b": "x" * 600_000})])
    with pytest.raises(Permanent):
        documents.commit([Merge("c/d", {"c": "x" * 60_000})])
    assert documents.get(["c/e"])[0].exists is False
    assert "c" not in data_of(documents)


def test_a_commit_too_big_to_send_is_refused_not_retried(documents: Documents) -> None:
    with pytest.raises(Permanent):
        documents.commit([Put(f"c/{n}", {"a": "x" * 900_000}) for n in range(5)])


@pytest.mark.parametrize(
    "again",
    [
        lambda version: Create("c/d", {}),
        lambda version: Put("c/d", {}, version),
        lambda version: Update("c/d", {"x": 2}, version),
        lambda version: Delete("c/d", version),
    ],
)
@pytest.mark.parametrize("first", [Put("c/d", {"y": 1}), Delete("c/d")])
def test_only_the_first_write_of_a_document_may_have_a_condition(
    documents: Documents, first: Any, again: Any
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    with pytest.raises(Permanent):
        documents.commit([first, again(version_of(documents))])
    assert data_of(documents) == {"x": 1}


def test_what_a_commit_deletes_it_may_write_anew_but_not_update(
    documents: Documents,
) -> None:
    documents.commit([Put("c/d", {"x": 1})])
    with pytest.raises(Permanent):
        documents.commit([Delete("c/d"), Update("c/d", {"y": 1})])
    documents.commit([Delete("c/d"), Merge("c/d", {"y": 1})])
    assert data_of(documents) == {"y": 1}
