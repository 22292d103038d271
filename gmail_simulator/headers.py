"""Read and edit the header block of a raw mail, whatever state it is in.

Works on bytes and never raises: a mail that no parser likes is still a mail. The bytes
of a header that is not edited stay as they were.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")
_FIELD_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")
_ENCODED_WORD = re.compile(r"=\?([^?\s]+)\?([bBqQ])\?([^?]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(=\?[^?\s]+\?[bBqQ]\?)")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")
_LOOSE_ADDRESS = re.compile(r"[^\s<>,;:\"()]+@[^\s<>,;:\"()]+")
_ANGLED = re.compile(r"<\s*([^<>\s]+@[^<>\s]+)\s*>")
_LIST_MARK = re.compile(r"\\.|[\"()<>,;:]")
MAX_RECIPIENTS = 20_000


@dataclass(frozen=True, slots=True)
class Field:
    """One header: its name, and its bytes as they stand in the mail, fold and all."""

    name: str
    raw: bytes

    @property
    def value(self) -> str:
        """The unfolded value, encoded words left alone."""
        value = self.raw.split(b":", 1)[1]
        unfolded = value.replace(b"\r", b"").replace(b"\n", b"").strip()
        try:
            text = unfolded.decode()
        except UnicodeDecodeError:
            text = unfolded.decode("latin-1")
        return _CONTROLS.sub(" ", text)


def split(raw: bytes) -> tuple[list[Field], bytes]:
    """Part a mail into its headers and its body; junk lines among the headers go."""
    if raw[:1] == b"\n" or raw[:2] == b"\r\n":
        return [], raw[1:] if raw[:1] == b"\n" else raw[2:]
    end = _END_OF_HEADERS.search(raw)
    head, body = (raw[: end.start()] + b"\r\n", raw[end.end() :]) if end else (raw, b"")
    lines: list[tuple[str, list[bytes]]] = []
    for line in head.splitlines(keepends=True):
        if line[:1] in b" \t" and lines:
            lines[-1][1].append(line)
        elif name := _FIELD_NAME.match(line):
            lines.append((name[1].decode("ascii"), [line]))
    return [Field(name, b"".join(parts)) for name, parts in lines], body


def join(fields: Iterable[Field], body: bytes) -> bytes:
    """Put a mail together again, with CRLF after the headers."""
    return b"".join(f.raw for f in fields) + b"\r\n" + body


def field(name: str, value: str) -> Field:
    """Make a header; a value may hold its own folds."""
    return Field(name, f"{name}: {value}\r\n".encode())


def get_all(fields: Iterable[Field], name: str) -> list[str]:
    """Return every value of a header, in the order of the mail."""
    wanted = name.lower()
    return [f.value for f in fields if f.name.lower() == wanted]


def get(fields: Iterable[Field], name: str) -> str:
    """Return the first value of a header, or an empty string."""
    values = get_all(fields, name)
    return values[0] if values else ""


def without(fields: Iterable[Field], *names: str) -> list[Field]:
    """Leave some headers out."""
    gone = {name.lower() for name in names}
    return [f for f in fields if f.name.lower() not in gone]


def decode_words(value: str) -> str:
    """Decode RFC 2047 encoded words; what cannot be decoded stays as it is."""
    if "=?" not in value:
        return value
    joined = _BETWEEN_WORDS.sub(r"\1\2", value)
    return _CONTROLS.sub(" ", _ENCODED_WORD.sub(_decode_word, joined))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    try:
        if encoding in "bB":
            data = base64.b64decode(text + "=" * (-len(text) % 4))
        else:
            data = binascii.a2b_qp(text.replace("_", " ").encode("latin-1"))
        # RFC 2231 allows a language after the charset
        return data.decode(charset.split("*")[0], "replace")
    except (LookupError, ValueError):
        return match[0]


def message_ids(values: Iterable[str]) -> list[str]:
    """Return all message ids in header values, with their angle brackets."""
    return [found for value in values for found in _MESSAGE_ID.findall(value)]


def addresses(values: Iterable[str]) -> list[tuple[str, str]]:
    """Return (display name, address) of every recipient that can be made out."""
    found: list[tuple[str, str]] = []
    for value in values:
        for entry in _entries(value):
            # The last one: a quoted name before it may hold any text.
            angled = next(reversed([*_ANGLED.finditer(entry)]), None)
            loose = None if angled else _LOOSE_ADDRESS.search(entry)
            if angled:
                name = decode_words(entry[: angled.start()].strip().strip('"'))
                found.append((name, angled[1]))
            elif loose:
                found.append(("", loose[0]))
            if len(found) >= MAX_RECIPIENTS:
                return found
    return found


def _entries(value: str) -> list[str]:
    """Cut a list at its commas; those in quotes, comments and <> cut nothing."""
    entries: list[str] = []
    start = depth = 0
    quoted = False
    for match in _LIST_MARK.finditer(value):
        mark = match[0]
        if mark == '"':
            quoted = not quoted
        elif quoted or len(mark) > 1:
            continue
        elif mark in "(<":
            depth += 1
        elif mark in ")>":
            depth = max(0, depth - 1)
        elif depth == 0:
            # a colon ends a group's name, a semicolon the group
            if mark != ":":
                entries.append(value[start : match.start()])
            start = match.end()
    entries.append(value[start:])
    return entries
