"""Raw mail to what Gmail's messages.get would answer, for tests.

Splits headers and multiparts itself, without recursion; the standard library's parser
recurses and gives up at the first line that is no header.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import Any

from shared.core.parsing.charsets import decode
from shared.core.parsing.mime_parameters import main_value, parameters

MAX_DEPTH = 60
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


def resource_of(
    raw: bytes,
    *,
    gmail_id: str = "18c0000000000001",
    thread_id: str = "18c0000000000001",
    labels: tuple[str, ...] = ("INBOX",),
    internal_date: int = 1_700_000_000_000,
    hold_back_named: bool = False,
) -> dict[str, Any]:
    """Make a message resource, format `full`.

    With `hold_back_named` parts with a file name have an attachment id, as at Gmail.
    """
    root: dict[str, Any] = {}
    stack = [(raw, root, "", 0, "text/plain")]
    while stack:
        entity, part, part_id, depth, default = stack.pop()
        children = _fill(entity, part, part_id, hold_back_named, depth, default)
        digest = part["mimeType"] == "multipart/digest"
        part["parts"] = [{} for _ in children]
        for number, child in reversed(list(enumerate(children))):
            prefix = f"{part_id}." if part_id else ""
            stack.append(
                (
                    child,
                    part["parts"][number],
                    f"{prefix}{number}",
                    depth + 1,
                    "message/rfc822" if digest else "text/plain",
                )
            )
    return {
        "id": gmail_id,
        "threadId": thread_id,
        "labelIds": list(labels),
        "internalDate": str(internal_date),
        "payload": root,
    }


def _fill(
    entity: bytes,
    part: dict[str, Any],
    part_id: str,
    hold_back: bool,
    depth: int,
    default_type: str,
) -> list[bytes]:
    head, body = _split_head(entity)
    headers = _headers(head)
    by_name = {name.lower(): value for name, value in reversed(headers)}
    type_header = by_name.get("content-type", default_type)
    kind = main_value(type_header)
    kind = kind if re.fullmatch(r"[^\s/]+/[^\s/]+", kind) else "text/plain"
    disposition = by_name.get("content-disposition", "")
    filename = parameters(disposition).get("filename") or parameters(type_header).get(
        "name"
    )
    part |= {
        "partId": part_id,
        "mimeType": kind,
        "filename": filename or "",
        "headers": [{"name": name, "value": value} for name, value in headers],
    }
    boundary = parameters(type_header).get("boundary")
    if kind.startswith("multipart/") and boundary and depth < MAX_DEPTH:
        return _children(body, boundary.encode("utf-8", "replace"))
    data = _decoded(body, by_name.get("content-transfer-encoding", ""))
    if kind.startswith("multipart/"):
        part["body"] = {"size": 0}
    elif kind.startswith("message/"):
        part["body"] = {"size": len(body), "attachmentId": f"A{part_id}"}
    elif filename and hold_back:
        part["body"] = {"size": len(data), "attachmentId": f"A{part_id}"}
    else:
        encoded = base64.urlsafe_b64encode(data).decode()
        part["body"] = {"size": len(data), "data": encoded}
    return []


def _split_head(entity: bytes) -> tuple[bytes, bytes]:
    for start in (b"\n", b"\r\n"):
        if entity.startswith(start):  # no header at all
            return b"", entity[len(start) :]
    match = _BLANK_LINE.search(entity)
    if match is None:
        return entity, b""
    return entity[: match.start()], entity[match.end() :]


def _headers(head: bytes) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    for line in re.split(r"\r?\n", decode(head, None)):
        name, colon, value = line.partition(":")
        if line[:1] in {" ", "\t"}:
            if headers:
                headers[-1] = (headers[-1][0], f"{headers[-1][1]}\r\n{line}")
        elif colon and re.fullmatch(r"[!-9;-~]+", name.rstrip()):
            headers.append((name.rstrip(), value.lstrip()))
    return headers


def _children(body: bytes, boundary: bytes) -> list[bytes]:
    line = re.compile(
        rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
    )
    children = []
    start = None
    for match in line.finditer(body):
        if start is not None:
            children.append(body[start : match.start()])
        start = match.end()
        if match[1]:
            start = None
            break
    if start is not None:
        children.append(body[start:])
    return [re.sub(rb"\A\r?\n", b"", child, count=1) for child in children]


def _decoded(body: bytes, encoding: str) -> bytes:
    match encoding.strip().strip("\"';").lower():
        case "base64":
            digits = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
            digits = digits[: len(digits) - (len(digits) % 4 == 1)]
            return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
        case "quoted-printable":
            return quopri.decodestring(body)
        case _:
            return body
