"""Makes messages visible, each in one subaccount and in one commit.

Promises: a message is complete before it can be seen; a second copy joins the record
that is there (M9); repeating any of it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.core.events import message_event, message_event_id, replaced_event
from shared.core.ids import gmail_thread_key
from shared.core.limits import MAX_THREAD_PARTICIPANTS
from shared.core.mail import MessageHeaders
from shared.core.matching.places import Placement
from shared.core.matching.rewritten import as_recorded
from shared.core.matching.sameness import (
    Standing,
    apart_ids,
    is_outdone,
    lists,
    standing,
)
from shared.core.moments import to_epoch_ms
from shared.errors import AlreadyExists, Conflict, DocumentMissing, Malformed, SyncError
from shared.ports import (
    Blobs,
    Clock,
    Create,
    Documents,
    Increment,
    Maximum,
    Merge,
    Union,
    Update,
    Write,
)
from shared.repositories import bcc, bounded, messages, outbox, paths
from shared.repositories.contact_quota import ContactQuota
from shared.services.blob_uploads import BlobUploads
from shared.services.syncing.batch import Batch, Item, NewRecord
from shared.services.syncing.content_fetcher import ContentFetcher
from shared.services.syncing.copies import CopyReconciler
from shared.services.syncing.replacing import Replacing

RECORDS_PER_COMMIT = 25
"""A commit may have 500 writes; a record brings five to seven."""

BYTES_PER_COMMIT = 2_000_000
"""A request may have 10 MiB (Firestore, quotas, 2026-11), at the emulator 4."""


class RecordWriter:
    """Writes messages to the places where the rules record them."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        clock: Clock,
        uploads: BlobUploads,
        contents: ContentFetcher,
        copies: CopyReconciler,
        quota: ContactQuota,
    ) -> None:
        self._documents = documents
        self._blobs = blobs
        self._clock = clock
        self._uploads = uploads
        self._fetcher = contents
        self._copies = copies
        self._quota = quota
        self._replacing = Replacing(documents, blobs, clock, uploads, contents)

    def commit_batch(self, batch: Batch, items: Sequence[Item]) -> None:
        """Make the new records at the head of a batch in few commits.

        Saves round trips and promises nothing: what cannot go with others, and all that
        comes after it, is left to `write`, message by message.
        """
        for some in _parcels(self._plain(batch, items)):
            if len(some) == 1:
                return
            try:
                self._documents.commit(
                    [write for record in some for write in record.writes]
                )
            except SyncError:
                return  # whose fault it was shows when each goes alone
            for new in some:
                new.made()

    def write(
        self, batch: Batch, item: Item, headers: MessageHeaders, place: Placement
    ) -> bool:
        """Make the record at this place, join the one that is there, or replace it.

        False when it does neither: it is no true copy of what is recorded (M9). Raises
        Missing when contacts have come or gone since the message was decided.
        """
        first = batch.key(headers, place)[1]
        for id_ in (first, *apart_ids(first, headers, batch.mailbox.id)):
            at = place if id_ == first else replace(place, message=id_)
            self._copies.look(batch, batch.key(headers, at))
            recorded = batch.is_recorded(headers, at)
            if not recorded and item.content is None:
                item.content = self._fetcher.fetch(batch, headers)
            if not recorded and self._made(batch, item, headers, at):
                return True
            match self._standing(batch, item, headers, at):
                case "joins":
                    self._join(batch, headers, at)
                    return True
                case "replaces":
                    self._replace(batch, item, headers, at)
                    return True
                case "refused":
                    return False
        raise Conflict  # its own id is taken by another email: it cannot be

    def _standing(
        self, batch: Batch, item: Item, headers: MessageHeaders, place: Placement
    ) -> Standing:
        """What becomes of this copy; fetches its body only where that has to tell."""
        found = batch.existing[batch.key(headers, place)]
        if not found.exists:
            raise DocumentMissing
        record = messages.from_snapshot(found)
        if record.route != "crm" and (
            is_outdone(record, headers) or not lists(record, batch.mailbox.id, headers)
        ):
            record = messages.from_snapshot(found, self._blobs)
        answer = standing(record, headers, batch.mailbox, item.content)
        if answer in {"compare", "replaces"} and item.content is None:
            item.content = self._fetcher.fetch(batch, headers)
            answer = standing(record, headers, batch.mailbox, item.content)
        return answer

    def _replace(
        self, batch: Batch, item: Item, headers: MessageHeaders, place: Placement
    ) -> None:
        key = batch.key(headers, place)
        if item.content is None:
            raise Malformed
        try:
            self._replacing.replace(
                batch, item.content, headers, place, batch.existing[key]
            )
        except Conflict:
            del batch.existing[key]
            raise DocumentMissing from None  # decided anew with what is there now

    def _made(
        self, batch: Batch, item: Item, headers: MessageHeaders, place: Placement
    ) -> bool:
        """Make the record; False when another mailbox was faster."""
        key = batch.key(headers, place)
        new = batch.new.pop(key, None) or self._new(batch, item, headers, place)
        try:
            if not new.committed:
                bounded.commit(self._documents, new.writes)
                new.made()
        except Conflict:
            if place.new_contacts:
                raise DocumentMissing from None  # another mail has used the quota
            raise
        except AlreadyExists:
            path = paths.message(new.record.subaccount, new.record.id)
            batch.existing[key] = self._documents.get([path])[0]
            if not batch.existing[key].exists:
                raise DocumentMissing from None  # another mail made the contact
            return False
        batch.events += new.events
        self._copies.join_earlier(headers, batch.mailbox, new.record)
        return True

    def _plain(self, batch: Batch, items: Sequence[Item]) -> list[NewRecord]:
        """Records that only have to be made, up to the first that asks for more."""
        found: list[NewRecord] = []
        for item in items:
            if item.failure is not None or not item.headers or not item.decision:
                return found
            for place in item.decision.places:
                key = batch.key(item.headers, place)
                plain = not place.new_contacts and key not in batch.new
                if not plain or batch.is_recorded(item.headers, place):
                    return found
                try:
                    seen = as_recorded(item.headers, place)
                    new = self._new(batch, item, seen, place)
                except Exception:  # noqa: BLE001  (it fails again, where it is handled)
                    return found
                batch.new[key] = new
                found.append(new)
        return found

    def _join(self, batch: Batch, headers: MessageHeaders, place: Placement) -> None:
        """Add this mailbox's copy to the record that is there."""
        found = batch.existing[batch.key(headers, place)]
        also, more = bcc.contacts_of(place, self._now(), sent_at=None)
        also += self._counted(place)
        try:
            record = self._copies.join(headers, batch.mailbox, place, found, also)
        except AlreadyExists:
            raise DocumentMissing from None
        batch.events += more
        batch.seen_before.append(message_event_id(record))
        if record.replaced_at is not None:
            batch.seen_before.append(replaced_event(record, record.replaced_at).id)
        if any(copy.mailbox == batch.mailbox.id for copy in record.held_by):
            # An earlier try of ours may have died between record and copies.
            self._copies.join_earlier(headers, batch.mailbox, record)

    def _counted(self, place: Placement) -> list[Write]:
        """The write by which new contacts count for their user's day (B7)."""
        if not place.new_contacts or place.user is None:
            return []
        number = len(place.new_contacts)
        taken = self._quota.take(place.subaccount, place.user, number)
        if taken is None:
            raise DocumentMissing  # another mail was faster
        return [taken]

    def _new(
        self, batch: Batch, item: Item, headers: MessageHeaders, place: Placement
    ) -> NewRecord:
        """The record and all that must become visible with it; writes only blobs."""
        if item.content is None:
            raise Malformed
        subaccount, message = batch.key(headers, place)
        upload = batch.uploads.enter_context(
            self._uploads.begin(messages.blob_prefix(subaccount, message))
        )
        record = self._fetcher.record(batch, item.content, headers, place, upload)
        event = message_event(record, self._now())
        also, more = bcc.contacts_of(place, self._now(), sent_at=record.sent_at)
        stored = messages.to_document(record)
        stored.put_blob(upload.put)
        writes: list[Write] = [
            Create(paths.message(record.subaccount, record.id), stored.data),
            Merge(
                paths.thread(record.subaccount, record.thread),
                {
                    "contact": record.contact,
                    "exclusive": record.exclusive,
                    "participants": Union(place.participants[:MAX_THREAD_PARTICIPANTS]),
                    **_gmail_thread(batch, place, headers),
                },
            ),
            outbox.committing(event),
            *also,
            *self._counted(place),
        ]
        if all(new_contact.id != record.contact for new_contact in place.new_contacts):
            figures = {
                "messages": Increment(1),
                "last_message_at": Maximum(record.sent_at),
            }
            path = paths.contact(record.subaccount, record.contact)
            writes.append(Update(path, figures))
        writes += [*messages.index(record), *upload.naming()]
        return NewRecord(record, writes, [*more, event], stored.size, upload)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _parcels(waiting: Sequence[NewRecord]) -> Iterator[list[NewRecord]]:
    """Cut into what one commit can take, in order."""
    parcel: list[NewRecord] = []
    size = 0
    for record in waiting:
        size += record.size
        if parcel and (len(parcel) == RECORDS_PER_COMMIT or size > BYTES_PER_COMMIT):
            yield parcel
            parcel, size = [], record.size
        parcel.append(record)
    if parcel:
        yield parcel


def _gmail_thread(
    batch: Batch, place: Placement, headers: MessageHeaders
) -> dict[str, Union]:
    if not place.link_gmail_thread:
        return {}
    key = gmail_thread_key(batch.mailbox.id, headers.gmail_thread_id)
    return {"gmail_threads": Union((key,))}
