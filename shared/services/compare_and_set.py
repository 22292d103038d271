"""Repeat a read-decide-write step until nobody came in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shared.errors import AlreadyExists, Conflict, DocumentMissing

Result = TypeVar("Result")

CONFLICTS = (AlreadyExists, Conflict, DocumentMissing)
"""What a commit raises when its premises have changed since they were read."""

_TRIES = 8


def retry_on_conflict(step: Callable[[], Result]) -> Result:
    """Run `step`, which reads and commits; again when it was overtaken.

    Gives up with Conflict after a few tries: the caller repeats the whole call.
    """
    for _ in range(_TRIES - 1):
        try:
            return step()
        except CONFLICTS:
            continue
    try:
        return step()
    except CONFLICTS as error:
        raise Conflict from error
