"""The health of all mailboxes, as log lines that the alerts read (E6).

Only what needs somebody is looked for, by queries with a limit: the cost does not grow
with the number of healthy mailboxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.core.matching.bcc import LOGGING
from shared.core.moments import to_epoch_ms
from shared.core.syncing.watches import LATE_HOURS, UNHEALTHY_HOURS, hours_left
from shared.logs import log
from shared.ports import Clock, Documents, Put, Query
from shared.repositories import paths
from shared.repositories.mailboxes import Mailbox, Mailboxes, mailbox_from
from shared.repositories.switches import SENDING, switches_from

MOST = 100
"""Mailboxes of one trouble that are logged one by one; `count` says if it is more."""


OVERALL = "health/overall"
"""The document that holds what the last sweep found."""


@dataclass(frozen=True, slots=True)
class Overall:
    """How many of each trouble there are; `MOST` means that many or more."""

    checked_at: int | None
    issues: dict[str, int]

    @property
    def well(self) -> bool:
        """Say whether nothing needs anybody."""
        return not any(self.issues.values())


class Health:
    """Looks for trouble, and says so once a sweep."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._clock = clock

    def report(self) -> dict[str, int]:
        """Log every trouble with its mailboxes; says how many there are of each.

        `health` is logged also when all is well: its absence is an alert of its own.
        """
        now = self._clock.now()
        at = to_epoch_ms(now)
        soon = to_epoch_ms(now + timedelta(hours=UNHEALTHY_HOURS))
        late = to_epoch_ms(now - timedelta(hours=LATE_HOURS))
        expiring = self._mailboxes.expiring(soon, MOST)
        for box in expiring:
            log.error(
                "watch_expiring",
                mailbox=box.id,
                hours_left=hours_left(box.watch_expires_at, at),
                code=box.failure,
            )
        failing = self._failing(late)
        for mailbox in failing:
            log.error("sync_late", mailbox=mailbox.id, code=mailbox.failure)
        logging = self._logging_mailbox_is_down()
        if logging:
            log.error("logging_mailbox_down")
        counts = {
            "watch_expiring": len(expiring),
            "sync_late": len(failing),
            "logging_mailbox_down": int(logging),
            "events_waiting": self._events_waiting(late),
        }
        for kind, count in counts.items():
            log.info("health", kind=kind, count=count)
        self._documents.commit([Put(OVERALL, {"at": at, "issues": counts})])
        return counts

    def overall(self) -> Overall:
        """What the last sweep found, and whether sending is paused at this moment.

        `checked_at` (ms) is None before the first sweep.
        """
        found, switches = self._documents.get([OVERALL, SENDING])
        issues = dict(found.data.get("issues", {}))
        if paused := switches_from(switches).paused:
            issues["sending_paused"] = paused
        return Overall(found.data.get("at"), issues)

    def _failing(self, before: int) -> list[Mailbox]:
        query = Query("mailboxes", where=(("failing_since", "<", before),), limit=MOST)
        found = [mailbox_from(document) for document in self._documents.query(query)]
        return [mailbox for mailbox in found if mailbox.status == "active"]

    def _logging_mailbox_is_down(self) -> bool:
        """One that was connected once, and waits for its owner to connect it again."""
        found = self._documents.get([paths.connection(LOGGING)])[0]
        return bool(found.data.get("status") == "reauth_required")

    def _events_waiting(self, before: int) -> int:
        """Events that nobody could publish for hours."""
        query = Query("outbox", where=(("at", "<", before),), limit=MOST)
        return len(self._documents.query(query))
