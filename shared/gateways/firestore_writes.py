"""Writes in Firestore's own form.

The client's helpers cannot say "replace, if unchanged", so a write is put together
here; sending it stays with the client's batch. Plain protobuf messages, which are
several times faster than the client's wrappers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from google.cloud.firestore import Client, WriteBatch
from google.cloud.firestore_v1 import types

from shared.errors import Permanent
from shared.gateways import document_rules as rules
from shared.ports import Create, Increment, Maximum, Merge, Update, Write

_new_write: Any = types.Write.pb()


class WritesBatch(WriteBatch):
    """A batch that takes our writes."""

    def __init__(self, client: Client, database: str) -> None:
        """Begin empty. `database` is its full resource name."""
        super().__init__(client)
        self._documents = f"{database}/documents/"

    def add(self, write: Write, change: rules.Change | None) -> None:
        """Add one write, with its data taken apart."""
        self._add_write_pbs([encoded(write, change, self._documents + write.path)])


def encoded(write: Write, change: rules.Change | None, name: str) -> types.Write:
    """Put a write to the document with this full name into the API's form."""
    message = _new_write()
    if change is None:
        message.delete = name
    else:
        message.update.name = name
        for field, value in change.value.items():
            _fill(message.update.fields[field], value)
        if isinstance(write, Merge | Update):
            # Present even when empty: without a mask the whole document is replaced.
            message.update_mask.SetInParent()
            message.update_mask.field_paths.extend(
                map(rules.quoted, change.sets + change.removals)
            )
        for path, transform in change.transforms:
            _transform(message.update_transforms.add(), path, transform)
    _precondition(message.current_document, write)
    wrapped: types.Write = types.Write.wrap(message)
    return wrapped


def _precondition(message: Any, write: Write) -> None:
    if isinstance(write, Create):
        message.exists = False
    elif not isinstance(write, Merge) and write.version is not None:
        exact = getattr(write.version, "timestamp_pb", None)
        if exact is None:
            raise Permanent("That version was not read from this store.")
        message.update_time.CopyFrom(exact())
    elif isinstance(write, Update):
        message.exists = True


def _transform(message: Any, path: rules.FieldPath, transform: rules.Transform) -> None:
    message.field_path = rules.quoted(path)
    if isinstance(transform, Increment):
        _fill(message.increment, transform.by)
    elif isinstance(transform, Maximum):
        _fill(message.maximum, transform.value)
    else:
        message.append_missing_elements.SetInParent()
        for item in transform.values:
            _fill(message.append_missing_elements.values.add(), item)


def _fill(message: Any, value: Any) -> None:
    """Put a checked value into a Value message."""
    if value is None:
        message.null_value = 0
    elif isinstance(value, dict):
        message.map_value.SetInParent()
        for key, item in value.items():
            _fill(message.map_value.fields[key], item)
    elif isinstance(value, list):
        message.array_value.SetInParent()
        for item in value:
            _fill(message.array_value.values.add(), item)
    elif isinstance(value, datetime):
        message.timestamp_value.FromDatetime(value)
    else:
        setattr(message, _SCALARS[type(value)], value)


_SCALARS = {
    bool: "boolean_value",
    bytes: "bytes_value",
    float: "double_value",
    int: "integer_value",
    str: "string_value",
}
