"""The last touch to sanitised HTML: what is hidden goes, the rest stays in its box.

Works on what the sanitiser wrote, whose tags are balanced and whose values are quoted,
so that a single pass is exact. Linear.
"""

from __future__ import annotations

import html as html_entities
import re
from dataclasses import dataclass, field

from shared.core.parsing.html_scan import VOID, Tag, attributes_of, tags_of
from shared.core.parsing.plain_text import word_set
from shared.core.parsing.styles import GONE, LOST

RENAMED = word_set(
    "article aside details dialog dir fieldset footer form header hgroup legend "
    "main menu nav search section summary"
)
"""Blocks that become `div`: the page around a mail has its own landmarks and styles."""

LOST_BACKGROUND = "lost"
"""Value of a `background` attribute in place of the picture that it named."""

BOX = "overflow:auto;max-height:100%"
"""Style of what is put around a mail that could reach beyond its place."""

_TO_MEND = re.compile(
    rf'style="{re.escape(LOST)}|style="{re.escape(GONE)}|\bhidden=|background="lost'
    rf"|<(?:{'|'.join(sorted(RENAMED))})[ >]"
)
# In a style that we wrote, and of a `font` element.
_COLOUR = re.compile(r"(?<=[\";])color:[^;\"]*+;?")
_FONT_COLOUR = re.compile(r" color=\"[^\"]*+\"")
# What may be wider or higher than its place, or stand before it.
_REACHING = re.compile(
    r"<(?:big|h[1-6r]|img|pre|su[bp]|table)[ >]"
    r"| (?:dir|height|size|start|value|width)=\""
    r"| style=\"(?!(?:(?:background-color|color|font-(?:style|weight)|text-(?:align|"
    r"decoration)|border-color):[^;\"]*+;?){0,9}\")"
)
# Each moves what is in it to the right; an item without a list stands to the left.
_INDENTING = re.compile(r"<(?:blockquote|dd|figure|ol|ul)[ >]")
_MAX_INDENTED = 2
_TAG = re.compile(r"<[^<>]*+>")
_SHORT = 1000
# Longer words, as a narrow column breaks none of them, reach out of it. Other scripts
# and signs can be many times as wide as a letter, or stand above the line.
_LONG_WORD = re.compile(r"[^ \t\n\r]{25}")
_WIDE = re.compile(
    "[^\t\n\r -~\u00a0-\u024f\u0370-\u0482\u048a-\u04ff"
    "\u2010-\u2013\u2018-\u201e\u2022\u2026\u20ac]"
)


def finished(html: str, *, lost: bool = False) -> str:
    """Take out hidden elements and colours without their background; rename blocks.

    `lost` says that the mail's own background is not kept.
    """
    if not lost and not _TO_MEND.search(html):
        return html
    out: list[str] = []
    position = 0
    walk = _Walk(lost)
    for tag in tags_of(html):
        if walk.gone_at is None:
            out.append(html[position : tag.start])
        position = tag.end
        out.append(walk.meet(html, tag))
    out.append(html[position:])
    return "".join(out)


def in_box(html: str, colours: str = "") -> str:
    """Put HTML that could reach beyond its place into a box that scrolls.

    `colours` are those of the mail as a whole.
    """
    if not html or (not colours and _stays_in_place(html)):
        return html
    style = f"{BOX};{colours}" if colours else BOX
    return f'<div style="{style}">{html}</div>'


def _stays_in_place(html: str) -> bool:
    """Whether nothing but a few short words in plain blocks is in it."""
    if len(html) > _SHORT or _REACHING.search(html):
        return False
    indenting = len(_INDENTING.findall(html))
    if indenting > _MAX_INDENTED or ("<li" in html and not indenting):
        return False
    # What stands in two elements can be one word.
    words = html_entities.unescape(_TAG.sub("", html))
    return not (_LONG_WORD.search(words) or _WIDE.search(words))


@dataclass(slots=True)
class _Walk:
    """Where in the tree we are: what is gone, and where a background is lost."""

    lost: bool
    gone_at: int | None = None
    around: list[tuple[str, bool]] = field(default_factory=list)

    def meet(self, html: str, tag: Tag) -> str:
        """Go on behind this tag, and give what is written for it."""
        if tag.closing:
            return self._end()
        found = {attribute.name: attribute for attribute in attributes_of(html, tag)}
        style = found["style"].value if "style" in found else ""
        gone = "hidden" in found or style == GONE
        if tag.name in VOID:
            return "" if gone or self.gone_at else html[tag.start : tag.end]
        name = "div" if tag.name in RENAMED else tag.name
        self.around.append((name, self.lost))
        if self.gone_at is None and gone:
            self.gone_at = len(self.around)
        if self.gone_at is not None:
            return ""
        if "bgcolor" in found or "background-color:" in style:
            self.lost = False
        elif style.startswith(LOST) or "background" in found:
            self.lost = True
        return f"<{name}{self._attributes(html[tag.start : tag.end], tag.name)}"

    def _attributes(self, written: str, name: str) -> str:
        rest = written[1 + len(name) :]
        rest = rest.replace(f' background="{LOST_BACKGROUND}"', "", 1)
        rest = rest.replace(f'style="{LOST};', 'style="', 1)
        rest = rest.replace(f' style="{LOST}"', "", 1)
        if self.lost:
            rest = _COLOUR.sub("", _FONT_COLOUR.sub("", rest))
            rest = rest.replace(' style=""', "", 1)
        return rest

    def _end(self) -> str:
        name, self.lost = self.around.pop()
        if self.gone_at is None:
            return f"</{name}>"
        if self.gone_at > len(self.around):
            self.gone_at = None
        return ""
