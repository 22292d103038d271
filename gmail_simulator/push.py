"""Notifications of changed mailboxes: whom to tell, how often, and what goes wrong.

Collects while the world is locked and hands out what is due; publishing is for the
caller, once the lock is open.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .accounts import Account
from .faults import Faults
from .messages import HistoryRecord
from .settings import Settings

_SHORTEST_PAUSE = timedelta(seconds=1)


@dataclass(frozen=True)
class Notification:
    """One push message, and the time before which it stays here."""

    account: str
    topic: str
    data: bytes
    due: datetime


class Notifier:
    """Turns changes into notifications."""

    def __init__(
        self, clock: Callable[[], datetime], settings: Settings, faults: Faults
    ) -> None:
        self._clock, self._settings, self._faults = clock, settings, faults
        self._changed: dict[tuple[str, str], Account] = {}
        self._ready: list[Notification] = []
        self._delayed: list[Notification] = []
        self._held: list[Notification] = []

    def changed(self, account: Account, record: HistoryRecord) -> None:
        """Remember a change for every watch that wants it."""
        now = self._clock()
        labels = frozenset(record.labels) | frozenset(record.changed)
        for client_id, watch in account.watches.items():
            if watch.expires > now and watch.wants(labels):
                self._changed[account.address, client_id] = account

    def announce(self, account: Account, client_id: str) -> None:
        """Tell a watch although nothing changed."""
        self._changed[account.address, client_id] = account

    def collect(self) -> list[Notification]:
        """Return what is to be published now."""
        now = self._clock()
        told: set[str] = set()
        for (address, client_id), account in self._changed.items():
            watch = account.watches.get(client_id)
            if watch is None or (address not in told and self._too_soon(account, now)):
                continue
            told.add(address)
            account.last_notified = now
            self._enqueue(account, watch.topic, now)
        self._changed.clear()
        if self._delayed:
            self._ready += [n for n in self._delayed if n.due <= now]
            self._delayed = [n for n in self._delayed if n.due > now]
        ready, self._ready = self._ready, []
        return ready

    def release(self) -> list[Notification]:
        """Return everything that a fault holds back, due or not."""
        waiting = self._held + self._delayed
        self._held, self._delayed = [], []
        return waiting

    def _too_soon(self, account: Account, now: datetime) -> bool:
        return (
            self._settings.notification_rate_limited
            and account.last_notified is not None
            and now - account.last_notified < _SHORTEST_PAUSE
        )

    def _enqueue(self, account: Account, topic: str, now: datetime) -> None:
        history_id: int | str = account.mailbox.history_id
        if not self._settings.history_id_as_number:
            history_id = str(history_id)
        data = json.dumps({"emailAddress": account.address, "historyId": history_id})
        note = Notification(account.address, topic, data.encode(), now)
        copies, held = 1, False
        for fault in self._faults.for_notification(account.address):
            match fault.action:
                case "notification_drop":
                    copies = 0
                case "notification_duplicate":
                    copies += fault.times if copies else 0
                case "notification_delay":
                    note = replace(note, due=now + timedelta(seconds=fault.seconds))
                case _:
                    held = True
        if held:
            self._held += [note] * copies
            return
        target = self._delayed if note.due > now else self._ready
        target += [note] * copies
        # what was held back comes after the one that overtook it
        self._ready += self._held
        self._held = []
