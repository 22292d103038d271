"""Pictures that are pasted into HTML as `data:` URIs become attachments of their own.

A screenshot is a megabyte of base64 in the middle of the words: taken out before any
limit applies, it is a picture again and uses up no room. Linear, and never raises.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from shared.core.limits import MAX_HTML_TAGS, MAX_MIME_PARTS
from shared.core.parsing.encoded_words import from_base64
from shared.core.parsing.html_scan import attributes_of, tags_of

_DATA = re.compile(
    r"\s*+data:(image/[a-z0-9.+-]{1,40})([^,\"'<>]{0,100}),", re.IGNORECASE
)
_MENTIONED = re.compile(r"data:image/", re.IGNORECASE)
# Behind text: never shown, so that it only takes up room.
_BEHIND = re.compile(r"url\([\"']?data:[^()<>\"'\s]*+[\"']?\)", re.IGNORECASE)


class Picture(NamedTuple):
    """A picture as it was pasted; `content_id` is what the HTML calls it now."""

    content_id: str
    content_type: str
    data: bytes


def without_pictures(html: str, prefix: str) -> tuple[str, list[Picture]]:
    """Take the pictures out; each `img` names its own by `cid:` instead.

    Content ids begin with `prefix`. The same picture twice is one.
    """
    if not _MENTIONED.search(html):
        return html, []
    found: dict[str, Picture] = {}
    out: list[str] = []
    position = 0
    # More tags than that are shown as text; the whole part can have 25 MB of them.
    for tag in itertools.islice(tags_of(html), MAX_HTML_TAGS):
        if tag.name != "img" or tag.closing:
            continue
        source = next((a for a in attributes_of(html, tag) if a.name == "src"), None)
        pasted = _DATA.match(html, source.start, source.end) if source else None
        if source is None or pasted is None:
            continue
        written = html[pasted.end() : source.end]
        if written not in found:
            if len(found) >= MAX_MIME_PARTS:
                break
            name = f"{prefix}{len(found)}@data.invalid"
            found[written] = Picture(
                name, pasted[1].lower(), _bytes(pasted[2], written)
            )
        out += (html[position : source.start], f"cid:{found[written].content_id}")
        position = source.end
    out.append(html[position:])
    return _BEHIND.sub("url()", "".join(out)), list(found.values())


def _bytes(parameters: str, written: str) -> bytes:
    raw = unquote_to_bytes(written.encode("utf-8", "replace"))
    return from_base64(raw) if "base64" in parameters.lower() else raw
