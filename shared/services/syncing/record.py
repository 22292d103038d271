"""Records a batch of Gmail messages: headers, decisions, content, one commit each.

Promises: nothing of a message that no rule records is read beyond its headers (M14);
a message is complete before it can be seen; repeating any of it changes nothing.

Longer than other modules: the order of these steps is the exactly-once promise, so it
is kept on one page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from shared.core import events
from shared.core.ids import MessageId, SubaccountId, gmail_thread_key
from shared.core.limits import (
    MAX_ATTACHMENT_BYTES,
    MAX_ATTEMPTS,
    MAX_THREAD_PARTICIPANTS,
)
from shared.core.mail import AttachmentPart, Content, MessageHeaders
from shared.core.matching import recording
from shared.core.matching.bcc import DropFormat, veil
from shared.core.matching.rules import Decision, Place, decide
from shared.core.parsing.sanitise import safe_html
from shared.core.people import MailboxForMatching
from shared.core.records import Attachment, Message
from shared.core.syncing.history import ToRead
from shared.errors import (
    AlreadyExists,
    Conflict,
    Malformed,
    Misconfigured,
    Missing,
    NeedsReauth,
    Permanent,
    Transient,
    Vanished,
)
from shared.logs import log
from shared.ports import (
    Blobs,
    Clock,
    Create,
    Documents,
    Gmail,
    Increment,
    Maximum,
    Merge,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import bcc, messages, outbox, paths
from shared.repositories.facts import FactFinder
from shared.repositories.messages import ENVELOPE_TYPE
from shared.repositories.outbox import Outbox
from shared.repositories.quarantine import Quarantine, decision
from shared.services.syncing.copies import Copies, could_join

DECIDE_AGAIN = 3
"""How often a message is decided anew because a contact was erased meanwhile."""

Existing = dict[tuple[SubaccountId, MessageId], Snapshot]


@dataclass(slots=True)
class Outcome:
    """How far a batch came.

    `held` is the passing fault that stopped it, `held_at` the message where it did:
    everything before that one is durable, nothing from there on.
    """

    recorded: int = 0
    ignored: int = 0
    quarantined: int = 0
    held: Transient | None = None
    held_at: ToRead | None = None

    def add(self, more: Outcome) -> None:
        """Count what came of further messages."""
        self.recorded += more.recorded
        self.ignored += more.ignored
        self.quarantined += more.quarantined
        self.held, self.held_at = more.held, more.held_at


@dataclass(slots=True)
class _Item:
    """One message on its way through the steps; `failure` ends the way."""

    todo: ToRead
    headers: MessageHeaders | None = None
    decision: Decision | None = None
    content: Content | None = None
    failure: Exception | None = None


@dataclass(slots=True)
class _Batch:
    """A batch at work: its mailbox, what is known so far, and what came of it."""

    gmail: Gmail
    mailbox: MailboxForMatching
    finder: FactFinder
    outcome: Outcome = field(default_factory=Outcome)
    existing: Existing = field(default_factory=dict)
    ignored: list[Write] = field(default_factory=list)
    events: list[events.CrmEvent] = field(default_factory=list)
    seen_before: list[str] = field(default_factory=list)
    copies: list[tuple[MessageHeaders, tuple[Place, ...]]] = field(default_factory=list)
    stale: bool = False
    only: Collection[SubaccountId] | None = None


class Recorder:
    """Takes messages of one mailbox through all steps, batch by batch."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        publisher: Outbox,
        clock: Clock,
        drop: DropFormat | None = None,
    ) -> None:
        """Use these gateways; `drop` is the deployment's form of BCC addresses."""
        self._documents = documents
        self._drop = drop
        self._blobs = blobs
        self._outbox = publisher
        self._copies = Copies(documents, blobs)
        self._quarantine = Quarantine(documents)
        self._clock = clock

    def record(
        self,
        gmail: Gmail,
        mailbox: MailboxForMatching,
        todo: Sequence[ToRead],
        *,
        careful: bool = False,
        only: Collection[SubaccountId] | None = None,
    ) -> Outcome:
        """Bring some messages into the CRM, in the order of the history.

        A message that can never be processed is set aside (E3) and stops nothing; a
        passing fault stops the batch where it happened, because threads depend on the
        order. Raises NeedsReauth and Misconfigured, which no message is to blame for.
        With `careful` messages go one by one, each attempt counted before it is made: a
        message that kills the process is set aside by a later holder. With `only` other
        subaccounts are left as they are.
        """
        if not careful:
            return self._record(gmail, mailbox, [_Item(one) for one in todo], only)
        total = Outcome()
        for one in todo:
            item = _Item(one)
            self._count_attempt(mailbox, item)
            total.add(self._record(gmail, mailbox, [item], only))
            if total.held is not None:
                break
            if not isinstance(item.failure, Permanent):
                self._quarantine.passed(mailbox, one.gmail_message_id)
        return total

    def _record(
        self,
        gmail: Gmail,
        mailbox: MailboxForMatching,
        items: Sequence[_Item],
        only: Collection[SubaccountId] | None,
    ) -> Outcome:
        batch = _Batch(gmail, mailbox, FactFinder(self._documents), only=only)
        self._read_headers(batch, items)
        self._decide_all(batch, items)
        self._read_contents(batch, items)
        for item in items:
            self._finish(batch, item)
            if batch.outcome.held is not None:
                break
        if batch.ignored:
            self._documents.commit(batch.ignored)
        for headers, copies in batch.copies:
            self._copies.join_if_recorded(headers, batch.mailbox, copies)
        self._outbox.publish(batch.events)
        if batch.seen_before:
            self._outbox.publish_if_left(batch.seen_before)
        return batch.outcome

    # --- steps over the whole batch ----------------------------------------------

    def _read_headers(self, batch: _Batch, items: Sequence[_Item]) -> None:
        wanted = [one for one in items if one.failure is None]
        found = batch.gmail.headers([one.todo.gmail_message_id for one in wanted])
        for item in wanted:
            answer = found.get(item.todo.gmail_message_id, Vanished())
            if isinstance(answer, MessageHeaders):
                item.headers = veil(answer, self._drop)
            else:
                item.failure = answer

    def _decide_all(self, batch: _Batch, items: Sequence[_Item]) -> None:
        """Decide in order, each message seeing the threads of those before it."""
        readable = [one.headers for one in items if one.headers is not None]
        batch.finder.prefetch([decide(one, batch.mailbox) for one in readable])
        for item in items:
            if isinstance(item.failure, Transient):
                return
            if item.headers is not None:
                self._decide(batch, item, item.headers)

    def _decide(self, batch: _Batch, item: _Item, headers: MessageHeaders) -> None:
        try:
            decided = batch.finder.run(decide(headers, batch.mailbox))
            item.decision = _within(batch.only, decided)
            self._look_for_existing(batch, headers, item.decision)
        except Exception as error:  # noqa: BLE001  (one message must not stop others)
            item.failure = error
            return
        for place in item.decision.places:
            batch.finder.tell_contacts(place, self._now())
            message = recording.record_id(headers, batch.mailbox.id, place)
            if not batch.existing[(place.subaccount, message)].exists:
                batch.finder.tell_recorded(
                    message, headers, place, batch.mailbox.id, self._now()
                )

    def _look_for_existing(
        self, batch: _Batch, headers: MessageHeaders, decided: Decision
    ) -> None:
        """Read the records that another mailbox, or an earlier try, has made."""
        ids = [
            (place.subaccount, recording.record_id(headers, batch.mailbox.id, place))
            for place in decided.places
        ]
        unknown = [one for one in ids if one not in batch.existing]
        found = self._documents.get([paths.message(s, m) for s, m in unknown])
        batch.existing.update(zip(unknown, found, strict=True))

    def _read_contents(self, batch: _Batch, items: Sequence[_Item]) -> None:
        wanted = [one for one in items if self._needs_content(batch, one)]
        ids = [one.todo.gmail_message_id for one in wanted]
        found = batch.gmail.contents(ids) if ids else {}
        for item in wanted:
            answer = found.get(item.todo.gmail_message_id, Vanished())
            if isinstance(answer, Content):
                item.content = answer
            else:
                item.failure = answer

    def _needs_content(self, batch: _Batch, item: _Item) -> bool:
        """Say whether a subaccount is to record it that has no record yet."""
        if item.failure is not None or item.decision is None or item.headers is None:
            return False
        headers = item.headers
        return item.content is None and any(
            not batch.existing[
                place.subaccount,
                recording.record_id(headers, batch.mailbox.id, place),
            ].exists
            for place in item.decision.places
        )

    # --- one message -------------------------------------------------------------

    def _finish(self, batch: _Batch, item: _Item) -> None:
        """Write one message, or say why not; never raises for the message's sake."""
        try:
            self._write(batch, item)
        except (NeedsReauth, Misconfigured):
            raise
        except Vanished:
            batch.stale = True
            self._ignore(batch, item, "M1")
        except Transient as error:
            batch.outcome.held, batch.outcome.held_at = error, item.todo
        except Permanent as error:
            self._set_aside(batch, item, error.code, error.detail)
        except Exception as error:  # noqa: BLE001  (a bug must not stop the mailbox)
            self._unexpected(batch, item, error)

    def _write(self, batch: _Batch, item: _Item) -> None:
        for _ in range(DECIDE_AGAIN):
            if batch.stale and item.headers is not None and item.failure is None:
                batch.finder.forget()
                self._decide(batch, item, item.headers)
                self._read_contents(batch, [item])
            if item.failure is not None:
                raise item.failure
            if item.headers is None or item.decision is None:
                raise Malformed
            try:
                for place in item.decision.places:
                    self._write_place(batch, item, item.headers, place)
            except Missing:
                batch.stale = True  # the contact was erased: decide anew
                continue
            self._note(batch, item, item.headers, item.decision)
            return
        raise Conflict

    def _note(
        self, batch: _Batch, item: _Item, headers: MessageHeaders, decided: Decision
    ) -> None:
        """Count the message, and keep why it is not recorded where it is not."""
        batch.outcome.recorded += decided.recorded
        if decided.copies:
            batch.copies.append((headers, decided.copies))
        if batch.only is not None and not decided.recorded:
            # Its decision is about all subaccounts, and stays as it is.
            batch.outcome.ignored += 1
        elif decided.copies or not decided.recorded:
            rule = "M3" if decided.copies else decided.rule
            self._ignore(batch, item, rule, decided.copies)

    def _write_place(
        self, batch: _Batch, item: _Item, headers: MessageHeaders, place: Place
    ) -> None:
        message = recording.record_id(headers, batch.mailbox.id, place)
        key = (place.subaccount, message)
        if not batch.existing[key].exists:
            if item.content is None:
                raise Malformed
            record = self._compose(batch, item.content, headers, place)
            event = events.message_event(record, self._now())
            also, more = bcc.contacts_of(place, self._now(), sent_at=record.sent_at)
            try:
                self._commit(batch, record, place, headers, event, also)
            except AlreadyExists:
                path = paths.message(place.subaccount, message)
                batch.existing[key] = self._documents.get([path])[0]
                if not batch.existing[key].exists:
                    raise Missing from None  # another mail made the contact
            else:
                batch.events += [*more, event]
                self._copies.join_earlier(headers, batch.mailbox, record)
                return
        found = batch.existing[key]
        also, more = bcc.contacts_of(place, self._now(), sent_at=None)
        try:
            record = self._copies.join(headers, batch.mailbox, place, found, also)
        except AlreadyExists:
            raise Missing from None
        batch.events += more
        batch.seen_before.append(events.message_event_id(record))
        if any(one.mailbox == batch.mailbox.id for one in record.held_by):
            # An earlier try of ours may have died between record and copies.
            self._copies.join_earlier(headers, batch.mailbox, record)

    def _commit(
        self,
        batch: _Batch,
        record: Message,
        place: Place,
        headers: MessageHeaders,
        event: events.CrmEvent,
        also: Sequence[Write],
    ) -> None:
        """The one atomic commit that makes a message visible (DESIGN §2.6)."""
        stored = messages.to_document(record)
        if stored.blob is not None:
            self._blobs.put(stored.blob.key, stored.blob.data, ENVELOPE_TYPE)
        writes: list[Write] = [
            Create(paths.message(record.subaccount, record.id), stored.data),
            Merge(
                paths.thread(record.subaccount, record.thread),
                {
                    "contact": record.contact,
                    "exclusive": record.exclusive,
                    "participants": Union(place.participants[:MAX_THREAD_PARTICIPANTS]),
                    **self._gmail_thread(batch, place, headers),
                },
            ),
            outbox.committing(event),
            *also,
        ]
        if all(one.id != record.contact for one in place.new_contacts):
            figures = {
                "messages": Increment(1),
                "last_message_at": Maximum(record.sent_at),
            }
            path = paths.contact(record.subaccount, record.contact)
            writes.append(Update(path, figures))
        self._documents.commit([*writes, *messages.index(record)])

    def _gmail_thread(
        self, batch: _Batch, place: Place, headers: MessageHeaders
    ) -> dict[str, Union]:
        if not place.link_gmail_thread:
            return {}
        key = gmail_thread_key(batch.mailbox.id, headers.gmail_thread_id)
        return {"gmail_threads": Union((key,))}

    def _compose(
        self, batch: _Batch, content: Content, headers: MessageHeaders, place: Place
    ) -> Message:
        message = recording.record_id(headers, batch.mailbox.id, place)
        return recording.compose(
            headers,
            batch.mailbox,
            place,
            content,
            tuple(
                self._keep(batch, place.subaccount, message, headers, str(n), part)
                for n, part in enumerate(content.attachments)
            ),
            safe_html(content.html) if content.html else None,
            self._now(),
        )

    def _keep(
        self,
        batch: _Batch,
        subaccount: SubaccountId,
        message: MessageId,
        headers: MessageHeaders,
        number: str,
        part: AttachmentPart,
    ) -> Attachment:
        """Store one attachment, unless a cap keeps it out."""
        data = part.data
        if data is None and part.size <= MAX_ATTACHMENT_BYTES:
            data = self._fetch(batch, headers, part)
        if data is not None:
            key = messages.attachment_key(subaccount, message, number)
            self._blobs.put(key, data, "application/octet-stream")
        return Attachment(
            id=number,
            filename=part.filename,
            content_type=part.content_type,
            size=part.size if data is None else len(data),
            stored=data is not None,
            content_id=part.content_id,
        )

    def _fetch(
        self, batch: _Batch, headers: MessageHeaders, part: AttachmentPart
    ) -> bytes | None:
        if part.gmail_attachment_id is None:
            return None
        return batch.gmail.attachment(
            headers.gmail_message_id, part.gmail_attachment_id
        )

    # --- what is not recorded ----------------------------------------------------

    def _ignore(
        self, batch: _Batch, item: _Item, rule: str, copies: tuple[Place, ...] = ()
    ) -> None:
        headers = item.headers
        if item.decision is None or not item.decision.recorded:
            batch.outcome.ignored += 1
        batch.ignored.append(
            decision(
                batch.mailbox,
                item.todo.gmail_message_id,
                headers.rfc822_message_id if headers else None,
                outcome="ignored",
                rule=rule,
                at=self._now(),
                more={
                    **_concerning(batch.mailbox, item.decision),
                    **(
                        could_join(headers, batch.mailbox, copies)
                        if headers and copies
                        else {}
                    ),
                },
            )
        )

    def _set_aside(self, batch: _Batch, item: _Item, code: str, detail: str) -> None:
        batch.stale = True
        batch.outcome.quarantined += 1
        self._quarantine.set_aside(
            batch.mailbox,
            item.todo.gmail_message_id,
            code=code,
            detail=detail,
            at=self._now(),
        )
        log.warning("message_quarantined", mailbox=batch.mailbox.id, code=code)

    def _unexpected(self, batch: _Batch, item: _Item, error: Exception) -> None:
        """Try a message that trips over a bug a few times, then set it aside."""
        log.error("message_failed", mailbox=batch.mailbox.id, exc_info=error)
        attempts = self._quarantine.attempt(batch.mailbox, item.todo.gmail_message_id)
        if attempts >= MAX_ATTEMPTS:
            self._set_aside(batch, item, "internal_error", type(error).__name__)
        else:
            batch.outcome.held, batch.outcome.held_at = Transient(), item.todo

    def _count_attempt(self, mailbox: MailboxForMatching, item: _Item) -> None:
        attempts = self._quarantine.attempt(mailbox, item.todo.gmail_message_id)
        if attempts > MAX_ATTEMPTS:
            item.failure = Permanent("Processing this message ended the process.")

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _concerning(
    mailbox: MailboxForMatching, decided: Decision | None
) -> dict[str, object]:
    """Who may ask about it besides the mailbox's users: owners of BCC addresses."""
    if decided is None or not decided.concerns:
        return {}
    users = {user.id for user in mailbox.users}.union(decided.concerns)
    return {"users": sorted(users)}


def _within(only: Collection[SubaccountId] | None, decided: Decision) -> Decision:
    """The part of a decision that is about these subaccounts."""
    if only is None:
        return decided
    return replace(
        decided,
        places=tuple(one for one in decided.places if one.subaccount in only),
        copies=tuple(one for one in decided.copies if one.subaccount in only),
    )
