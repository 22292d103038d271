"""Content transfer encodings (RFC 2045 §6): text and bytes as lines of ASCII."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator

_LINE_BYTES = 57
_LINE_CHARS = 76
_NOT_ASCII = bytes(range(0x80, 0x100))
_NEWLINES = re.compile(r"\r\n|\r|\n")
# More than this share of bytes beyond ASCII is shorter in base64.
_BASE64_SHARE = 1 / 6


def encode_text(text: str) -> tuple[str, bytes]:
    """Encode a text as UTF-8, in the encoding that suits it, which is named first."""
    raw = _NEWLINES.sub("\r\n", text).encode(errors="replace")
    ascii_only = raw.translate(None, _NOT_ASCII)
    if len(raw) - len(ascii_only) > len(raw) * _BASE64_SHARE or b"\0" in raw:
        return "base64", b"".join(base64_lines((raw,)))
    # A soft line break ends as the text's lines do, or in LF where it has only one.
    return "quoted-printable", binascii.b2a_qp(raw).replace(b"=\n", b"=\r\n")


def base64_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Base64 in lines, whatever the pieces' sizes; nothing is held but a piece."""
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) - len(data) % _LINE_BYTES
        rest = data[whole:]
        yield _lines(data[:whole])
    yield _lines(rest)


def base64_size(size: int) -> int:
    """How many bytes `base64_lines` makes of so many."""
    lines, rest = divmod(size, _LINE_BYTES)
    last = -(-rest // 3) * 4 + 2 if rest else 0
    return lines * (_LINE_CHARS + 2) + last


def _lines(data: bytes) -> bytes:
    text = base64.b64encode(data)
    return b"".join(
        text[at : at + _LINE_CHARS] + b"\r\n" for at in range(0, len(text), _LINE_CHARS)
    )
