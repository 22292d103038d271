"""Reach a WSGI application without a socket, as the real HTTP clients would.

`InProcessHttp` stands in for `httplib2.Http`, `WsgiAdapter` for the transport of a
`requests` session. A lost connection and an impatient client look as they do on a wire.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

import httplib2
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from .web import PATIENCE, WsgiApp


class InProcessHttp:
    """An `httplib2.Http` that calls an application directly."""

    def __init__(
        self,
        app: WsgiApp,
        timeout: float | None = None,
        *,
        repeat_lost: bool = False,
        **_kwargs: Any,
    ) -> None:
        """Answers slower than `timeout` seconds are a `TimeoutError`.

        With `repeat_lost` a request whose connection broke is sent once more, POST too:
        the real httplib2 does so when the answer is cut off before its first line.
        """
        self._app, self._repeat_lost = app, repeat_lost
        self.timeout = timeout
        self.follow_redirects = True
        self.redirect_codes: frozenset[int] = frozenset()

    def request(  # the face of httplib2
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        redirections: int = httplib2.DEFAULT_MAX_REDIRECTS,  # noqa: ARG002  # its face
        connection_type: Any = None,  # noqa: ARG002  # its face
    ) -> tuple[httplib2.Response, bytes]:
        """Do one request and return the answer with its body."""
        data = _bytes(body)
        try:
            answer = self._call(uri, method, data, headers or {})
        except ConnectionError:
            if not self._repeat_lost:
                raise
            answer = self._call(uri, method, data, headers or {})
        status, found, data = answer
        info = {name.lower(): value for name, value in found}
        response = httplib2.Response(info | {"status": str(status)})
        response.reason = _phrase(status)
        return response, data

    def close(self) -> None:
        """Do nothing; there is no connection."""

    def _call(
        self, uri: str, method: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        return call(self._app, method, uri, headers, body, patience=self.timeout)


class WsgiAdapter(BaseAdapter):
    """A transport for `requests` that calls an application directly."""

    def __init__(self, app: WsgiApp) -> None:
        """Mount it: `session.mount(prefix, WsgiAdapter(app))`."""
        super().__init__()
        self._app = app

    def send(  # the face of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002  # its face
        timeout: Any = None,
        verify: Any = True,  # noqa: ARG002, FBT002  # its face
        cert: Any = None,  # noqa: ARG002  # its face
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002  # its face
    ) -> requests.Response:
        """Do one request; broken connections are those of `requests`."""
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        try:
            status, found, data = call(
                self._app,
                request.method or "GET",
                request.url or "/",
                request.headers,
                _bytes(request.body),
                patience=patience,
            )
        except TimeoutError as exc:
            raise requests.ReadTimeout(exc, request=request) from exc
        except OSError as exc:
            raise requests.ConnectionError(exc, request=request) from exc
        response = requests.Response()
        response.status_code = status
        response.reason = _phrase(status)
        response.headers = CaseInsensitiveDict(found)
        response.raw = io.BytesIO(data)
        response.url = request.url or ""
        response.request = request
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        return response

    def close(self) -> None:
        """Do nothing; there is no connection."""


def call(
    app: WsgiApp,
    method: str,
    uri: str,
    headers: Mapping[str, str | bytes],
    body: bytes,
    *,
    patience: float | None = None,
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Call an application once; return status, headers and body."""
    parsed = urlsplit(uri)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(parsed.path or "/", "latin-1"),
        "QUERY_STRING": parsed.query,
        "SERVER_NAME": parsed.hostname or "localhost",
        "SERVER_PORT": str(parsed.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parsed.netloc or "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parsed.scheme or "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        PATIENCE: patience,
    }
    for name, value in headers.items():
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = name.upper().replace("-", "_")
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            environ[key] = text
        else:
            environ[f"HTTP_{key}"] = text
    environ["CONTENT_LENGTH"] = str(len(body))
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, found: list[tuple[str, str]], _exc_info: Any = None
    ) -> None:
        started.append((status, found))

    answered = app(environ, start_response)
    try:
        data = b"".join(answered)
    finally:
        if close := getattr(answered, "close", None):
            close()
    status, found = started[-1]
    return int(status.split(" ", 1)[0]), found, data


def _bytes(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        read: bytes = body.read()
        return read
    return b"".join(body)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
