"""Copies of an email in other mailboxes: one record lists them all (M9).

Two mailboxes can be read at the same moment, and one of them may have no right of its
own to record the email (M3). So each leaves a mark before it looks for the other's:
the record is written before earlier copies are looked for, and a copy that is not
recorded leaves its decision before the record is looked for. Whoever comes second sees
the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.core.events import send_event
from shared.core.ids import (
    GmailMessageId,
    GmailThreadId,
    MailboxId,
    UserId,
    gmail_thread_key,
)
from shared.core.limits import MAX_COPIES_LISTED
from shared.core.mail import MessageHeaders
from shared.core.matching import recording
from shared.core.matching.rewritten import as_recorded
from shared.core.matching.rules import Placement, recipients
from shared.core.matching.sameness import fits, is_proven, likeness
from shared.core.people import MailboxForMatching
from shared.core.records import HeldBy, Message
from shared.errors import Conflict, DocumentMissing
from shared.ports import (
    Blobs,
    Delete,
    DeleteField,
    Documents,
    Maximum,
    Merge,
    Query,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import bounded, messages, outbox, paths
from shared.services.blob_uploads import BlobUploads
from shared.services.syncing.batch import Batch, RecordKey

ATTEMPTS = 5
MAX_COPIES = 100
"""Team mailboxes that are looked for; an email to more is no one-to-one email."""


class CopyReconciler:
    """Adds copies to records that exist."""

    def __init__(
        self, documents: Documents, blobs: Blobs, uploads: BlobUploads
    ) -> None:
        self._documents = documents
        self._blobs = blobs
        self._uploads = uploads

    def join(
        self,
        headers: MessageHeaders,
        mailbox: MailboxForMatching,
        place: Placement,
        found: Snapshot,
        also: Sequence[Write] = (),
    ) -> Message:
        """Add this mailbox's copy to the record; raises Missing when it is gone.

        `also` is what the copy brings along (B2); it goes into the same commit.
        """
        for _ in range(ATTEMPTS):
            if not found.exists:
                raise DocumentMissing
            try:
                return self._joined(headers, mailbox, place, found, also)
            except Conflict:
                found = self._documents.get([found.path])[0]
        raise Conflict

    def _joined(
        self,
        headers: MessageHeaders,
        mailbox: MailboxForMatching,
        place: Placement,
        found: Snapshot,
        also: Sequence[Write],
    ) -> Message:
        # Only a sender's own copy tells Bcc: only then is the envelope needed.
        needed = headers.bcc and is_proven(headers)
        record = messages.from_snapshot(found, self._blobs if needed else None)
        holders = recording.held_by(headers, mailbox, place)
        joined = recording.join(record, headers, holders, place)
        if joined is None and not also:
            return record
        joined = joined or record
        writes: list[Write] = [
            *_links(record, holders if place.link_gmail_thread else ()),
            # It may have been ignored before the record was there.
            Delete(paths.decision(mailbox.id, headers.gmail_message_id)),
            *also,
        ]
        if joined.rfc822_message_id != record.rfc822_message_id:
            writes += messages.index(joined)
        if joined.sent_at > record.sent_at:
            # Mail of the CRM counted from when it was queued.
            contact = paths.contact(record.subaccount, record.contact)
            newest = {"last_message_at": Maximum(joined.sent_at)}
            writes.append(Update(contact, newest))
        if joined.status != record.status:
            event = send_event("message.sent", joined, headers.internal_date)
            writes.append(outbox.committing(event))
        self._rewrite(joined, found, writes)
        return record

    def _rewrite(self, joined: Message, found: Snapshot, also: list[Write]) -> None:
        """Commit the record as it is now; an envelope blob takes a new place."""
        stored = messages.to_document(joined)
        if stored.blob is None:
            bounded.commit(
                self._documents,
                [Update(found.path, stored.data, found.version), *also],
            )
            return
        under = messages.blob_prefix(joined.subaccount, joined.id)
        removal = self._uploads.removal(
            [found.data[name] for name in ("envelope_blob",) if name in found.data]
        )
        with self._uploads.begin(under) as upload:
            stored.put_blob(upload.put)
            data = {**stored.data, "envelope": DeleteField()}
            writes = [*also, *upload.naming(), *removal.writes()]
            bounded.commit(
                self._documents, [Update(found.path, data, found.version), *writes]
            )
            upload.named()
        self._uploads.remove(removal)

    def look(self, batch: Batch, key: RecordKey) -> None:
        """Read a record that has not been looked for yet."""
        if key not in batch.existing:
            batch.existing[key] = self._documents.get([paths.message(*key)])[0]

    def join_if_recorded(
        self,
        headers: MessageHeaders,
        mailbox: MailboxForMatching,
        places: Iterable[Placement],
    ) -> None:
        """Add a copy that M3 forbids to record, where another mailbox has recorded it.

        To be called after `could_join` of its decision is durable. A decision that
        has become untrue everywhere is taken back.
        """
        apart = False
        for place in places:
            message = recording.record_id(headers, mailbox.id, place)
            path = paths.message(place.subaccount, message)
            found = self._documents.get([path])[0]
            record = (
                messages.from_snapshot(found, self._blobs) if found.exists else None
            )
            if record is not None and fits(record, headers):
                self.join(headers, mailbox, place, found)
            else:
                apart = True
        if not apart:
            path = paths.decision(mailbox.id, headers.gmail_message_id)
            self._documents.commit([Delete(path)])

    def join_earlier(
        self, headers: MessageHeaders, mailbox: MailboxForMatching, record: Message
    ) -> None:
        """Add the copies that other mailboxes met before this record was written.

        To be called after the record is durable. Costs a query, for mail to several
        people only.
        """
        others = set(recipients(headers)) - mailbox.own_addresses
        sender = headers.sender.address if headers.sender else ""
        if len(others | {sender} - mailbox.own_addresses) < 2:  # noqa: PLR2004
            return
        query = Query(
            "decisions",
            where=(("rfc822_message_id", "==", record.rfc822_message_id),),
            limit=MAX_COPIES,
        )
        held: list[HeldBy] = []
        untrue: list[Write] = []
        context = MAX_COPIES_LISTED - len(record.held_by)
        for found in self._documents.query(query):
            if found.data["mailbox_id"] == mailbox.id:
                continue
            here = _could_join(found, record, likeness(headers))
            # A copy too many stays where its decision tells of it.
            if here and len(held) + len(here) <= context:
                held += here
                untrue.append(_joined(found, record))
        if held:
            path = paths.message(record.subaccount, record.id)
            entries = messages.held_by_fields(held)
            gmail_ids = Union(tuple(copy.gmail_message_id for copy in held))
            data = {"held_by": entries, "gmail_message_ids": gmail_ids}
            bounded.commit(
                self._documents, [Update(path, data), *_links(record, held), *untrue]
            )


def could_join(
    headers: MessageHeaders, mailbox: MailboxForMatching, places: Iterable[Placement]
) -> dict[str, object]:
    """What a decision keeps so that a later record finds the copy: ids only (M14)."""
    places = tuple(places)
    for place in places:
        headers = as_recorded(headers, place)
    return {
        "gmail_thread_id": headers.gmail_thread_id,
        "could_join": {place.subaccount: list(place.holders) for place in places},
        "message": recording.message_id(headers, mailbox.id),
        "likeness": likeness(headers),
    }


def _could_join(found: Snapshot, record: Message, alike: str) -> list[HeldBy]:
    data = found.data
    if data.get("message") != record.id or data.get("likeness", alike) != alike:
        return []  # another email with the same Message-ID (M9)
    return [
        HeldBy(
            user=UserId(user),
            mailbox=MailboxId(data["mailbox_id"]),
            address=data["mailbox"],
            gmail_message_id=GmailMessageId(data["gmail_message_id"]),
            gmail_thread_id=GmailThreadId(data["gmail_thread_id"]),
        )
        for user in data.get("could_join", {}).get(record.subaccount, ())
    ]


def _joined(found: Snapshot, record: Message) -> Write:
    """Take back a decision that the record has made untrue."""
    left = {s for s in found.data["could_join"] if s != record.subaccount}
    if not left:
        return Delete(found.path)
    return Merge(found.path, {"could_join": {record.subaccount: DeleteField()}})


def _links(record: Message, held: Iterable[HeldBy]) -> list[Write]:
    """The writes by which Gmail's threads of the copies lead to the record's thread."""
    keys = {gmail_thread_key(copy.mailbox, copy.gmail_thread_id) for copy in held}
    if not keys:
        return []
    path = paths.thread(record.subaccount, record.thread)
    return [Merge(path, {"gmail_threads": Union(tuple(sorted(keys)))})]
