"""One mail to many contacts: accepted at once, fanned out over Pub/Sub (S2).

The call stores its content and its list of contacts in one commit with the
Idempotency-Key. Records and sends are made from that, as often as it takes: every id
follows from the call's, so making one twice is impossible.

Longer than other modules: what is stored at accepting and what is read at fanning out
have to be seen side by side.
"""

from __future__ import annotations

import json
import secrets as random_ids
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.core.ids import ContactId, MessageId, SubaccountId, UserId, digest
from shared.core.mail import Address
from shared.core.parsing.address import in_domains, normalise
from shared.core.records import Attachment, Message, Subaccount
from shared.core.sending.composing import subject_to_send
from shared.core.sending.states import Send
from shared.errors import AlreadyExists, Missing, Problem
from shared.ports import (
    Blobs,
    Clock,
    Create,
    Delete,
    Documents,
    Event,
    Snapshot,
    Topics,
    Write,
)
from shared.repositories import messages, paths, sends
from shared.repositories.messages import ENVELOPE_TYPE, EnvelopeBlob
from shared.repositories.sends import BulkRecipient, FirstResult
from shared.services.crm.directory import Directory
from shared.services.sending.recipients import find_contacts, unknown_contact
from shared.services.sending.send import (
    TOPIC,
    Accepted,
    Sending,
    check_size,
    payload_hash,
    work_event,
)
from shared.services.sending.send_records import (
    SendRequest,
    Upload,
    compose_record,
    describe,
    new_thread,
    record_writes,
)
from shared.services.sending.senders import Sender, Senders

MAX_CONTACTS = 1000
_PER_EVENT = 100
# What one event may copy of attachments, within a function's time and memory.
_COPIED_BYTES = 100 * 1024 * 1024
_PER_COMMIT = 80
_COMMIT_BYTES = 2_000_000
# Bodies bigger than this are written by the worker, not while the caller waits.
_SMALL_BODY = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Batch:
    """A bulk call as it is stored."""

    id: str
    request: SendRequest
    sender: Sender
    attachments: tuple[Attachment, ...]
    recipients: tuple[BulkRecipient, ...]
    internal_domains: tuple[str, ...]
    at: int


@dataclass(frozen=True, slots=True)
class _Made:
    """One mail of a batch, ready to be written."""

    record: Message
    writes: list[Write]
    blob: EnvelopeBlob | None
    size: int


class Bulk:
    """Accepts bulk mail and makes its messages."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        topics: Topics,
        directory: Directory,
        senders: Senders,
        sending: Sending,
        clock: Clock,
    ) -> None:
        """Use these."""
        self._documents = documents
        self._blobs = blobs
        self._topics = topics
        self._directory = directory
        self._senders = senders
        self._sending = sending
        self._clock = clock

    def submit(
        self, request: SendRequest, uploads: Sequence[Upload], key: str
    ) -> Accepted:
        """Accept a bulk call, or give its first result again.

        Raises Problem, and then nothing is stored.
        """
        payload = payload_hash(request, uploads)
        first = self._sending.first_result(request.subaccount, key, payload)
        if first is None:
            first = self._accept(request, uploads, key, payload)
        if first.batch is not None:
            self._topics.publish(TOPIC, [batch_event(request.subaccount, first.batch)])
        return Accepted(first.ids)

    def fan_out(self, subaccount: SubaccountId, batch_id: str, start: int) -> None:
        """Make some messages of a batch and publish them, then the rest of the batch.

        Repeating it changes nothing; a batch that is done does nothing.
        """
        found = self._documents.get([sends.batch_path(subaccount, batch_id)])[0]
        if not found.exists:
            return
        try:
            batch = self._load(subaccount, found)
        except Missing:
            # The content goes last: everything was published before.
            self._documents.commit([Delete(found.path)])
            return
        weight = sum(one.size for one in batch.attachments) or 1
        count = max(1, min(_PER_EVENT, _COPIED_BYTES // weight))
        some = batch.recipients[start : start + count]
        self._make(batch, some, copy=True)
        events = [work_event(subaccount, one.message) for one in some]
        self._topics.publish(TOPIC, events)
        if start + count < len(batch.recipients):
            rest = batch_event(subaccount, batch_id, start + count)
            self._topics.publish(TOPIC, [rest])
            return
        self._blobs.delete_prefix(sends.batch_prefix(subaccount, batch_id))
        self._documents.commit([Delete(found.path)])

    # --- accepting ---------------------------------------------------------------

    def _accept(
        self, request: SendRequest, uploads: Sequence[Upload], key: str, payload: str
    ) -> FirstResult:
        subaccount = self._directory.require(request.subaccount)
        member = self._senders.member(subaccount.id, request.user)
        batch_id = digest("batch", random_ids.token_hex(16))
        batch = _Batch(
            id=batch_id,
            request=request,
            sender=self._senders.choose(
                subaccount, member, request.kind, request.sender
            ),
            attachments=describe(uploads, request.html),
            recipients=self._recipients(subaccount, request.contacts, batch_id),
            internal_domains=subaccount.internal_domains,
            at=int(self._clock.now().timestamp() * 1000),
        )
        check_size(_record(batch, batch.recipients[0]), batch.sender)
        ids = tuple(one.message for one in batch.recipients)
        result = FirstResult(payload, ids, batch_id)
        self._store(batch, uploads)
        try:
            self._documents.commit(
                [
                    sends.key_write(subaccount.id, key, result),
                    Create(
                        sends.batch_path(subaccount.id, batch_id),
                        {"recipients": sends.recipients_fields(batch.recipients)},
                    ),
                ]
            )
        except AlreadyExists:
            prefix = sends.batch_prefix(subaccount.id, batch_id)
            self._blobs.delete_prefix(prefix)
            first = self._sending.first_result(subaccount.id, key, payload)
            if first is None:  # pragma: no cover - keys are kept for good
                raise
            return first
        if len(request.text or "") + len(request.html or "") <= _SMALL_BODY:
            self._make(batch, batch.recipients, copy=False)
        return result

    def _recipients(
        self, subaccount: Subaccount, ids: Sequence[ContactId], batch: str
    ) -> tuple[BulkRecipient, ...]:
        known = find_contacts(self._documents, subaccount.id, ids)
        missing = [f"/contacts/{n}" for n, one in enumerate(ids) if one not in known]
        if missing:
            raise unknown_contact(missing[:20])
        return tuple(
            BulkRecipient(
                contact=one,
                message=MessageId(digest("crm-message", batch, one)),
                address=known[one].emails[0],
                name=known[one].name or None,
            )
            for one in ids
        )

    # --- what is stored ----------------------------------------------------------

    def _store(self, batch: _Batch, uploads: Sequence[Upload]) -> None:
        """Keep the content beside the list: a document may be too small for it."""
        prefix = sends.batch_prefix(batch.request.subaccount, batch.id)
        for number, upload in enumerate(uploads):
            place = f"{prefix}attachments/{number}"
            self._blobs.put(place, upload.data, "application/octet-stream")
        content = {
            "kind": batch.request.kind,
            "user": batch.request.user,
            "subject": batch.request.subject,
            "text": batch.request.text,
            "html": batch.request.html,
            "name": batch.sender.address.name,
            "from": batch.sender.address.address,
            "attachments": [
                [one.id, one.filename, one.content_type, one.size, one.content_id]
                for one in batch.attachments
            ],
            "internal_domains": list(batch.internal_domains),
            "at": batch.at,
        }
        raw = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        self._blobs.put(f"{prefix}content.json", raw, ENVELOPE_TYPE)

    def _load(self, subaccount: SubaccountId, found: Snapshot) -> _Batch:
        prefix = sends.batch_prefix(subaccount, found.id)
        content = json.loads(self._blobs.get(f"{prefix}content.json"))
        return _Batch(
            id=found.id,
            request=SendRequest(
                subaccount=subaccount,
                kind=content["kind"],
                user=UserId(content["user"]),
                subject=content["subject"],
                text=content["text"],
                html=content["html"],
            ),
            sender=Sender("provider", Address(content["name"], content["from"])),
            attachments=tuple(
                Attachment(i, name, kind, size, stored=True, content_id=content_id)
                for i, name, kind, size, content_id in content["attachments"]
            ),
            recipients=tuple(sends.recipients_from(found.data["recipients"])),
            internal_domains=tuple(content["internal_domains"]),
            at=content["at"],
        )

    # --- making ------------------------------------------------------------------

    def _make(
        self, batch: _Batch, some: Sequence[BulkRecipient], *, copy: bool
    ) -> None:
        """Write records and sends that are missing; `copy` brings the attachments."""
        for group in _groups([_made(batch, one) for one in some]):
            for one in group:
                if one.blob is not None:
                    self._blobs.put(one.blob.key, one.blob.data, ENVELOPE_TYPE)
            try:
                self._documents.commit([write for one in group for write in one.writes])
            except (AlreadyExists, Missing):
                for one in group:
                    self._make_one(one)
        if copy:
            for recipient in some:
                self._copy_attachments(batch, recipient)

    def _make_one(self, made: _Made) -> None:
        try:
            self._documents.commit(made.writes)
        except AlreadyExists:
            return  # made before
        except Missing:  # the contact was erased meanwhile
            prefix = messages.blob_prefix(made.record.subaccount, made.record.id)
            self._blobs.delete_prefix(prefix)

    def _copy_attachments(self, batch: _Batch, recipient: BulkRecipient) -> None:
        """Each message has its own bytes, so that erasing one contact erases them."""
        if not batch.attachments:
            return
        subaccount = batch.request.subaccount
        if not self._is_made(subaccount, recipient.message):
            return
        prefix = sends.batch_prefix(subaccount, batch.id)
        for one in batch.attachments:
            data = self._blobs.get(f"{prefix}attachments/{one.id}")
            place = messages.attachment_key(subaccount, recipient.message, one.id)
            self._blobs.put(place, data, "application/octet-stream")

    def _is_made(self, subaccount: SubaccountId, message: MessageId) -> bool:
        path = paths.message(subaccount, message)
        return self._documents.get([path])[0].exists


def batch_event(subaccount: SubaccountId, batch: str, start: int = 0) -> Event:
    """What tells the worker to fan a batch out from here."""
    data = {"subaccount": subaccount, "batch": batch, "start": start}
    return Event(json.dumps(data).encode())


def check_contacts(contacts: Sequence[str]) -> None:
    """Refuse an empty list, more than a call takes, and a contact that is there twice.

    Raises Problem.
    """
    if len(contacts) > MAX_CONTACTS:
        raise Problem(
            422,
            "too_many_contacts",
            f"A bulk call takes at most {MAX_CONTACTS} contacts.",
            errors=({"pointer": "/contacts", "detail": "has too many items"},),
        )
    seen: set[str] = set()
    twice = []
    for number, one in enumerate(contacts):
        if one in seen:
            twice.append(
                {"pointer": f"/contacts/{number}", "detail": "is there already"}
            )
        seen.add(one)
    if twice:
        raise Problem(
            422,
            "invalid_request",
            "A contact gets a bulk mail once.",
            errors=tuple(twice[:20]),
        )


def _record(batch: _Batch, recipient: BulkRecipient) -> Message:
    return compose_record(
        batch.request,
        batch.sender,
        recipient.message,
        contact=recipient.contact,
        thread=new_thread(recipient.message),
        to=(Address(recipient.name, normalise(recipient.address) or ""),),
        subject=subject_to_send(batch.request.subject or ""),
        attachments=batch.attachments,
        now=batch.at,
    )


def _made(batch: _Batch, recipient: BulkRecipient) -> _Made:
    record = _record(batch, recipient)
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
    internal = in_domains(recipient.address, batch.internal_domains)
    external = () if internal else (recipient.address,)
    writes = record_writes(record, stored.data, external)
    path = sends.send_path(record.subaccount, record.id)
    writes.append(Create(path, sends.send_document(send)))
    size = 2000 + len(stored.data.get("envelope", ""))
    return _Made(record, writes, stored.blob, size)


def _groups(made: Sequence[_Made]) -> Iterator[list[_Made]]:
    """Cut into what one commit takes."""
    group: list[_Made] = []
    size = 0
    for one in made:
        if group and (len(group) == _PER_COMMIT or size + one.size > _COMMIT_BYTES):
            yield group
            group, size = [], 0
        group.append(one)
        size += one.size
    if group:
        yield group
