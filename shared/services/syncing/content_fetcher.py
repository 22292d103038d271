"""Reads the content of what is recorded, and makes the record and its attachments.

Promises: nothing of a message that no rule records is read (M14); attachments are in
the blob store before the record that names them is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.core.limits import MAX_ATTACHMENT_BYTES
from shared.core.mail import AttachmentPart, Content, MessageHeaders
from shared.core.matching import recording
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import hide_in_content, hide_in_file
from shared.core.matching.places import Placement
from shared.core.moments import to_epoch_ms
from shared.core.records import Attachment, Message
from shared.errors import GmailNotFound, RateLimited, Transient
from shared.ports import Clock
from shared.repositories import messages
from shared.services.blob_uploads import BlobUpload
from shared.services.syncing.batch import Batch, Item


class AttachmentUnread(Transient):
    """Gmail did not hand out an attachment as it should."""


class ContentFetcher:
    """From Gmail's content to the record that a commit makes visible."""

    def __init__(self, clock: Clock, bcc_form: BccAddressFormat | None) -> None:
        self._clock = clock
        self._bcc_form = bcc_form

    def read(self, batch: Batch, items: Sequence[Item]) -> None:
        """Read, in one go, what a subaccount is to record that has no record yet."""
        wanted = [entry for entry in items if _is_wanted(batch, entry)]
        ids = [entry.todo.gmail_message_id for entry in wanted]
        found = batch.gmail.contents(ids) if ids else {}
        for item in wanted:
            answer = found.get(item.todo.gmail_message_id, GmailNotFound())
            if isinstance(answer, Content):
                item.content = hide_in_content(answer, self._bcc_form)
            else:
                item.failure = answer

    def fetch(self, batch: Batch, headers: MessageHeaders) -> Content:
        """Read what one copy says, to be compared with its record (M9)."""
        name = headers.gmail_message_id
        answer = batch.gmail.contents([name]).get(name, GmailNotFound())
        if isinstance(answer, Content):
            return hide_in_content(answer, self._bcc_form)
        raise answer

    def record(
        self,
        batch: Batch,
        content: Content,
        headers: MessageHeaders,
        place: Placement,
        upload: BlobUpload,
    ) -> Message:
        """Make the record of a message at this place; uploads its attachments."""
        attachments = tuple(
            self._keep(batch, upload, headers, str(n), part)
            for n, part in enumerate(content.attachments)
        )
        record = recording.compose(
            headers,
            batch.mailbox,
            place,
            content,
            attachments,
            batch.shown_html(headers, content),
            to_epoch_ms(self._clock.now()),
        )
        if any(attachment.stored for attachment in attachments):
            return replace(record, blobs=upload.prefix)
        return record

    def _keep(
        self,
        batch: Batch,
        upload: BlobUpload,
        headers: MessageHeaders,
        number: str,
        part: AttachmentPart,
    ) -> Attachment:
        """Store one attachment, unless a cap keeps it out."""
        data = part.data
        if data is None and part.size <= MAX_ATTACHMENT_BYTES:
            data = _fetch(batch, headers, part)
        if data is not None:
            data = hide_in_file(part.content_type, data, self._bcc_form)
            name = messages.attachment_name(number)
            upload.put(name, data, "application/octet-stream")
        return Attachment(
            id=number,
            filename=part.filename,
            content_type=part.content_type,
            size=part.size if data is None else len(data),
            stored=data is not None,
            content_id=part.content_id,
            inline=part.inline,
        )


def _is_wanted(batch: Batch, item: Item) -> bool:
    """Say whether a subaccount is to record it that has no record yet."""
    if item.failure is not None or item.decision is None or item.headers is None:
        return False
    headers = item.headers
    return item.content is None and any(
        not batch.is_recorded(headers, place) for place in item.decision.places
    )


def _fetch(batch: Batch, headers: MessageHeaders, part: AttachmentPart) -> bytes | None:
    if part.gmail_attachment_id is None:
        return None
    message, attachment = headers.gmail_message_id, part.gmail_attachment_id
    try:
        return batch.gmail.attachment(message, attachment)
    except RateLimited:
        raise
    except Transient as fault:
        raise AttachmentUnread(fault.detail, retry_after=fault.retry_after) from fault
