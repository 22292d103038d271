"""Read form data with files (S6): piece by piece, within a limit, held once."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
    Preamble,
)

from functions.http import problems
from shared.services.sending.send_records import MAX_ATTACHMENTS_BYTES, Upload

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_PARTS = 100
# What boundaries and part headers may add to the content.
_OVERHEAD_BYTES = 64 * 1024
_PIECE = 64 * 1024
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,./:=? -]{0,69}[A-Za-z0-9'()+_,./:=?-]")
_MESSAGE, _ATTACHMENT = "message", "attachment"


@dataclass(slots=True)
class _Part:
    """A part on its way in."""

    name: str
    filename: str | None
    headers: Headers
    content: io.BytesIO = field(default_factory=io.BytesIO)


def form_of(request: Request) -> tuple[bytes, list[Upload]]:
    """The `message` part and the attachments of a form.

    Raises Problem: `payload_too_large` as soon as the attachments exceed 25 MiB,
    `bad_request` for what is no form, `invalid_request` for parts that do not belong.
    """
    limit = MAX_ATTACHMENTS_BYTES + MAX_MESSAGE_BYTES + _OVERHEAD_BYTES
    if (request.content_length or 0) > limit:
        raise problems.make("payload_too_large")
    message: bytes | None = None
    uploads: list[Upload] = []
    for part in _parts(request):
        if part.name == _ATTACHMENT:
            uploads.append(_upload(part))
        elif part.name == _MESSAGE and message is None:
            message = part.content.getvalue()
        else:
            raise problems.make(
                "invalid_request",
                "A form has one part `message`, and parts `attachment`.",
            )
    if message is None:
        raise problems.make(
            "invalid_request",
            errors=({"pointer": "", "detail": "message is required"},),
        )
    return message, uploads


def _upload(part: _Part) -> Upload:
    content_id = part.headers.get("Content-ID", "").strip().strip("<>")
    return Upload(
        filename=part.filename or None,
        content_type=part.headers.get("Content-Type", ""),
        # The buffer itself, not a copy of it.
        data=part.content.getvalue(),
        content_id=content_id or None,
    )


def _parts(request: Request) -> Iterator[_Part]:
    boundary = request.mimetype_params.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise problems.make("bad_request")
    decoder = MultipartDecoder(
        boundary.encode(), max_form_memory_size=1024 * 1024, max_parts=MAX_PARTS
    )
    part: _Part | None = None
    counted = _Counter()
    try:
        for event in _events(decoder, request.stream.read):
            if isinstance(event, Field | File):
                filename = event.filename if isinstance(event, File) else None
                part = _Part(str(event.name), filename, event.headers)
            elif isinstance(event, Data) and part is not None:
                counted.count(part, len(event.data))
                part.content.write(event.data)
                if not event.more_data:
                    yield part
                    part = None
    except (RequestEntityTooLarge, ValueError, LookupError):
        # Part headers without end, or no form at all.
        raise problems.make("bad_request") from None


@dataclass(slots=True)
class _Counter:
    """Bytes so far."""

    message: int = 0
    attachments: int = 0

    def count(self, part: _Part, size: int) -> None:
        """Add; raises Problem when it is too much."""
        if part.name == _ATTACHMENT:
            self.attachments += size
        else:
            self.message += size
        if self.attachments > MAX_ATTACHMENTS_BYTES or self.message > MAX_MESSAGE_BYTES:
            raise problems.make(
                "payload_too_large",
                "Attachments may have 25 MiB (26,214,400 bytes) in all.",
            )


def _events(decoder: MultipartDecoder, read: Callable[[int], bytes]) -> Iterator[Event]:
    while True:
        piece = read(_PIECE)
        decoder.receive_data(piece or None)
        while not isinstance(event := decoder.next_event(), NeedData):
            if isinstance(event, Epilogue):
                return
            if not isinstance(event, Preamble):
                yield event
        if not piece:
            return
