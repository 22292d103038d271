"""Every query of the code finds an index, and every index has a query.

The emulator asks for none, so the queries are read from the sources: each `Query(…)`
with its filters and orders.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from tests.infra import source
from tests.infra.offline import TERRAFORM, Plan

EXPIRING: dict[str, set[str]] = {
    "consent_flow": {"oauth_flows", "oauth_states"},
    "jobs": {"differences", "jobs", "pages"},
    "mailboxes": set(),  # a lease's, a number inside a document that stays
    "quarantine": {"decisions"},
    "sessions": {"sessions"},
}
"""Which module writes documents with an expiry, and to which collections."""
INDEXES = json.loads((TERRAFORM / "firestore.indexes.json").read_text())


def _tuples(node: ast.expr | None) -> Iterator[list[str]]:
    """Constant texts of each inner tuple; a name that is no constant becomes `*`."""
    for item in node.elts if isinstance(node, ast.Tuple) else ():
        if isinstance(item, ast.Tuple):
            yield [
                str(part.value) if isinstance(part, ast.Constant) else "*"
                for part in item.elts
            ]


def _collection(node: ast.expr) -> str:
    """The last segment of a collection's path; `*` where a variable holds it."""
    match node:
        case ast.Constant(value=str(path)):
            return path.rpartition("/")[2]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="paths"), attr=name)):
            return name
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(path))]):
            return path.rpartition("/")[2]
    return "*"


def queries() -> list[tuple[str, str, list[list[str]], list[list[str]]]]:
    """Where it is, its collection, its filters and its orders."""
    found = []
    for path, module in source.modules():
        for node in ast.walk(module):
            if not (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "Query"
            ):
                continue
            names = ("collection", "where", "order_by")
            given = dict(zip(names, node.args, strict=False)) | {
                keyword.arg: keyword.value for keyword in node.keywords if keyword.arg
            }
            found.append(
                (
                    f"{path.name}:{node.lineno}",
                    _collection(given["collection"]),
                    list(_tuples(given.get("where"))),
                    list(_tuples(given.get("order_by"))),
                )
            )
    return found


def needs_composite(where: list[list[str]], order_by: list[list[str]]) -> bool:
    """Firestore joins single-field indexes for equalities only."""
    ranged = {field for field, how, *_ in where if how in {"<", "<=", ">", ">="}}
    equal = [field for field, how, *_ in where if how == "=="]
    contains = [field for field, how, *_ in where if how.startswith("array")]
    ordered = [field for field, *_ in order_by]
    if not ranged and not ordered:
        return bool(contains and equal)
    return bool(equal or contains or len({*ranged, *ordered}) > 1)


def shape(fields: list[dict[str, str]]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The filtered fields, in any order, and the last one with its direction."""
    last = fields[-1]
    return (
        frozenset(field["fieldPath"] for field in fields[:-1]),
        (last["fieldPath"], last.get("order", "")),
    )


def wanted(
    where: list[list[str]], order_by: list[list[str]]
) -> list[tuple[frozenset[str], tuple[str, ...]]]:
    fields = [field for field, how, *_ in where if how in {"==", "array_contains",
                                                           "array_contains_any"}]  # fmt: skip
    ranged = [field for field, how, *_ in where if how in {"<", "<=", ">", ">="}]
    if order_by:
        name, direction = order_by[-1]
        ordered = [field for field, *_ in order_by[:-1]]
        order = "DESCENDING" if direction == "desc" else "ASCENDING"
        return [(frozenset((*fields, *ordered)), (name, order))]
    if ranged:
        return [(frozenset(fields), (ranged[0], "ASCENDING"))]
    # Equalities beside an array: any order of the fields will do.
    return [(frozenset(fields) - {item}, (item, "ASCENDING")) for item in fields]


def test_there_are_queries_to_look_at():
    assert len(queries()) > 10


def test_every_query_that_needs_a_composite_index_has_one():
    there = [shape(index["fields"]) for index in INDEXES["indexes"]]
    for where_from, _, where, order_by in queries():
        if not needs_composite(where, order_by):
            continue
        fits = [
            item
            for item in wanted(where, order_by)
            if any(
                item[1][1] == other[1][1]
                and _same(item[0], other[0])
                and _same({item[1][0]}, {other[1][0]})
                for other in there
            )
        ]
        assert fits, f"{where_from} has no index for {where} {order_by}"


def _same(some: set[str] | frozenset[str], others: set[str] | frozenset[str]) -> bool:
    """`*` is a field that a variable names: then only the number is compared."""
    if "*" in some:
        return len(some) == len(others)
    return some == others


def test_no_query_needs_a_single_field_index_that_is_switched_off():
    without = {
        (fieldoverride["collectionGroup"], fieldoverride["fieldPath"])
        for fieldoverride in INDEXES["fieldOverrides"]
        if not fieldoverride["indexes"]
    }
    groups = {group for group, _ in without}
    for where_from, collection, where, order_by in queries():
        if not needs_composite(where, order_by):
            # A collection that a variable names may be any of them.
            among = groups if collection == "*" else {collection}
            named = {field for field, *_ in (*where, *order_by)}
            off = {field for group, field in without if group in among}
            assert named & (off | {"expires_at"}) == set(), where_from


def test_the_collection_of_a_query_is_known():
    assert sum(collection == "*" for _, collection, *_ in queries()) <= 1


def test_terraform_makes_every_index_and_exemption(planned: Plan):
    made = {
        (
            resource["collection"],
            tuple(
                (field["field_path"], field["order"], field["array_config"])
                for field in resource["fields"]
            ),
        )
        for resource in planned.all("google_firestore_index").values()
    }
    fields = {
        (resource["collection"], resource["field"])
        for resource in planned.all("google_firestore_field").values()
    }

    assert made == {
        (
            index["collectionGroup"],
            tuple(
                (field["fieldPath"], field.get("order") or None,
                 field.get("arrayConfig") or None)
                for field in index["fields"]
            ),
        )
        for index in INDEXES["indexes"]
    }  # fmt: skip
    assert {
        (fieldoverride["collectionGroup"], fieldoverride["fieldPath"])
        for fieldoverride in INDEXES["fieldOverrides"]
    } <= fields


def test_documents_with_an_expiry_are_deleted_by_firestore(planned: Plan):
    expiring = {
        resource["collection"]
        for resource in planned.all("google_firestore_field").values()
        if resource["ttl_config"]
    }

    assert source.modules_that_write_an_expiry() == set(EXPIRING)
    assert expiring == {item for some in EXPIRING.values() for item in some}
