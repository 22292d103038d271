"""What a mailbox is made of: messages, labels, and records of what changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from . import headers, parts

# prefixes that mail programs put before a subject, in the usual languages
_PREFIX = re.compile(
    r"^\s*(?:(?:re|aw|antw|sv|vs|ref|res|rif|odp|ynt|r|fwd?|wg|tr|enc|i|rv|pd|vb|vl|doorst)"
    r"\s*(?:\[\d+\])?\s*[::]\s*|\[[^\]]{0,40}\]\s*)+",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")


def base_subject(subject: str) -> str:
    """Return the subject without its prefixes, as threads compare it."""
    return _SPACE.sub(" ", _PREFIX.sub("", subject)).strip().casefold()


@dataclass(eq=False)
class Message:
    """One mail in one mailbox; what is derived from its bytes is made when asked."""

    id: str
    thread_id: str
    raw: bytes
    labels: set[str]
    internal_date: int
    history_id: int = 0

    @cached_property
    def fields(self) -> list[headers.Field]:
        """The headers of the mail."""
        return headers.split(self.raw)[0]

    @cached_property
    def root(self) -> parts.Part:
        """The part tree of the mail."""
        return parts.parse(self.raw)

    @cached_property
    def snippet(self) -> str:
        """The first words of the text."""
        return parts.snippet(self.root)

    @cached_property
    def subject(self) -> str:
        """The decoded subject."""
        return headers.decode_words(headers.get(self.fields, "Subject"))

    @cached_property
    def rfc822_id(self) -> str:
        """The Message-ID, without its angle brackets."""
        return headers.get(self.fields, "Message-ID").strip().strip("<>")

    def header(self, name: str) -> str:
        """Return the first value of a header, decoded."""
        return headers.decode_words(headers.get(self.fields, name))

    def label_ids(self) -> list[str]:
        """Return the labels in a stable order."""
        return sorted(self.labels)


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One change of one message; `labels` is what the message bore after it."""

    id: int
    kind: str
    message_id: str
    thread_id: str
    labels: tuple[str, ...]
    changed: tuple[str, ...]
    at: datetime


@dataclass
class Label:
    """A label of the person's own, or one of Gmail's."""

    id: str
    name: str
    type: str = "user"
    settings: dict[str, object] = field(default_factory=dict)
