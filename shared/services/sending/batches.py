"""A bulk call as it is stored, from its accepting until all of its mails are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.ids import SubaccountId, UserId
from shared.core.mail import Address
from shared.core.parsing.address import normalise
from shared.core.records import Attachment, Message
from shared.core.sending.composing import subject_to_send
from shared.ports import Blobs, Create, Snapshot
from shared.repositories import sends
from shared.repositories.messages import attachment_name
from shared.repositories.sends import BulkRecipient
from shared.services.blob_uploads import BlobUpload
from shared.services.sending.send_records import (
    SendRequest,
    Upload,
    compose_record,
    new_thread,
)
from shared.services.sending.senders import Sender


@dataclass(frozen=True, slots=True)
class Batch:
    """A bulk call; `prefix` is what the keys of its blobs begin with."""

    id: str
    request: SendRequest
    sender: Sender
    attachments: tuple[Attachment, ...]
    recipients: tuple[BulkRecipient, ...]
    internal_domains: tuple[str, ...]
    at: int
    prefix: str = ""

    def record(self, recipient: BulkRecipient) -> Message:
        """The record of one of its mails."""
        return compose_record(
            self.request,
            self.sender,
            recipient.message,
            contact=recipient.contact,
            thread=new_thread(recipient.message),
            to=(_person(recipient.name, recipient.address),),
            subject=subject_to_send(self.request.subject or ""),
            attachments=self.attachments,
            now=self.at,
        )


def write(batch: Batch) -> Create:
    """The write that keeps the list of contacts; `put_content` comes first."""
    return Create(
        sends.batch_path(batch.request.subaccount, batch.id),
        {
            "recipients": sends.recipients_fields(batch.recipients),
            "blobs": batch.prefix,
        },
    )


def put_content(place: BlobUpload, batch: Batch, uploads: Sequence[Upload]) -> None:
    """Keep the content beside the list: a document may be too small for it."""
    for number, upload in enumerate(uploads):
        name = attachment_name(str(number))
        place.put(name, upload.data, "application/octet-stream")
    content = {
        "kind": batch.request.kind,
        "user": batch.request.user,
        "subject": batch.request.subject,
        "text": batch.request.text,
        "html": batch.request.html,
        "list_unsubscribe": batch.request.list_unsubscribe,
        "name": batch.sender.address.name,
        "from": batch.sender.address.shown,
        "attachments": [
            [
                attachment.id,
                attachment.filename,
                attachment.content_type,
                attachment.size,
                attachment.content_id,
            ]
            for attachment in batch.attachments
        ],
        "internal_domains": list(batch.internal_domains),
        "at": batch.at,
    }
    raw = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    place.put("content.json", raw, "application/json")


def load(blobs: Blobs, subaccount: SubaccountId, found: Snapshot) -> Batch:
    """Read what was stored."""
    prefix = found.data.get("blobs") or sends.batch_prefix(subaccount, found.id)
    content = json.loads(blobs.get(f"{prefix}content.json"))
    return Batch(
        id=found.id,
        request=SendRequest(
            subaccount=subaccount,
            kind=content["kind"],
            user=UserId(content["user"]),
            subject=content["subject"],
            text=content["text"],
            html=content["html"],
            list_unsubscribe=tuple(content.get("list_unsubscribe", ())),
        ),
        sender=Sender("provider", _person(content["name"], content["from"])),
        attachments=tuple(
            Attachment(
                i,
                name,
                kind,
                size,
                stored=True,
                content_id=content_id,
                inline=content_id is not None,
            )
            for i, name, kind, size, content_id in content["attachments"]
        ),
        recipients=tuple(sends.recipients_from(found.data["recipients"])),
        internal_domains=tuple(content["internal_domains"]),
        at=content["at"],
        prefix=prefix,
    )


def _person(name: str | None, written: str) -> Address:
    return Address(name, normalise(written) or "", written)


def attachment_key(batch: Batch, attachment: str) -> str:
    """Where the bytes of an attachment of all its mails are."""
    return batch.prefix + attachment_name(attachment)
