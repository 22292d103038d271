"""Body and attachments out of Gmail's payload tree, within the caps of `limits` (M16).

Gmail has parsed the mail already; what is left is choosing. The tree is walked with a
stack: a mail can nest deeper than Python can recurse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from shared.core.limits import (
    MAX_ATTACHMENT_BYTES,
    MAX_BODY_BYTES,
    MAX_MIME_DEPTH,
    MAX_MIME_PARTS,
    SNIPPET_CHARS,
)
from shared.core.mail import AttachmentPart, Content
from shared.core.parsing.charsets import decode_body
from shared.core.parsing.data_pictures import without_pictures
from shared.core.parsing.gmail_bodies import Body, Path, shown
from shared.core.parsing.gmail_part import Part, read_part
from shared.core.parsing.plain_text import one_line
from shared.core.parsing.text_from_html import text_from_html

_BROKEN_END = re.compile(rb"[\xc0-\xff][\x80-\xbf]{0,2}\Z")
_CID = re.compile(r"cid:([^\s\"'<>()]{1,300})", re.IGNORECASE)
_BODY_NAMES = {"text/plain": "body.txt", "text/html": "body.html"}
# A snippet needs no more than the beginning, however long the body.
_SNIPPET_SOURCE_CHARS = 20 * SNIPPET_CHARS


class _Step(NamedTuple):
    raw: Mapping[str, Any]
    depth: int
    path: Path  # the multipart/alternatives around it
    stands_alone: bool


class _Leaf(NamedTuple):
    part: Part
    path: Path
    is_body: bool


@dataclass(slots=True)
class _Found:
    """What is read so far, and how much room each kind of body has left."""

    bodies: list[Body] = field(default_factory=list)
    attachments: list[AttachmentPart] = field(default_factory=list)
    room: dict[str, int] = field(default_factory=dict)
    truncated: bool = False


def content_of(
    resource: Mapping[str, Any], fetched: Mapping[str, bytes] | None = None
) -> Content:
    """Translate a message resource (format `full`) to body and attachments.

    Several texts are joined, in order; of the same type in one multipart/alternative
    the last counts (RFC 2046 §5.1.4). An attached message is one attachment. Pictures
    pasted into the HTML are attachments, before a limit cuts anything; what a limit
    cuts is an attachment as a whole. `fetched` holds the bytes of `held_back_bodies` by
    attachment id; such a body without them is the attachment `body.txt` or `body.html`.
    Never raises.
    """
    leaves, cut = _leaves(resource)
    found = _Found(truncated=cut)
    for leaf in leaves:
        data = (fetched or {}).get(leaf.part.attachment_id or "")
        if leaf.is_body and (data is not None or not leaf.part.is_held_back):
            _add_body(found, leaf, data)
        else:
            _add_attachment(found, leaf.part)
    text, html = (_within_cap(found, body) for body in shown(found.bodies))
    return Content(
        text=text,
        html=html,
        attachments=_with_places(found.attachments, html or ""),
        snippet=snippet_of(text, html),
        truncated=found.truncated,
    )


def snippet_of(text: str | None, html: str | None) -> str:
    """The beginning of what a message says, on one line."""
    readable = (
        text[:_SNIPPET_SOURCE_CHARS]
        if text and text.strip()
        else text_from_html(html or "", _SNIPPET_SOURCE_CHARS)
    )
    return one_line(readable)[:SNIPPET_CHARS].rstrip()


def held_back_bodies(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Attachment ids of the bodies that Gmail hands out apart, to be fetched first.

    It does so with long ones and those with a file name; almost no mail has one.
    """
    return tuple(
        leaf.part.attachment_id
        for leaf in _leaves(resource)[0]
        if leaf.is_body
        and leaf.part.is_held_back
        and leaf.part.attachment_id is not None
        and leaf.part.size <= MAX_ATTACHMENT_BYTES
    )


def _leaves(resource: Mapping[str, Any]) -> tuple[list[_Leaf], bool]:
    """The parts without the multiparts around them; and whether a cap left some out."""
    payload = resource.get("payload")
    found: list[_Leaf] = []
    truncated = False
    seen = 0
    stack = (
        [_Step(payload, 0, (), stands_alone=True)]
        if isinstance(payload, Mapping)
        else []
    )
    while stack:
        step = stack.pop()
        seen += 1
        if seen > MAX_MIME_PARTS:
            truncated = True
            break
        if step.depth > MAX_MIME_DEPTH:
            truncated = True
            continue
        part = read_part(step.raw, stands_alone=step.stands_alone)
        if part.is_container:
            stack += reversed(_children(step, part, seen))
        else:
            found.append(_Leaf(part, step.path, part.is_body))
    return _without_variants(_with_named_body(found)), truncated


def _children(step: _Step, part: Part, number: int) -> list[_Step]:
    apart = part.content_type == "multipart/alternative"
    related = part.content_type == "multipart/related"
    return [
        _Step(
            child,
            step.depth + 1,
            (*step.path, (number, at)) if apart else step.path,
            stands_alone=apart or (related and at == 0),
        )
        for at, child in enumerate(part.children[:MAX_MIME_PARTS])
        if isinstance(child, Mapping)
    ]


def _with_named_body(leaves: list[_Leaf]) -> list[_Leaf]:
    """Where no text is without a name, the first thing in the mail may be the body.

    Converters and some business programs write their only text as `mail.html`.
    """
    if leaves and leaves[0].part.is_text and not any(leaf.is_body for leaf in leaves):
        leaves[0] = leaves[0]._replace(is_body=True)
    return leaves


def _without_variants(leaves: list[_Leaf]) -> list[_Leaf]:
    """Leave out alternatives that other programs show instead of the text."""
    readable = {leaf.path[-1][0] for leaf in leaves if leaf.is_body and leaf.path}
    return [
        leaf
        for leaf in leaves
        if not (leaf.path and leaf.path[-1][0] in readable and leaf.part.is_variant)
    ]


def _add_body(found: _Found, leaf: _Leaf, fetched: bytes | None) -> None:
    part = leaf.part
    if part.encoded is None and not fetched:
        return  # an empty body is none; so is the payload of a `metadata` answer
    room = found.room.get(part.content_type, MAX_BODY_BYTES)
    whole = part.data(MAX_ATTACHMENT_BYTES)[0] if fetched is None else fetched
    data = _shrunk(found, part, whole) if part.content_type == "text/html" else whole
    if len(data) > room:
        # Half a character at the end would make the whole text look like no UTF-8.
        data = _BROKEN_END.sub(b"", data[:room])
        found.truncated = True
        found.attachments.append(
            replace(_attachment(part, whole), filename=_BODY_NAMES[part.content_type])
        )
    found.room[part.content_type] = room - len(data)
    text = decode_body(data, part.charset).removeprefix("\ufeff")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found.bodies.append(Body(part.content_type == "text/html", text, leaf.path))


def _within_cap(found: _Found, body: str | None) -> str | None:
    """Texts that are shown as HTML beside HTML can be more than each of them."""
    if body is None or len(body) <= MAX_BODY_BYTES:
        return body
    found.truncated = True
    return body[:MAX_BODY_BYTES]


def _shrunk(found: _Found, part: Part, whole: bytes) -> bytes:
    """Take pasted pictures out of HTML; each is an attachment of its own."""
    # Latin-1 has a character for each byte; a data URI and the tag around it are ASCII
    # in all charsets but UTF-16, whose pictures are lost.
    html, pictures = without_pictures(whole.decode("latin-1"), f"part{part.part_id}-")
    found.attachments += [
        AttachmentPart(
            part_id=part.part_id,
            filename=None,
            content_type=picture.content_type,
            size=len(picture.data),
            data=picture.data,
            content_id=picture.content_id,
        )
        for picture in pictures
    ]
    return html.encode("latin-1") if pictures else whole


def _add_attachment(found: _Found, part: Part) -> None:
    data: bytes | None = None
    if part.attachment_id is None and (part.encoded is not None or not part.size):
        data, cut = part.data(MAX_ATTACHMENT_BYTES)
        found.truncated = found.truncated or cut
    body_name = (
        None if part.disposition == "attachment" else _BODY_NAMES.get(part.content_type)
    )
    found.attachments.append(
        replace(_attachment(part, data), filename=part.filename or body_name)
    )


def _attachment(part: Part, data: bytes | None) -> AttachmentPart:
    return AttachmentPart(
        part_id=part.part_id,
        filename=part.filename,
        content_type=part.content_type,
        size=part.size if data is None else len(data),
        gmail_attachment_id=None if data is not None else part.attachment_id,
        data=data,
        content_id=part.content_id,
        inline=part.disposition == "inline",
    )


def _with_places(
    attachments: Sequence[AttachmentPart], html: str
) -> tuple[AttachmentPart, ...]:
    """Mark what the HTML shows at a place of its own as inline."""
    named = {unquote(name) for name in _CID.findall(html)}
    return tuple(
        replace(attachment, inline=attachment.inline or attachment.content_id in named)
        for attachment in attachments
    )
