"""Cut HTML into tags as browsers do (HTML §13.2.5), in one pass and without a tree.

Linear in the input, whatever it holds, and never raises. What lies between two tags is
text; comments, declarations and the content of scripts and styles are passed over.
"""

from __future__ import annotations

import html as html_entities
import re
from collections.abc import Iterator
from typing import NamedTuple

from shared.core.parsing.plain_text import word_set

VOID = word_set(
    "area base basefont bgsound br col embed frame hr img input keygen link meta "
    "param source track wbr"
)
"""Elements that hold nothing and have no end tag."""

MAX_ATTRIBUTES = 1000
"""Of one tag; a large table's cell has ten. Each costs a microsecond."""

_OPENING = re.compile(r"<(?:(/?)([A-Za-z][^\t\n\f\r />]*+)|(!--)|[!?/])")
_COMMENT_END = re.compile(r"--!?>")
# The usual tag has its quotes in pairs; what this does not match is read by attributes.
_NO_QUOTES = re.compile(r"[^\"'>]*+>")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*+([^\t\n\f\r />][^\t\n\f\r />=]*+)[\t\n\f\r ]*+"
    r"(?:=[\t\n\f\r ]*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\t\n\f\r >]*+)))?"
)
# `html.unescape` turns digits into an int, which takes quadratic time for very many;
# Python refuses more than 4,300. No value that is looked at is longer.
_MAX_VALUE_CHARS = 4096
_TAG_END = re.compile(r"[\t\n\f\r /]*+>")
# Elements whose content is no markup, and where it ends.
_RAW = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />]|\Z)", re.IGNORECASE)
    for name in word_set(
        "iframe noembed noframes noscript script style textarea title xmp"
    )
}


class Tag(NamedTuple):
    """A start or end tag, from `start` to `end`; `name` is in lower case."""

    start: int
    end: int
    name: str
    closing: bool


class Attribute(NamedTuple):
    """An attribute with its value's place in the HTML, entities resolved in `value`."""

    name: str
    value: str
    start: int
    end: int


def tags_of(html: str) -> Iterator[Tag]:
    """Find the tags in order; the text between two of them is the mail's.

    A tag that never ends takes the rest, as in browsers; only an open quote is taken
    for a slip, so that the words behind it are not lost.
    """
    position = 0
    while opening := _OPENING.search(html, position):
        name = (opening[2] or "").lower()
        if not name:
            position = _passed_over(html, opening)
            yield Tag(opening.start(), position, "", closing=True)
            continue
        end = position = _end_of(html, opening.end())
        closing = bool(opening[1])
        yield Tag(opening.start(), end, name, closing)
        if closing:
            continue
        if name == "plaintext":
            return
        if name in _RAW:
            found = _RAW[name].search(html, end)
            position = found.start() if found else len(html)


def attributes_of(html: str, tag: Tag) -> Iterator[Attribute]:
    """Read the attributes of a start tag; of a repeated one the first counts.

    Behind MAX_ATTRIBUTES nothing is read.
    """
    seen: set[str] = set()
    position = tag.start + 1 + len(tag.name)
    for _ in range(MAX_ATTRIBUTES):
        found = _ATTRIBUTE.match(html, position, tag.end)
        if found is None:
            return
        position = found.end()
        name = found[1].lower()
        group = found.lastindex or 1
        if name in seen:
            continue
        seen.add(name)
        if group == 1:
            yield Attribute(name, "", found.end(1), found.end(1))
        else:
            value = html_entities.unescape(found[group][:_MAX_VALUE_CHARS])
            yield Attribute(name, value, found.start(group), found.end(group))


def _passed_over(html: str, opening: re.Match[str]) -> int:
    """Where a comment, a declaration or a malformed end tag is over."""
    if opening[3]:
        # By its own dashes, too: `<!-->` is a whole comment (HTML §13.2.5.43).
        end = _COMMENT_END.search(html, opening.start() + 2)
        return end.end() if end else len(html)
    return html.find(">", opening.end()) + 1 or len(html)


def _end_of(html: str, position: int) -> int:
    simple = _NO_QUOTES.match(html, position)
    if simple:
        return simple.end()
    for _ in range(MAX_ATTRIBUTES):
        end = _TAG_END.match(html, position)
        if end:
            return end.end()
        found = _ATTRIBUTE.match(html, position)
        if found is None:
            return len(html)
        position = found.end()
    return len(html)
