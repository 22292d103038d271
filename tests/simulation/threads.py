"""Which of the product's threads is which of the model's: one root is one thread."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from tests.simulation.model import Rec
from tests.simulation.waiting import ANY, Found

UNKNOWN = 1_000_000
"""Roots from here on stand for threads of which nothing said how they began."""

Root = tuple[str, int, str]
"""Subaccount, the number of the mail that began it, contact."""


class Threads:
    """Grows with what is found."""

    def __init__(self) -> None:
        self._roots: dict[tuple[str, str], Root] = {}
        self._began: dict[int, int] = {}
        self._unknown = itertools.count(UNKNOWN)

    def root(self, s: str, found: Found, options: Collection[Rec]) -> int | None:
        """The root of a record's thread, by the options that fit it otherwise."""
        known = self._roots.get((s, found.thread))
        roots = [
            (s, self.now(one.root), found.contact) for one in options if one is not ANY
        ]
        if known is not None and (known in roots or ANY in options):
            return known[1]
        taken = set(self._roots.values())
        free = sorted(one for one in roots if one not in taken)
        if known is None and ANY in options:
            free.append((s, next(self._unknown), found.contact))
        if not free or (known is not None and known[1] < UNKNOWN):
            return None
        if known is not None:
            self._began[known[1]] = free[0][1]  # now something says how it began
        self._roots[s, found.thread] = free[0]
        return free[0][1]

    def now(self, root: int) -> int:
        """What a root is called now."""
        return self._began.get(root, root)
