"""The words of an HTML mail as a person sees them, for snippets and plain text."""

from __future__ import annotations

import html as html_entities
import re
from collections import Counter

from shared.core.parsing.colours import old_colour
from shared.core.parsing.html_scan import VOID, Tag, attributes_of, tags_of
from shared.core.parsing.plain_text import one_line, word_set
from shared.core.parsing.styles import Hiding, Style, declarations, is_gone

SILENT = word_set(
    "applet audio canvas embed iframe math noembed noframes noscript object "
    "script select style svg template textarea title video xmp"
)
"""Elements that hold no text of the mail."""
BLOCKS = word_set(
    "address article aside blockquote body caption center dd details dialog dir "
    "div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header "
    "hgroup hr legend li main menu nav ol p pre search section summary table td "
    "th tr ul"
)
"""Elements that are lines of their own."""

# What a start tag ends that was left open, up to the element it cannot reach beyond.
_ENDS = {
    "dd": ({"dd", "dt"}, {"dl"}),
    "dt": ({"dd", "dt"}, {"dl"}),
    "li": ({"li"}, {"dir", "menu", "ol", "ul"}),
    "option": ({"option"}, {"select"}),
    "tbody": ({"tbody", "thead", "tfoot"}, {"table"}),
    "td": ({"td", "th"}, {"table", "tr"}),
    "tfoot": ({"tbody", "thead"}, {"table"}),
    "th": ({"td", "th"}, {"table", "tr"}),
    "tr": ({"tr"}, {"table"}),
}
_REACH = 50  # open elements that are looked at, so that the work stays linear
_TELLING = re.compile(r"style|hidden|color", re.IGNORECASE)
_BLANKS = re.compile(r"[\t\n\f\r ]+")
_PARAGRAPH = ({"p"}, {"button", "caption", "object", "table", "td", "th"})
# `html.unescape` turns digits into an int, which refuses more than 4,300 of them.
_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")
_HIDDEN: Style = {"display": "none"}


def text_from_html(html: str, limit: int | None = None) -> str:
    """Give the text of an HTML body, lines as its blocks break them.

    What the sender hid stays hidden. Text, not HTML: escape it before it is shown in a
    page. Linear in the input, and stops early once `limit` characters are together.
    """
    out: list[str] = []
    length = 0
    position = 0
    open_elements = _Open()
    for tag in tags_of(html):
        length += _add(out, html[position : tag.start], open_elements)
        position = tag.end
        if limit is not None and length >= limit:
            break
        open_elements.meet(html, tag)
        if (tag.name in BLOCKS or tag.name == "br") and not open_elements.is_gone:
            out.append("\n")
    else:
        _add(out, html[position:], open_elements)
    lines = (one_line(line) for line in "".join(out).split("\n"))
    return "\n".join(line for line in lines if line)[:limit]


def style_of(html: str, tag: Tag) -> Style:
    """The style of a start tag, with what its old attributes say of colours."""
    if not _TELLING.search(html, tag.start, tag.end):
        return {}
    found = {attribute.name: attribute.value for attribute in attributes_of(html, tag)}
    style = {
        name: old_colour(found[attribute])
        for attribute, name in (("bgcolor", "background-color"), ("color", "color"))
        if attribute in found
    }
    style |= declarations(found.get("style", ""))
    return _HIDDEN if "hidden" in found else style


class _Open:
    """The open elements, as far as they tell what is hidden."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._counts: Counter[str] = Counter()
        self._hiding: list[Hiding] = [Hiding()]
        self._gone_at: int | None = None

    @property
    def is_gone(self) -> bool:
        return self._gone_at is not None

    @property
    def is_hidden(self) -> bool:
        return self.is_gone or any(self._hiding[-1])

    @property
    def keeps_lines(self) -> bool:
        return bool(self._counts["pre"])

    def meet(self, html: str, tag: Tag) -> None:
        """Go on behind this tag."""
        name = tag.name
        if tag.closing:
            if self._counts[name]:
                at = len(self._names) - 1
                while self._names[at] != name:  # each step ends one
                    at -= 1
                self._end_to(at)
            return
        if name in BLOCKS:
            self._end(*_PARAGRAPH)
        if name in _ENDS:
            self._end(*_ENDS[name])
        if name in VOID:
            return
        self._names.append(name)
        self._counts[name] += 1
        style = style_of(html, tag)
        hiding = self._hiding[-1]
        self._hiding.append(hiding.within(style) if style else hiding)
        if not self.is_gone and (name in SILENT or is_gone(style)):
            self._gone_at = len(self._names)

    def _end(self, names: set[str], beyond: set[str]) -> None:
        """End the innermost of these elements, if it is open and within reach."""
        if not any(self._counts[name] for name in names):
            return
        lowest = max(0, len(self._names) - _REACH)
        for at in range(len(self._names) - 1, lowest - 1, -1):
            if self._names[at] in names:
                self._end_to(at)
                return
            if self._names[at] in beyond:
                return

    def _end_to(self, at: int) -> None:
        self._counts.subtract(self._names[at:])
        del self._names[at:], self._hiding[at + 1 :]
        if self._gone_at is not None and self._gone_at > at:
            self._gone_at = None


def _add(out: list[str], piece: str, where: _Open) -> int:
    if not piece or where.is_hidden:
        return 0
    text = html_entities.unescape(_LONG_REFERENCE.sub("\ufffd", piece))
    out.append(text if where.keeps_lines else _BLANKS.sub(" ", text))
    return len(piece)
