"""All that a deployment has stored and published, as text, to be searched."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from typing import Any

_TAG = re.compile(r"<[^<>]*>")
_PERCENT = re.compile(r"%([0-7][0-9a-fA-F])")


def everything_stored(outside: Any) -> Iterator[tuple[str, str]]:
    """Each document, blob, secret and event with its place; ids and keys too."""
    for path, data in outside.documents.dump().items():
        yield path, f"{path} {data!r}"
    for key in outside.blobs.keys():  # noqa: SIM118  (a store, not a dict)
        data = b"".join(outside.blobs.stream(key))
        yield f"blob {key}", f"{key} {data.decode('utf-8', 'replace')}"
    for name in outside.secrets.names():
        values = [repr(value) for value in outside.secrets.read_all(name)]
        yield f"secret {name}", f"{name} {values}"
    for event in outside.topics.published():
        yield "event", f"{event.data!r} {event.attributes}"


def places_of(words: Iterable[str], outside: Any) -> list[str]:
    """Where one of these words is, in any case, encoded, or broken by tags."""
    wanted = [word.lower() for word in words]
    return [
        f"{word} in {place}"
        for place, text in everything_stored(outside)
        for form in _forms(text.lower())
        for word in wanted
        if word in form
    ]


def _forms(text: str) -> set[str]:
    plain = text
    for _ in range(3):
        plain = html.unescape(_PERCENT.sub(lambda m: chr(int(m[1], 16)), plain))
    return {text, plain, _TAG.sub("", plain)}
