"""A batch of Gmail messages on its way into the CRM, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from shared.core.events import CrmEvent
from shared.core.ids import GmailMessageId, MessageId, SubaccountId
from shared.core.mail import Content, MessageHeaders
from shared.core.matching import recording
from shared.core.matching.places import Decision, Placement
from shared.core.parsing.sanitise import safe_html
from shared.core.people import MailboxForMatching
from shared.core.records import Message
from shared.core.syncing.history import ToRead
from shared.core.syncing.trouble import Trouble
from shared.errors import Transient
from shared.ports import Gmail, Snapshot, Write
from shared.repositories.facts import FactFinder
from shared.services.blob_uploads import BlobUpload

RecordKey = tuple[SubaccountId, MessageId]


@dataclass(slots=True)
class Outcome:
    """How far a batch came.

    `held` is the passing fault that stopped it, `held_at` the message where it did:
    everything before that one is durable, nothing from there on. `trouble` is set when
    the fault follows that message alone.
    """

    recorded: int = 0
    ignored: int = 0
    quarantined: int = 0
    held: Transient | None = None
    stopped_at: ToRead | None = None
    trouble: Trouble | None = None

    def add(self, more: Outcome) -> None:
        """Count what came of further messages."""
        self.recorded += more.recorded
        self.ignored += more.ignored
        self.quarantined += more.quarantined
        self.held, self.stopped_at = more.held, more.stopped_at
        self.trouble = more.trouble


@dataclass(slots=True)
class Item:
    """One message on its way through the steps; `failure` ends the way."""

    todo: ToRead
    headers: MessageHeaders | None = None
    decision: Decision | None = None
    content: Content | None = None
    failure: Exception | None = None


@dataclass(slots=True)
class NewRecord:
    """A record that is to be made: what one commit writes, and what it then tells.

    `size` is about how many bytes the writes have, `upload` holds its blobs.
    """

    record: Message
    writes: list[Write]
    events: list[CrmEvent]
    size: int
    upload: BlobUpload
    committed: bool = False

    def made(self) -> None:
        """The commit is made: its blobs stay."""
        self.committed = True
        self.upload.named()


@dataclass(slots=True)
class Batch:
    """A batch at work: its mailbox, what is known so far, and what came of it.

    `existing` are the records as last read, by their key, `new` those that are ready to
    be made. `ignored`, `events`, `seen_before` and `copies` wait for the end of the
    batch. `stale` says that what was decided may no longer be true. With `only` other
    subaccounts are left as they are. `patient` holds at a message in trouble for some
    tries, of which `trouble` counts those before this one. `uploads` ends with the
    batch, and with it what no record has named.
    """

    gmail: Gmail
    mailbox: MailboxForMatching
    finder: FactFinder
    only: Collection[SubaccountId] | None = None
    patient: bool = False
    trouble: Trouble | None = None
    outcome: Outcome = field(default_factory=Outcome)
    existing: dict[RecordKey, Snapshot] = field(default_factory=dict)
    new: dict[RecordKey, NewRecord] = field(default_factory=dict)
    ignored: list[Write] = field(default_factory=list)
    events: list[CrmEvent] = field(default_factory=list)
    seen_before: list[str] = field(default_factory=list)
    copies: list[tuple[MessageHeaders, tuple[Placement, ...]]] = field(
        default_factory=list
    )
    stale: bool = False
    uploads: ExitStack = field(default_factory=ExitStack)
    _shown: dict[GmailMessageId, str] = field(default_factory=dict)

    def shown_html(self, headers: MessageHeaders, content: Content) -> str | None:
        """What is shown of a message, made once for all the places that record it."""
        if not content.html:
            return None
        name = headers.gmail_message_id
        if name not in self._shown:
            self._shown[name] = safe_html(content.html)
        return self._shown[name]

    def forget(self) -> None:
        """Drop what was decided and made ready: somebody changed what was read."""
        self.finder.forget()
        self.new.clear()

    def key(self, headers: MessageHeaders, place: Placement) -> RecordKey:
        """Where the record of a message at this place is, or will be."""
        message = recording.record_id(headers, self.mailbox.id, place)
        return place.subaccount, message

    def is_recorded(self, headers: MessageHeaders, place: Placement) -> bool:
        """Whether the record was there when it was last looked for."""
        return self.existing[self.key(headers, place)].exists

    def as_recorded(self, headers: MessageHeaders, place: Placement) -> Placement:
        """The place of the record, where another mailbox has made it meanwhile.

        The facts may be older than that, and later messages of the batch answer it.
        """
        found = self.existing[self.key(headers, place)]
        if not found.exists:
            return place
        return replace(
            place,
            contact=found.data["contact"],
            thread=found.data["thread"],
            exclusive=found.data["exclusive"],
            direction=found.data["direction"],
        )
