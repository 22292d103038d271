"""Access tokens of this instance, by refresh token: fetched once, used until they end.

Kept in memory only. Refresh tokens are keys as digests, so that nothing here can show
one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.ids import digest

# A call that begins now must still end before the token does.
_MARGIN = timedelta(seconds=120)
_MOST = 10_000

Fetch = Callable[[str], tuple[str, timedelta]]
"""Gives a new access token and its life for a refresh token."""


@dataclass(slots=True)
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str = field(default="", repr=False)
    ends_at: datetime | None = None


class AccessTokens:
    """Thread safe; concurrent callers of one mailbox wait for one refresh."""

    def __init__(self, fetch: Fetch, now: Callable[[], datetime]) -> None:
        """Begin empty."""
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._slots: OrderedDict[str, _Slot] = OrderedDict()

    def get(self, refresh_token: str, *, refused: str | None = None) -> str:
        """A living access token, never the one that Gmail has just `refused`."""
        slot = self._slot(refresh_token)
        with slot.lock:
            lives = slot.ends_at is not None and self._now() < slot.ends_at
            if not lives or slot.token == refused:
                slot.token, life = self._fetch(refresh_token)
                slot.ends_at = self._now() + life - _MARGIN
            return slot.token

    def forget(self, refresh_token: str) -> None:
        """Drop what is kept for this refresh token."""
        with self._lock:
            self._slots.pop(_key(refresh_token), None)

    def _slot(self, refresh_token: str) -> _Slot:
        with self._lock:
            slot = self._slots.setdefault(_key(refresh_token), _Slot())
            self._slots.move_to_end(_key(refresh_token))
            if len(self._slots) > _MOST:
                self._slots.popitem(last=False)
            return slot


def _key(refresh_token: str) -> str:
    return digest("refresh-token", refresh_token)
