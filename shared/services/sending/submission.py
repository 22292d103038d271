"""Accept a call once: one commit with its Idempotency-Key and its place under the cap.

Two calls under one key store one mail, whichever comes first and wherever either dies
(S7, S10).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from shared.core.ids import MessageId, SubaccountId
from shared.core.records import Message, Status
from shared.core.sending.composing import mail_size
from shared.errors import AlreadyExists, Conflict, DocumentMissing, Malformed, Problem
from shared.ports import Documents, Write
from shared.repositories import bounded, sends
from shared.repositories.sends import FirstResult
from shared.services.blob_uploads import BlobUpload
from shared.services.sending.send_records import SendRequest, Upload, mail_of
from shared.services.sending.senders import Sender

# Gmail API discovery document, `drafts.create`, `maxSize` (read 2026-11). 25 MiB of
# attachments in base64 leave some 800 kB of it for the words.
MAX_MAIL_BYTES = 36_700_160
# One document holds what counts for a cap: of so many calls at once each has its turn.
TURNS = 100


@dataclass(frozen=True, slots=True)
class Accepted:
    """The messages that a call made, in the order of the request."""

    ids: tuple[MessageId, ...]
    status: Status = "queued"


class SendSubmission:
    """Stores what calls asked for, and tells what they were answered."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

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

    def store(
        self,
        subaccount: SubaccountId,
        key: str,
        result: FirstResult,
        writes: Sequence[Write],
        *,
        counted: Callable[[], Write],
        upload: BlobUpload,
    ) -> FirstResult:
        """Commit a call; gives another one's result if that was faster.

        `counted` makes the write by which the call counts for its cap, or raises
        Problem. `upload` holds the blobs that the writes name.
        """
        for _ in range(TURNS):
            count = counted()
            try:
                bounded.commit(
                    self._documents,
                    [
                        count,
                        sends.key_write(subaccount, key, result),
                        *writes,
                        *upload.naming(),
                    ],
                )
            except DocumentMissing:
                raise Problem(
                    422, "unknown_contact", "The contact has just been erased."
                ) from None
            except (AlreadyExists, Conflict):
                first = self.first_result(subaccount, key, result.payload)
                if first is not None:
                    return first
            else:
                upload.named()
                return result
        raise Conflict


def payload_hash(request: SendRequest, uploads: Sequence[Upload]) -> str:
    """One hash for the same content, the attachments' bytes included."""
    asked = asdict(request)
    for recipient in (*asked["to"], *asked["cc"], *asked["bcc"]):
        del recipient["written"]  # the same mail, however an address is written
    for name in ("list_unsubscribe", "signature"):
        if not asked[name]:
            del asked[name]  # a call from before there was one stays the same
    content = {
        "request": asked,
        "attachments": [
            [
                upload.filename,
                upload.content_type,
                upload.content_id,
                hashlib.sha256(upload.data).hexdigest(),
            ]
            for upload in uploads
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
