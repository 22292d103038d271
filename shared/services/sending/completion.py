"""The end of a send: its record says `sent` or `failed`, once, with one event (S8).

Each end is one commit that needs the record and the send as they were read, so that of
two workers one ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from shared.core.events import CrmEvent, send_event, send_event_id
from shared.core.ids import (
    GmailMessageId,
    GmailThreadId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    gmail_thread_key,
)
from shared.core.moments import to_epoch_ms
from shared.core.records import HeldBy, Message
from shared.core.sending import send_window
from shared.core.sending.states import Send
from shared.errors import Transient
from shared.logs import log
from shared.ports import (
    Clock,
    Delete,
    Documents,
    Maximum,
    Merge,
    Put,
    Snapshot,
    Union,
    Update,
    Write,
)
from shared.repositories import bounded, messages, outbox, paths, sends
from shared.repositories.outbox import Outbox
from shared.services.compare_and_set import retry_on_conflict


class HolderChanged(Transient):
    """Another delivery works on this mail now."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of a mail that went out; `at` in milliseconds."""

    at: int
    rfc822_message_id: Rfc822MessageId | None = None
    in_reply_to: Rfc822MessageId | None = None
    address: str | None = None
    gmail_message: GmailMessageId | None = None
    gmail_thread: GmailThreadId | None = None


def as_synced(send: Send, record: Message) -> Sent | None:
    """What the Sent copy has told, if the sync has met it before the send ended.

    Then the mail is out, whatever Gmail says of it now, if it can be asked at all.
    """
    if all(copy.mailbox != send.mailbox for copy in record.held_by):
        return None
    return Sent(record.sent_at, record.rfc822_message_id)


class SendCompletion:
    """Writes how a send ended."""

    def __init__(self, documents: Documents, publisher: Outbox, clock: Clock) -> None:
        self._documents = documents
        self._outbox = publisher
        self._clock = clock

    def sent(self, send: Send, sent: Sent) -> None:
        """The mail went out. Ending it again changes nothing."""

        def write(record: Message, found: Snapshot) -> list[Write]:
            changed: dict[str, Any] = {
                "status": "sent",
                "reason": None,
                "sent_at": sent.at,
                "in_reply_to": sent.in_reply_to or record.in_reply_to,
                **_held(send, sent),
            }
            known = sent.rfc822_message_id or record.rfc822_message_id
            changed["rfc822_message_id"] = known
            writes: list[Write] = [Update(found.path, changed, found.version)]
            writes += messages.index(replace(record, rfc822_message_id=known))
            writes.append(
                Update(
                    paths.contact(record.subaccount, record.contact),
                    {"last_message_at": Maximum(sent.at)},
                )
            )
            if send.mailbox is not None and sent.gmail_thread is not None:
                key = gmail_thread_key(send.mailbox, sent.gmail_thread)
                path = paths.thread(record.subaccount, record.thread)
                writes.append(Merge(path, {"gmail_threads": Union((key,))}))
            if send.kind == "individual":
                writes += _established(record)
            return writes

        self._end(send, "message.sent", write, sent_at=sent.at, clean=False)

    def failed(self, send: Send, code: str, detail: str) -> None:
        """The mail did not go out, or nobody knows; a draft may be left to remove."""

        def write(record: Message, found: Snapshot) -> list[Write]:
            if code == "fate_unknown" and as_synced(send, record) is not None:
                raise HolderChanged  # the sync came meanwhile: ask the record again
            reason = {"code": code, "detail": detail}
            return [
                Update(
                    found.path, {"status": "failed", "reason": reason}, found.version
                )
            ]

        # What may have been sent counts: Gmail counts it too.
        sent_at = send.sending_since if code == "fate_unknown" else None
        self._end(send, "message.failed", write, sent_at=sent_at, clean=True)

    def publish_left(self, subaccount: SubaccountId, message: MessageId) -> None:
        """Publish the event of a mail that has ended, if a crash left it behind."""
        self._outbox.publish_if_left(
            send_event_id(kind, subaccount, message)
            for kind in ("message.sent", "message.failed")
        )

    def forget(self, send: Send) -> None:
        """Nothing is left to do for this send."""
        path = sends.send_path(send.subaccount, send.message)
        self._documents.commit([Delete(path)])

    def _end(
        self,
        send: Send,
        kind: Literal["message.sent", "message.failed"],
        write: Callable[[Message, Snapshot], list[Write]],
        *,
        sent_at: int | None,
        clean: bool,
    ) -> None:
        events: list[CrmEvent] = []
        now = to_epoch_ms(self._clock.now())

        def step() -> None:
            events.clear()
            wanted = [
                sends.send_path(send.subaccount, send.message),
                paths.message(send.subaccount, send.message),
            ]
            if send.mailbox is not None:
                wanted.append(sends.window_path(send.mailbox))
            under_way, record, *window = self._documents.get(wanted)
            if not under_way.exists or under_way.data["state"] == "cleaning":
                return
            if clean and under_way.data["fence"] != send.fence:
                # Only who works on it knows that it was not sent.
                raise HolderChanged
            writes = _window(window, send, sent_at)
            if record.exists and record.data["status"] == "queued":
                message = messages.from_snapshot(record)
                event = send_event(kind, message, now)
                events.append(event)
                writes += [*write(message, record), outbox.committing(event)]
            if clean and send.route == "gmail":
                left = replace(
                    sends.send_from(under_way),
                    state="cleaning",
                    accepted_at=now,
                    look_at=now,
                    holder=None,
                    lease_until=0,
                )
                fields = sends.send_document(left)
                writes.append(Put(under_way.path, fields, under_way.version))
            else:
                writes.append(Delete(under_way.path, under_way.version))
            bounded.commit(self._documents, writes)

        retry_on_conflict(step)
        if events:
            log.info("send_ended", kind=kind, route=send.route)
            self._outbox.publish(events)


def _held(send: Send, sent: Sent) -> dict[str, Any]:
    """Which mailbox holds it; the sync may have said so already."""
    if (
        send.mailbox is None
        or sent.address is None
        or sent.gmail_message is None
        or sent.gmail_thread is None
    ):
        return {}
    held = HeldBy(
        send.user, send.mailbox, sent.address, sent.gmail_message, sent.gmail_thread
    )
    return {
        "held_by": messages.held_by_fields((held,)),
        "gmail_message_ids": Union((sent.gmail_message,)),
    }


def _established(record: Message) -> list[Write]:
    """M3: the user and those who got individual mail have a relationship now."""
    if record.user is None:
        return []
    return [
        Merge(
            paths.address(record.subaccount, address),
            {"established": {record.user: "crm"}},
        )
        for address in record.addresses
        if address != record.sender.address
    ]


def _window(found: Sequence[Snapshot], send: Send, sent_at: int | None) -> list[Write]:
    """Only what Gmail took counts (S5)."""
    if not found:
        return []
    window = sends.window_from(found[0])
    if send.message not in window.reserved:
        return []
    if sent_at is None:
        return [sends.window_write(found[0], send_window.release(window, send.message))]
    confirmed = send_window.confirm(window, send.message, sent_at)
    return [sends.window_write(found[0], confirmed)]
