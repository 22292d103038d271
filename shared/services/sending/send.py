"""Take a mail that the CRM sends: check all of it, store it once, publish it (S7, S10).

Everything that a call stores is one commit with its Idempotency-Key, so two calls under
one key store one mail, whichever comes first and wherever either dies.

Longer than other modules: the order of these steps is the exactly-once promise, so it
is kept on one page.
"""

from __future__ import annotations

import hashlib
import json
import secrets as random_ids
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from shared.core.ids import (
    MailboxId,
    MessageId,
    SubaccountId,
    digest,
)
from shared.core.records import (
    Message,
    Status,
)
from shared.core.sending import send_window
from shared.core.sending.composing import (
    mail_size,
    subject_to_send,
)
from shared.core.sending.replying import reply_subject
from shared.core.sending.send_window import Full
from shared.core.sending.states import Send
from shared.errors import AlreadyExists, Conflict, Malformed, Missing, Problem
from shared.ports import (
    Blobs,
    Clock,
    Create,
    Documents,
    Event,
    Topics,
    Write,
)
from shared.repositories import messages, paths, sends
from shared.repositories.messages import ENVELOPE_TYPE
from shared.repositories.sends import FirstResult, Sends
from shared.services.crm.directory import Directory
from shared.services.sending.caps import SendCaps
from shared.services.sending.recipients import Recipients, find_recipients
from shared.services.sending.send_records import (
    SendRequest,
    Upload,
    compose_record,
    describe,
    mail_of,
    new_thread,
    record_writes,
)
from shared.services.sending.senders import Sender, Senders

TOPIC = "outbound-messages"
MAX_ATTACHMENTS_BYTES = 25 * 1024 * 1024
# Gmail API discovery document, `drafts.create`, `maxSize` (read 2026-11). 25 MiB of
# attachments in base64 leave some 800 kB of it for the words.
MAX_MAIL_BYTES = 36_700_160
# One document holds a mailbox's sends: of so many calls at once each has its turn.
_TURNS = 100


@dataclass(frozen=True, slots=True)
class Accepted:
    """The messages that a call made, in the order of the request."""

    ids: tuple[MessageId, ...]
    status: Status = "queued"


def payload_hash(request: SendRequest, uploads: Sequence[Upload]) -> str:
    """One hash for the same content, the attachments' bytes included."""
    content = {
        "request": asdict(request),
        "attachments": [
            [
                one.filename,
                one.content_type,
                one.content_id,
                hashlib.sha256(one.data).hexdigest(),
            ]
            for one in uploads
        ],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def key_reused() -> Problem:
    """The refusal for a key under which something else was asked."""
    return Problem(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for a call with other content.",
    )


class Sending:
    """Accepts mail of the CRM."""

    def __init__(
        self,
        documents: Documents,
        blobs: Blobs,
        topics: Topics,
        directory: Directory,
        senders: Senders,
        caps: SendCaps,
        clock: Clock,
    ) -> None:
        """Use these gateways."""
        self._documents = documents
        self._blobs = blobs
        self._topics = topics
        self._directory = directory
        self._senders = senders
        self._sends = Sends(documents)
        self._caps = caps
        self._clock = clock

    def left_today(self, mailbox: MailboxId) -> int:
        """Sends that this mailbox has left at this moment (S5)."""
        return self._caps.left_today(mailbox)

    def first_result(
        self, subaccount: SubaccountId, key: str, payload: str
    ) -> FirstResult | None:
        """What this key was answered before; raises Problem for other content."""
        found = self._documents.get([sends.key_path(subaccount, key)])[0]
        if not found.exists:
            return None
        first = sends.key_from(found)
        if first.payload != payload:
            raise key_reused()
        return first

    def submit(
        self, request: SendRequest, uploads: Sequence[Upload], key: str
    ) -> Accepted:
        """Accept one mail, or give the first result of this key again.

        Raises Problem, and then nothing is stored.
        """
        payload = payload_hash(request, uploads)
        first = self.first_result(request.subaccount, key, payload)
        if first is None:
            try:
                first = self._accept(request, uploads, key, payload)
            except Problem:
                # The same call at the same moment may have been accepted meanwhile.
                first = self.first_result(request.subaccount, key, payload)
                if first is None:
                    raise
        return self.accepted(request.subaccount, first)

    def accepted(self, subaccount: SubaccountId, first: FirstResult) -> Accepted:
        """Answer, and see that the mail is on its way: a crash may have cut in."""
        (message,) = first.ids
        if self._sends.exists(subaccount, message):
            self._topics.publish(TOPIC, [work_event(subaccount, message)])
        return Accepted(first.ids, self._status(subaccount, message))

    def resume(self, stalled_since: int) -> int:
        """Publish what should have been looked at since then (ms); says how many.

        For the sweep: a mail whose publishing was lost is found by its document.
        """
        found = self._sends.stalled_since(stalled_since)
        events = [work_event(one.subaccount, one.message) for one in found]
        if events:
            self._topics.publish(TOPIC, events)
        return len(events)

    # --- one mail ----------------------------------------------------------------

    def _accept(
        self, request: SendRequest, uploads: Sequence[Upload], key: str, payload: str
    ) -> FirstResult:
        subaccount = self._directory.require(request.subaccount)
        member = self._senders.member(subaccount.id, request.user)
        people = find_recipients(
            self._documents, subaccount, request.to, request.cc, request.bcc
        )
        parent = self._parent(request)
        sender = self._senders.choose(subaccount, member, request.kind, request.sender)
        now = int(self._clock.now().timestamp() * 1000)
        record = self._record(request, sender, people, parent, uploads, now)
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
        self._check_cap(send)
        prefix = messages.blob_prefix(subaccount.id, record.id)
        stored = messages.to_document(record)
        if stored.blob is not None:
            self._blobs.put(stored.blob.key, stored.blob.data, ENVELOPE_TYPE)
        for number, upload in enumerate(uploads):
            place = messages.attachment_key(subaccount.id, record.id, str(number))
            self._blobs.put(place, upload.data, "application/octet-stream")
        writes: list[Write] = [
            sends.key_write(subaccount.id, key, FirstResult(payload, (record.id,))),
            *record_writes(record, stored.data, people.external),
            Create(
                sends.send_path(subaccount.id, record.id), sends.send_document(send)
            ),
        ]
        try:
            made = self._commit(send, writes, key, payload)
        except (Problem, Conflict):
            self._blobs.delete_prefix(prefix)
            raise
        if made is not None:
            self._blobs.delete_prefix(prefix)
            return made
        return FirstResult(payload, (record.id,))

    def _commit(
        self, send: Send, writes: list[Write], key: str, payload: str
    ) -> FirstResult | None:
        """Store the mail with its place under the cap; another's result if it won."""
        for _ in range(_TURNS):
            window = self._reserve(send)
            try:
                self._documents.commit([*window, *writes])
            except Missing:
                raise Problem(
                    422, "unknown_contact", "The contact has just been erased."
                ) from None
            except (AlreadyExists, Conflict):
                first = self.first_result(send.subaccount, key, payload)
                if first is not None:
                    return first
                continue
            return None
        raise Conflict

    def _reserve(self, send: Send) -> list[Write]:
        """The write that takes one of the mailbox's sends; raises Problem (S5)."""
        if send.mailbox is None:
            return []
        found = self._documents.get([sends.window_path(send.mailbox)])[0]
        window = send_window.reserve(
            sends.window_from(found),
            send.message,
            self._caps.default_cap,
            int(self._clock.now().timestamp() * 1000),
        )
        if isinstance(window, Full):
            raise self._limit_reached(window.retry_at)
        return [sends.window_write(found, window)]

    def _check_cap(self, send: Send) -> None:
        """Refuse before anything is uploaded; the commit is what decides."""
        self._reserve(send)

    def _limit_reached(self, retry_at: int) -> Problem:
        now = self._clock.now().timestamp()
        moment = datetime.fromtimestamp(retry_at / 1000, UTC)
        return Problem(
            429,
            "daily_limit_reached",
            "The mailbox has sent as many messages as it may in 24 hours.",
            headers={"Retry-After": str(max(1, -(-retry_at // 1000) - int(now)))},
            retry_at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )

    # --- parts -------------------------------------------------------------------

    def _parent(self, request: SendRequest) -> Message | None:
        if request.answers is None:
            return None
        path = paths.message(request.subaccount, request.answers)
        found = self._documents.get([path])[0]
        parent = messages.from_snapshot(found) if found.exists else None
        if parent is None or not self._directory.contact(
            request.subaccount, parent.contact
        ):
            raise _bad("/reply_to_message", "there is no such message")
        if parent.status == "failed":
            raise _bad("/reply_to_message", "was never sent")
        return parent

    def _record(
        self,
        request: SendRequest,
        sender: Sender,
        people: Recipients,
        parent: Message | None,
        uploads: Sequence[Upload],
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
            attachments=describe(uploads, request.html),
            now=now,
        )

    def _status(self, subaccount: SubaccountId, message: MessageId) -> Status:
        found = self._documents.get([paths.message(subaccount, message)])[0]
        status: Status = found.data.get("status", "queued")
        return status


def work_event(subaccount: SubaccountId, message: MessageId) -> Event:
    """What tells the worker of one mail."""
    return Event(json.dumps({"subaccount": subaccount, "message": message}).encode())


def check_size(record: Message, sender: Sender) -> None:
    """Refuse what cannot be written as a mail, or is too big for Gmail."""
    try:
        size = mail_size(mail_of(record, sender))
    except Malformed as error:
        raise Problem(422, "invalid_request", error.detail) from None
    if size > MAX_MAIL_BYTES:
        raise Problem(
            413, "payload_too_large", "The mail is bigger than Gmail takes (35 MiB)."
        )


def _bad(pointer: str, detail: str) -> Problem:
    return Problem(
        422,
        "invalid_request",
        "The request is not valid; `errors` says where.",
        errors=({"pointer": pointer, "detail": detail},),
    )
