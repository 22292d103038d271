"""Erase a contact with everything that was said (data protection).

A crash leaves a state from which the same call goes on, or a sweep. First the contact
is hidden, so that nothing new finds it, and `erasures` says so; then what hangs on it
goes page by page, and the contact's own document last. Recording a message changes that
document, so one that slips in between makes the last step fail, and the loop takes it
along.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from shared.core.ids import ContactId, MessageId, Rfc822MessageId, SubaccountId
from shared.core.moments import to_epoch_ms
from shared.errors import Conflict
from shared.ports import (
    Blobs,
    Clock,
    Delete,
    DeleteField,
    Documents,
    Put,
    Query,
    Snapshot,
    Update,
    Write,
)
from shared.repositories import directory as records
from shared.repositories import messages, paths
from shared.services.blob_uploads import BlobUploads
from shared.services.compare_and_set import CONFLICTS, retry_on_conflict

# A message's document may hold 200 KB inline: a page stays within a few megabytes.
_MESSAGES_PER_PAGE = 25
_DOCUMENTS_PER_PAGE = 300
_ROUNDS = 10
_LEFT_PER_SWEEP = 100


class Erasure:
    """Deletes contacts for good."""

    def __init__(self, documents: Documents, blobs: Blobs, clock: Clock) -> None:
        """Build with what the composition root holds."""
        self._documents = documents
        self._uploads = BlobUploads(documents, blobs, clock)
        self._clock = clock

    def finish_left(self, before: int) -> int:
        """End erasures that began before then (ms) and stopped; says how many."""
        query = Query(
            "erasures",
            where=(("at", "<", before),),
            order_by=(("at", "asc"),),
            limit=_LEFT_PER_SWEEP,
        )
        left = self._documents.query(query)
        for snapshot in left:
            self.erase(
                SubaccountId(snapshot.data["subaccount"]),
                ContactId(snapshot.data["contact"]),
            )
        return len(left)

    def erase(self, subaccount: SubaccountId, contact: ContactId) -> None:
        """Erase, or go on erasing; a missing contact is no error.

        Raises Transient when it is not done yet: the same call goes on.
        """
        for _ in range(_ROUNDS):
            hidden = retry_on_conflict(partial(self._hide, subaccount, contact))
            if hidden is None:
                return
            self._erase_messages(subaccount, contact)
            self._erase_all(
                Query(paths.threads(subaccount), (("contact", "==", contact),))
            )
            self._erase_all(
                Query(
                    "outbox",
                    (
                        ("data.subaccount", "==", subaccount),
                        ("data.contact", "==", contact),
                    ),
                )
            )
            retry_on_conflict(partial(self._forget_addresses, subaccount, hidden))
            try:
                self._documents.commit(
                    [
                        Delete(hidden.path, hidden.version),
                        Delete(paths.erasure(subaccount, contact)),
                    ]
                )
            except CONFLICTS:
                continue  # a message came in: take it along
            return
        raise Conflict

    def _hide(self, subaccount: SubaccountId, contact: ContactId) -> Snapshot | None:
        """Hide the contact; gives its document as it is then, None when it is gone."""
        path = paths.contact(subaccount, contact)
        found = self._documents.get([path])[0]
        if not records.is_live(found):
            return found if found.exists else None
        now = to_epoch_ms(self._clock.now())
        emails = found.data["emails"]
        begun = {"subaccount": subaccount, "contact": contact, "at": now}
        self._documents.commit(
            [
                *records.hide_contact(subaccount, found, emails, now),
                Put(paths.erasure(subaccount, contact), begun),
            ]
        )
        hidden = self._documents.get([path])[0]
        return hidden if hidden.exists else None

    def _erase_messages(self, subaccount: SubaccountId, contact: ContactId) -> None:
        query = Query(
            paths.messages(subaccount),
            where=(("contact", "==", contact),),
            limit=_MESSAGES_PER_PAGE,
        )
        while retry_on_conflict(partial(self._erase_page, subaccount, query)):
            continue

    def _erase_page(self, subaccount: SubaccountId, query: Query) -> int:
        """Delete some messages and their entries under their Message-IDs, in a commit.

        Then their blobs: those that a document named in this moment are among them, and
        after it no document can.
        """
        page = self._documents.query(query)
        if not page:
            return 0
        removal = self._uploads.removal(
            [
                messages.blob_prefix(subaccount, MessageId(document.id))
                for document in page
            ]
        )
        by_path: dict[str, list[str]] = defaultdict(list)
        for message in page:
            rfc822 = message.data.get("rfc822_message_id")
            if rfc822:
                name = paths.message_id(subaccount, Rfc822MessageId(rfc822))
                by_path[name].append(message.id)
        writes: list[Write] = [Delete(message.path) for message in page]
        writes += removal.writes()
        for entry in self._documents.get(list(by_path)):
            gone = set(by_path[entry.path])
            if not entry.exists:
                continue
            if gone >= set(entry.data.get("entries", ())):
                writes.append(Delete(entry.path, entry.version))
            else:
                change = dict.fromkeys(sorted(gone), DeleteField())
                writes.append(Update(entry.path, {"entries": change}, entry.version))
        self._documents.commit(writes)
        self._uploads.remove(removal)
        return len(page)

    def _erase_all(self, query: Query) -> None:
        limited = Query(query.collection, query.where, limit=_DOCUMENTS_PER_PAGE)
        while page := self._documents.query(limited):
            self._documents.commit([Delete(document.path) for document in page])

    def _forget_addresses(self, subaccount: SubaccountId, contact: Snapshot) -> None:
        names = [paths.address(subaccount, email) for email in contact.data["emails"]]
        writes = records.forget_addresses(
            self._documents.get(names), contact.data["erased_at"]
        )
        if writes:
            self._documents.commit(writes)
