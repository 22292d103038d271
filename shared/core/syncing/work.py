"""What one message on `mailbox-work` asks for, as a value.

    {"work": "renew", "mailbox": "…", "started": 1767225600000}

`work` names a handler of `functions/work.py`; the rest is that handler's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.ids import MailboxId
from shared.errors import Malformed

SYNC = "sync"
"""Kind of the work that brings one mailbox up to date."""
READ_AGAIN = "read-again"
"""Kind of the work that reads a message again that was set aside."""
_MAX_CHARS = 128


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work. Reading a field raises Malformed when it is not there."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mailbox(self) -> MailboxId:
        """The mailbox that the work is about."""
        return MailboxId(self.text("mailbox"))

    def text(self, name: str) -> str:
        """A field that is an id."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_CHARS:
            raise Malformed
        if "/" in value:
            raise Malformed
        return value

    def number(self, name: str) -> int:
        """A field that is a number, such as a moment in milliseconds."""
        value = self.fields.get(name)
        if type(value) is not int or value < 0:
            raise Malformed
        return value

    def has(self, name: str) -> bool:
        """Whether the field is given."""
        return self.fields.get(name) is not None

    def to_bytes(self) -> bytes:
        """Write it down."""
        return json.dumps({"work": self.kind, **self.fields}).encode()


def work(kind: str, **fields: Any) -> Work:
    """Describe a piece of work."""
    return Work(kind, fields)


def to_sync(mailbox: MailboxId, silent_since: int | None = None) -> Work:
    """The work of reading a mailbox; with `silent_since` only if it is quiet since."""
    if silent_since is None:
        return work(SYNC, mailbox=mailbox)
    return work(SYNC, mailbox=mailbox, silent_since=silent_since)


def work_from(data: bytes) -> Work:
    """Read a piece of work; raises Malformed."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed from None
    if not isinstance(found, dict) or not isinstance(found.get("work"), str):
        raise Malformed
    kind = found.pop("work")
    return Work(kind, found)
