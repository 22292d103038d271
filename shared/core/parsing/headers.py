"""Header values as the rules need them: text, ids, dates, and what a header marks.

Nothing raises, whatever the header holds; everything is linear in its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

from shared.core.ids import Rfc822MessageId
from shared.core.limits import (
    MAX_HEADER_BYTES,
    MAX_MESSAGE_ID_CHARS,
    MAX_REFERENCES,
    MAX_REFERENCES_CHARS,
    MAX_SUBJECT_CHARS,
)
from shared.core.parsing.addr_spec import fold
from shared.core.parsing.encoded_words import decode_words, unfold
from shared.core.parsing.forward_prefixes import FORWARD_PREFIXES
from shared.core.parsing.plain_text import one_line

__all__ = [
    "Header",
    "decode_words",
    "is_automated",
    "is_forward_subject",
    "message_ids",
    "parse_date",
    "subject_text",
    "unfold",
    "values_of",
]

Header = tuple[str, str]
"""Name and value, as received; a message has them in order, topmost first."""

_BRACKETED = re.compile(r"<([^<>]*)>")
_BLANKS = re.compile(r"\s+")
_SEPARATORS = re.compile(r"[\s<>()\"',;]+")
_BARE_ID = re.compile(r"[^@]+@[^@]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# "Fwd: x", "FW : x", "Fwd[2]: x", "[Fwd: x]" (old Thunderbird), full-width colon.
_PREFIX = re.compile(
    r"\[?\s?([^\W\d_][^:\uff1a()\[\]]{0,19}?)\s?(?:[\[(]\d{1,3}[\])])?\s?[:\uff1a]"
)

_AUTOMATED_PRECEDENCE = frozenset({"auto_reply", "bulk", "junk", "list"})
_WORD_END = re.compile(r"[\s;(]")


def values_of(headers: Iterable[Header], name: str) -> tuple[str, ...]:
    """Values of all headers of this name, topmost first; names ignore case."""
    wanted = name.lower()
    return tuple(value for key, value in headers if key.strip().lower() == wanted)


def subject_text(value: str) -> str:
    """Give the subject on one line, decoded and cut to MAX_SUBJECT_CHARS."""
    text = one_line(decode_words(unfold(value[:MAX_HEADER_BYTES])))
    return text[:MAX_SUBJECT_CHARS].rstrip()


def message_ids(values: Sequence[str]) -> tuple[Rfc822MessageId, ...]:
    """Read the ids of Message-ID, In-Reply-To or References headers.

    With angle brackets, each once, in order. Ids without brackets are taken where a
    header has none with; blanks inside an id come from broken folding and go. Of more
    than MAX_REFERENCES the first (the thread's root) and the newest stay.
    """
    found: dict[str, None] = {}
    for value in values:
        raws = _BRACKETED.findall(value) or filter(
            _BARE_ID.fullmatch, _SEPARATORS.split(value)
        )
        for raw in raws:
            text = _BLANKS.sub("", one_line(raw))
            if text and len(text) < MAX_MESSAGE_ID_CHARS:
                found[f"<{text}>"] = None
    ids = tuple(Rfc822MessageId(text) for text in found)
    return ids[:1] + ids[1:][1 - MAX_REFERENCES :]


def kept_references(ids: Sequence[Rfc822MessageId]) -> tuple[Rfc822MessageId, ...]:
    """The first (the thread's root) and the newest, as many as are kept and sent.

    At most MAX_REFERENCES, of MAX_REFERENCES_CHARS together; the last is always there.
    """
    root, newest = ids[:1], ids[1:][1 - MAX_REFERENCES :]
    room = MAX_REFERENCES_CHARS - sum(map(len, (*root, *newest[-1:])))
    kept = list(newest[-1:])
    for id_ in reversed(newest[:-1]):
        room -= len(id_)
        if room < 0:
            break
        kept.append(id_)
    return (*root, *reversed(kept))


def parse_date(value: str) -> int | None:
    """Read a Date header as milliseconds since the epoch, or None.

    No zone, and the unknown one (`-0000`), count as UTC (RFC 5322 §3.3).
    """
    try:
        parsed = parsedate_tz(unfold(value))
        if parsed is None:
            return None
        year, month, day, hour, minute, second = parsed[:6]
        # A leap second, 23:59:60, is the next minute; `datetime` knows none.
        moment = datetime(year, month, day, hour, minute, tzinfo=UTC)
        moment += timedelta(seconds=second - (parsed[9] or 0))
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return None  # the standard library promises only ValueError, and breaks it
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def is_forward_subject(subject: str) -> bool:
    """Whether a decoded subject begins with a forward prefix (M10).

    Only at the very beginning: `Re: Fwd: x` answers a forwarded mail.
    """
    match = _PREFIX.match(subject.lstrip())
    return match is not None and fold(match[1].strip()) in FORWARD_PREFIXES


def is_automated(headers: Sequence[Header]) -> bool:
    """Whether the message is an auto-reply, a report or list mail.

    By Auto-Submitted (RFC 3834 §5), an empty Return-Path (§3.3), reports (RFC 6522),
    List-Id (RFC 2919), Precedence, and the vacation headers older than RFC 3834.
    List-Unsubscribe and X-Auto-Response-Suppress are no marks: sales tools and Exchange
    put them on mail that a person wrote.
    """
    if any(
        values_of(headers, name)
        for name in ("List-Id", "X-Autoreply", "X-Autorespond", "X-Autoresponder")
    ):
        return True
    if any(
        _first_word(v) not in {"", "no"} for v in values_of(headers, "Auto-Submitted")
    ):
        return True
    if any(_BLANKS.sub("", v) == "<>" for v in values_of(headers, "Return-Path")):
        return True
    if any(
        _first_word(v) == "multipart/report" for v in values_of(headers, "Content-Type")
    ):
        return True
    return any(
        _first_word(v) in _AUTOMATED_PRECEDENCE
        for v in values_of(headers, "Precedence")
    )


def _first_word(value: str) -> str:
    return _WORD_END.split(value.strip())[0].lower()
