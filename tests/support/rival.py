"""A rival that comes between a read and the commit that relies on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class Overtaken:
    """Documents where `rival` acts just after a path was read for the n-th time."""

    def __init__(
        self, inner: Any, path: str, rival: Callable[[], object], *, after: int
    ) -> None:
        self._inner = inner
        self._path = path
        self._rival = rival
        self._left = after

    def get(self, paths: Sequence[str]) -> Any:
        found = self._inner.get(paths)
        if self._path in paths:
            self._left -= 1
            if self._left == 0:
                self._rival()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
