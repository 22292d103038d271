"""Erase a contact with everything that was said (data protection).

A crash leaves a state from which the same call goes on: first the contact is hidden, so
that nothing new finds it, then what hangs on it goes page by page, and the contact's
own document last. Recording a message changes that document, so one that slips in
between makes the last step fail, and the loop takes it along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from shared.core.ids import ContactId, MessageId, Rfc822MessageId, SubaccountId
from shared.core.moments import milliseconds
from shared.errors import Conflict
from shared.ports import (
    Blobs,
    Clock,
    Delete,
    DeleteField,
    Documents,
    Query,
    Snapshot,
    Update,
    Write,
)
from shared.repositories import directory as records
from shared.repositories import messages, paths
from shared.services.compare_and_set import OVERTAKEN, until_settled

# A message's document may hold 200 KB inline: a page stays within a few megabytes.
_MESSAGES_PER_PAGE = 25
_DOCUMENTS_PER_PAGE = 300
_ROUNDS = 10


class Erasure:
    """Deletes contacts for good."""

    def __init__(self, documents: Documents, blobs: Blobs, clock: Clock) -> None:
        """Build with what the composition root holds."""
        self._documents = documents
        self._blobs = blobs
        self._clock = clock

    def erase(self, subaccount: SubaccountId, contact: ContactId) -> None:
        """Erase, or go on erasing; a missing contact is no error.

        Raises Transient when it is not done yet: the same call goes on.
        """
        for _ in range(_ROUNDS):
            hidden = until_settled(partial(self._hide, subaccount, contact))
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
            until_settled(partial(self._forget_addresses, subaccount, hidden))
            try:
                self._documents.commit([Delete(hidden.path, hidden.version)])
            except OVERTAKEN:
                continue  # a message came in: take it along
            return
        raise Conflict

    def _hide(self, subaccount: SubaccountId, contact: ContactId) -> Snapshot | None:
        """Hide the contact; gives its document as it is then, None when it is gone."""
        path = paths.contact(subaccount, contact)
        found = self._documents.get([path])[0]
        if not records.is_live(found):
            return found if found.exists else None
        now = milliseconds(self._clock.now())
        emails = found.data["emails"]
        self._documents.commit(records.hide_contact(subaccount, found, emails, now))
        hidden = self._documents.get([path])[0]
        return hidden if hidden.exists else None

    def _erase_messages(self, subaccount: SubaccountId, contact: ContactId) -> None:
        query = Query(
            paths.messages(subaccount),
            where=(("contact", "==", contact),),
            limit=_MESSAGES_PER_PAGE,
        )
        while page := self._documents.query(query):
            for message in page:
                # Before the document that names them, else nobody would find them.
                prefix = messages.blob_prefix(subaccount, MessageId(message.id))
                self._blobs.delete_prefix(prefix)
            until_settled(partial(self._erase_page, subaccount, page))

    def _erase_page(self, subaccount: SubaccountId, page: Sequence[Snapshot]) -> None:
        """Delete messages and their entries under their Message-IDs, in one commit."""
        by_path: dict[str, list[str]] = defaultdict(list)
        for message in page:
            rfc822 = message.data.get("rfc822_message_id")
            if rfc822:
                name = paths.message_id(subaccount, Rfc822MessageId(rfc822))
                by_path[name].append(message.id)
        writes: list[Write] = [Delete(message.path) for message in page]
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

    def _erase_all(self, query: Query) -> None:
        limited = Query(query.collection, query.where, limit=_DOCUMENTS_PER_PAGE)
        while page := self._documents.query(limited):
            self._documents.commit([Delete(one.path) for one in page])

    def _forget_addresses(self, subaccount: SubaccountId, contact: Snapshot) -> None:
        names = [paths.address(subaccount, one) for one in contact.data["emails"]]
        writes = records.forget_addresses(
            self._documents.get(names), contact.data["erased_at"]
        )
        if writes:
            self._documents.commit(writes)
