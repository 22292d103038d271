"""Make the mails of a bulk call, some at a time over Pub/Sub (S2).

Every id follows from the call's, so making a mail twice is impossible, and repeating
any of it changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from shared.core.ids import ContactId, SubaccountId
from shared.core.parsing.address import in_domains, normalise
from shared.core.records import Message
from shared.core.sending.states import Send
from shared.errors import AlreadyExists, DocumentMissing
from shared.ports import Create, Delete, Snapshot, Update, Write
from shared.repositories import bounded, messages, paths, sends
from shared.repositories.directory import is_live, to_contact
from shared.repositories.messages import MessageDocument
from shared.repositories.sends import BulkRecipient
from shared.services.compare_and_set import retry_on_conflict
from shared.services.sending import batches
from shared.services.sending.batches import Batch
from shared.services.sending.outbound_work import OutboundWork
from shared.services.sending.send_context import SendContext
from shared.services.sending.send_records import record_writes

_PER_EVENT = 100
# What one event may copy of attachments, within a function's time and memory.
_COPIED_BYTES = 100 * 1024 * 1024
_PER_COMMIT = 80
_COMMIT_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class _Made:
    """One mail of a batch, ready to be written."""

    record: Message
    stored: MessageDocument
    writes: list[Write]
    size: int
    named: Callable[[], None] = lambda: None


class FanOut:
    """Makes records and sends of batches."""

    def __init__(self, context: SendContext) -> None:
        self._context = context
        self._documents = context.documents
        self._blobs = context.blobs

    def go_on(self, subaccount: SubaccountId, batch_id: str, start: int) -> None:
        """Make some mails of a batch and publish them, then the rest of the batch.

        A batch that is done does nothing.
        """
        found = self._documents.get([sends.batch_path(subaccount, batch_id)])[0]
        if not found.exists:
            return
        batch = batches.load(self._blobs, subaccount, found)
        weight = sum(attachment.size for attachment in batch.attachments) or 1
        count = max(1, min(_PER_EVENT, _COPIED_BYTES // weight))
        some = batch.recipients[start : start + count]
        left = self._not_erased(batch, some)
        self.make(batch, left)
        for recipient in left:
            self._copy_attachments(batch, recipient)
        self._context.publish(
            [OutboundWork(subaccount, recipient.message) for recipient in some]
        )
        if start + count < len(batch.recipients):
            rest = OutboundWork(subaccount, batch=batch_id, start=start + count)
            self._context.publish([rest])
            return
        removal = self._context.uploads.removal([batch.prefix])
        self._documents.commit([Delete(found.path), *removal.writes()])
        self._context.uploads.remove(removal)

    def _not_erased(
        self, batch: Batch, some: Sequence[BulkRecipient]
    ) -> dict[BulkRecipient, object | None]:
        """The contacts that are those of the call, as they are now, with versions.

        One that was erased has had its mail erased as well, and the CRM may have given
        its id to somebody else: nothing is made again.
        """
        names = [
            paths.contact(batch.request.subaccount, ContactId(recipient.contact))
            for recipient in some
        ]
        found = self._documents.get(names)
        return {
            _as_now(batch, recipient, now): now.version
            for recipient, now in zip(some, found, strict=True)
            if is_live(now) and recipient.stored in {None, now.created}
        }

    def make(
        self,
        batch: Batch,
        some: Mapping[BulkRecipient, object | None],
    ) -> None:
        """Write the records and sends that are missing, without their attachments.

        With the version of a contact raises Conflict when that changes meanwhile.
        """
        for group in _groups([_made(batch, *item) for item in some.items()]):
            with ExitStack() as uploads:
                made = [self._with_blob(mail, uploads) for mail in group]
                try:
                    bounded.commit(
                        self._documents,
                        [write for mail in made for write in mail.writes],
                    )
                except (AlreadyExists, DocumentMissing):
                    for mail in made:
                        self._make_one(mail)
                else:
                    for mail in made:
                        mail.named()

    def _with_blob(self, made: _Made, uploads: ExitStack) -> _Made:
        """Put the blob of a mail whose words are too many for its document."""
        under = messages.blob_prefix(made.record.subaccount, made.record.id)
        upload = uploads.enter_context(self._context.uploads.begin(under))
        made.stored.put_blob(upload.put)
        return replace(
            made, writes=[*made.writes, *upload.naming()], named=upload.named
        )

    def _make_one(self, made: _Made) -> None:
        with suppress(
            AlreadyExists, DocumentMissing
        ):  # made before, or its contact is erased
            bounded.commit(self._documents, made.writes)
            made.named()

    def _copy_attachments(self, batch: Batch, recipient: BulkRecipient) -> None:
        """Each message has its own bytes, so that erasing one contact erases them."""
        subaccount, message = batch.request.subaccount, recipient.message
        path = paths.message(subaccount, message)
        if not batch.attachments or self._without_blobs(path) is None:
            return
        under = messages.blob_prefix(subaccount, message)
        with self._context.uploads.begin(under) as upload:
            for attachment in batch.attachments:
                data = self._blobs.get(batches.attachment_key(batch, attachment.id))
                name = messages.attachment_name(attachment.id)
                upload.put(name, data, "application/octet-stream")

            def name_them() -> None:
                found = self._without_blobs(path)
                if found is not None:
                    named = Update(path, {"blobs": upload.prefix}, found.version)
                    self._documents.commit([named, *upload.naming()])
                    upload.named()

            retry_on_conflict(name_them)

    def _without_blobs(self, path: str) -> Snapshot | None:
        """The message, unless it is not there or has its attachments."""
        found = self._documents.get([path])[0]
        return found if found.exists and "blobs" not in found.data else None


def _as_now(batch: Batch, recipient: BulkRecipient, found: Snapshot) -> BulkRecipient:
    contact = to_contact(batch.request.subaccount, found)
    return replace(
        recipient, address=contact.given_emails[0], name=contact.name or None
    )


def _made(batch: Batch, recipient: BulkRecipient, contact: object | None) -> _Made:
    record = batch.record(recipient)
    stored = messages.to_document(record)
    send = Send(
        subaccount=record.subaccount,
        message=record.id,
        kind=batch.request.kind,
        route="provider",
        user=batch.request.user,
        batch=batch.id,
        accepted_at=batch.at,
        look_at=batch.at,
    )
    address = normalise(recipient.address) or ""
    internal = in_domains(address, batch.internal_domains)
    external = () if internal else (address,)
    writes = record_writes(record, stored.data, external, contact)
    path = sends.send_path(record.subaccount, record.id)
    writes.append(Create(path, sends.send_document(send)))
    size = 2000 + len(stored.data.get("envelope", ""))
    return _Made(record, stored, writes, size)


def _groups(made: Sequence[_Made]) -> Iterator[list[_Made]]:
    """Cut into what one commit takes."""
    group: list[_Made] = []
    size = 0
    for mail in made:
        if group and (len(group) == _PER_COMMIT or size + mail.size > _COMMIT_BYTES):
            yield group
            group, size = [], 0
        group.append(mail)
        size += mail.size
    if group:
        yield group
