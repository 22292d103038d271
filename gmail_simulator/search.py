"""Gmail's search language: the part of it that programs use.

A query becomes one predicate over messages. A word that no operator claims is looked
for in subject, sender, recipients and snippet.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from . import parts
from .errors import bad_request
from .messages import Label, Message

Test = Callable[[Message], bool]

_TOKEN = re.compile(r"(-?)(?:(\w+):)?(\"[^\"]*\"|\([^()]*\)|[^\s()]+)")
_DATE = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})")
_AGE = re.compile(r"(\d+)([hdmy])")
_AGE_HOURS = {"h": 1, "d": 24, "m": 24 * 30, "y": 24 * 365}
_PLACES = {
    "inbox": "INBOX",
    "sent": "SENT",
    "draft": "DRAFT",
    "drafts": "DRAFT",
    "spam": "SPAM",
    "trash": "TRASH",
    "unread": "UNREAD",
    "starred": "STARRED",
    "important": "IMPORTANT",
    "chat": "CHAT",
    "chats": "CHAT",
}
_HEADERS = {
    "from": ("From",),
    # `to:` finds copies as well
    "to": ("To", "Cc", "Bcc"),
    "cc": ("Cc",),
    "bcc": ("Bcc",),
    "subject": ("Subject",),
    "deliveredto": ("Delivered-To",),
    "list": ("List-Id",),
}
_OUT_OF_SIGHT = frozenset({"SPAM", "TRASH"})


def compile_query(
    query: str, labels: dict[str, Label], now: datetime
) -> tuple[Test, bool]:
    """Turn a query into a test, and say whether it looks into spam and trash."""
    alternatives: list[list[Test]] = [[]]
    anywhere = False
    for negated, operator, word in _TOKEN.findall(query):
        if word in ("OR", "|") and not operator:
            alternatives.append([])
            continue
        if word == "AND" and not operator:
            continue
        if operator in ("in", "is", "label") and not negated:
            anywhere |= word.lower() in ("anywhere", "spam", "trash")
        test = _test(operator.lower(), word.strip('"()'), labels, now)
        alternatives[-1].append(_negate(test) if negated else test)

    # OR binds the words beside it; the rest holds for all
    if len(alternatives) > 1:
        common = alternatives[0][:-1] + [
            t for group in alternatives[1:] for t in group[1:]
        ]
        choices = [alternatives[0][-1:]] + [group[:1] for group in alternatives[1:]]
        either = [t for choice in choices for t in choice]
        return (
            lambda m: all(t(m) for t in common) and any(t(m) for t in either)
        ), anywhere
    tests = alternatives[0]
    return (lambda m: all(t(m) for t in tests)), anywhere


def visible(message: Message) -> bool:
    """Whether lists show a message without being asked for spam and trash."""
    return not (message.labels & _OUT_OF_SIGHT)


def _negate(test: Test) -> Test:
    return lambda m: not test(m)


def _test(operator: str, word: str, labels: dict[str, Label], now: datetime) -> Test:
    needle = word.lower()
    match operator:
        case "in" | "is" | "label" | "category":
            return _label_test(operator, needle, labels)
        case "rfc822msgid":
            wanted = word.strip("<>")
            return lambda m: m.rfc822_id == wanted
        case "has":
            return _has_attachment if needle == "attachment" else lambda _: False
        case "filename":
            return lambda m: any(
                needle in p.filename.lower() for p in parts.walk(m.root)
            )
        case "larger" | "smaller" | "size":
            return _size_test(operator, needle)
    if operator in _HEADERS:
        names = _HEADERS[operator]
        return lambda m: any(needle in m.header(n).lower() for n in names)
    return _time_test(operator, word, now) or (lambda m: needle in _haystack(m))


def _time_test(operator: str, word: str, now: datetime) -> Test | None:
    moment = _age(word, now) if operator.endswith("_than") else _moment(word)
    match operator:
        case "after" | "newer" | "newer_than":
            return lambda m: m.internal_date >= moment
        case "before" | "older" | "older_than":
            return lambda m: m.internal_date < moment
    return None


def _label_test(operator: str, needle: str, labels: dict[str, Label]) -> Test:
    if needle == "anywhere":
        return lambda _: True
    if operator == "is" and needle == "read":
        return lambda m: "UNREAD" not in m.labels
    if operator == "category":
        wanted = "CATEGORY_" + {"primary": "PERSONAL"}.get(needle, needle.upper())
        return lambda m: wanted in m.labels
    label_id = _PLACES.get(needle)
    if label_id is None:
        dashed = re.sub(r"[ /]", "-", needle)
        label_id = next(
            (
                known.id
                for known in labels.values()
                if re.sub(r"[ /]", "-", known.name.lower()) == dashed
                or known.id.lower() == needle
            ),
            needle,
        )
    return lambda m: label_id in m.labels


def _has_attachment(message: Message) -> bool:
    return any(part.filename for part in parts.walk(message.root))


def _size_test(operator: str, needle: str) -> Test:
    factor = {"k": 1_000, "m": 1_000_000}.get(needle[-1:], 1)
    digits = needle.rstrip("km")
    if not digits.isdigit():
        raise bad_request("Invalid query")
    size = int(digits) * factor
    if operator == "smaller":
        return lambda m: len(m.raw) < size
    return lambda m: len(m.raw) >= size


def _haystack(message: Message) -> str:
    shown = [message.header(name) for name in ("Subject", "From", "To", "Cc")]
    return " ".join([*shown, message.snippet]).lower()


def _moment(word: str) -> int:
    """Return milliseconds for epoch seconds or a date; what is neither is no filter."""
    if date := _DATE.fullmatch(word):
        try:
            day = datetime(int(date[1]), int(date[2]), int(date[3]), tzinfo=UTC)
        except ValueError:
            return 0
        return int(day.timestamp() * 1000)
    return int(word) * 1000 if word.isdigit() else 0


def _age(word: str, now: datetime) -> int:
    age = _AGE.fullmatch(word)
    if not age:
        return 0
    hours = int(age[1]) * _AGE_HOURS[age[2]]
    return int((now - timedelta(hours=hours)).timestamp() * 1000)
