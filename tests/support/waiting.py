"""Waiting for an effect instead of sleeping for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], seconds: float = 10.0, every: float = 0.01) -> T:
    """Look until there is something (truthy), and return it.

    Fails when nothing came in time. Look less often where looking is work for what is
    waited for.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Nothing after {seconds} seconds.")
        time.sleep(every)
    return found
