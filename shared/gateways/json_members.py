"""Read the members of a JSON object without copying its long strings.

A parser that makes text of everything would hold an attachment of 25 MiB four times.
"""

from __future__ import annotations

import json
from typing import Any

from shared.errors import Transient

_SPACE = b" \t\r\n"
_MAX_OTHER = 64 * 1024
"""Bytes that a member which is no string may take."""
_MAX_MEMBERS = 100


def json_members(content: bytes) -> dict[str, Any]:
    """The members of the object by name, in any order, the last of a name.

    A string is given as a memoryview of its bytes in UTF-8, every other value as `json`
    reads it. Raises Transient for what is no JSON object.
    """
    view = memoryview(content)
    try:
        return _members(content, view)
    except (ValueError, IndexError, RecursionError):
        raise Transient("Gmail's answer cannot be read (no JSON object).") from None


def _members(content: bytes, view: memoryview) -> dict[str, Any]:
    found: dict[str, Any] = {}
    at = _expect(content, _skip(content, 0), b"{")
    if content[at : at + 1] != b"}":
        while True:
            name, at = _string(content, view, _skip(content, at))
            at = _expect(content, at, b":")
            found[_text(name)], at = _value(content, view, at)
            if content[at : at + 1] != b"," or len(found) == _MAX_MEMBERS:
                break
            at = _skip(content, at + 1)
    end = _expect(content, at, b"}")
    if end != len(content):
        raise ValueError(end)
    return found


def _value(content: bytes, view: memoryview, at: int) -> tuple[Any, int]:
    if content[at : at + 1] == b'"':
        value, end = _string(content, view, at)
        return value, _skip(content, end)
    window = content[at : at + _MAX_OTHER].decode("utf-8", "replace")
    value, length = json.JSONDecoder().raw_decode(window)
    return value, _skip(content, at + len(window[:length].encode()))


def _string(content: bytes, view: memoryview, at: int) -> tuple[Any, int]:
    """The string that begins here, and where it ends."""
    _check(content, at, b'"')
    end = content.index(b'"', at + 1)
    while _is_escaped(content, end):
        end = content.index(b'"', end + 1)
    if content.find(b"\\", at, end) < 0:
        return view[at + 1 : end], end + 1
    return memoryview(json.loads(content[at : end + 1]).encode()), end + 1


def _is_escaped(content: bytes, quote: int) -> bool:
    """Whether an odd number of backslashes stands before a quote."""
    first = quote
    while content[first - 1 : first] == b"\\":
        first -= 1
    return (quote - first) % 2 == 1


def _text(name: memoryview) -> str:
    return bytes(name).decode("utf-8")


def _skip(content: bytes, at: int) -> int:
    """Where the space that may begin here ends."""
    while content[at : at + 1] and content[at] in _SPACE:
        at += 1
    return at


def _expect(content: bytes, at: int, sign: bytes) -> int:
    """Where what follows this sign begins."""
    at = _skip(content, at)
    _check(content, at, sign)
    return _skip(content, at + 1)


def _check(content: bytes, at: int, sign: bytes) -> None:
    if content[at : at + 1] != sign:
        raise ValueError(at)
