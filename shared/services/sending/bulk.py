"""Accept one mail to many contacts; it is fanned out afterwards (S2).

The call stores its content and its list of contacts in one commit with the
Idempotency-Key. `fan_out.py` makes the mails from that, as often as it takes.
"""

from __future__ import annotations

import secrets as random_ids
from collections.abc import Sequence
from dataclasses import replace

from shared.core.ids import ContactId, MessageId, digest
from shared.core.records import Subaccount
from shared.errors import Problem
from shared.ports import Write
from shared.repositories import sends
from shared.repositories.sends import BulkRecipient, FirstResult
from shared.services.sending import batches
from shared.services.sending.batches import Batch
from shared.services.sending.fan_out import FanOut
from shared.services.sending.outbound_work import OutboundWork
from shared.services.sending.recipients import find_contacts, unknown_contact
from shared.services.sending.send_context import SendContext
from shared.services.sending.send_records import (
    SendRequest,
    Upload,
    describe,
    redacted_call,
)
from shared.services.sending.submission import (
    Accepted,
    SendSubmission,
    check_size,
    payload_hash,
)

MAX_CONTACTS = 1000
# Bodies bigger than this are written by the worker, not while the caller waits.
_SMALL_BODY = 16 * 1024


class Bulk:
    """Accepts bulk mail."""

    def __init__(self, context: SendContext, fan_out: FanOut) -> None:
        self._context = context
        self._submission = SendSubmission(context.documents)
        self._fan_out = fan_out

    def submit(
        self, request: SendRequest, uploads: Sequence[Upload], key: str
    ) -> Accepted:
        """Accept a bulk call, or give its first result again.

        Raises Problem, and then nothing is stored.
        """
        payload = payload_hash(request, uploads)
        first = self._submission.first_result(request.subaccount, key, payload)
        if first is None:
            first = self._accept(request, uploads, key, payload)
        if first.batch is not None:
            self._context.publish([OutboundWork(request.subaccount, batch=first.batch)])
        return Accepted(first.ids)

    def _accept(
        self, request: SendRequest, uploads: Sequence[Upload], key: str, payload: str
    ) -> FirstResult:
        request, uploads = redacted_call(request, uploads, self._context.bcc_form)
        batch = self._batch(request, uploads)
        check_size(batch.record(batch.recipients[0]), batch.sender)
        ids = tuple(recipient.message for recipient in batch.recipients)
        result = FirstResult(payload, ids, batch.id)

        def counted() -> Write:
            return self._context.caps.take(request.subaccount, len(ids))

        counted()  # before anything is stored; the commit is what decides
        under = sends.batch_prefix(request.subaccount, batch.id)
        with self._context.uploads.begin(under) as upload:
            batches.put_content(upload, batch, uploads)
            batch = replace(batch, prefix=upload.prefix)
            stored = self._submission.store(
                request.subaccount,
                key,
                result,
                [batches.write(batch)],
                counted=counted,
                upload=upload,
            )
        words = len(request.text or "") + len(request.html or "")
        if stored is result and words <= _SMALL_BODY:
            self._fan_out.make(batch, dict.fromkeys(batch.recipients))
        return stored

    def _batch(self, request: SendRequest, uploads: Sequence[Upload]) -> Batch:
        context = self._context
        subaccount = context.directory.require(request.subaccount)
        context.pausing.refuse_if_paused(subaccount.id)
        member = context.senders.member(subaccount.id, request.user)
        batch_id = digest("batch", random_ids.token_hex(16))
        return Batch(
            id=batch_id,
            request=request,
            sender=context.senders.choose(
                subaccount, member, request.kind, request.sender
            ),
            attachments=describe(uploads, request.html),
            recipients=self._recipients(subaccount, request.contacts, batch_id),
            internal_domains=subaccount.internal_domains,
            at=context.now(),
        )

    def _recipients(
        self, subaccount: Subaccount, ids: Sequence[ContactId], batch: str
    ) -> tuple[BulkRecipient, ...]:
        known = find_contacts(self._context.documents, subaccount.id, ids)
        missing = [
            f"/contacts/{n}" for n, contact in enumerate(ids) if contact not in known
        ]
        if missing:
            raise unknown_contact(missing[:20])
        return tuple(
            BulkRecipient(
                contact=contact,
                message=MessageId(digest("crm-message", batch, contact)),
                address=known[contact].given_emails[0],
                name=known[contact].name or None,
                stored=known[contact].stored,
            )
            for contact in ids
        )


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
    for number, contact in enumerate(contacts):
        if contact in seen:
            twice.append({"pointer": f"/contacts/{number}", "detail": "is a duplicate"})
        seen.add(contact)
    if twice:
        raise Problem(
            422,
            "invalid_request",
            "`contacts` contains duplicates.",
            errors=tuple(twice[:20]),
        )
