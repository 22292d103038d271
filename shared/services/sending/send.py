"""Take a mail that the CRM sends: check all of it, store it once, publish it (S7, S10).

The record, the send and its place under the cap are one commit with the
Idempotency-Key (`accepting.py`); attachments are there before it.
"""

from __future__ import annotations

import secrets as random_ids
from collections.abc import Sequence
from dataclasses import replace

from shared.core.ids import MessageId, SubaccountId, digest
from shared.core.records import Attachment, Message, Status
from shared.core.sending.composing import subject_to_send
from shared.core.sending.replying import reply_subject
from shared.core.sending.signing import signed
from shared.core.sending.states import Send, waits
from shared.errors import Problem
from shared.ports import Create, Write
from shared.repositories import messages, paths, sends
from shared.repositories.sends import FirstResult, Sends
from shared.services.blob_uploads import BlobUpload
from shared.services.sending.outbound_work import OutboundWork
from shared.services.sending.recipients import Recipients, find_recipients
from shared.services.sending.send_context import SendContext
from shared.services.sending.send_records import (
    SendRequest,
    Upload,
    compose_record,
    describe,
    new_thread,
    record_writes,
    redacted_call,
)
from shared.services.sending.senders import Sender, bad_field
from shared.services.sending.submission import (
    Accepted,
    SendSubmission,
    check_size,
    payload_hash,
)


class SendService:
    """Accepts mail of the CRM."""

    def __init__(self, context: SendContext) -> None:
        self._context = context
        self._submission = SendSubmission(context.documents)
        self._documents = context.documents
        self._sends = Sends(context.documents)

    def submit(
        self, request: SendRequest, uploads: Sequence[Upload], key: str
    ) -> Accepted:
        """Accept one mail, or give the first result of this key again.

        Raises Problem, and then nothing is stored.
        """
        payload = payload_hash(request, uploads)
        first = self._submission.first_result(request.subaccount, key, payload)
        if first is None:
            try:
                first = self._accept(request, uploads, key, payload)
            except Problem:
                # The same call at the same moment may have been accepted meanwhile.
                first = self._submission.first_result(request.subaccount, key, payload)
                if first is None:
                    raise
        return self._accepted(request.subaccount, first)

    def resume(self, stalled_since: int) -> int:
        """Publish what should have been looked at since then (ms); says how many.

        A mail whose publishing was lost, or that waited for the end of a pause, is
        found by its document.
        """
        count = 0
        for page in self._sends.stalled_since(stalled_since):
            switches = self._context.pausing.switches()
            due = [
                OutboundWork(send.subaccount, send.message)
                for send in page
                if not waits(send, paused=switches.of(send.subaccount).paused)
            ]
            if due:
                self._context.publish(due)
            count += len(due)
        return count

    def _accepted(self, subaccount: SubaccountId, first: FirstResult) -> Accepted:
        """Answer, and see that the mail is on its way: a crash may have cut in."""
        (message,) = first.ids
        if self._sends.exists(subaccount, message):
            self._context.publish([OutboundWork(subaccount, message)])
        return Accepted(first.ids, self._status(subaccount, message))

    def _status(self, subaccount: SubaccountId, message: MessageId) -> Status:
        found = self._documents.get([paths.message(subaccount, message)])[0]
        status: Status = found.data.get("status", "queued")
        return status

    # --- one mail ----------------------------------------------------------------

    def _accept(
        self, request: SendRequest, uploads: Sequence[Upload], key: str, payload: str
    ) -> FirstResult:
        context = self._context
        request, uploads = redacted_call(request, uploads, context.bcc_form)
        subaccount = context.directory.require(request.subaccount)
        context.pausing.refuse_if_paused(subaccount.id)
        member = context.senders.member(subaccount.id, request.user)
        people = find_recipients(
            self._documents, subaccount, request.to, request.cc, request.bcc
        )
        parent = self._parent(request)
        sender = context.senders.choose(
            subaccount, member, request.kind, request.sender
        )
        if request.signature:
            html = context.senders.signature(sender)
            text, written = signed(request.text, request.html, html)
            request = replace(request, text=text, html=written)
        now = context.now()
        attachments = describe(uploads, request.html)
        record = _record(request, sender, people, parent, attachments, now)
        check_size(record, sender)
        send = Send(
            subaccount=subaccount.id,
            message=record.id,
            kind=request.kind,
            route=sender.route,
            user=member.id,
            mailbox=sender.mailbox,
            answers=request.answers,
            accepted_at=now,
            look_at=now,
        )
        self._counted(send)  # before anything is uploaded; the commit is what decides
        with context.uploads.begin(
            messages.blob_prefix(subaccount.id, record.id)
        ) as upload:
            return self._submission.store(
                subaccount.id,
                key,
                FirstResult(payload, (record.id,)),
                self._writes(record, uploads, people, send, upload),
                counted=lambda: self._counted(send),
                upload=upload,
            )

    def _writes(
        self,
        record: Message,
        uploads: Sequence[Upload],
        people: Recipients,
        send: Send,
        upload: BlobUpload,
    ) -> list[Write]:
        """The writes of a mail, whose blobs are put first."""
        for number, written in enumerate(uploads):
            name = messages.attachment_name(str(number))
            upload.put(name, written.data, "application/octet-stream")
        if uploads:
            record = replace(record, blobs=upload.prefix)
        stored = messages.to_document(record)
        stored.put_blob(upload.put)
        path = sends.send_path(record.subaccount, record.id)
        return [
            *record_writes(record, stored.data, people.external),
            Create(path, sends.send_document(send)),
        ]

    def _counted(self, send: Send) -> Write:
        """The write by which it counts for its cap; raises Problem (S5)."""
        if send.mailbox is None:
            return self._context.caps.take(send.subaccount)
        return self._context.caps.reserve(send.mailbox, send.message)

    def _parent(self, request: SendRequest) -> Message | None:
        if request.answers is None:
            return None
        path = paths.message(request.subaccount, request.answers)
        found = self._documents.get([path])[0]
        parent = messages.from_snapshot(found) if found.exists else None
        if parent is None or not self._context.directory.contact(
            request.subaccount, parent.contact
        ):
            raise bad_field("/reply_to_message", "no such message")
        if parent.status == "failed":
            raise bad_field(
                "/reply_to_message", "refers to a message that was not sent"
            )
        return parent


def _record(
    request: SendRequest,
    sender: Sender,
    people: Recipients,
    parent: Message | None,
    attachments: tuple[Attachment, ...],
    now: int,
) -> Message:
    subject = subject_to_send(request.subject or "")
    if parent is not None:
        subject = reply_subject(subject, parent.subject)
    message = MessageId(digest("crm-message", random_ids.token_hex(16)))
    return compose_record(
        request,
        sender,
        message,
        contact=parent.contact if parent else people.contact,
        thread=parent.thread if parent else new_thread(message),
        to=people.to,
        cc=people.cc,
        bcc=people.bcc,
        subject=subject_to_send(subject),
        attachments=attachments,
        now=now,
    )
