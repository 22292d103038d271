"""The words of an HTML mail, for snippets and where HTML is too much to parse."""

from __future__ import annotations

import html as html_entities
import re

from shared.core.parsing.plain_text import one_line

# One pass, no backtracking: every alternative stops at the next "<" at the latest.
_TAG = re.compile(
    r"<(/?)([A-Za-z][^\s<>/]*)(?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+')*>"
    r"|<(/?)([A-Za-z][^\s<>/]*)[^<>]*+>?|<[!?][^<>]*+>?"
)
_COMMENT_END = re.compile("-->")
_SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
_BREAKING = re.compile(
    "address|article|blockquote|br|center|d[dlt]|div|footer|h[1-6]|header|hr|li|ol|p|"
    "pre|section|table|t[dhr]|ul"
)
# `html.unescape` turns digits into an int, which refuses more than 4,300 of them.
_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")


def text_from_html(html: str, limit: int | None = None) -> str:
    """Give the text of an HTML body, lines as its blocks break them.

    Text, not HTML: escape it before it is shown in a page. Linear in the input, and
    stops early once `limit` characters are together.
    """
    out: list[str] = []
    length = 0
    position = 0
    while limit is None or length < limit:
        tag = _TAG.search(html, position)
        if tag is None:
            out.append(html[position:])
            break
        out.append(html[position : tag.start()])
        length += tag.start() - position
        position = tag.end()
        name = (tag[2] or tag[4] or "").lower()
        if html.startswith("<!--", tag.start()):
            # By its own dashes, too: `<!-->` is a whole comment (HTML §13.2.5.43).
            end = _COMMENT_END.search(html, tag.start())
            position = end.end() if end else len(html)
        elif name in _SILENT and not (tag[1] or tag[3]):
            end_tag = re.compile(f"</{name}", re.IGNORECASE).search(html, position)
            position = end_tag.start() if end_tag else len(html)
        elif _BREAKING.fullmatch(name):
            out.append("\n")
    text = html_entities.unescape(_LONG_REFERENCE.sub("\ufffd", "".join(out)))
    lines = (one_line(line) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)[:limit]
