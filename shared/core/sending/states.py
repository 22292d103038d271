"""One mail on its way out: its states, who may work on it, and when to give up (S7).

A send is a document beside the record until the mail's fate is known. The order of the
states is the promise: what Gmail may have sent is always marked before Gmail is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from shared.core.ids import (
    GmailMessageId,
    GmailThreadId,
    MailboxId,
    MessageId,
    SubaccountId,
    UserId,
)
from shared.core.records import Kind
from shared.core.syncing.lease import LEASE_SECONDS, TAKE_OVER_SECONDS

SendState = Literal["queued", "sending", "taken", "cleaning"]
"""`queued`: nobody can have it yet (a draft may exist). `sending`: from here on only
looking tells. `taken`: Gmail has it, its ids are known. `cleaning`: it failed, and only
its draft is left to remove."""

DELIVERIES_BEFORE_AFRESH = 8
"""After so many deliveries of one Pub/Sub message it is published again: at ten it
would count as poison, which waiting for an outage is not."""


MOST_FAULTS = 5
"""After so many tries that ended in what nobody expected, a mail is given up: most such
faults follow the mail, and would come again for ever."""


@dataclass(frozen=True, slots=True)
class Send:
    """What is known of a mail that is under way; times in milliseconds.

    `look_at` is when it is worth trying again. `fence` grows with each holder; `faults`
    counts tries that ended in what nobody expected;
    `answers` names the record that this one answers, `batch` the bulk call it is of.
    """

    subaccount: SubaccountId
    message: MessageId
    kind: Kind
    route: Literal["gmail", "provider"]
    user: UserId
    accepted_at: int
    mailbox: MailboxId | None = None
    answers: MessageId | None = None
    batch: str | None = None
    state: SendState = "queued"
    draft: str | None = None
    gmail_thread: GmailThreadId | None = None
    gmail_message: GmailMessageId | None = None
    sending_since: int | None = None
    attempts: int = 0
    holder: str | None = None
    lease_until: int = 0
    fence: int = 0
    look_at: int = 0
    delivery: str | None = None
    deliveries: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a delivery does with a send, which is to be stored as `send` first.

    `work` on it; `leave` it to the holder, whose own delivery comes again if it dies,
    or to the end of a pause; come `later`; or begin `afresh`: publish it anew and be
    done.
    """

    action: Literal["work", "leave", "later", "afresh"]
    send: Send


def claim(send: Send, delivery: str, now: int, *, paused: bool = False) -> Claim:
    """Take a send for this delivery, or say why not.

    A paused one is left where it is.
    """
    if waits(send, paused=paused):
        return Claim("leave", send)
    count = send.deliveries + 1 if send.delivery == delivery else 1
    own = send.holder == delivery
    if send.holder is not None and send.lease_until > now:
        if not own:
            return Claim("leave", send)
        if not _may_take_over(send, now):
            # However often it comes: another delivery would leave all to the holder.
            return Claim("later", replace(send, deliveries=count))
    elif send.look_at > now:
        return _wait(send, delivery, count)
    if count > DELIVERIES_BEFORE_AFRESH:
        return _afresh(send, now)
    return Claim(
        "work",
        replace(
            send,
            holder=delivery,
            fence=send.fence + 1,
            lease_until=now + LEASE_SECONDS * 1000,
            look_at=now + LEASE_SECONDS * 1000,
            attempts=send.attempts + 1,
            delivery=delivery,
            deliveries=count,
        ),
    )


def _wait(send: Send, delivery: str, count: int) -> Claim:
    counted = replace(send, delivery=delivery, deliveries=count)
    if count > DELIVERIES_BEFORE_AFRESH:
        return Claim("afresh", replace(counted, deliveries=0))
    return Claim("later", counted)


def _afresh(send: Send, now: int) -> Claim:
    """Begin with a new delivery, which must not find the dead holder's lease."""
    if send.holder is not None:
        send = replace(set_free(send, now, None), fence=send.fence + 1)
    return Claim("afresh", replace(send, deliveries=0))


def _may_take_over(send: Send, now: int) -> bool:
    """Whether a holder's own redelivery may go on before the lease ends.

    A draft is sent once, whoever asks Gmail how often, so a dead holder's work goes on
    soon. A relay sends whatever it is given: there the lease has to end.
    """
    began = send.lease_until - LEASE_SECONDS * 1000
    sending = send.route == "provider" and send.state == "sending"
    return not sending and began + TAKE_OVER_SECONDS * 1000 <= now


def set_free(send: Send, now: int, retry_after: float | None) -> Send:
    """Let go of a send that could not be finished now."""
    wait = int((retry_after or 0.0) * 1000)
    return replace(send, holder=None, lease_until=0, look_at=now + wait)


def waits(send: Send, *, paused: bool) -> bool:
    """Whether it has to wait for the end of a pause.

    What Gmail has taken, or is to be cleaned up, is brought to its end all the same.
    """
    return paused and send.state in {"queued", "sending"}


def is_dropped(send: Send, drop_until: int) -> bool:
    """Whether the operator wants it not to be sent, and that can still be had.

    What a relay may have taken cannot be called back.
    """
    undecided = send.state == "queued" or (
        send.state == "sending" and send.route == "gmail"
    )
    return undecided and send.accepted_at <= drop_until


def is_past(since: int, minutes: float, now: int, retry_after: float | None) -> bool:
    """Whether waiting as asked would take longer than is allowed."""
    return now + (retry_after or 0.0) * 1000 >= since + minutes * 60_000
