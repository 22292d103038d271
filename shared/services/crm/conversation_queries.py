"""Read what was recorded: conversations, messages and attachments of one subaccount."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.core.ids import ContactId, MessageId, SubaccountId
from shared.core.records import Attachment, Contact, Message
from shared.errors import DocumentMissing, Problem
from shared.ports import Blobs, Documents, Query
from shared.repositories import directory as records
from shared.repositories import messages, paths
from shared.services.crm.directory import Directory, not_found

Item = TypeVar("Item")
Position = tuple[int, str]
"""Where a page ended: sort value and document id."""

# Big bodies of one page; a page that would hold more ends early (allowed).
_PAGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Part of a list; `end` is where the next part begins, None at the end."""

    items: tuple[Item, ...]
    end: Position | None


class ConversationQueries:
    """Reads one subaccount at a time; every key is built from its id."""

    def __init__(
        self, documents: Documents, blobs: Blobs, directory: Directory
    ) -> None:
        """Build with what the composition root holds."""
        self._documents = documents
        self._blobs = blobs
        self._directory = directory

    def conversations(
        self, subaccount: SubaccountId, *, limit: int, after: Position | None
    ) -> Page[Contact]:
        """Contacts with mail, newest first. One that is being erased is left out."""
        self._directory.require(subaccount)
        found = self._documents.query(
            Query(
                paths.contacts(subaccount),
                order_by=(("last_message_at", "desc"),),
                limit=limit + 1,
                start_after=after,
            )
        )
        page = found[:limit]
        return Page(
            tuple(
                records.to_contact(subaccount, document)
                for document in page
                if records.is_live(document)
            ),
            (page[-1].data["last_message_at"], page[-1].id)
            if len(found) > limit
            else None,
        )

    def conversation(
        self,
        subaccount: SubaccountId,
        contact: ContactId,
        *,
        limit: int,
        after: Position | None,
    ) -> Page[Message]:
        """Messages with one contact, newest first (T4); raises Problem 404."""
        if self._directory.contact(subaccount, contact) is None:
            raise not_found("contact")
        query = messages.conversation(
            subaccount, contact, limit=limit + 1, start_after=after
        )
        found = self._documents.query(query)
        items: list[Message] = []
        size = 0
        for snapshot in found[:limit]:
            try:
                message = messages.from_snapshot(snapshot, self._blobs)
            except DocumentMissing:
                continue  # it is being erased
            size += _size(message)
            if items and size > _PAGE_BYTES:
                break
            items.append(message)
        else:
            if len(found) <= limit:
                return Page(tuple(items), None)
            last = found[limit - 1]
            return Page(tuple(items), (last.data["sent_at"], last.id))
        return Page(tuple(items), (items[-1].sent_at, items[-1].id))

    def message(self, subaccount: SubaccountId, message: MessageId) -> Message:
        """One message with its body; raises Problem 404.

        A message of a contact that is being erased is gone already.
        """
        try:
            found = messages.load(self._documents, self._blobs, subaccount, message)
        except DocumentMissing:
            found = None
        if found is None or not self._directory.contact(subaccount, found.contact):
            raise not_found("message")
        return found

    def attachment(
        self, subaccount: SubaccountId, message: MessageId, attachment: str
    ) -> tuple[Attachment, Iterator[bytes]]:
        """An attachment and its bytes in pieces; raises Problem 404."""
        record = self.message(subaccount, message)
        envelope = record.envelope
        known = envelope.attachments if envelope else ()
        found = next(
            (candidate for candidate in known if candidate.id == attachment), None
        )
        if found is None:
            raise not_found("attachment")
        if not found.stored:
            raise Problem(
                404,
                "attachment_not_stored",
                "The attachment was too large to be stored.",
            )
        key = messages.attachment_key(record, attachment)
        try:
            # The first piece now, so that a lost one is an answer and no broken stream.
            pieces = self._blobs.stream(key)
            first = next(pieces, b"")
        except DocumentMissing:
            raise not_found("attachment") from None
        return found, itertools.chain((first,), pieces)


def _size(message: Message) -> int:
    envelope = message.envelope
    if envelope is None:
        return 0
    parts = (envelope.text, envelope.html, envelope.html_original)
    return sum(len(part) for part in parts if part)
