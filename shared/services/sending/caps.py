"""How many sends a mailbox has left (S5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shared.core.ids import MailboxId
from shared.core.sending import send_window
from shared.core.sending.send_window import SendWindow
from shared.ports import Clock, Documents
from shared.repositories import sends
from shared.services.compare_and_set import until_settled


class SendCaps:
    """Reads and changes the window of a mailbox; sending itself reserves in it."""

    def __init__(self, documents: Documents, clock: Clock, default_cap: int) -> None:
        """Use the deployment's cap where a mailbox has none of its own."""
        self._documents = documents
        self._clock = clock
        self.default_cap = default_cap

    def left_today(self, mailbox: MailboxId) -> int:
        """Sends that are free at this moment."""
        found = self._documents.get([sends.window_path(mailbox)])[0]
        now = int(self._clock.now().timestamp() * 1000)
        window = sends.window_from(found)
        return send_window.left(window, self.default_cap, now)

    def set_cap(self, mailbox: MailboxId, cap: int | None) -> None:
        """Give a mailbox its own cap; None goes back to the deployment's."""
        self._change(mailbox, lambda window: replace(window, cap=cap))

    def block(self, mailbox: MailboxId, until: int) -> None:
        """Gmail itself refuses until then (ms)."""
        self._change(mailbox, lambda window: send_window.block(window, until))

    def _change(
        self, mailbox: MailboxId, change: Callable[[SendWindow], SendWindow]
    ) -> None:
        def step() -> None:
            found = self._documents.get([sends.window_path(mailbox)])[0]
            changed = change(sends.window_from(found))
            self._documents.commit([sends.window_write(found, changed)])

        until_settled(step)
