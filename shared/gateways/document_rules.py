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
from functools import lru_cache
from types import NoneType
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
_INT64 = 1 << 63
_RESERVED = re.compile(r"__.*__", re.DOTALL)
_SIMPLE_FIELD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")
_CONTAINERS = frozenset((dict, list, tuple))
_SCALARS = frozenset((str, int, bool, float, bytes, type(None), datetime))
_FIXED_SIZE: dict[type, int] = {int: 8, bool: 1, type(None): 1, float: 8}
# Field names seen to be good: the same few come again and again.
_GOOD_FIELDS: set[str] = set()
_MANY_FIELDS = 1 << 14


@dataclass(frozen=True, slots=True)
class Change:
    """The data of one write, taken apart.

    `value` is an owned copy without transforms. For Merge and Update `sets` names every
    leaf of `value` and `removals` the fields to take away. `size` is at least what the
    write can add to the document.
    """

    value: dict[str, Any]
    sets: tuple[FieldPath, ...]
    removals: tuple[FieldPath, ...]
    transforms: tuple[tuple[FieldPath, Transform], ...]
    size: int


def prepared(writes: Sequence[Write]) -> list[Change | None]:
    """Check a commit as a whole and take each write apart (a Delete has no data)."""
    if len(writes) > MAX_WRITES:
        raise Permanent(f"A commit takes at most {MAX_WRITES} writes.")
    changes: list[Change | None] = []
    total = 0
    last: dict[Path, Write] = {}
    for write in writes:
        check_document(write.path)
        _check_again(last.get(write.path), write)
        last[write.path] = write
        if isinstance(write, Delete):
            changes.append(None)
        else:
            change = take_apart(write)
            changes.append(change)
            total += change.size
    if total > MAX_COMMIT_BYTES:
        raise Permanent(f"A commit holds at most {MAX_COMMIT_BYTES} bytes.")
    return changes


def check_document(path: Path) -> None:
    """Refuse a path that cannot name a document."""
    segments = path.split("/")
    if len(segments) % 2:
        raise Permanent("A document path has an even number of segments.")
    for segment in segments:
        check_id(segment)


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
            if type(item) in _SCALARS:
                result[key] = plain(item, key, len(path))
                sets.append(path)
            elif isinstance(item, Mapping) and item:
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
                result[key] = plain(item, key, len(path))
                sets.append(path)
        return result

    value = split(write.data, ())
    return Change(
        value,
        tuple(sets) if merging else (),
        tuple(removals),
        tuple(transforms),
        value_size(write.data),
    )


def document_size(path: Path, data: Mapping[str, Any]) -> int:
    """Bytes the document counts for (Firestore "Storage size calculations")."""
    return name_size(path) + value_size(data)


def name_size(path: Path) -> int:
    """Bytes that an empty document counts for."""
    return 16 + 32 + sum(map(_text_size, path.split("/")))


def value_size(value: Any) -> int:
    """Bytes a value counts for; a transform as what it can add at most."""
    if type(value) in _FIXED_SIZE:
        return _FIXED_SIZE[type(value)]
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
    return 8


def quoted(path: FieldPath) -> str:
    """A field path in the API's syntax: any segment but a simple name in backticks."""
    return ".".join(
        segment
        if _SIMPLE_FIELD.fullmatch(segment)
        else "`" + segment.replace("\\", "\\\\").replace("`", "\\`") + "`"
        for segment in path
    )


def _check_again(earlier: Write | None, write: Write) -> None:
    """Refuse a second write of a document that Firestore cannot join to the first.

    It joins the writes of one document before it looks at it, so only the first may say
    how the document must have been.
    """
    if earlier is None:
        return
    if isinstance(write, Create) or getattr(write, "version", None) is not None:
        raise Permanent("Only a document's first write in a commit has a condition.")
    if isinstance(write, Update) and isinstance(earlier, Delete):
        raise Permanent("What a commit deletes it cannot update.")


@lru_cache(1 << 16)
def check_id(segment: str) -> None:
    """Refuse a segment of a path that Firestore refuses."""
    if not segment:
        raise Permanent("A path has an empty segment.")
    if segment in {".", ".."} or (segment[:2] == "__" and _RESERVED.fullmatch(segment)):
        raise Permanent("A path has a segment that Firestore reserves.")
    if _text_size(segment) - 1 > MAX_NAME_BYTES:
        raise Permanent(f"A path segment is longer than {MAX_NAME_BYTES} bytes.")


def _check_field(key: Any) -> None:
    if type(key) is str and key in _GOOD_FIELDS:
        return
    _check_new_field(key)
    if len(_GOOD_FIELDS) < _MANY_FIELDS:
        _GOOD_FIELDS.add(key)


def _check_new_field(key: Any) -> None:
    if not isinstance(key, str) or not key:
        raise Permanent("A field has no name.")
    if key[:2] == "__" and _RESERVED.fullmatch(key):
        raise Permanent("A field has a name that Firestore reserves.")
    if _text_size(key) - 1 > MAX_NAME_BYTES:
        raise Permanent(f"A field name is longer than {MAX_NAME_BYTES} bytes.")


def _checked(transform: Transform, depth: int) -> Transform:
    if isinstance(transform, Union):
        return Union(tuple(plain(list(transform.values), "union", depth)))
    number = transform.by if isinstance(transform, Increment) else transform.value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Permanent("Increment and Maximum take a number.")
    plain(number, "transform", depth)
    return transform


def plain(value: Any, name: str, depth: int) -> Any:
    """Copy a value without transforms; refuses what Firestore cannot hold."""
    kind = type(value)
    if kind is str:
        if not value.isascii():
            _text_size(value)
        return value
    if kind in _CONTAINERS or isinstance(value, Mapping):
        return _container(value, name, depth)
    if isinstance(value, bool | float | bytes | NoneType):
        return value
    if isinstance(value, str):
        _text_size(value)
        # A member of a StrEnum is kept as plain text.
        return str.__str__(value)
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise Permanent(f"Field {name} holds an integer beyond 64 bits.")
        return int(value)
    if isinstance(value, datetime):
        if value.utcoffset() != timedelta(0):
            raise Permanent(f"Field {name} holds a time that is not in UTC.")
        return value
    raise Permanent(f"Field {name} holds a {kind.__name__}.")


def _container(
    value: Mapping[str, Any] | list[Any] | tuple[Any, ...], name: str, depth: int
) -> Any:
    if depth > MAX_DEPTH:
        raise Permanent(f"Values nest at most {MAX_DEPTH} deep.")
    if isinstance(value, Mapping):
        for key in value:
            _check_field(key)
        return {key: plain(item, key, depth + 1) for key, item in value.items()}
    if any(isinstance(item, list | tuple) for item in value):
        raise Permanent(f"Field {name} holds a list within a list.")
    return [plain(item, name, depth + 1) for item in value]


def _text_size(text: str) -> int:
    if text.isascii():
        return len(text) + 1
    try:
        return len(text.encode()) + 1
    except UnicodeEncodeError:
        # A lone surrogate; the text itself must not reach a log.
        raise Permanent("A text is not valid Unicode.") from None
