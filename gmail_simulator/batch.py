"""The batch endpoint: many calls in one request, each answered for itself."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from . import headers, parts
from .errors import ConnectionLost, bad_request
from .web import Request, Response, json_response

MAX_CALLS = 100
_REQUEST_LINE_WORDS = 2


def answer_batch(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Answer every part of a batch; one part's trouble is no other part's."""
    kind = request.headers.get("content-type", "")
    fields, _ = headers.split(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n")
    pieces = parts.split_multipart(fields, request.body)
    if not pieces:
        raise bad_request("Failed to parse batch request, error: no parts.")
    if len(pieces) > MAX_CALLS:
        raise bad_request(
            f"The batch request could not be processed: at most {MAX_CALLS} calls."
        )
    boundary = "batch_simulator"
    lines: list[bytes] = []
    for piece in pieces:
        outer, inner = headers.split(piece)
        try:
            response = answer(_inner_request(request, inner))
        except ConnectionLost:
            # a part has no connection of its own that could break
            response = json_response(
                {"error": {"code": 503, "message": "Backend Error", "errors": []}}, 503
            )
        content_id = headers.get(outer, "Content-ID")
        lines += [
            f"--{boundary}\r\nContent-Type: application/http\r\n".encode(),
            f"Content-ID: {_answer_id(content_id)}\r\n\r\n".encode(),
            _http_text(response),
            b"\r\n",
        ]
    lines.append(f"--{boundary}--\r\n".encode())
    return Response(
        200,
        b"".join(lines),
        {"Content-Type": f"multipart/mixed; boundary={boundary}"},
    )


def _answer_id(content_id: str) -> str:
    return f"<response-{content_id.strip().strip('<>')}>"


def _inner_request(request: Request, text: bytes) -> Request:
    line, _, rest = text.lstrip(b"\r\n").partition(b"\n")
    words = line.decode("latin-1").split()
    if len(words) < _REQUEST_LINE_WORDS:
        raise bad_request("Failed to parse batch request, error: no request line.")
    fields, body = headers.split(rest)
    found = {f.name.lower(): f.value for f in fields}
    if "authorization" not in found and "authorization" in request.headers:
        found["authorization"] = request.headers["authorization"]
    target = urlsplit(words[1])
    return Request(
        words[0],
        target.path,
        parse_qs(target.query, keep_blank_values=True),
        found,
        body,
        request.base_url,
        request.patience,
    )


def _http_text(response: Response) -> bytes:
    phrase = HTTPStatus(response.status).phrase
    lines = [f"HTTP/1.1 {int(response.status)} {phrase}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines.append(f"Content-Length: {len(response.body)}")
    return "\r\n".join([*lines, "", ""]).encode() + response.body
