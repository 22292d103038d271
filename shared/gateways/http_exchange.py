"""One HTTP request and its answer, within a deadline and a number of bytes.

Through requests' transport alone: a session would follow redirects with the token, keep
cookies of one mailbox for the next, and let a `.netrc` file replace the token. Proxies
of the environment are not used.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from shared.gateways.bounded_sockets import (
    BoundedSocket,
    Bounds,
    TooMuchReceived,
    bounded,
    connect,
    look_up,
    tls_context,
)

SECONDS = 20.0
"""How long an exchange may take; what goes over the line earns more."""

CA_FILE = certifi.where()
"""The authorities that are believed."""

# Status line, headers, and the marks between chunks.
_AROUND_BYTES = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


class BrokenExchange(OSError):
    """The answer did not come, or not to its end."""


class Answer(dict[str, str]):
    """Headers of an answer by their names in lower case; the face of httplib2's."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        """Keep these."""
        super().__init__({name.lower(): value for name, value in headers.items()})
        self["status"] = str(status)
        self.status = status
        self.reason = reason


class BoundedAdapter(HTTPAdapter):
    """requests' transport over sockets that keep to the thread's bounds.

    Repeats nothing by itself.
    """

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make pools of our own connections, with certificates that are read once."""
        super().init_poolmanager(*args, ssl_context=_certificates(CA_FILE), **more)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _PlainPool,
            "https": _TlsPool,
        }

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *_: Any, **__: Any
    ) -> Any:
        """Find the pool of a host, without proxies."""
        return self.poolmanager.connection_from_url(str(request.url))

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Leave it to the context: the authorities would be read again each time."""


def exchange(
    adapter: BaseAdapter,
    method: str,
    url: str,
    *,
    most_bytes: int,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    seconds: float | None = None,
) -> tuple[Answer, bytearray]:
    """Ask once, and give the whole answer, unpacked; follows no redirect.

    Raises BrokenExchange, DeadlinePassed, or TooMuchReceived for an answer of more than
    `most_bytes`.
    """
    request = requests.PreparedRequest()
    wanted = {"accept-encoding": "gzip", **(headers or {})}
    request.prepare(method=method, url=url, headers=wanted, data=body)
    seconds = SECONDS if seconds is None else seconds
    with bounded(Bounds(seconds, most_bytes + _AROUND_BYTES)) as bounds:
        try:
            # The timeout is for transports that have no sockets of ours.
            response = adapter.send(request, stream=True, timeout=seconds)
            with response:
                data = _body(response, most_bytes)
        except TooMuchReceived:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError) as fault:
            if bounds.is_too_much:
                raise TooMuchReceived("too much was received") from None
            bounds.left()
            # Its text can hold the request.
            raise BrokenExchange(type(fault).__name__) from None
    return Answer(response.status_code, response.reason or "", response.headers), data


def _body(response: requests.Response, most: int) -> bytearray:
    """The body, unpacked as it comes: a small one can unpack to gigabytes."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
        raise BrokenExchange("an encoding that was not asked for")
    unpack = (
        zlib.decompressobj(_GZIP_OR_ZLIB) if encoding not in {"", "identity"} else None
    )
    found = bytearray()
    if response.raw is None:
        return found + response.content
    while piece := _read(response.raw, _PIECE_BYTES):
        while piece:
            if unpack is None:
                found += piece
                piece = b""
            else:
                piece = _unpacked(unpack, piece, found)
            if len(found) > most:
                raise TooMuchReceived("too much was received")
    if unpack is not None and found and not unpack.eof:
        raise BrokenExchange("cut off")
    return found


def _unpacked(unpack: Any, piece: bytes, found: bytearray) -> bytes:
    """Unpack a little; gives what is left of the piece."""
    try:
        found += unpack.decompress(piece, _PIECE_BYTES)
    except zlib.error:
        raise BrokenExchange("not what it claims to be") from None
    left: bytes = unpack.unconsumed_tail
    return left


def _read(raw: Any, most: int) -> bytes:
    if isinstance(raw, urllib3.BaseHTTPResponse):
        return raw.read(most, decode_content=False)
    read: bytes = raw.read(most)
    return read


@cache
def _certificates(file: str) -> ssl.SSLContext:
    """Which servers are trusted; reading it takes Python 17 ms."""
    return tls_context(file)


def _connected(host: str, port: int) -> BoundedSocket:
    """A connection to the first address of the host that answers."""
    fault: OSError = BrokenExchange("no address")
    for address in look_up(host, port):
        try:
            return connect(address, port)
        except OSError as refused:
            fault = refused
    raise fault


class _Plain(HTTPConnection):
    def _new_conn(self) -> BoundedSocket:
        return _connected(self._dns_host, self.port)


class _Tls(HTTPSConnection):
    def _new_conn(self) -> BoundedSocket:
        return _connected(self._dns_host, self.port)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Tls
