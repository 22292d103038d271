"""Send what was accepted: claim it, take it as far as it goes, end it (S7, S11).

Waiting is left to Pub/Sub: what cannot be finished now raises Transient, and the
delivery comes again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from shared.core.ids import MessageId, SubaccountId
from shared.core.records import Message
from shared.core.sending.pausing import Switch
from shared.core.sending.states import (
    MOST_FAULTS,
    Claim,
    Send,
    claim,
    is_dropped,
    is_past,
    set_free,
)
from shared.errors import DocumentMissing, Misconfigured, SyncError, Transient
from shared.logs import log
from shared.repositories import messages
from shared.repositories.sends import Sends
from shared.services.sending.completion import (
    HolderChanged,
    SendCompletion,
    Sent,
    as_synced,
)
from shared.services.sending.fan_out import FanOut
from shared.services.sending.gmail_route import GmailRoute
from shared.services.sending.outbound_work import OutboundWork
from shared.services.sending.provider import ProviderRoute
from shared.services.sending.send_context import SendContext
from shared.services.sending.send_records import own_message_id
from shared.services.sending.send_steps import (
    SendDeferred,
    SendRejected,
    SendUnknown,
    told,
)

_FATE_UNKNOWN = (
    "Gmail did not say whether it sent this mail, and shows neither the draft nor a "
    "sent copy. It is not sent again."
)
_FAULT = "Sending it failed again and again, by a fault of this service ({})."
_DROPPED = "The operator has paused sending, and dropped what waited."
# A draft that cannot be removed for a day stays: the owner can see and delete it.
_CLEAN_MINUTES = 24 * 60.0


class Route(Protocol):
    """A way of sending."""

    def send(self, send: Send, record: Message) -> Sent:
        """Send; raises Refused, Postponed or Unclear."""


class Outbound:
    """The worker behind `outbound-messages`."""

    def __init__(
        self,
        context: SendContext,
        gmail: GmailRoute,
        provider: ProviderRoute,
        fan_out: FanOut,
        ending: SendCompletion,
        *,
        patience_minutes: float,
        fate_minutes: float,
    ) -> None:
        """Wait for outages so long at most, and look for a lost mail so long."""
        self._context = context
        self._sends = Sends(context.documents)
        self._gmail = gmail
        self._provider = provider
        self._fan_out = fan_out
        self._completion = ending
        self._patience_minutes = patience_minutes
        self._fate_minutes = fate_minutes

    def handle(self, work: OutboundWork, delivery: str) -> None:
        """Do one piece of work; raises Transient when the delivery must come again.

        `delivery` is the Pub/Sub message id.
        """
        if work.batch is not None:
            self._fan_out.go_on(work.subaccount, work.batch, work.start)
        elif work.message is not None:
            self._one(work.subaccount, work.message, delivery)

    def _one(self, subaccount: SubaccountId, message: MessageId, delivery: str) -> None:
        taken: list[Claim] = []
        switch = self._context.pausing.of(subaccount)

        def begin(before: Send) -> Send | None:
            taken.clear()
            decided = claim(before, delivery, self._context.now(), paused=switch.paused)
            taken[:] = [decided]
            return None if decided.action == "leave" else decided.send

        send = self._sends.change(subaccount, message, begin)
        if not taken:
            self._completion.publish_left(subaccount, message)
            return
        if send is None:
            return  # another delivery is at it, or it waits for the end of a pause
        match taken[0].action:
            case "later":
                raise Transient("Not due yet.")
            case "afresh":
                self._context.publish([OutboundWork(subaccount, message)])
            case _:
                try:
                    self._work(send, switch)
                except Transient:
                    raise
                except Exception as fault:
                    if self._ended_by(fault, send, switch):
                        return
                    if isinstance(fault, SyncError):
                        # Else the delivery would be done with it.
                        raise Transient(fault.detail) from fault
                    raise

    # --- under the claim ---------------------------------------------------------

    def _work(self, send: Send, switch: Switch) -> None:
        record = self._record(send)
        if record is None and send.state != "cleaning":
            # Its contact was erased. What may be out counts for the cap all the same.
            code = "erased" if send.state == "queued" else "fate_unknown"
            self._fail(send, None, code, "")
            return
        if record is None or send.state == "cleaning":
            self._clean(send, record)
            return
        if (out := as_synced(send, record)) is not None:
            self._completion.sent(send, out)
            return
        if is_dropped(send, switch.drop_until):
            self._give_up(send, record, "cancelled", _DROPPED)
            return
        route: Route = self._gmail if send.route == "gmail" else self._provider
        try:
            sent = route.send(send, record)
        except SendRejected as refusal:
            if refusal.free_at is not None and send.mailbox is not None:
                self._context.caps.block(send.mailbox, refusal.free_at)
            self._fail(send, record, refusal.code, refusal.detail)
        except SendDeferred as postponed:
            # A pause is no outage: patience begins anew after it.
            since = max(send.accepted_at, switch.changed_at)
            self._postpone(send, record, postponed.cause, since)
        except SendUnknown as unclear:
            self._look_again(send, record, unclear)
        else:
            self._completion.sent(send, sent)

    def _ended_by(self, fault: Exception, send: Send, switch: Switch) -> bool:
        """Count a fault that nobody expected; says whether it has ended the mail.

        It must not wait for ever, nor hide: each of its deliveries fails loudly until
        the last one says why. What the operator can mend is waited for like an outage.
        """
        current = self._current(send)
        if current is None:
            return False  # the mail had ended; what came after is tried again
        log.error("send_fault", attempts=current.faults + 1, exc_info=fault)
        current = replace(current, faults=current.faults + 1)
        if isinstance(fault, Misconfigured):
            since = max(send.accepted_at, switch.changed_at)
            last = is_past(since, self._patience_minutes, self._context.now(), None)
        else:
            last = current.faults >= MOST_FAULTS
        if not last:
            self._free(current, None, faults=current.faults)
            return False
        self._end_after_faults(current, fault)
        return True

    def _end_after_faults(self, send: Send, fault: Exception) -> None:
        kind = type(fault).__name__
        detail = fault.detail if isinstance(fault, SyncError) else _FAULT.format(kind)
        if send.state == "cleaning":
            log.warning("draft_not_removed", mailbox=send.mailbox)
            self._completion.forget(send)
            return
        if send.route == "provider" and send.state != "queued":
            self._completion.failed(send, "fate_unknown", detail)
            return
        try:
            if send.route == "gmail":
                self._gmail.abandon(send)
        except SendUnknown as unclear:
            self._look_again(send, None, unclear)
        except Transient:
            raise
        except Exception:  # noqa: BLE001  (Gmail cannot be asked at all)
            self._look_again(send, None, SendUnknown(looked=False))
        else:
            known = isinstance(fault, Misconfigured)
            code = Misconfigured.code if known else SyncError.code
            self._fail(send, None, code, detail)

    def _record(self, send: Send) -> Message | None:
        try:
            return messages.load(
                self._context.documents,
                self._context.blobs,
                send.subaccount,
                send.message,
            )
        except DocumentMissing:
            return None  # it is being erased

    def _postpone(
        self, send: Send, record: Message, cause: Transient, since: int
    ) -> None:
        """Try again later, or give up for good when that takes too long (S11)."""
        now = self._context.now()
        if not is_past(since, self._patience_minutes, now, cause.retry_after):
            self._free(send, cause.retry_after)
            raise cause
        current = self._current(send)
        if current is not None:
            self._give_up(current, record, cause.code, told(cause, record))

    def _give_up(self, send: Send, record: Message, code: str, detail: str) -> None:
        """Fail a mail that is certainly not sent, or look again where it may be."""
        if send.route == "gmail":
            try:
                self._gmail.abandon(send)
            except SendUnknown as unclear:
                self._look_again(send, record, unclear)
                return
        self._fail(send, record, code, detail)

    def _look_again(
        self, send: Send, record: Message | None, unclear: SendUnknown
    ) -> None:
        """Look later, or say that nobody knows (S7)."""
        current = self._current(send)
        if current is None:
            return
        now = self._context.now()
        since = current.sending_since or current.accepted_at
        minutes = self._fate_minutes
        if not unclear.looked:
            # Gmail could not be asked: an outage is no answer.
            minutes += self._patience_minutes
        if not is_past(since, minutes, now, None):
            self._free(send, unclear.retry_after)
            raise Transient("The outcome of this send is not known yet.")
        if current.state == "taken":
            self._completion.sent(current, self._gmail.what_is_known(current))
            return
        self._fail(current, record, "fate_unknown", _FATE_UNKNOWN)

    def _fail(self, send: Send, record: Message | None, code: str, detail: str) -> None:
        """End it; what is left of a draft goes in the same delivery, if it can."""
        self._completion.failed(send, code, detail)
        left = self._current(send)
        if left is not None:
            self._clean(left, record)

    def _clean(self, send: Send, record: Message | None) -> None:
        """Remove the draft of a mail that is not to be sent (any more)."""
        if send.route == "gmail":
            own_id = own_message_id(record.id, record.sender) if record else ""
            try:
                self._gmail.clean(send, own_id)
            except Transient as error:
                past = is_past(
                    send.accepted_at, _CLEAN_MINUTES, self._context.now(), None
                )
                if not past:
                    self._free(send, error.retry_after)
                    raise
                log.warning("draft_not_removed", mailbox=send.mailbox)
        self._completion.forget(send)

    def _current(self, send: Send) -> Send | None:
        """The send as it is stored now; raises HolderChanged when it is another's."""
        found = self._sends.read(send.subaccount, send.message)
        if found is not None and found.fence != send.fence:
            raise HolderChanged
        return found

    def _free(
        self, send: Send, retry_after: float | None, *, faults: int | None = None
    ) -> None:
        def step(before: Send) -> Send | None:
            if before.fence != send.fence:
                return None
            freed = set_free(before, self._context.now(), retry_after)
            return freed if faults is None else replace(freed, faults=faults)

        self._sends.change(send.subaccount, send.message, step)
