"""Connections to Gmail: kept for what may be asked twice, made anew for all else.

A new one costs two round trips and a look at all certificates of this machine's, which
alone takes Python 17 ms (`make bench`); a notification would need three.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import httplib2

HTTP_SECONDS = 20
KEPT_SECONDS = 60
"""How long an unused connection is kept: well below what servers and networks wait
before they drop one, often without a word."""

HttpFactory = Callable[[bool], Any]
"""Gives an object with httplib2's `request` and `close` for one request; True says that
the request may be sent a second time."""


def open_http(repeatable: bool) -> httplib2.Http:  # noqa: FBT001  (as it is called)
    """An Http for one request; of the repeatable ones each thread has its own."""
    if not repeatable:
        return _without_redirects(_Http(timeout=HTTP_SECONDS))
    kept: _Kept | None = getattr(_thread, "kept", None)
    if kept is None:
        kept = _thread.kept = _Kept(timeout=HTTP_SECONDS)
        _without_redirects(kept)
    return kept


# httplib2 is not thread-safe.
_thread = threading.local()


def _without_redirects(made: httplib2.Http) -> httplib2.Http:
    # A redirect would carry the token somewhere else.
    made.follow_redirects = False
    return made


@cache
def _certificates() -> ssl.SSLContext:
    """Which servers are trusted: httplib2's own choice, read once."""
    context: ssl.SSLContext = httplib2._build_ssl_context(  # type: ignore[attr-defined]  # noqa: SLF001
        disable_ssl_certificate_validation=False, ca_certs=httplib2.CA_CERTS
    )
    return context


class _Once:
    """A connection that never sends a request a second time.

    httplib2 repeats any request, a send too, when the server closes the connection
    without an answer. A plain reset it leaves to the caller.
    """

    def getresponse(self) -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = super().getresponse()  # type: ignore[misc]
        except http.client.BadStatusLine as fault:
            raise ConnectionResetError("closed without an answer") from fault
        return response


class _PlainOnce(_Once, httplib2.HTTPConnectionWithTimeout):
    pass


class _TlsOnce(_Once, httplib2.HTTPSConnectionWithTimeout):
    def __init__(self, host: str, *, timeout: float, proxy_info: Any, **_: Any) -> None:
        # As httplib2's own, but with certificates that were read before.
        http.client.HTTPSConnection.__init__(
            self, host, timeout=timeout, context=_certificates()
        )
        self.disable_ssl_certificate_validation = False
        self.proxy_info = proxy_info("https") if callable(proxy_info) else proxy_info


class _Http(httplib2.Http):
    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        redirections: int = httplib2.DEFAULT_MAX_REDIRECTS,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, Any]:
        if connection_type is None:
            connection_type = _TlsOnce if uri.startswith("https:") else _PlainOnce
        answer: tuple[httplib2.Response, Any] = super().request(
            uri, method, body, headers, redirections, connection_type
        )
        return answer


class _Kept(_Http):
    """One thread's connection, open until it breaks or nobody uses it.

    Whatever goes wrong ends it, so that no answer is ever taken for another's.
    """

    _used_at = 0.0

    def request(self, *args: Any, **more: Any) -> tuple[httplib2.Response, Any]:
        if time.monotonic() - self._used_at > KEPT_SECONDS:
            self._end()
        used_before = bool(self.connections)
        try:
            try:
                return super().request(*args, **more)
            except (ConnectionError, ssl.SSLEOFError):
                if not used_before:
                    raise
                self._end()  # it had been closed meanwhile: that is no fault
                return super().request(*args, **more)
        except BaseException:
            self._end()
            raise
        finally:
            self._used_at = time.monotonic()

    def close(self) -> None:
        """Leave it open for the thread's next request."""

    def _end(self) -> None:
        super().close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._end()
