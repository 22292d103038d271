"""Repeat a read-decide-write step until nobody came in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from shared.errors import AlreadyExists, Conflict, Missing

Result = TypeVar("Result")

OVERTAKEN = (AlreadyExists, Conflict, Missing)
"""What a commit raises when its premises have changed since they were read."""

_TRIES = 8


def until_settled(step: Callable[[], Result]) -> Result:
    """Run `step`, which reads and commits; again when it was overtaken.

    Gives up with Conflict after a few tries: the caller repeats the whole call.
    """
    for _ in range(_TRIES - 1):
        try:
            return step()
        except OVERTAKEN:
            continue
    try:
        return step()
    except OVERTAKEN as error:
        raise Conflict from error
