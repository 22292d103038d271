"""Media uploads: simple, multipart, and resumable with all its interruptions."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from typing import Any

from . import headers, parts
from .discovery import Method
from .errors import ApiError, bad_request
from .web import Request, Response

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
INCOMPLETE = 308
MAX_SESSIONS = 1_000


@dataclass
class Session:
    """A resumable upload on its way."""

    id: str
    method: Method
    values: dict[str, str]
    resource: dict[str, Any]
    query: dict[str, list[str]]
    received: bytearray = field(default_factory=bytearray)
    total: int | None = None
    answer: Response | None = None


def read_simple(request: Request) -> tuple[dict[str, Any], bytes]:
    """Return the resource and the media of an upload in one request."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/"):
        return {}, request.body
    fields, _ = headers.split(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n")
    children = parts.split_multipart(fields, request.body)
    if len(children) != 2:  # noqa: PLR2004  # the resource and the media
        raise bad_request("A multipart upload needs the resource and the media.")
    (_, resource), (media_fields, media) = (headers.split(c) for c in children)
    if headers.get(media_fields, "Content-Transfer-Encoding").lower() == "base64":
        media = parts.lenient_base64(media)
    return read_json(resource), media


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; nothing at all is an empty one."""
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise bad_request("Invalid JSON payload received.") from None
    if not isinstance(value, dict):
        raise bad_request("Invalid JSON payload received. Root is no object.")
    return value


class Uploads:
    """The resumable uploads that have begun."""

    def __init__(self, rng: random.Random) -> None:
        """Begin with none."""
        self._rng = rng
        self._sessions: dict[str, Session] = {}

    def begin(
        self, request: Request, method: Method, values: dict[str, str]
    ) -> Session:
        """Open a session; its `id` goes into the address of the next requests."""
        declared = request.headers.get("x-upload-content-length", "")
        query = {k: v for k, v in request.query.items() if k != "uploadType"}
        session = Session(
            f"AB{self._rng.getrandbits(240):060x}",
            method,
            values,
            read_json(request.body),
            query,
            total=int(declared) if declared.isdigit() else None,
        )
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        self._sessions[session.id] = session
        return session

    def get(self, session_id: str) -> Session:
        """Return an open session."""
        session = self._sessions.get(session_id)
        if session is None:
            raise ApiError(404, "Upload session not found.", "notFound")
        return session

    def receive(self, session: Session, request: Request, keep: float = 1.0) -> bool:
        """Take the bytes of a request in; say whether all have come.

        `keep` is the share that arrives of a request whose connection breaks.
        """
        given = request.headers.get("content-range")
        if given is None:
            # everything in one request
            session.total = len(request.body)
            session.received[:] = request.body[: int(len(request.body) * keep)]
            return len(session.received) == session.total
        match = _RANGE.fullmatch(given.strip())
        if match is None:
            raise bad_request("Failed to parse Content-Range header.")
        first, _, total = match.groups()
        if total != "*":
            session.total = int(total)
        if first is not None:
            start = int(first)
            if start > len(session.received):
                raise ApiError(503, "Invalid request. Bytes are missing.")
            data = request.body[: int(len(request.body) * keep)]
            session.received[start:] = data
        return session.total is not None and len(session.received) >= session.total

    @staticmethod
    def incomplete(session: Session) -> Response:
        """Tell how far a session has come."""
        answer = Response(INCOMPLETE)
        if session.received:
            answer.headers["Range"] = f"bytes=0-{len(session.received) - 1}"
        return answer
