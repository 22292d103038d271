"""Gmail's answers as the values of `ports`.

An answer without what the API promises counts as garbled on its way: Transient.
"""

from __future__ import annotations

import binascii
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from shared.core.ids import GmailMessageId, GmailThreadId, HistoryId
from shared.core.limits import MAX_ALIASES, MAX_NAME_CHARS
from shared.errors import Transient
from shared.gateways.json_members import json_members
from shared.ports import Draft, HistoryEntry, HistoryPage, MessagePage, SendAs, Watch

Answer = Mapping[str, Any]
Kind = Literal["added", "labels_added", "labels_removed"]

# Whole groups of four, so that each piece can be decoded by itself.
_PIECE_CHARS = 1024 * 1024
# base64url as RFC 4648 has it, from the standard alphabet.
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("messagesAdded", "added"),
    ("labelsAdded", "labels_added"),
    ("labelsRemoved", "labels_removed"),
)


def checked(answer: Any) -> Answer:
    """An answer that is a JSON object; nothing at all (204) counts as an empty one."""
    if isinstance(answer, Mapping):
        return answer
    if not answer:
        return {}
    raise _garbled("an object")


def text(answer: Answer, name: str) -> str:
    """A field that must be there and be text."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise _garbled(name)
    return value


def number(answer: Answer, name: str) -> str:
    """A whole number as text: it comes as either, and may exceed 64 bits."""
    value = answer.get(name)
    found = str(value) if isinstance(value, int | str) else ""
    if not (found.isascii() and found.isdecimal()):
        raise _garbled(name)
    return found


def watch(answer: Answer) -> Watch:
    """What `watch` answered."""
    milliseconds = int(number(answer, "expiration"))
    try:
        expires_at = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise _garbled("expiration") from None
    return Watch(HistoryId(number(answer, "historyId")), expires_at)


_MAX_SIGNATURE = 50_000
"""Gmail's own limit is 10,000 characters of text; the markup comes on top."""


def verified(answer: Answer) -> tuple[SendAs, ...]:
    """The addresses of `sendAs.list` that may be sent from, the primary one first."""
    usable = [
        item
        for item in _objects(answer, "sendAs")
        if item.get("isPrimary") or item.get("verificationStatus") == "accepted"
    ]
    usable.sort(key=lambda item: not item.get("isPrimary"))
    return tuple(
        SendAs(
            address=text(item, "sendAsEmail"),
            name=str(item.get("displayName") or "")[:MAX_NAME_CHARS],
            signature=str(item.get("signature") or "")[:_MAX_SIGNATURE],
            default=item.get("isDefault") is True,
        )
        for item in usable[:MAX_ALIASES]
    )


def history_page(answer: Answer) -> HistoryPage:
    """A page of `history.list`, which may lack `history` altogether."""
    records = _objects(answer, "history")
    newest = HistoryId(number(answer, "historyId"))
    # Gmail always names its records; another server that does not is taken whole.
    ids = [
        HistoryId(number(record, "id")) if "id" in record else newest
        for record in records
    ]
    return HistoryPage(
        tuple(
            entry
            for history_id, record in zip(ids, records, strict=True)
            for entry in _entries(history_id, record)
        ),
        newest,
        _token(answer),
        max(ids, key=int, default=None),
    )


def message_page(answer: Answer) -> MessagePage:
    """A page of `messages.list`."""
    return MessagePage(
        tuple(
            GmailMessageId(text(item, "id")) for item in _objects(answer, "messages")
        ),
        _token(answer),
    )


def draft(answer: Answer) -> Draft:
    """A draft as `drafts.create` answers it."""
    message = answer.get("message")
    thread = message.get("threadId") if isinstance(message, Mapping) else None
    known = GmailThreadId(thread) if isinstance(thread, str) and thread else None
    return Draft(text(answer, "id"), known)


def drafts(answer: Answer) -> list[tuple[Draft, GmailMessageId]]:
    """The drafts of a list, each with the id of its message."""
    found = []
    for item in objects(answer, "drafts"):
        message = item.get("message")
        if not isinstance(message, Mapping):
            raise _garbled("message")
        found.append((draft(item), GmailMessageId(text(message, "id"))))
    return found


def objects(answer: Answer, name: str) -> list[Answer]:
    """A list of objects; a missing one is empty."""
    return _objects(answer, name)


def attachment(_response: Any, content: bytes) -> bytes:
    """The bytes in an answer of attachments.get, decoded piece by piece.

    Its members may come in any order. An empty one may lack `data`.
    """
    members = json_members(content)
    data = _decoded(members.get("data", memoryview(b"")))
    size = members.get("size")
    if size is not None and size != len(data):
        raise _garbled("size")
    return data


def _decoded(text: object) -> bytes:
    if not isinstance(text, memoryview):
        raise _garbled("data")
    data = io.BytesIO()
    try:
        for at in range(0, len(text), _PIECE_CHARS):
            piece = bytes(text[at : at + _PIECE_CHARS]).translate(_TO_STANDARD)
            padding = b"=" * (-len(piece) % 4)
            data.write(binascii.a2b_base64(piece + padding, strict_mode=True))
    except binascii.Error:
        raise _garbled("data") from None
    return data.getvalue()


def _entries(history_id: HistoryId, record: Answer) -> Iterator[HistoryEntry]:
    for name, kind in _KINDS:
        for change in _objects(record, name):
            message = change.get("message")
            if not isinstance(message, Mapping):
                raise _garbled(name)
            labels = (message if kind == "added" else change).get("labelIds") or ()
            yield HistoryEntry(
                history_id,
                GmailMessageId(text(message, "id")),
                kind,
                frozenset(label for label in labels if isinstance(label, str)),
            )


def _objects(answer: Answer, name: str) -> list[Answer]:
    values = answer.get(name) or []
    if not isinstance(values, list):
        raise _garbled(name)
    return [value for value in values if isinstance(value, Mapping)]


def _token(answer: Answer) -> str | None:
    token = answer.get("nextPageToken")
    return token if isinstance(token, str) and token else None


def _garbled(what: str) -> Transient:
    return Transient(f"Gmail's answer cannot be read (no valid {what}).")
