"""Recorded messages as documents, and as blobs where they are big.

The recipients, bodies and attachment list (`Envelope`) are one JSON text: inline, or as
blob when they exceed `limits.INLINE_CONTENT_BYTES`. Blobs are written before the
document that names them, each time under a prefix of their own (`blob_uploads`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.core.events import bounce_key
from shared.core.ids import (
    ContactId,
    GmailMessageId,
    GmailThreadId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
    digest,
)
from shared.core.limits import INLINE_CONTENT_BYTES, MAX_INDEXED_ADDRESSES
from shared.core.mail import Address
from shared.core.records import Bounce, HeldBy, Message
from shared.ports import Blobs, Documents, Merge, Query, Snapshot, Write
from shared.repositories import envelopes, paths


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A message ready to be written: the document, and the blob it needs, if any."""

    data: dict[str, Any]
    blob: bytes | None

    @property
    def size(self) -> int:
        """About how many bytes the document has: its bodies are nearly all of it."""
        return len(self.data.get("envelope", "").encode())

    def put_blob(self, put: Callable[[str, bytes, str], str]) -> None:
        """Store the blob with `put`, which gives its key, and name it.

        To be done before the document is written.
        """
        if self.blob is not None:
            key = put("envelope.json", self.blob, "application/json")
            self.data["envelope_blob"] = key


# --- keys ------------------------------------------------------------------------


def blob_prefix(subaccount: SubaccountId, message: MessageId) -> str:
    """Every blob of a message has a key that begins so."""
    return f"subaccounts/{subaccount}/messages/{message}/"


def attachment_name(attachment: str) -> str:
    """What the key of an attachment ends with."""
    return f"attachments/{attachment}"


def attachment_key(message: Message, attachment: str) -> str:
    """Where the bytes of an attachment are."""
    prefix = message.blobs or blob_prefix(message.subaccount, message.id)
    return prefix + attachment_name(attachment)


def held_by_key(user: UserId, gmail_message_id: GmailMessageId) -> str:
    """Field of `held_by` for one user's copy, so that copies join by Merge."""
    return digest("held-by", user, gmail_message_id)


# --- writing ---------------------------------------------------------------------


def held_by_fields(held_by: Sequence[HeldBy]) -> dict[str, dict[str, str]]:
    """The map `held_by` of a document; Merge it to let another copy join."""
    return {
        held_by_key(copy.user, copy.gmail_message_id): asdict(copy) for copy in held_by
    }


def bounce_fields(bounces: Sequence[Bounce]) -> dict[str, dict[str, object]]:
    """The map `bounces` of a document; Merge it to add some."""
    return {bounce_key(bounce): asdict(bounce) for bounce in bounces}


def to_document(message: Message) -> MessageDocument:
    """Turn a message into its document; its blob, if any, is to be put first."""
    data: dict[str, Any] = {
        "contact": message.contact,
        "thread": message.thread,
        "direction": message.direction,
        "route": message.route,
        "status": message.status,
        "rule": message.rule,
        "sent_at": message.sent_at,
        "recorded_at": message.recorded_at,
        "sender": envelopes.address_fields(message.sender),
        "subject": message.subject,
        "snippet": message.snippet,
        "user": message.user,
        "kind": message.kind,
        "reason": message.reason,
        "rfc822_message_id": message.rfc822_message_id,
        "in_reply_to": message.in_reply_to,
        "references": " ".join(message.references),
        "exclusive": message.exclusive,
        "automated": message.automated,
        "authenticity": message.authenticity,
        "held_by": held_by_fields(message.held_by),
        "gmail_message_ids": sorted(
            {copy.gmail_message_id for copy in message.held_by}
        ),
        "addresses": list(message.addresses[:MAX_INDEXED_ADDRESSES]),
    }
    if message.replaced_at is not None:
        data["replaced_at"] = message.replaced_at
    if message.bounces:
        data["bounces"] = bounce_fields(message.bounces)
    if message.blobs is not None:
        data["blobs"] = message.blobs
    if message.envelope is None:
        return MessageDocument(data, None)
    raw = envelopes.to_json(message.envelope)
    if len(raw) <= INLINE_CONTENT_BYTES:
        return MessageDocument({**data, "envelope": raw.decode()}, None)
    return MessageDocument(data, raw)


def index(message: Message) -> list[Write]:
    """The write by which the message's answers find its thread (T1)."""
    if message.rfc822_message_id is None:
        return []
    entry = {
        "thread": message.thread,
        "contact": message.contact,
        "exclusive": message.exclusive,
        "recorded_at": message.recorded_at,
    }
    path = paths.message_id(message.subaccount, message.rfc822_message_id)
    return [Merge(path, {"entries": {message.id: entry}})]


# --- reading ---------------------------------------------------------------------


def from_snapshot(snapshot: Snapshot, blobs: Blobs | None = None) -> Message:
    """Read a message; with `blobs` its envelope too where that is a blob.

    Raises Missing when the blob is not there: the message is being erased.
    """
    data = snapshot.data
    envelope: str | bytes | None = data.get("envelope")
    if envelope is None and blobs is not None and "envelope_blob" in data:
        envelope = blobs.get(data["envelope_blob"])
    return Message(
        id=MessageId(snapshot.id),
        subaccount=SubaccountId(snapshot.path.split("/")[1]),
        contact=ContactId(data["contact"]),
        thread=ThreadId(data["thread"]),
        direction=data["direction"],
        route=data["route"],
        status=data["status"],
        rule=data["rule"],
        sent_at=data["sent_at"],
        recorded_at=data["recorded_at"],
        sender=Address(**data["sender"]),
        subject=data["subject"],
        snippet=data["snippet"],
        user=data.get("user"),
        kind=data.get("kind"),
        reason=data.get("reason"),
        rfc822_message_id=data.get("rfc822_message_id"),
        in_reply_to=data.get("in_reply_to"),
        references=tuple(map(Rfc822MessageId, data.get("references", "").split())),
        exclusive=data.get("exclusive", False),
        automated=data.get("automated", False),
        authenticity=data.get("authenticity", "unknown"),
        held_by=_held_by(data.get("held_by", {})),
        addresses=tuple(data.get("addresses", ())),
        replaced_at=data.get("replaced_at"),
        blobs=data.get("blobs"),
        bounces=_bounces(data.get("bounces", {})),
        envelope=None if envelope is None else envelopes.from_json(envelope),
    )


def _held_by(entries: Mapping[str, Mapping[str, str]]) -> tuple[HeldBy, ...]:
    held_by = [
        HeldBy(
            user=UserId(entry["user"]),
            mailbox=MailboxId(entry["mailbox"]),
            address=entry["address"],
            gmail_message_id=GmailMessageId(entry["gmail_message_id"]),
            gmail_thread_id=GmailThreadId(entry["gmail_thread_id"]),
        )
        for entry in entries.values()
    ]
    return tuple(sorted(held_by, key=lambda copy: (copy.user, copy.gmail_message_id)))


def _bounces(entries: Mapping[str, Mapping[str, Any]]) -> tuple[Bounce, ...]:
    found = [Bounce(**entry) for entry in entries.values()]
    return tuple(sorted(found, key=lambda b: (b.at, b.address, b.permanent)))


def load(
    documents: Documents, blobs: Blobs, subaccount: SubaccountId, message: MessageId
) -> Message | None:
    """One message with its envelope; None when there is none."""
    snapshot = documents.get([paths.message(subaccount, message)])[0]
    return from_snapshot(snapshot, blobs) if snapshot.exists else None


def conversation(
    subaccount: SubaccountId,
    contact: ContactId,
    *,
    limit: int,
    start_after: tuple[Any, ...] | None = None,
) -> Query:
    """Messages of one conversation, newest first (T4)."""
    return Query(
        paths.messages(subaccount),
        where=(("contact", "==", contact),),
        order_by=(("sent_at", "desc"),),
        limit=limit,
        start_after=start_after,
    )


def with_address(
    subaccount: SubaccountId,
    address: str,
    *,
    limit: int,
    start_after: tuple[Any, ...] | None = None,
) -> Query:
    """Messages from or to a normalised address, newest first (E2)."""
    return Query(
        paths.messages(subaccount),
        where=(("addresses", "array_contains", address),),
        order_by=(("sent_at", "desc"),),
        limit=limit,
        start_after=start_after,
    )


def with_gmail_id(
    subaccount: SubaccountId, gmail_message_id: GmailMessageId, *, limit: int
) -> Query:
    """Messages that some mailbox holds under this Gmail id (E2)."""
    return Query(
        paths.messages(subaccount),
        where=(("gmail_message_ids", "array_contains", gmail_message_id),),
        limit=limit,
    )


def with_message_id(
    subaccount: SubaccountId, rfc822: Rfc822MessageId, *, limit: int
) -> Query:
    """Messages with this Message-ID, brackets included (E2, M9)."""
    return Query(
        paths.messages(subaccount),
        where=(("rfc822_message_id", "==", rfc822),),
        limit=limit,
    )
