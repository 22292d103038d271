"""Bodies that callers send to the API: whatever they hold, an answer or a Problem."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Request
from werkzeug.test import EnvironBuilder

from functions.http import reading_bodies
from functions.http.models.contacts import ContactRow
from functions.http.models.sending import SendIn
from functions.http.multipart import form_of
from shared.core.parsing.mime_parameters import parameters
from shared.core.sending import mime_headers
from shared.errors import Malformed, Problem
from shared.services.sending.send_records import describe

REFUSED = {400, 413, 415, 422}


def forms(data: bytes) -> None:
    """A message and its files, none with a byte more than came; or a Problem.

    With a boundary that we know, and with one that the caller has made up.
    """
    made_up, _, rest = data.partition(b"\n")
    for boundary, body in ((b"x", data), (made_up, rest)):
        kind = f"multipart/form-data; boundary={boundary.decode('latin-1')}"
        with _or_refused():
            _form(_request(body, kind), len(body))


def _form(request: Request, size: int) -> None:
    text, uploads = form_of(request)
    assert len(text) + sum(len(upload.data) for upload in uploads) <= size
    for part in describe(uploads, None):
        mime_headers.media_type(part.content_type)
        _is_written_as_it_is(part.filename)
    _read(text, SendIn)


def rows(data: bytes) -> None:
    """Lines of an import: each is a contact, or a Problem in its place."""
    count = 0
    for number, line in reading_bodies.lines_of(_request(data, "")):
        assert number > count
        count = number
        if isinstance(line, bytes):
            with _or_refused():
                _read(line, ContactRow)
    assert count <= data.count(b"\n") + 1


def _request(body: bytes, content_type: str) -> Request:
    environ = EnvironBuilder(method="POST", data=body).get_environ()
    # As it is: no server lets a control character come so far.
    environ["CONTENT_TYPE"] = content_type
    return Request(environ)


def _read(text: bytes, model: type[SendIn | ContactRow]) -> None:
    reading_bodies.checked(reading_bodies.json_object(text), model)


@contextmanager
def _or_refused() -> Iterator[None]:
    """Let a refusal pass whose fault is the caller's."""
    try:
        yield
    except Problem as problem:
        if problem.status not in REFUSED:
            raise


def _is_written_as_it_is(filename: str | None) -> None:
    """A file's name comes back as it was written, or is refused."""
    with suppress(Malformed):
        field = mime_headers.disposition_field("attachment", filename)
        assert b"\r\n" not in field[:-2].replace(b"\r\n ", b"")
        value = field.decode("ascii").partition(": ")[2].replace("\r\n", "")
        assert parameters(value).get("filename") == filename
