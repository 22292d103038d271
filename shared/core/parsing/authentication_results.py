"""Read one Authentication-Results header (RFC 8601 §2.2), refusing what is ambiguous.

Parts of the header repeat what the sender chose: a quoted local part may hold
`;dmarc=pass`, and so may a comment. So structure is read only outside of both, and a
header in which that is doubtful is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

_MAX_CHARS = 16 * 1024
_MAX_COMMENT_DEPTH = 20

_STEP = re.compile(r'[()";]|\\.', re.DOTALL)
_QUOTED = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*)"', re.DOTALL)
_HARMLESS = re.compile(r"[A-Za-z0-9.@_-]+")
_AROUND_EQUALS = re.compile(r" ?= ?")
_AUTHSERV = re.compile(r"\s*(\S+)(?:\s+[0-9]+)?\s*")
_METHOD = re.compile(r"([A-Za-z0-9-]+)(?:\s*/\s*[0-9]+)?=([A-Za-z]+)")


class Result(NamedTuple):
    """One method's result: `dkim`, `pass`, and its properties (`header.d`, …).

    Method, result and property names are in lower case. A property that is given twice
    is left out: nobody can tell which one counts.
    """

    method: str
    result: str
    properties: Mapping[str, str]


class AuthenticationResults(NamedTuple):
    """Who checked, and what came out."""

    authserv_id: str
    results: tuple[Result, ...]


def read_results(value: str) -> AuthenticationResults | None:
    """Read the header, or None when it is malformed or could be read in two ways."""
    parts = _split(value)
    if parts is None:
        return None
    authserv = _AUTHSERV.fullmatch(parts[0])
    if authserv is None:
        return None
    results = tuple(result for result in map(_result, parts[1:]) if result is not None)
    return AuthenticationResults(authserv[1], results)


def _split(value: str) -> list[str] | None:
    """Cut at semicolons that are in no comment and no quoted string.

    Comments become a blank, quoted strings their content if that is harmless, else
    nothing that could be taken for anything.
    """
    if len(value) > _MAX_CHARS:
        return None
    parts: list[str] = []
    current = ""
    position = 0
    while step := _STEP.search(value, position):
        current += value[position : step.start()]
        position = step.end()
        if step[0] == "(":
            end = _comment_end(value, step.start())
            if end is None:
                return None
            current += " "
            position = end
        elif step[0] == '"':
            quoted = _QUOTED.match(value, step.start())
            if quoted is None:
                return None
            current += quoted[1] if _HARMLESS.fullmatch(quoted[1]) else '""'
            position = quoted.end()
        elif step[0] == ";":
            parts.append(current)
            current = ""
        else:
            return None  # a stray ")" or backslash
    return [*parts, current + value[position:]]


def _comment_end(value: str, position: int) -> int | None:
    """Find the end of a comment; None if open, too deep, or with a quote in it.

    To RFC 5322 a quote in a comment means nothing; yet a comment that repeats the
    sender's `"a); dmarc=pass (b"@evil.example` would end where he wants.
    """
    depth = 0
    for step in _STEP.finditer(value, position):
        if step[0] == '"' or depth > _MAX_COMMENT_DEPTH:
            return None
        depth += {"(": 1, ")": -1}.get(step[0], 0)
        if depth == 0:
            return step.end()
    return None


def _result(part: str) -> Result | None:
    words = _AROUND_EQUALS.sub("=", " ".join(part.split())).split(" ")
    method = _METHOD.fullmatch(words[0])
    if method is None:
        return None
    properties: dict[str, str] = {}
    twice: set[str] = set()
    for word in words[1:]:
        name, _, text = word.partition("=")
        name = name.lower()
        if name in properties:
            twice.add(name)
        properties[name] = text
    kept = {name: text for name, text in properties.items() if name not in twice}
    return Result(method[1].lower(), method[2].lower(), kept)
