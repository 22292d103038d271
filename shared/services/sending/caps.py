"""How many sends a mailbox, or a subaccount's provider, has left today (S5).

A cap holds because its window is written in the commit that stores the mail: of two
calls at the same moment one has to look again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.core.ids import MailboxId, MessageId, SubaccountId
from shared.core.moments import to_epoch_ms
from shared.core.sending import send_window
from shared.core.sending.send_window import Full, SendWindow
from shared.errors import Problem
from shared.ports import Clock, Documents, Write
from shared.repositories import sends
from shared.services.compare_and_set import retry_on_conflict

_OF_MAILBOX = "The mailbox has sent as many messages as it may in 24 hours."
_OF_PROVIDER = (
    "The subaccount's provider has been given as many mails as it may in 24 hours."
)


@dataclass(frozen=True, slots=True)
class DailyCaps:
    """The deployment's caps: of a mailbox, and of a subaccount's provider."""

    mailbox: int
    provider: int


class SendCaps:
    """Reads and changes windows; who accepts mail commits what it is given here."""

    def __init__(self, documents: Documents, clock: Clock, caps: DailyCaps) -> None:
        """Use the deployment's cap where a mailbox has none of its own."""
        self._documents = documents
        self._clock = clock
        self._caps = caps

    def left_today(self, mailbox: MailboxId) -> int:
        """Sends that are free at this moment."""
        found = self._documents.get([sends.window_path(mailbox)])[0]
        window = sends.window_from(found)
        return send_window.left(window, self._caps.mailbox, self._now())

    def set_cap(self, mailbox: MailboxId, cap: int | None) -> None:
        """Give a mailbox its own cap; None goes back to the deployment's."""
        self._change(mailbox, lambda window: replace(window, cap=cap))

    def block(self, mailbox: MailboxId, until: int) -> None:
        """Gmail itself refuses until then (ms)."""
        self._change(mailbox, lambda window: send_window.block(window, until))

    def reserve(self, mailbox: MailboxId, message: MessageId) -> Write:
        """The write that takes one of the mailbox's sends; raises Problem."""

        def step(window: SendWindow) -> SendWindow | Full:
            cap, now = self._caps.mailbox, self._now()
            return send_window.reserve(window, message, cap, now)

        return self._counted(sends.window_path(mailbox), step, _OF_MAILBOX)

    def take(self, subaccount: SubaccountId, number: int = 1) -> Write:
        """The write that counts so many mails of the provider; raises Problem."""
        if number > self._caps.provider:
            raise Problem(
                422,
                "too_many_contacts",
                f"A day takes {self._caps.provider} mails of this subaccount's "
                "provider.",
                errors=({"pointer": "/contacts", "detail": "has too many items"},),
            )

        def step(window: SendWindow) -> SendWindow | Full:
            return send_window.take(window, number, self._caps.provider, self._now())

        path = sends.provider_window_path(subaccount)
        return self._counted(path, step, _OF_PROVIDER)

    def _counted(
        self, path: str, step: Callable[[SendWindow], SendWindow | Full], detail: str
    ) -> Write:
        found = self._documents.get([path])[0]
        counted = step(sends.window_from(found))
        if isinstance(counted, Full):
            raise self._limit_reached(counted.retry_at, detail)
        return sends.window_write(found, counted)

    def _limit_reached(self, retry_at: int, detail: str) -> Problem:
        moment = datetime.fromtimestamp(retry_at / 1000, UTC)
        seconds = max(1, -(-(retry_at - self._now()) // 1000))
        return Problem(
            429,
            "daily_limit_reached",
            detail,
            headers={"Retry-After": str(seconds)},
            retry_at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )

    def _change(
        self, mailbox: MailboxId, change: Callable[[SendWindow], SendWindow]
    ) -> None:
        def step() -> None:
            found = self._documents.get([sends.window_path(mailbox)])[0]
            changed = change(sends.window_from(found))
            self._documents.commit([sends.window_write(found, changed)])

        retry_on_conflict(step)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())
