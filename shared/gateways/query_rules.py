"""What Firestore takes as a query: one rule for the real gateway and the other."""

from __future__ import annotations

import re
from typing import Any

from shared.errors import Permanent
from shared.gateways.document_rules import FieldPath, check_id, plain
from shared.ports import Query

RANGES = frozenset(("<", "<=", ">", ">="))
MAX_ANY_VALUES = 30
_OPERATORS = RANGES | {"==", "array_contains", "array_contains_any"}
_FIELD = re.compile(r"(?:[A-Za-z_][A-Za-z_0-9]*|`(?:[^`\\]|\\.)+`)", re.DOTALL)


def check_query(query: Query) -> None:
    """Refuse a query that Firestore refuses, or one that pages without an order."""
    segments = query.collection.split("/")
    if not len(segments) % 2:
        raise Permanent("A collection path has an odd number of segments.")
    for segment in segments:
        check_id(segment)
    ordered = {name for name, _ in query.order_by}
    for name, operator, value in query.where:
        field_path(name)
        _check_filter(operator, value)
        if operator in RANGES and name not in ordered and query.start_after:
            raise Permanent("A paged range query orders by its field.")
    for name in ordered:
        field_path(name)
    if query.limit is not None and query.limit < 1:
        raise Permanent("A limit is at least 1.")
    cursor = query.start_after
    if cursor is not None:
        if len(cursor) != len(query.order_by) + 1 or not isinstance(cursor[-1], str):
            raise Permanent("A cursor has a value for each order, then the id.")
        check_id(cursor[-1])
        for value in cursor[:-1]:
            plain(value, "cursor", 1)


def field_path(name: str) -> FieldPath:
    """Read a field path in the API's syntax, the reverse of `quoted`."""
    segments: list[str] = []
    at = 0
    while True:
        found = _FIELD.match(name, at)
        if not found:
            raise Permanent("A field of a query is not well formed.")
        text = found.group()
        segments.append(
            re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            if text[0] == "`"
            else text
        )
        at = found.end()
        if at == len(name):
            return tuple(segments)
        if name[at] != ".":
            raise Permanent("A field of a query is not well formed.")
        at += 1


def _check_filter(operator: str, value: Any) -> None:
    if operator not in _OPERATORS:
        raise Permanent(f"No such operator: {operator}.")
    plain(value, "filter", 1)
    if value is None or value != value:  # noqa: PLR0124 - NaN alone differs from itself
        if operator != "==":
            raise Permanent("Null and NaN can only be compared with ==.")
    elif operator == "array_contains_any":
        if not isinstance(value, list | tuple):
            raise Permanent("array_contains_any takes a list.")
        if not 0 < len(value) <= MAX_ANY_VALUES:
            raise Permanent(f"array_contains_any takes 1 to {MAX_ANY_VALUES} values.")
    elif operator == "array_contains" and isinstance(value, list | tuple):
        raise Permanent("No list holds a list.")
