"""The operator's switch as senders ask for it, and as the operator sets it."""

from __future__ import annotations

from collections.abc import Callable

from shared.core.ids import SubaccountId
from shared.core.moments import to_epoch_ms
from shared.core.sending import pausing
from shared.core.sending.pausing import Switch, Switches
from shared.errors import Problem
from shared.logs import log
from shared.ports import Clock, Documents
from shared.repositories.switches import SENDING, switches_from, switches_write
from shared.services.compare_and_set import retry_on_conflict

FRESH_SECONDS = 5
"""So long an instance believes that no switch is set before it asks again."""


class PauseService:
    """Says whether mail may go out.

    That it may is remembered for FRESH_SECONDS: one read then serves many mails, and a
    switch takes effect within that time. That it may not is asked each time, so that
    a release takes effect at once.
    """

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._free: tuple[int, Switches] | None = None

    def of(self, subaccount: SubaccountId) -> Switch:
        """What holds for mail of this subaccount."""
        return self.switches().of(subaccount)

    def switches(self) -> Switches:
        """All switches, at most FRESH_SECONDS old."""
        now, free = self._now(), self._free
        if free is not None and 0 <= now - free[0] < FRESH_SECONDS * 1000:
            return free[1]
        found = switches_from(self._documents.get([SENDING])[0])
        self._free = None if found.paused else (now, found)
        return found

    def refuse_if_paused(self, subaccount: SubaccountId) -> None:
        """Raise Problem for new mail while it would only wait."""
        if self.of(subaccount).paused:
            raise Problem(
                409,
                "sending_paused",
                "The operator has paused sending. Repeat the call, with the same "
                "Idempotency-Key, when it is resumed.",
            )

    def pause(self, subaccount: SubaccountId | None, at: int | None = None) -> None:
        """Stop sending, of all with None; `at` (ms) is when it was ordered."""
        at = self._ordered(at)
        self._change(lambda before: pausing.pause(before, subaccount, at))
        log.warning("sending_paused", subaccount=subaccount)

    def release(
        self,
        subaccount: SubaccountId | None,
        at: int | None = None,
        *,
        drop: bool = False,
    ) -> None:
        """Let mail go out again; with `drop` what waits is not sent any more.

        Publishes nothing: what waits is found by its documents (`Sending.resume`).
        """
        at, until = self._ordered(at), self._now() if drop else None
        self._change(lambda before: pausing.release(before, subaccount, at, until))
        log.warning("sending_resumed", subaccount=subaccount)

    def _change(self, change: Callable[[Switches], Switches]) -> None:
        def step() -> None:
            found = self._documents.get([SENDING])[0]
            before = switches_from(found)
            after = change(before)
            if after != before:
                self._documents.commit([switches_write(found, after)])

        retry_on_conflict(step)
        self._free = None

    def _ordered(self, at: int | None) -> int:
        """When it was ordered: a clock that is ahead must not lock out later orders."""
        now = self._now()
        return now if at is None else min(at, now)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())
