"""The part tree of a mail, as the Gmail API shows it.

Walks iteratively and within caps, so that a mail of a thousand nested parts or of
broken charsets gives an answer like any other.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message as HeaderParser
from typing import Any

from . import headers

MAX_DEPTH = 50
MAX_PARTS = 2_000
MAX_INLINE_BYTES = 1_000_000
SNIPPET_LENGTH = 200
_TAG = re.compile(
    r"<(style|script|head)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL
)
_SPACE = re.compile(r"\s+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@dataclass(slots=True)
class Part:
    """One MIME part; `part_id` is Gmail's path to it, empty for the whole mail."""

    part_id: str
    depth: int
    fields: list[headers.Field]
    body: bytes
    mime_type: str = "text/plain"
    filename: str = ""
    charset: str = ""
    boundary: bytes = b""
    children: list[Part] = field(default_factory=list)

    @property
    def data(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = headers.get(self.fields, "Content-Transfer-Encoding").lower()
        if encoding.startswith("base64"):
            return lenient_base64(self.body)
        if encoding.startswith("quoted-printable"):
            return binascii.a2b_qp(self.body)
        return self.body

    @property
    def is_attachment(self) -> bool:
        """Whether Gmail gives this part's bytes only by an attachment id."""
        if self.children and self.mime_type != "message/rfc822":
            return False
        return bool(self.filename) or not self.mime_type.startswith("text/")


def parse(raw: bytes) -> Part:
    """Take a raw mail apart."""
    fields, body = headers.split(raw)
    root = _part("", 0, fields, body)
    waiting, count = [root], 1
    while waiting:
        part = waiting.pop()
        if part.depth >= MAX_DEPTH:
            continue
        prefix = f"{part.part_id}." if part.part_id else ""
        for number, piece in enumerate(_pieces(part)):
            if count >= MAX_PARTS:
                break
            count += 1
            child_fields, child_body = headers.split(piece)
            child = _part(f"{prefix}{number}", part.depth + 1, child_fields, child_body)
            part.children.append(child)
            waiting.append(child)
    return root


def walk(root: Part) -> Iterator[Part]:
    """Yield every part, parents before children, in the order of the mail."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting.extend(reversed(part.children))


def find(root: Part, part_id: str) -> Part | None:
    """Return the part with this id."""
    return next((part for part in walk(root) if part.part_id == part_id), None)


def snippet(root: Part) -> str:
    """Return the first words of the text, escaped as Gmail escapes them."""
    for wanted in ("text/plain", "text/html"):
        for part in walk(root):
            if part.mime_type == wanted and not part.filename:
                text = as_utf8(part).decode("utf-8", "replace")[:20_000]
                if wanted == "text/html":
                    text = html.unescape(_TAG.sub(" ", text))
                text = _SPACE.sub(" ", text).strip()[:SNIPPET_LENGTH]
                return html.escape(text).replace("&#x27;", "&#39;")
    return ""


def as_utf8(part: Part) -> bytes:
    """Return a text part's bytes in UTF-8; an unknown charset leaves them alone."""
    data = part.data
    try:
        return data.decode(part.charset or "utf-8").encode("utf-8", "replace")
    except (LookupError, UnicodeError):
        return data


def to_json(
    root: Part,
    *,
    decode_headers: bool,
    text_as_utf8: bool,
    attachment_id: Callable[[str], str],
) -> dict[str, Any]:
    """Build `payload` of format=full; every call asks for new attachment ids."""
    made: dict[int, dict[str, Any]] = {}
    for part in walk(root):
        made[id(part)] = {
            "partId": part.part_id,
            "mimeType": part.mime_type,
            "filename": part.filename,
            "headers": header_list(part.fields, decode=decode_headers),
            "body": _body(part, attachment_id, text_as_utf8=text_as_utf8),
        }
    for part in walk(root):
        if part.children:
            made[id(part)]["parts"] = [made[id(child)] for child in part.children]
    return made[id(root)]


def header_list(fields: list[headers.Field], *, decode: bool) -> list[dict[str, str]]:
    """Return headers as the API lists them: unfolded, repeated ones repeated."""
    return [
        {"name": f.name, "value": headers.decode_words(f.value) if decode else f.value}
        for f in fields
    ]


def encode(data: bytes) -> str:
    """Encode bytes as the API does: base64url with padding."""
    return base64.urlsafe_b64encode(data).decode("ascii")


def _body(
    part: Part, attachment_id: Callable[[str], str], *, text_as_utf8: bool
) -> dict[str, Any]:
    if part.mime_type.startswith("multipart/") and part.children:
        return {"size": 0}
    if part.is_attachment:
        return {"attachmentId": attachment_id(part.part_id), "size": len(part.data)}
    data = as_utf8(part) if text_as_utf8 else part.data
    if not data:
        return {"size": 0}
    if len(data) > MAX_INLINE_BYTES:
        return {"attachmentId": attachment_id(part.part_id), "size": len(data)}
    return {"size": len(data), "data": encode(data)}


def _part(part_id: str, depth: int, fields: list[headers.Field], body: bytes) -> Part:
    part = Part(part_id, depth, fields, body)
    parser = HeaderParser()
    for name in ("Content-Type", "Content-Disposition"):
        if value := headers.get(fields, name):
            parser[name] = value
    try:
        part.mime_type = parser.get_content_type()
        part.filename = headers.decode_words(parser.get_filename() or "")
        part.charset = parser.get_content_charset() or ""
        part.boundary = (parser.get_boundary() or "").encode("utf-8", "replace")
    except (LookupError, ValueError, TypeError):
        # a Content-Type beyond repair; it is plain text then, as in Gmail
        part.mime_type = "text/plain"
    if part.mime_type == "message/rfc822" and depth and not part.filename:
        part.filename = "noname.eml"
    return part


def split_multipart(fields: list[headers.Field], body: bytes) -> list[bytes]:
    """Return the raw parts of a body whose headers say that it is multipart."""
    return _pieces(_part("", 0, fields, body))


def _pieces(part: Part) -> list[bytes]:
    """Return the raw children of a part; none where it is not a container."""
    if part.mime_type == "message/rfc822" and part.part_id:
        return [part.data]
    if not part.mime_type.startswith("multipart/") or not part.boundary:
        return []
    delimiter = re.compile(
        rb"(?:\A|\r?\n)--" + re.escape(part.boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    )
    pieces: list[bytes] = []
    start: int | None = None
    for match in delimiter.finditer(part.body):
        if start is not None:
            pieces.append(_trim(part.body[start : match.start()]))
        start = match.end()
        if match[1] or len(pieces) >= MAX_PARTS:
            start = None
            break
    if start is not None:
        # the closing delimiter is missing; the rest is the last part
        pieces.append(_trim(part.body[start:]))
    return pieces


def _trim(piece: bytes) -> bytes:
    """Drop the line end that belongs to the delimiter line above."""
    if piece[:2] == b"\r\n":
        return piece[2:]
    return piece[1:] if piece[:1] == b"\n" else piece


def lenient_base64(body: bytes) -> bytes:
    """Decode base64, whatever stands between its letters."""
    clean = _NOT_BASE64.sub(b"", body)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return base64.b64decode(clean + b"=" * (-len(clean) % 4))
