"""What Firestore takes, and how a write's data is taken apart.

Shared by the real gateway and the in-memory one, so that both refuse the same things
with the same error (Permanent) before anything is written. Names fields in messages,
never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.errors import Permanent
from shared.ports import (
    Create,
    Data,
    Delete,
    DeleteField,
    Increment,
    Maximum,
    Merge,
    Path,
    Put,
    Query,
    Union,
    Update,
    Write,
)

FieldPath = tuple[str, ...]
Transform = Increment | Maximum | Union

# Firestore "Quotas and limits" (read 2026-11) and what the emulator answers.
MAX_WRITES = 500
MAX_DOCUMENT_BYTES = 1024 * 1024
# The emulator's gRPC server takes 4 MiB and says "resource exhausted" above, which
# would be retried for ever: refuse it here, with room for the encoding.
MAX_COMMIT_BYTES = 3_500_000
MAX_DEPTH = 20
MAX_NAME_BYTES = 1500
MAX_ANY_VALUES = 30
_INT64 = 1 << 63
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_SIMPLE_FIELD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_QUERY_FIELD = re.compile(r"(?:[A-Za-z_][A-Za-z_0-9]*|`(?:[^`\\]|\\.)+`)")
_OPERATORS = frozenset(
    ("==", "<", "<=", ">", ">=", "array_contains", "array_contains_any")
)
_RANGES = frozenset(("<", "<=", ">", ">="))


@dataclass(frozen=True, slots=True)
class Change:
    """The data of one write, taken apart.

    `value` is an owned copy without transforms. For Merge and Update `sets` names every
    leaf of `value` and `removals` the fields to take away.
    """

    value: dict[str, Any]
    sets: tuple[FieldPath, ...]
    removals: tuple[FieldPath, ...]
    transforms: tuple[tuple[FieldPath, Transform], ...]


def prepared(writes: Sequence[Write]) -> list[Change | None]:
    """Check a commit as a whole and take each write apart (a Delete has no data)."""
    if len(writes) > MAX_WRITES:
        raise Permanent(f"A commit takes at most {MAX_WRITES} writes.")
    changes: list[Change | None] = []
    total = 0
    for write in writes:
        check_document(write.path)
        if isinstance(write, Delete):
            changes.append(None)
        else:
            changes.append(take_apart(write))
            total += value_size(write.data)
    if total > MAX_COMMIT_BYTES:
        raise Permanent(f"A commit holds at most {MAX_COMMIT_BYTES} bytes.")
    return changes


def check_document(path: Path) -> None:
    """Refuse a path that cannot name a document."""
    segments = path.split("/")
    if len(segments) % 2:
        raise Permanent("A document path has an even number of segments.")
    for segment in segments:
        _check_id(segment)


def check_query(query: Query) -> None:
    """Refuse a query that Firestore refuses, or one that pages without an order."""
    segments = query.collection.split("/")
    if not len(segments) % 2:
        raise Permanent("A collection path has an odd number of segments.")
    for segment in segments:
        _check_id(segment)
    ordered = {name for name, _ in query.order_by}
    for name, operator, value in query.where:
        field_path(name)
        _check_filter(operator, value)
        if operator in _RANGES and name not in ordered and query.start_after:
            raise Permanent("A paged range query orders by its field.")
    for name in ordered:
        field_path(name)
    if query.limit is not None and query.limit < 1:
        raise Permanent("A limit is at least 1.")
    cursor = query.start_after
    if cursor is not None:
        if len(cursor) != len(query.order_by) + 1 or not isinstance(cursor[-1], str):
            raise Permanent("A cursor has a value for each order, then the id.")
        _check_id(cursor[-1])
        for value in cursor[:-1]:
            _plain(value, "cursor", 1)


def take_apart(write: Create | Put | Merge | Update) -> Change:
    """Copy and check the data of a write; see Change."""
    merging = isinstance(write, Merge | Update)
    sets: list[FieldPath] = []
    removals: list[FieldPath] = []
    transforms: list[tuple[FieldPath, Transform]] = []

    def split(data: Data, prefix: FieldPath) -> dict[str, Any]:
        if len(prefix) > MAX_DEPTH:
            raise Permanent(f"Values nest at most {MAX_DEPTH} deep.")
        result: dict[str, Any] = {}
        for key, item in data.items():
            _check_field(key)
            path = (*prefix, key)
            if isinstance(item, Mapping) and item:
                nested = split(item, path)
                if nested or not merging:
                    result[key] = nested
            elif isinstance(item, DeleteField):
                if not merging:
                    raise Permanent("Only Merge and Update can remove a field.")
                removals.append(path)
            elif isinstance(item, Increment | Maximum | Union):
                transforms.append((path, _checked(item, len(path))))
            else:
                result[key] = _plain(item, key, len(path))
                sets.append(path)
        return result

    value = split(write.data, ())
    return Change(
        value,
        tuple(sets) if merging else (),
        tuple(removals),
        tuple(transforms),
    )


def document_size(path: Path, data: Mapping[str, Any]) -> int:
    """Bytes the document counts for (Firestore "Storage size calculations")."""
    name = 16 + sum(_text_size(segment) for segment in path.split("/"))
    return name + 32 + value_size(data)


def value_size(value: Any) -> int:
    """Bytes a value counts for; a transform as what it can add at most."""
    if isinstance(value, str):
        return _text_size(value)
    if isinstance(value, Mapping):
        return sum(_text_size(key) + value_size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(value_size, value))
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Union):
        return value_size(value.values)
    return 1 if value is None or isinstance(value, bool) else 8


def quoted(path: FieldPath) -> str:
    """A field path in the API's syntax: any segment but a simple name in backticks."""
    return ".".join(
        segment
        if _SIMPLE_FIELD.fullmatch(segment)
        else "`" + segment.replace("\\", "\\\\").replace("`", "\\`") + "`"
        for segment in path
    )


def field_path(name: str) -> FieldPath:
    """Read a field path in the API's syntax, the reverse of `quoted`."""
    segments: list[str] = []
    at = 0
    while True:
        found = _QUERY_FIELD.match(name, at)
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


def _check_id(segment: str) -> None:
    if not segment:
        raise Permanent("A path has an empty segment.")
    if segment in {".", ".."} or (segment[:2] == "__" and _RESERVED.fullmatch(segment)):
        raise Permanent("A path has a segment that Firestore reserves.")
    if _text_size(segment) - 1 > MAX_NAME_BYTES:
        raise Permanent(f"A path segment is longer than {MAX_NAME_BYTES} bytes.")


def _check_field(key: Any) -> None:
    if not isinstance(key, str) or not key:
        raise Permanent("A field has no name.")
    if key[:2] == "__" and _RESERVED.fullmatch(key):
        raise Permanent("A field has a name that Firestore reserves.")
    if _text_size(key) - 1 > MAX_NAME_BYTES:
        raise Permanent(f"A field name is longer than {MAX_NAME_BYTES} bytes.")


def _check_filter(operator: str, value: Any) -> None:
    if operator not in _OPERATORS:
        raise Permanent(f"No such operator: {operator}.")
    _plain(value, "filter", 1)
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


def _checked(transform: Transform, depth: int) -> Transform:
    if isinstance(transform, Union):
        return Union(tuple(_plain(list(transform.values), "union", depth)))
    number = transform.by if isinstance(transform, Increment) else transform.value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Permanent("Increment and Maximum take a number.")
    _plain(number, "transform", depth)
    return transform


def _plain(value: Any, name: str, depth: int) -> Any:
    """Copy a value without transforms; refuses what Firestore cannot hold."""
    if isinstance(value, Mapping | list | tuple):
        return _container(value, name, depth)
    if value is None or isinstance(value, bool | float | bytes):
        return value
    if isinstance(value, str):
        _text_size(value)
        # A member of a StrEnum is kept as plain text.
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise Permanent(f"Field {name} holds an integer beyond 64 bits.")
        return int(value)
    if isinstance(value, datetime):
        if value.utcoffset() != timedelta(0):
            raise Permanent(f"Field {name} holds a time that is not in UTC.")
        return value
    raise Permanent(f"Field {name} holds a {type(value).__name__}.")


def _container(
    value: Mapping[str, Any] | list[Any] | tuple[Any, ...], name: str, depth: int
) -> Any:
    if depth > MAX_DEPTH:
        raise Permanent(f"Values nest at most {MAX_DEPTH} deep.")
    if isinstance(value, Mapping):
        for key in value:
            _check_field(key)
        return {key: _plain(item, key, depth + 1) for key, item in value.items()}
    if any(isinstance(item, list | tuple) for item in value):
        raise Permanent(f"Field {name} holds a list within a list.")
    return [_plain(item, name, depth + 1) for item in value]


def _text_size(text: str) -> int:
    if text.isascii():
        return len(text) + 1
    try:
        return len(text.encode()) + 1
    except UnicodeEncodeError:
        # A lone surrogate; the text itself must not reach a log.
        raise Permanent("A text is not valid Unicode.") from None
