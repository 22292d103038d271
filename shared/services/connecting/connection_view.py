"""A user's connection as the CRM and the user see it (C8), its health included."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from shared.core.consent import is_consumer
from shared.core.ids import MailboxId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.moments import to_epoch_ms
from shared.core.syncing.watches import Health, health
from shared.errors import Problem
from shared.ports import Clock
from shared.repositories.mailboxes import Connection, Mailbox, Mailboxes

Consumers = Literal["allow", "warn", "block"]

MESSAGES = {
    "consumer_address": (
        "Mail from a free consumer address is more often taken for spam. An address of "
        "your own domain reaches your contacts more reliably."
    ),
    "reauth_required": (
        "Google no longer accepts our permission for this mailbox. Connect it again; "
        "what arrived meanwhile will be brought in."
    ),
    "sync_late": (
        "This mailbox could not be read for hours. Nothing is lost: what is missing is "
        "brought in as soon as Gmail answers again."
    ),
    "watch_expiring": (
        "Gmail has not renewed its notifications for days. Mail still comes in, but "
        "up to an hour late, and your operator has been told."
    ),
    "catching_up": (
        "Much has happened in this mailbox. Its mail is being brought in, the oldest "
        "first."
    ),
    "logging_mailbox_missing": (
        "The mailbox that receives email sent to BCC addresses is not connected, so "
        "email sent to one would not be logged. Your BCC address is shown as soon as "
        "your operator has connected that mailbox."
    ),
}
"""What a warning says to people, by its code."""


def warning(code: str) -> dict[str, str]:
    """A warning as the API shows it."""
    return {"code": code, "message": MESSAGES[code]}


class ConnectionView:
    """Reads connections; changes nothing."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        clock: Clock,
        consumers: Consumers,
        logs_no_bcc: Callable[[], bool],
    ) -> None:
        """Warn of consumer addresses as the deployment wants it (C3)."""
        self._mailboxes = mailboxes
        self._clock = clock
        self._consumers = consumers
        self._logs_no_bcc = logs_no_bcc

    def view(
        self, user: UserId, left_today: Callable[[MailboxId], int]
    ) -> dict[str, Any]:
        """The connection as the API shows it; raises Problem without one."""
        connection = self._mailboxes.connection(user)
        if connection is None:
            raise Problem(404, "not_connected", "This user has never connected Gmail.")
        mailbox = self._mailboxes.read(connection.mailbox)
        live = mailbox if connection.status != "disconnected" else None
        active = connection.status == "active"
        return {
            "user": user,
            "address": connection.address,
            "status": connection.status,
            "connected_at": time_of(connection.connected_at),
            "watch_expires_at": time_of(live.watch_expires_at) if live else None,
            "last_synced_at": time_of(mailbox.last_synced_at) if mailbox else None,
            "sends_left_today": left_today(connection.mailbox) if active else 0,
            "warnings": self._warnings(connection, live),
            "bcc_addresses": {},
        }

    def _warnings(
        self, connection: Connection, mailbox: Mailbox | None
    ) -> list[dict[str, str]]:
        codes: list[str] = []
        if connection.status == "reauth_required":
            codes.append("reauth_required")
        if connection.status == "active" and mailbox is not None:
            codes += [warning for warning in self._health(mailbox) if warning != "good"]
            if mailbox.resync is not None:
                codes.append("catching_up")
        if (
            self._consumers == "warn"
            and connection.status != "disconnected"
            and is_consumer(connection.address)
        ):
            codes.append("consumer_address")
        if connection.user != LOGGING and self._logs_no_bcc():
            codes.append("logging_mailbox_missing")
        return [warning(code) for code in codes]

    def _health(self, mailbox: Mailbox) -> tuple[Health, ...]:
        connected_at = max(mailbox.users.values(), default=0)
        return health(
            watch_expires_at=mailbox.watch_expires_at,
            synced_at=max(mailbox.last_synced_at or 0, connected_at),
            now=to_epoch_ms(self._clock.now()),
        )


def time_of(at: int | None) -> str | None:
    """A moment in milliseconds as RFC 3339 text."""
    if at is None:
        return None
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
