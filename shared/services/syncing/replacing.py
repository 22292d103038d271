"""An authenticated copy takes the place of an unauthenticated one (M9).

The id stays, and nothing else: words, attachments, recipients, conversation and thread
are the true email's. Blobs are written beside the old ones, which go with the commit;
a crash before it leaves the unauthenticated record, and the next reading goes on.
"""

from __future__ import annotations

from dataclasses import replace

from shared.core.events import replaced_event
from shared.core.ids import MailboxId, gmail_thread_key
from shared.core.limits import MAX_THREAD_PARTICIPANTS
from shared.core.mail import Content, MessageHeaders
from shared.core.matching.places import Placement
from shared.core.matching.sameness import said_by, said_in
from shared.core.moments import to_epoch_ms
from shared.core.records import HeldBy, Message
from shared.errors import DocumentFull
from shared.ports import (
    Blobs,
    Clock,
    DeleteField,
    Documents,
    Increment,
    Maximum,
    Merge,
    Query,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import bounded, messages, outbox, paths
from shared.repositories.quarantine import refused_copy
from shared.services.blob_uploads import BlobUploads
from shared.services.syncing.batch import Batch
from shared.services.syncing.content_fetcher import ContentFetcher


class Replacing:
    """Puts what is authenticated where something else was recorded first."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        clock: Clock,
        uploads: BlobUploads,
        contents: ContentFetcher,
    ) -> None:
        self._documents = documents
        self._blobs = blobs
        self._clock = clock
        self._uploads = uploads
        self._fetcher = contents

    def replace(
        self,
        batch: Batch,
        content: Content,
        headers: MessageHeaders,
        place: Placement,
        found: Snapshot,
    ) -> None:
        """Replace the record; raises Conflict when somebody else has changed it.

        Copies that said something else are taken off, each with a decision that tells
        why. Raises Missing when a contact has come or gone since the decision.
        """
        before = messages.from_snapshot(found, self._blobs)
        upload = batch.uploads.enter_context(
            self._uploads.begin(messages.blob_prefix(before.subaccount, before.id))
        )
        true = self._fetcher.record(batch, content, headers, place, upload)
        now = to_epoch_ms(self._clock.now())
        same = said_in(before) == said_by(content)
        kept = [copy for copy in before.held_by if same and copy not in true.held_by]
        gone = [copy for copy in before.held_by if copy not in (*kept, *true.held_by)]
        record = replace(
            true,
            recorded_at=before.recorded_at,
            held_by=(*true.held_by, *kept),
            replaced_at=now,
        )
        stored = messages.to_document(record)
        stored.put_blob(upload.put)
        removal = self._uploads.removal(_blobs(before, found))
        event = replaced_event(record, now)
        writes: list[Write] = [
            Update(found.path, _fields(stored.data, gone), found.version),
            *messages.index(record),
            *_figures(before, record),
            *(refused_copy(held_copy, record, now) for held_copy in gone),
            outbox.committing(event),
            *upload.naming(),
            *removal.writes(),
        ]
        try:
            threads = self._threads(batch, headers, place, before)
            bounded.commit(self._documents, [*writes, *threads])
        except DocumentFull:
            threads = self._threads(batch, headers, place, before, full=True)
            bounded.commit(self._documents, [*writes, *threads])
        upload.named()
        self._uploads.remove(removal)
        batch.events.append(event)

    def _threads(
        self,
        batch: Batch,
        headers: MessageHeaders,
        place: Placement,
        before: Message,
        *,
        full: bool = False,
    ) -> list[Write]:
        """Join the true thread; who was in the old one only by this mail leaves it.

        To a thread that is full nothing is added.
        """
        subaccount = before.subaccount
        old, new = (
            paths.thread(subaccount, before.thread),
            paths.thread(subaccount, place.thread),
        )
        joined: dict[str, object] = {
            "contact": place.contact,
            "exclusive": place.exclusive,
            "participants": Union(place.participants[:MAX_THREAD_PARTICIPANTS]),
        }
        if place.link_gmail_thread:
            key = gmail_thread_key(batch.mailbox.id, headers.gmail_thread_id)
            joined["gmail_threads"] = Union((key,))
        known = self._documents.get([old])[0]
        if not known.exists:
            return [Merge(new, joined)]
        kept = self._others_of(before)
        left = {
            name: [value for value in known.data.get(name, ()) if value in kept]
            for name in ("participants", "gmail_threads")
        }
        if old != new:
            return [Update(old, left, known.version), Merge(new, joined)]
        # One write for both: a commit may name a document once.
        for name, more in joined.items():
            if isinstance(more, Union) and not full:
                left[name] = list(dict.fromkeys((*left[name], *more.values)))
        return [Update(old, left, known.version)]

    def _others_of(self, before: Message) -> set[str]:
        """Addresses, and keys of Gmail's threads, of the thread's other messages."""
        query = Query(
            paths.messages(before.subaccount), where=(("thread", "==", before.thread),)
        )
        found: set[str] = set()
        for other in self._documents.query(query):
            if other.id != before.id:
                found.update(other.data["addresses"])
                found.update(
                    gmail_thread_key(
                        MailboxId(copy["mailbox"]), copy["gmail_thread_id"]
                    )
                    for copy in other.data["held_by"].values()
                )
        return found


def _fields(data: dict[str, object], gone: list[HeldBy]) -> dict[str, object]:
    """The whole document, over what it was: a field that is not given stays."""
    held = dict(data["held_by"]) if isinstance(data["held_by"], dict) else {}
    taken = {messages.held_by_key(copy.user, copy.gmail_message_id) for copy in gone}
    held |= dict.fromkeys(sorted(taken), DeleteField())
    optional = dict.fromkeys(("envelope", "envelope_blob", "blobs"), DeleteField())
    return {**optional, **data, "held_by": held}


def _blobs(before: Message, found: Snapshot) -> list[str]:
    """What the keys of the blobs begin with that the record has had."""
    attachments = before.envelope.attachments if before.envelope else ()
    keys = [messages.attachment_key(before, "")] if attachments else []
    if "envelope_blob" in found.data:
        keys.append(found.data["envelope_blob"])
    return keys


def _figures(before: Message, record: Message) -> list[Write]:
    """What conversations show: one less here and one more there, or a later date."""
    newest = {"last_message_at": Maximum(record.sent_at)}
    there = paths.contact(record.subaccount, record.contact)
    if before.contact == record.contact:
        return [Update(there, newest)]
    here = paths.contact(before.subaccount, before.contact)
    return [
        Update(here, {"messages": Increment(-1)}),
        Update(there, {"messages": Increment(1), **newest}),
    ]
