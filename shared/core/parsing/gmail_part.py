"""One part of Gmail's payload tree, read without trusting the type of anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.parsing.encoded_words import decode_words, from_base64, unfold
from shared.core.parsing.headers import Header, values_of
from shared.core.parsing.mime_parameters import main_value, parameters
from shared.core.parsing.plain_text import one_line, safe_filename

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_UNKNOWN_TYPE = "application/octet-stream"
_MAX_CONTENT_ID_CHARS = 256


@dataclass(frozen=True, slots=True)
class Part:
    """What we ask of one part; its body stays encoded until `data` is called.

    `stands_alone`: it is the whole message, one of the alternatives of it, or what the
    pictures around it belong to; such a text is the body even if it has a file name.
    """

    part_id: str
    content_type: str
    disposition: str
    filename: str | None
    charset: str | None
    content_id: str | None
    size: int
    attachment_id: str | None
    encoded: str | None
    children: Sequence[Any]
    stands_alone: bool

    @property
    def is_message(self) -> bool:
        """An attached message: one attachment, never opened."""
        return self.content_type.startswith("message/")

    @property
    def is_container(self) -> bool:
        """A multipart, whose children are the message's own parts."""
        return not self.is_message and (
            self.content_type.startswith("multipart/") or bool(self.children)
        )

    @property
    def is_text(self) -> bool:
        """Text that can be the body, whatever its name."""
        return (
            self.content_type in {"text/plain", "text/html"}
            and self.disposition != "attachment"
        )

    @property
    def is_body(self) -> bool:
        """Text to read, as opposed to a text file that is attached."""
        return self.is_text and (self.filename is None or self.stands_alone)

    @property
    def is_held_back(self) -> bool:
        """Gmail hands its bytes out apart: it is long, or has a file name."""
        return self.attachment_id is not None and self.encoded is None

    @property
    def is_variant(self) -> bool:
        """A text for other programs (AMP, a reaction, a watch), as an alternative.

        An invitation is one too, but people do something with it.
        """
        return (
            self.content_type.startswith("text/")
            and self.content_type not in {"text/plain", "text/html", "text/calendar"}
            and self.disposition != "attachment"
            and self.filename is None
        )

    def data(self, limit: int) -> tuple[bytes, bool]:
        """Decode at most `limit` bytes; also say whether that cut something off."""
        encoded = self.encoded or ""
        cut = encoded[: (limit // 3 + 2) * 4]
        raw = from_base64(cut.encode("ascii", "replace").translate(_URL_SAFE))
        return raw[:limit], len(raw) > limit or len(cut) < len(encoded)


_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def headers_in(payload: Mapping[str, Any]) -> tuple[Header, ...]:
    """Read a payload's header list, topmost first; other shapes are left out."""
    headers = payload.get("headers")
    found: list[Header] = []
    for header in headers if isinstance(headers, list | tuple) else ():
        if isinstance(header, Mapping):
            name, value = header.get("name"), header.get("value")
            if isinstance(name, str) and isinstance(value, str):
                found.append((name, value))
    return tuple(found)


def read_part(raw: Mapping[str, Any], *, stands_alone: bool) -> Part:
    """Read one part of the tree, without its children."""
    headers = headers_in(raw)
    type_header = unfold(next(iter(values_of(headers, "Content-Type")), ""))
    kind = unfold(next(iter(values_of(headers, "Content-Disposition")), ""))
    declared = parameters(type_header)
    body = raw.get("body")
    body = body if isinstance(body, Mapping) else {}
    size = body.get("size")
    children = raw.get("parts")
    return Part(
        part_id=one_line(_text(raw, "partId") or "0")[:80],
        content_type=_content_type(_text(raw, "mimeType") or main_value(type_header)),
        disposition=main_value(kind),
        filename=safe_filename(
            decode_words(_text(raw, "filename") or "")
            or parameters(kind).get("filename")
            or declared.get("name")
        ),
        charset=declared.get("charset"),
        content_id=_content_id(next(iter(values_of(headers, "Content-ID")), "")),
        size=max(size, 0) if isinstance(size, int) else 0,
        attachment_id=_text(body, "attachmentId"),
        encoded=_text(body, "data"),
        children=children if isinstance(children, list | tuple) else (),
        stands_alone=stands_alone,
    )


def _text(raw: Mapping[str, Any], name: str) -> str | None:
    value = raw.get(name)
    return value if isinstance(value, str) and value else None


def _content_type(value: str) -> str:
    lower = value.strip().lower()
    # RFC 2045 §5.2: what cannot be read is text, but Gmail names it as it finds it.
    return lower if _TYPE.fullmatch(lower) else _UNKNOWN_TYPE


def _content_id(value: str) -> str | None:
    text = one_line(value).removeprefix("<").removesuffix(">").strip()
    return text if 0 < len(text) <= _MAX_CONTENT_ID_CHARS else None
