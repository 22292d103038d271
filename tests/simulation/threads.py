"""Which of the product's threads is which of the model's: one root is one thread."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from tests.simulation.model import UNKNOWN, Rec
from tests.simulation.waiting import ANY, Found

Root = tuple[str, int, str]
"""Subaccount, the number of the mail that began it, contact."""


class Threads:
    """Grows with what is found.

    A thread that may have begun in several ways gets a root of its own, until a record
    of it shows in which one.
    """

    def __init__(self) -> None:
        self._roots: dict[tuple[str, str], Root] = {}
        self._may_be: dict[Root, frozenset[Root] | None] = {}
        self._began: dict[int, int] = {}
        self._unknown = itertools.count(UNKNOWN)

    def root(self, s: str, found: Found, options: Collection[Rec]) -> int | None:
        """The root of a record's thread, by the options that fit it otherwise."""
        known = self._roots.get((s, found.thread))
        roots = {
            (s, self.now(option.root), found.contact)
            for option in options
            if option is not ANY
        }
        if known is not None and (known in roots or ANY in options):
            return known[1]
        left = roots.difference(self._roots.values())
        if known is not None:
            if known not in self._may_be or known[2] != found.contact:
                return None
            before = self._may_be[known]
            left = left if before is None else left & before
        return self._begins(s, found, known, left, anyhow=ANY in options)

    def _begins(
        self, s: str, found: Found, known: Root | None, left: set[Root], *, anyhow: bool
    ) -> int | None:
        """Note how a thread may have begun, or certainly has."""
        if not left and not anyhow:
            return None
        if len(left) == 1 and not anyhow:
            (root,) = left
            if known is not None:
                del self._may_be[known]
                self._began[known[1]] = root[1]
        else:
            root = known or (s, next(self._unknown), found.contact)
            self._may_be[root] = None if anyhow else frozenset(left)
        self._roots[s, found.thread] = root
        return root[1]

    def now(self, root: int) -> int:
        """What a root is called now."""
        return self._began.get(root, root)
