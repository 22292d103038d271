"""Connections to Gmail: kept for what may be asked twice, made anew for all else.

A new one costs two round trips; a notification would need three. The face is that of
httplib2, which Google's client is written for (docs/decisions/
2026-12-gmail-over-requests.md).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from shared.gateways.http_exchange import (
    Answer,
    BoundedAdapter,
    BrokenExchange,
    exchange,
)

KEPT_SECONDS = 60
"""How long an unused connection is kept: well below what servers and networks wait
before they drop one, often without a word."""

_REFUSED = 300

MOST_BYTES = 16 * 1024 * 1024
"""Of an answer that nothing else is said of: far above a page of 500 entries."""

HttpFactory = Callable[[bool], Any]
"""Gives an object with httplib2's `request` and `close` for one request; True says that
the request may be sent a second time."""

# A connection serves one request at a time, and a thread works for one mailbox.
_thread = threading.local()


def open_http(repeatable: bool) -> Http:  # noqa: FBT001  (as it is called)
    """A transport for one request; of the repeatable ones each thread has its own."""
    if not repeatable:
        return Http()
    kept: KeptHttp | None = getattr(_thread, "kept", None)
    if kept is None:
        kept = _thread.kept = KeptHttp()
    return kept


class Http:
    """Sends a request once, over a connection of its own."""

    most_bytes = MOST_BYTES

    def __init__(self) -> None:
        """Connect to nobody yet."""
        self._adapter = BoundedAdapter(pool_connections=1, pool_maxsize=1)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **_: Any,
    ) -> tuple[Answer, bytearray | bytes]:
        """Ask, as httplib2 is asked."""
        answer, data = exchange(
            self._adapter,
            method,
            uri,
            headers=headers,
            # http.client would write text in Latin-1.
            body=body.encode() if isinstance(body, str) else body,
            most_bytes=self.most_bytes,
        )
        # Google's client wants a refusal in bytes; what it reads is not copied.
        return answer, data if answer.status < _REFUSED else bytes(data)

    def close(self) -> None:
        """End the connection."""
        self._adapter.close()


class KeptHttp(Http):
    """One thread's connection, open until it breaks or nobody uses it.

    Whatever goes wrong ends it, so that no answer is ever taken for another's.
    """

    _used_at = float("-inf")
    _is_open = False

    def request(self, *args: Any, **more: Any) -> tuple[Answer, bytearray | bytes]:
        """Ask; once more on a new connection when the old one had been closed."""
        if time.monotonic() - self._used_at > KEPT_SECONDS:
            self._end()
        used_before = self._is_open
        try:
            try:
                answer = super().request(*args, **more)
            except BrokenExchange:
                if not used_before:
                    raise
                self._end()  # it had been closed meanwhile: that is no fault
                answer = super().request(*args, **more)
        except BaseException:
            self._end()
            raise
        finally:
            self._used_at = time.monotonic()
        self._is_open = True
        return answer

    def close(self) -> None:
        """Leave it open for the thread's next request."""

    def _end(self) -> None:
        self._is_open = False
        super().close()
