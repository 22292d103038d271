"""Header fields of mail that we write, as bytes; nothing can be smuggled into them.

Every value is checked here, whatever checked it before: the standard library has let
crafted values through more than once (CVE-2026-1299), and a line break in a subject is
a hidden Bcc. Addresses come one by one, never as text that a parser takes apart.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from shared.core.mail import Address
from shared.core.parsing.addr_spec import as_written, normalise
from shared.errors import Malformed

LINE = 76
"""RFC 2047 §2: a line with an encoded word has at most 76 characters."""

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{3,990}>")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,80}")
_PLAIN_FILENAME = re.compile(r"[\w()+,-](?:[\w .()+,-]{0,58}[\w)])?", re.ASCII)
_CONTENT_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,200}")
# A word may break between characters only, so that each can be decoded by itself.
_WORD_OVERHEAD = len("=?utf-8?B??=")
_LONGEST_QUOTED_NAME = 60
# Sections of percent-encoded text, none of which cuts an escape.
_SECTIONS = re.compile(r".{1,60}(?<!%)(?<!%.)")


def to_send(address: Address) -> str:
    """The address as it is written to: as it was given, its domain in A-labels."""
    return as_written(address.shown) or address.address


def is_clean(text: str) -> bool:
    """Whether a text may stand in a header: no control character, no line end."""
    return _FORBIDDEN.search(text) is None


def is_message_id(text: str) -> bool:
    """Whether this is a Message-ID, brackets included, that any server takes."""
    return _MESSAGE_ID.fullmatch(text) is not None


def is_content_id(text: str) -> bool:
    """Whether this can name an inline image, without brackets."""
    return _CONTENT_ID.fullmatch(text) is not None


def text_field(name: str, value: str) -> bytes:
    """A field of free text, such as the subject; raises Malformed."""
    _check(value, name)
    return _field(name, _words(value, LINE - len(name) - 2))


def address_field(name: str, addresses: Sequence[Address]) -> bytes:
    """A field of addresses, one on each line; raises Malformed."""
    first = LINE - len(name) - 2
    return _field(
        name, ",\r\n ".join(_mailbox(address, name, first) for address in addresses)
    )


def ids_field(name: str, ids: Iterable[str]) -> bytes:
    """A field of Message-IDs, one on each line; raises Malformed."""
    found = list(ids)
    if not all(is_message_id(message_id) for message_id in found):
        raise Malformed(f"{name} holds what is no Message-ID.")
    return _field(name, "\r\n ".join(found))


def uris_field(name: str, uris: Iterable[str]) -> bytes:
    """A field of URIs in angle brackets, one on each line; raises Malformed."""
    found = [f"<{uri}>" for uri in uris]
    if not all(_PLAIN.fullmatch(uri) for uri in found):
        raise Malformed(f"{name} cannot be written.")
    return _field(name, ",\r\n ".join(found))


def token_field(name: str, value: str) -> bytes:
    """A field whose value we made ourselves, in printable ASCII; raises Malformed."""
    if not _PLAIN.fullmatch(value):
        raise Malformed(f"{name} cannot be written.")
    return _field(name, value)


def disposition_field(kind: str, filename: str | None) -> bytes:
    """Content-Disposition with the file's name in any script (RFC 2231)."""
    if filename is None:
        return _field("Content-Disposition", kind)
    _check(filename, "The file name")
    if _PLAIN_FILENAME.fullmatch(filename):
        return _field("Content-Disposition", f'{kind};\r\n filename="{filename}"')
    # Only the first section names the charset (RFC 2231 §4.1).
    parts = _SECTIONS.findall(f"UTF-8''{quote(filename, safe='')}")
    if len(parts) == 1:
        return _field("Content-Disposition", f"{kind};\r\n filename*={parts[0]}")
    sections = [f"filename*{number}*={part}" for number, part in enumerate(parts)]
    return _field("Content-Disposition", ";\r\n ".join((kind, *sections)))


def media_type(declared: str) -> str:
    """The type of an attachment, or that of any bytes where it says nothing useful.

    Composite types may not be sent in base64 (RFC 2045 §6.4), which is how all
    attachments travel.
    """
    main, _, sub = declared.partition(";")[0].strip().lower().partition("/")
    fits = _MEDIA_TYPE.fullmatch(main) and _MEDIA_TYPE.fullmatch(sub)
    if not fits or main in {"multipart", "message"}:
        return "application/octet-stream"
    return f"{main}/{sub}"


def _field(name: str, value: str) -> bytes:
    return f"{name}: {value}\r\n".encode()


def _check(value: str, what: str) -> None:
    if not is_clean(value):
        raise Malformed(f"{what} holds control characters.")


def _mailbox(address: Address, what: str, first: int) -> str:
    text = to_send(address)
    # What has not this normal form could be read as two addresses by somebody.
    if normalise(text) != address.address:
        raise Malformed(f"{what} holds what is not exactly one address.")
    if not address.name:
        return text
    _check(address.name, what)
    return f"{_phrase(address.name, first)}\r\n <{text}>"


def _phrase(name: str, first: int) -> str:
    plain = _PLAIN.fullmatch(name) and "=?" not in name
    if plain and len(name) <= _LONGEST_QUOTED_NAME:
        return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return _encoded(name, first)


def _words(value: str, first: int) -> str:
    """Plain text folded at its blanks, or encoded words where it is not plain."""
    words = value.split()
    plain = not value or (_PLAIN.fullmatch(value) and "=?" not in value)
    if not plain or any(len(word) >= LINE - 2 for word in words):
        return _encoded(value, first)
    lines, room = [""], first
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("")
            room = LINE - 1
        lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\r\n ".join(lines)


def _encoded(text: str, first: int) -> str:
    """Encoded words (RFC 2047), each of whole characters."""
    pieces: list[bytes] = []
    piece, room = b"", (first - _WORD_OVERHEAD) // 4 * 3
    for character in text:
        raw = character.encode()
        if piece and len(piece) + len(raw) > room:
            pieces.append(piece)
            piece, room = b"", (LINE - 1 - _WORD_OVERHEAD) // 4 * 3
        piece += raw
    pieces.append(piece)
    return "\r\n ".join(
        f"=?utf-8?B?{base64.b64encode(chunk).decode()}?=" for chunk in pieces
    )
