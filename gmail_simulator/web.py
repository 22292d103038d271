"""Requests and responses, as small as the simulator needs them.

A framework would cost more time per call than the whole simulated Gmail.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]
PATIENCE = "gmail_simulator.patience"


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    base_url: str = "http://localhost"
    # seconds the client waits for an answer; None where nobody knows
    patience: float | None = None

    def one(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a submitted form."""
        text = self.body.decode("utf-8", "replace")
        return parse_qs(text, keep_blank_values=True)

    def json(self) -> Any:
        """Return the JSON of the body; an empty body is an empty object."""
        return json.loads(self.body) if self.body.strip() else {}


@dataclass(slots=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def json_response(
    value: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Answer JSON; None is the empty 204."""
    if value is None:
        return Response(HTTPStatus.NO_CONTENT, b"", headers or {})
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    return Response(status, body.encode("utf-8", "replace"), kind | (headers or {}))


def html_response(text: str, status: int = 200) -> Response:
    """Answer a page."""
    return Response(
        status,
        text.encode(),
        {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:; frame-src 'self'; base-uri 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def redirect(location: str) -> Response:
    """Send a browser elsewhere, with GET."""
    return Response(HTTPStatus.SEE_OTHER, b"", {"Location": location})


def read_request(environ: Environ) -> Request:
    """Take a WSGI environment apart."""
    found = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            found[key.replace("_", "-").lower()] = environ[key]
    length = found.get("content-length", "")
    stream = environ["wsgi.input"]
    if length.isdigit():
        body = stream.read(int(length))
    else:
        # without a length only a server that knows the end may be read to it
        body = stream.read() if environ.get("wsgi.input_terminated") else b""
    host = found.get("host", "localhost")
    # WSGI hands paths over as latin-1 text
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    query = environ.get("QUERY_STRING", "")
    return Request(
        environ["REQUEST_METHOD"],
        path,
        parse_qs(query, keep_blank_values=True) if query else {},
        found,
        body,
        f"{environ.get('wsgi.url_scheme', 'http')}://{host}",
        environ.get(PATIENCE),
    )


def write_response(response: Response, start_response: StartResponse) -> list[bytes]:
    """Hand an answer to the server."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = [*response.headers.items(), ("Content-Length", str(len(response.body)))]
    start_response(f"{int(response.status)} {phrase}", headers)
    return [response.body]


def unquoted(segment: str) -> str:
    """Return a path segment without its escapes."""
    return unquote(segment)
