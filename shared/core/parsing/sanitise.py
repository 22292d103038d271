"""HTML from strangers made safe to show: an allow-list, applied by a real parser.

What is shown is made from the sender's HTML each time or once; it has no scripts, no
forms, no frames, nothing that is fetched from elsewhere (so no tracking pixel and no
CSS leak), and nothing that can cover the page around it. Show it in a sandboxed frame
all the same.
"""

from __future__ import annotations

import html as html_entities
import re

import nh3

from shared.core.limits import MAX_BODY_BYTES, MAX_HTML_DEPTH, MAX_HTML_TAGS
from shared.core.parsing.charsets import well_formed
from shared.core.parsing.colours import is_colour, old_colour
from shared.core.parsing.html_box import LOST_BACKGROUND, RENAMED, finished, in_box
from shared.core.parsing.html_scan import attributes_of, tags_of
from shared.core.parsing.styles import LOST, declarations, safe_style
from shared.core.parsing.text_from_html import SILENT, style_of, text_from_html

__all__ = ["safe_html", "text_from_html"]


def _words(text: str) -> set[str]:
    return set(text.split())


_TAGS = set(RENAMED) | _words(
    "a abbr address b bdi bdo big blockquote br caption center cite code col colgroup "
    "dd del dfn div dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd "
    "li mark ol p pre q s samp small span strike strong sub sup table tbody td tfoot "
    "th thead tr tt u ul var wbr"
)
_CELL = _words("align background bgcolor colspan height rowspan valign width")
_ATTRIBUTES = {
    "*": {"dir", "hidden", "lang", "style", "title"},
    "a": {"href"},
    "col": {"span", "width"},
    "colgroup": {"span", "width"},
    "div": {"align"},
    "font": {"color", "face", "size"},
    "hr": {"align", "size", "width"},
    "img": {"align", "alt", "border", "height", "src", "width"},
    "li": {"type", "value"},
    "ol": {"start", "type"},
    "p": {"align"},
    "table": _words("align background bgcolor border cellpadding cellspacing width"),
    "tbody": {"align", "valign"},
    "td": _CELL,
    "th": _CELL,
    "thead": {"align", "valign"},
    "tr": {"align", "background", "bgcolor", "valign"},
    "ul": {"type"},
}
# Numbers in attributes: what a mail needs, and not what fills a screen or a processor.
_MAX_NUMBERS = {
    "border": 20,
    "cellpadding": 200,
    "cellspacing": 50,
    "colspan": 100,
    "height": 1200,
    "rowspan": 200,
    "size": 20,
    "span": 100,
    "start": 100_000,
    "value": 100_000,
    "width": 1200,
}
_NUMBER = re.compile(r"([+-]?[0-9]{1,6})(?:\.[0-9]{0,6})? ?(?:px|(%))?")
_MAX_PERCENT = 100
_BODY = re.compile(r"<body(?=[\t\n\f\r />])", re.IGNORECASE)
_PAGE_STYLES = ("background", "background-color", "background-image", "color")
_CID = re.compile(r"cid:[^\s<>\"'\\]{1,256}", re.IGNORECASE)
_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
# No depth comes from these: they are empty, or the next one closes them.
_FLAT = _words(
    "area base br col dd dt hr img input li link meta option p param source td th tr "
    "wbr"
)
# Elements that HTML parsers open again in every block after them until they are closed
# ("reconstruct the active formatting elements"), up to three of the same kind.
_FORMATTING = re.compile(
    r"<(/?)(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)(?=[\s/>])",
    re.IGNORECASE,
)
# The parser takes 0.5 s for 250,000 of these, or for 50,000 attributes of one tag, and
# four times as long for twice as many.
_MAX_AMPERSANDS = 100_000
_LONG = 100_000
_LONG_TAG = 16_000
_SAME_KIND = 3
_MAX_REOPENED = 1_000_000


def safe_html(html: str) -> str:
    """Give HTML that is safe to show from HTML that is not.

    Only harmless tags, attributes and styles; links go to http, https, mailto or tel
    and carry `noopener noreferrer nofollow`; images are kept only as `cid:`, others
    lose their source and keep their description. Input above MAX_BODY_BYTES is cut;
    what would cost too much to parse comes out as plain text. Never raises.
    """
    html = well_formed(html[:MAX_BODY_BYTES])
    tags = sum(1 for _ in _TAG.finditer(html))
    if tags > MAX_HTML_TAGS or _is_slow(html) or _depth(html) > MAX_HTML_DEPTH:
        words = html_entities.escape(text_from_html(html))
        return in_box(words.replace("\n", "<br>\n"))
    if _formatting_kinds(html) * _SAME_KIND * tags > _MAX_REOPENED:
        # 16 KB could become gigabytes. Bold and italic are lost, the words are not.
        html = _FORMATTING.sub(r"<\1span", html)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=set(SILENT),
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        strip_comments=True,
        url_relative="deny",
        url_schemes={"http", "https", "mailto", "tel", "cid"},
    )
    style = _page_style(html)
    colours = style.removeprefix(LOST).removeprefix(";")
    return in_box(finished(clean, lost=style.startswith(LOST)), colours)


def _is_slow(html: str) -> bool:
    """Whether the parser takes time that grows with the square of something."""
    return html.count("&") > _MAX_AMPERSANDS or (
        len(html) > _LONG
        and any(tag.end - tag.start > _LONG_TAG for tag in tags_of(html))
    )


def _page_style(html: str) -> str:
    """The colours of the whole mail, which its `body` says and which go with it."""
    if not _BODY.search(html):
        return ""
    starts = (tag for tag in tags_of(html) if tag.name == "body" and not tag.closing)
    tag = next(starts, None)
    if tag is None:
        return ""  # it was in a comment
    said = {
        attribute.name: old_colour(attribute.value)
        for attribute in attributes_of(html, tag)
    }
    style = {
        name: said[attribute]
        for attribute, name in (("text", "color"), ("background", "background-image"))
        if attribute in said
    } | dict(style_of(html, tag))
    if "background-image" in style:
        style["background-image"] = "url()"
    return safe_style({name: style[name] for name in _PAGE_STYLES if name in style})


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if _CID.fullmatch(value) else None
    if name == "href":
        return value if _LINK.match(value.strip()) else None
    if name == "style":
        return safe_style(declarations(value)) or None
    if name in {"bgcolor", "color"}:
        return value if is_colour(old_colour(value)) else None
    if name == "background":
        return LOST_BACKGROUND
    if name in _MAX_NUMBERS:
        return value if _is_bounded(name, value) else None
    return value


def _is_bounded(name: str, value: str) -> bool:
    number = _NUMBER.fullmatch(value.strip())
    if number is None:
        return False
    limit = _MAX_PERCENT if number[2] else _MAX_NUMBERS[name]
    lowest = -limit if name in {"size", "start", "value"} else 0
    return lowest <= int(number[1]) <= limit


def _depth(html: str) -> int:
    """Estimate how deep the elements nest.

    Too low for tags that are closed in the wrong place, which MAX_HTML_TAGS bounds.
    """
    deepest = depth = 0
    for tag in _TAG.finditer(html):
        if tag[2].lower() not in _FLAT:
            depth = max(0, depth - 1) if tag[1] else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _formatting_kinds(html: str) -> int:
    """Count the different formatting start tags; never too low.

    A tag ends at the first `>` or later, so no real start tag is passed over.
    """
    kinds: set[str] = set()
    position = 0
    while tag := _FORMATTING.search(html, position):
        position = html.find(">", tag.end())
        if position < 0:
            break
        if not tag[1]:
            kinds.add(html[tag.start() : position].lower())
    return len(kinds)
