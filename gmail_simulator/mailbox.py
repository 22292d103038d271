"""One mailbox: messages, labels, threads, drafts, and the history of their changes.

Plain data and the rules of Gmail's storage. Knows nothing of HTTP, sending, or other
mailboxes; the world that holds it does the locking.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime

from . import headers
from .errors import bad_request, not_found
from .messages import HistoryRecord, Label, Message, base_subject

SYSTEM_LABELS = (
    "CHAT",
    "SENT",
    "INBOX",
    "IMPORTANT",
    "TRASH",
    "DRAFT",
    "SPAM",
    "CATEGORY_FORUMS",
    "CATEGORY_UPDATES",
    "CATEGORY_PERSONAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_SOCIAL",
    "STARRED",
    "UNREAD",
)
FIXED_LABELS = frozenset({"SENT", "DRAFT", "CHAT"})
_ID = re.compile(r"[0-9a-f]{1,16}")


class Mailbox:
    """The mail of one account.

    Every change gets a new, larger history id and is told to `on_change`.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        rng: random.Random,
        on_change: Callable[[HistoryRecord], None],
    ) -> None:
        """Start empty, with a history id as large as a real one."""
        self._clock, self._rng, self._on_change = clock, rng, on_change
        self.messages: dict[str, Message] = {}
        self.threads: dict[str, list[str]] = {}
        self.drafts: dict[str, str] = {}
        self.labels = {name: Label(name, name, "system") for name in SYSTEM_LABELS}
        self.history: list[HistoryRecord] = []
        self.history_id = rng.randrange(10**6, 10**9)
        self.oldest_history_id = self.history_id
        self._by_rfc822: dict[str, list[str]] = {}
        self._label_number = 0
        self._last_id = rng.getrandbits(16)

    # --- reading ---------------------------------------------------------------

    def get(self, message_id: str) -> Message:
        """Return a message, or refuse as Gmail does."""
        if not _ID.fullmatch(message_id):
            raise bad_request("Invalid id value")
        try:
            return self.messages[message_id]
        except KeyError:
            raise not_found() from None

    def thread(self, thread_id: str) -> list[Message]:
        """Return a thread's messages, oldest first."""
        if not _ID.fullmatch(thread_id):
            raise bad_request("Invalid thread_id value")
        if thread_id not in self.threads:
            raise not_found()
        found = [self.messages[m] for m in self.threads[thread_id]]
        return sorted(found, key=lambda m: (m.internal_date, m.id))

    def with_rfc822_id(self, rfc822_id: str) -> list[Message]:
        """Return the messages that carry a Message-ID, given without brackets."""
        return [self.messages[m] for m in self._by_rfc822.get(rfc822_id, ())]

    def newest_first(self) -> list[Message]:
        """Return all messages, the newest first."""
        found = self.messages.values()
        return sorted(found, key=lambda m: (m.internal_date, m.id), reverse=True)

    def history_after(self, history_id: int) -> list[HistoryRecord]:
        """Return the changes after a history id; one too old is refused with 404."""
        if history_id < self.oldest_history_id:
            raise not_found()
        start = bisect_right(self.history, history_id, key=lambda r: r.id)
        return self.history[start:]

    def thread_for(self, fields: list[headers.Field]) -> str | None:
        """Find the thread that a new mail joins: one it refers to, same subject."""
        subject = base_subject(headers.decode_words(headers.get(fields, "Subject")))
        for ancestor in self._ancestors(fields):
            if base_subject(ancestor.subject) == subject:
                return ancestor.thread_id
        return None

    def accepts_in_thread(self, fields: list[headers.Field], thread_id: str) -> bool:
        """Whether a mail may join a thread that its sender asked for."""
        subject = base_subject(headers.decode_words(headers.get(fields, "Subject")))
        return any(
            ancestor.thread_id == thread_id
            and base_subject(ancestor.subject) == subject
            for ancestor in self._ancestors(fields)
        )

    def _ancestors(self, fields: list[headers.Field]) -> Iterable[Message]:
        """Yield the messages that a mail refers to, the nearest first."""
        for name in ("In-Reply-To", "References"):
            ids = headers.message_ids(headers.get_all(fields, name))
            for rfc822_id in reversed(ids):
                yield from self.with_rfc822_id(rfc822_id.strip("<>"))

    # --- changing --------------------------------------------------------------

    def add(
        self,
        raw: bytes,
        labels: Iterable[str],
        *,
        thread_id: str | None = None,
        internal_date: int | None = None,
    ) -> Message:
        """Store a mail; without a thread it begins its own."""
        now = int(self._clock().timestamp() * 1000)
        message_id = self._new_id(now)
        message = Message(
            message_id,
            thread_id or message_id,
            raw,
            set(labels),
            now if internal_date is None else internal_date,
        )
        self.messages[message_id] = message
        self.threads.setdefault(message.thread_id, []).append(message_id)
        if message.rfc822_id:
            self._by_rfc822.setdefault(message.rfc822_id, []).append(message_id)
        self._record("messagesAdded", message, ())
        return message

    def change_labels(
        self, message: Message, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        """Add and remove labels; what is so already leaves no trace in the history."""
        added = sorted(set(add) - message.labels)
        removed = sorted((set(remove) & message.labels) - set(add))
        message.labels.difference_update(removed)
        message.labels.update(added)
        if added:
            self._record("labelsAdded", message, tuple(added))
        if removed:
            self._record("labelsRemoved", message, tuple(removed))

    def delete(self, message: Message) -> None:
        """Remove a message for ever."""
        del self.messages[message.id]
        thread = self.threads[message.thread_id]
        thread.remove(message.id)
        if not thread:
            del self.threads[message.thread_id]
        if same_id := self._by_rfc822.get(message.rfc822_id):
            same_id.remove(message.id)
        for draft_id, message_id in list(self.drafts.items()):
            if message_id == message.id:
                del self.drafts[draft_id]
        self._record("messagesDeleted", message, ())

    def trash(self, message: Message) -> None:
        """Move a message to the trash."""
        self.change_labels(message, ["TRASH"], ["INBOX", "SPAM"])

    def expire_history(self, keep: int = 0) -> None:
        """Forget the history but for its last `keep` changes."""
        cut = len(self.history) - keep
        if cut > 0:
            self.oldest_history_id = self.history[cut - 1].id
            del self.history[:cut]
        # a cursor that is equal to the newest id would still be readable otherwise
        if not keep:
            self.history_id += 1 + self._rng.getrandbits(4)
            self.oldest_history_id = self.history_id

    def new_draft_id(self) -> str:
        """Make a draft id."""
        return f"r{self._rng.randrange(10**17, 10**18)}"

    def create_label(self, name: str, settings: dict[str, object]) -> Label:
        """Make a label of the person's own."""
        if any(known.name.lower() == name.lower() for known in self.labels.values()):
            raise bad_request("Label name exists or conflicts")
        self._label_number += 1
        label = Label(f"Label_{self._label_number}", name, "user", settings)
        self.labels[label.id] = label
        return label

    def check_labels(self, label_ids: Iterable[str]) -> None:
        """Refuse labels that are not there, and those only Gmail gives."""
        for label_id in label_ids:
            if label_id not in self.labels or label_id in FIXED_LABELS:
                raise bad_request(f"Invalid label: {label_id}")

    def _new_id(self, now: int) -> str:
        # real ids begin with the time, too; later ones are larger, even in one moment
        self._last_id = max(self._last_id + 1, now << 20) + self._rng.getrandbits(4)
        return f"{self._last_id:016x}"

    def _record(self, kind: str, message: Message, changed: tuple[str, ...]) -> None:
        self.history_id += 1 + self._rng.getrandbits(5)
        message.history_id = self.history_id
        record = HistoryRecord(
            self.history_id,
            kind,
            message.id,
            message.thread_id,
            tuple(message.label_ids()),
            changed,
            self._clock(),
        )
        self.history.append(record)
        self._on_change(record)
