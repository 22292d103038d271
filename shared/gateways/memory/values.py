"""How Firestore compares, orders and transforms values. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from shared.gateways.document_rules import Change, FieldPath, Transform
from shared.ports import Increment, Maximum

_MISSING = object()
_INT64 = 1 << 63

# Firestore "Data types": null, booleans, numbers, times, text, bytes, lists, maps.
_NULL, _BOOL, _NUMBER, _TIME, _TEXT, _BYTES, _LIST, _MAP = range(8)

SortKey = tuple[Any, ...]
NAN: SortKey = (_NUMBER, 0)
"""NaN is less than every number and equal to itself; it is in no range."""


def sort_key(value: Any) -> SortKey:
    """Order and equality of values: by type first; 1 equals 1.0, True does not."""
    kind = type(value)
    if kind is str:
        return (_TEXT, value)
    if kind is int:
        return (_NUMBER, 1, value)
    if value is None:
        return (_NULL,)
    if kind is bool:
        return (_BOOL, value)
    if kind is float:
        return NAN if math.isnan(value) else (_NUMBER, 1, value)
    if kind is bytes:
        return (_BYTES, value)
    if isinstance(value, Mapping):
        return (_MAP, tuple((key, sort_key(value[key])) for key in sorted(value)))
    if isinstance(value, list | tuple):
        return (_LIST, tuple(map(sort_key, value)))
    return (_TIME, value)


def same(value: Any, other: Any) -> bool:
    """Whether two values are the same to the letter (1 and 1.0 are not)."""
    if type(value) is not type(other):
        return False
    if isinstance(value, dict):
        return len(value) == len(other) and all(
            key in other and same(item, other[key]) for key, item in value.items()
        )
    if isinstance(value, list):
        return len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, float):
        return repr(value) == repr(other)
    return bool(value == other)


def copied(value: Any) -> Any:
    """A deep copy of a stored value."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value


def lookup(data: Mapping[str, Any], path: FieldPath) -> tuple[bool, Any]:
    """The value at a field path, and whether there is one."""
    value: Any = data
    for segment in path:
        if not isinstance(value, Mapping) or segment not in value:
            return False, None
        value = value[segment]
    return True, value


def replaced(change: Change) -> dict[str, Any]:
    """The document that Create and Put leave."""
    return _transformed(change.value, change) if change.transforms else change.value


def merged(old: dict[str, Any], change: Change) -> dict[str, Any]:
    """The document that Merge and Update leave; `old` itself is not changed."""
    data = _overlaid(old, change.value)
    for path in change.removals:
        if lookup(data, path[:-1])[0] and isinstance(
            lookup(data, path[:-1])[1], Mapping
        ):
            data = _with(data, path, _MISSING)
    return _transformed(data, change)


def _overlaid(old: Any, new: dict[str, Any]) -> dict[str, Any]:
    data = dict(old) if isinstance(old, dict) else {}
    for key, item in new.items():
        # An empty map replaces; only a filled one merges.
        if isinstance(item, dict) and item:
            data[key] = _overlaid(data.get(key), item)
        else:
            data[key] = item
    return data


def _transformed(data: dict[str, Any], change: Change) -> dict[str, Any]:
    for path, transform in change.transforms:
        found, stored = lookup(data, path)
        data = _with(data, path, _result(transform, stored if found else _MISSING))
    return data


def _with(data: Any, path: FieldPath, value: Any) -> dict[str, Any]:
    """A copy with this field set (or gone), sharing all that is not on the path."""
    result = dict(data) if isinstance(data, dict) else {}
    if len(path) > 1:
        result[path[0]] = _with(result.get(path[0]), path[1:], value)
    elif value is _MISSING:
        result.pop(path[0], None)
    else:
        result[path[0]] = value
    return result


def _result(transform: Transform, stored: Any) -> Any:
    if isinstance(transform, Increment):
        if not _number(stored):
            return transform.by
        total = stored + transform.by
        if isinstance(total, int):
            # Firestore stops at the ends of 64 bits.
            return min(max(total, -_INT64), _INT64 - 1)
        return total
    if isinstance(transform, Maximum):
        if not _number(stored) or sort_key(stored) < sort_key(transform.value):
            return transform.value
        return stored
    kept = list(stored) if isinstance(stored, list) else []
    known = {sort_key(item) for item in kept}
    for item in transform.values:
        key = sort_key(item)
        if key not in known:
            known.add(key)
            kept.append(item)
    return kept


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
