"""Body and attachments out of Gmail's payload tree, within the caps of `limits`.

Gmail has parsed the mail already; what is left is choosing. The tree is walked with a
stack: a mail can nest deeper than Python can recurse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.core.limits import (
    MAX_ATTACHMENT_BYTES,
    MAX_BODY_BYTES,
    MAX_MIME_DEPTH,
    MAX_MIME_PARTS,
    SNIPPET_CHARS,
)
from shared.core.mail import AttachmentPart, Content
from shared.core.parsing.charsets import decode_body
from shared.core.parsing.gmail_part import Part, read_part
from shared.core.parsing.plain_text import one_line
from shared.core.parsing.text_from_html import text_from_html

_BROKEN_END = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,2}\Z")
_BODY_NAMES = {"text/plain": "body.txt", "text/html": "body.html"}
# A snippet needs no more than the beginning, however long the body.
_SNIPPET_SOURCE_CHARS = 20 * SNIPPET_CHARS


class _Step(NamedTuple):
    raw: Mapping[str, Any]
    depth: int
    alternative: int | None  # number of the multipart/alternative it is a child of


@dataclass(slots=True)
class _Found:
    """What the walk has collected. Bodies: text, and which alternative chose it."""

    bodies: dict[str, list[tuple[int | None, str]]] = field(default_factory=dict)
    attachments: list[AttachmentPart] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)
    truncated: bool = False


def content_of(resource: Mapping[str, Any]) -> Content:
    """Translate a message resource (format `full`) to body and attachments.

    Several text parts are joined by a newline, in order; of the same type in one
    multipart/alternative the last counts (RFC 2046 §5.1.4). An attached message is one
    attachment. A body that Gmail holds back (an attachment id instead of data) becomes
    the attachment `body.txt` or `body.html`. Never raises.
    """
    payload = resource.get("payload")
    found = _walk(payload) if isinstance(payload, Mapping) else _Found()
    text = _joined(found, "text/plain")
    html = _joined(found, "text/html")
    readable = (
        text[:_SNIPPET_SOURCE_CHARS]
        if text and text.strip()
        else text_from_html(html or "", _SNIPPET_SOURCE_CHARS)
    )
    return Content(
        text=text,
        html=html,
        attachments=tuple(found.attachments),
        snippet=one_line(readable)[:SNIPPET_CHARS].rstrip(),
        truncated=found.truncated,
    )


def _walk(payload: Mapping[str, Any]) -> _Found:
    found = _Found()
    stack = [_Step(payload, 0, None)]
    seen = 0
    while stack:
        step = stack.pop()
        seen += 1
        if seen > MAX_MIME_PARTS:
            found.truncated = True
            break
        if step.depth > MAX_MIME_DEPTH:
            found.truncated = True
            continue
        alone = step.depth == 0 or step.alternative is not None
        part = read_part(step.raw, stands_alone=alone)
        if part.is_container:
            own = seen if part.content_type == "multipart/alternative" else None
            stack += [
                _Step(child, step.depth + 1, own)
                for child in reversed(part.children[:MAX_MIME_PARTS])
                if isinstance(child, Mapping)
            ]
        elif part.is_body:
            _add_body(found, part, step.alternative)
        else:
            found.attachments.append(_attachment(found, part))
    return found


def _add_body(found: _Found, part: Part, alternative: int | None) -> None:
    if part.encoded is None:
        return  # an empty body is none; so is the payload of a `metadata` answer
    room = found.room.get(part.content_type, MAX_BODY_BYTES)
    data, cut = part.data(room)
    found.room[part.content_type] = room - len(data)
    if cut:
        # Half a character at the end would make the whole text look like no UTF-8.
        data = _BROKEN_END.sub(b"", data)
        found.truncated = True
    text = decode_body(data, part.charset).removeprefix("\ufeff")
    bodies = found.bodies.setdefault(part.content_type, [])
    if alternative is not None and bodies and bodies[-1][0] == alternative:
        bodies.pop()
    bodies.append((alternative, text.replace("\r\n", "\n").replace("\r", "\n")))


def _joined(found: _Found, content_type: str) -> str | None:
    texts = [text for _, text in found.bodies.get(content_type, ())]
    if not texts:
        return None
    return "\n".join([*(text.removesuffix("\n") for text in texts[:-1]), texts[-1]])


def _attachment(found: _Found, part: Part) -> AttachmentPart:
    data: bytes | None = None
    if part.encoded is not None and part.attachment_id is None:
        data, cut = part.data(MAX_ATTACHMENT_BYTES)
        found.truncated = found.truncated or cut
    body_name = (
        None if part.disposition == "attachment" else _BODY_NAMES.get(part.content_type)
    )
    return AttachmentPart(
        part_id=part.part_id,
        filename=part.filename or body_name,
        content_type=part.content_type,
        size=part.size if data is None else len(data),
        gmail_attachment_id=part.attachment_id,
        data=data,
        content_id=part.content_id,
        inline=part.disposition == "inline" or part.content_id is not None,
    )
