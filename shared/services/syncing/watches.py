"""Keeps every mailbox's watch alive (W1), one mailbox or a million by the same code.

The daily job starts one chain for each shard that has mailboxes. A link of the chain
renews a page of them, one after the other, and publishes the next link. So no more than
SHARDS renewals run at the same time, a run never outlives a function, nobody waits in
a sleep, and a crash costs one link, which Pub/Sub delivers again. A mailbox whose
renewal fails leaves the chain: it is retried by itself, with backoff.

Renewal never touches the cursor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from shared.core.ids import MailboxId, UserId
from shared.core.matching.bcc import topic_of
from shared.core.moments import to_epoch_ms
from shared.core.parsing.address import normalise
from shared.core.syncing.watches import SHARDS, UNHEALTHY_HOURS, hours_left, is_expiring
from shared.core.syncing.work import Work, work
from shared.errors import Misconfigured, NeedsReauth, SyncError, Transient
from shared.logs import log
from shared.ports import Clock, Documents, Watch
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import Accounts
from shared.services.connecting.renaming import Renaming

RENEW, RENEW_SHARD = "renew", "renew-shard"

RUN_SECONDS = 60
"""A link ends after this; the last renewal has the rest of the function's time."""
PAGE = 50
OUTAGE = 5
"""So many passing faults in a row are Gmail's own: the link comes again later."""
RESCUED_PER_SWEEP = 100
_HOUR = 3600 * 1000


class KnowsAddresses(Protocol):
    """The directory, as far as new aliases concern it."""

    def add_internal_addresses(self, user: UserId, addresses: tuple[str, ...]) -> None:
        """Make addresses the user's own in all of the user's subaccounts."""


class Watches:
    """Renews watches, and says which ones are about to end."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        directory: KnowsAddresses,
        renaming: Renaming,
        queue: WorkQueue,
        clock: Clock,
        topic_path: Callable[[str], str],
    ) -> None:
        """Let Gmail publish to topics whose full names `topic_path` gives."""
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._directory = directory
        self._renaming = renaming
        self._queue = queue
        self._clock = clock
        self._topic_path = topic_path

    # --- fan-out -----------------------------------------------------------------

    def renew_all(self) -> None:
        """Start the daily renewal: a chain for each shard that has mailboxes."""
        started = self._now()
        self._queue.add(
            [
                work(RENEW_SHARD, shard=shard, started=started)
                for shard in range(SHARDS)
                if self._mailboxes.active_in_shard(shard, None, 1)
            ]
        )

    def renew_shard(self, shard: int, started: int, after: str | None) -> None:
        """Renew mailboxes of a shard until the time is up, then pass on the rest."""
        until = self._clock.now().timestamp() + RUN_SECONDS
        in_a_row = 0
        while page := self._mailboxes.active_in_shard(shard, after, PAGE):
            for mailbox in page:
                fault = self._renew_in_chain(mailbox, started)
                in_a_row = in_a_row + 1 if fault else 0
                if fault and in_a_row >= OUTAGE:
                    raise fault
                after = mailbox.id
                if self._clock.now().timestamp() > until:
                    self._queue.add([_next_link(shard, started, after)])
                    return
            if len(page) < PAGE:
                return

    def _renew_in_chain(self, mailbox: Mailbox, started: int) -> Transient | None:
        """Renew one of many: its failure is its own. Returns a passing fault."""
        try:
            self._renew(mailbox, started)
        except Transient as fault:
            self._queue.add([to_renew(mailbox.id, started)])
            return fault
        except SyncError as error:
            # Tomorrow again; what lasts is seen by its watch's end.
            log.error("renewal_failed", mailbox=mailbox.id, code=error.code)
        return None

    # --- one mailbox -------------------------------------------------------------

    def renew(self, mailbox: MailboxId, started: int) -> None:
        """Renew one watch, unless that was done since `started` (ms).

        Raises Transient to be asked again, later each time.
        """
        found = self._mailboxes.read(mailbox)
        if found is not None:
            self._renew(found, started)

    def _renew(self, mailbox: Mailbox, started: int) -> None:
        if mailbox.status != "active" or (mailbox.watch_renewed_at or 0) >= started:
            return
        try:
            gmail = self._accounts.gmail(mailbox.id)
            mailbox = self._renaming.check(mailbox, gmail)
            watch = gmail.watch(self._topic_path(topic_of(mailbox.users)))
            aliases = tuple(
                filter(None, (normalise(alias.address) for alias in gmail.send_as()))
            )
        except NeedsReauth:
            self._accounts.needs_reauth(mailbox.id, consents=mailbox.consents)
            log.warning("mailbox_needs_reauth", mailbox=mailbox.id)
            return
        except SyncError as error:
            self._failed(mailbox, error)
            raise
        if aliases != mailbox.aliases:
            # Colleagues must know a new alias as internal before its first mail (M11).
            for user in mailbox.users:
                self._directory.add_internal_addresses(user, aliases)
        self._renewed(mailbox, watch, aliases)

    def _renewed(
        self, mailbox: Mailbox, watch: Watch, aliases: tuple[str, ...]
    ) -> None:
        def note(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.status != "active":
                return None
            return replace(
                before,
                aliases=aliases,
                watch_expires_at=to_epoch_ms(watch.expires_at),
                watch_renewed_at=self._now(),
                renewal_failures=0,
            )

        self._mailboxes.change(mailbox.id, note, known=mailbox)

    def _failed(self, mailbox: Mailbox, error: SyncError) -> None:
        def note(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.status != "active":
                return None
            return replace(before, renewal_failures=before.renewal_failures + 1)

        state, _ = self._mailboxes.change(mailbox.id, note, known=mailbox)
        if state is None:
            return
        now = self._now()
        say = log.warning
        if is_expiring(state.watch_expires_at, now) or isinstance(error, Misconfigured):
            say = log.error
        say(
            "watch_not_renewed",
            mailbox=mailbox.id,
            code=error.code,
            attempts=state.renewal_failures,
            hours_left=hours_left(state.watch_expires_at, now),
        )

    # --- what is about to end ----------------------------------------------------

    def rescue(self) -> None:
        """Renew watches that end within 48 hours, and raise the alert for them.

        Part of each sweep, so it also holds when the daily job does not run at all.
        """
        now = self._now()
        found = self._mailboxes.expiring(
            now + UNHEALTHY_HOURS * _HOUR, RESCUED_PER_SWEEP
        )
        if not found:
            return
        soonest = hours_left(found[0].watch_expires_at, now)
        log.error("watches_unhealthy", count=len(found), hours_left=soonest)
        self._queue.add([to_renew(mailbox.id, now) for mailbox in found])

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def to_renew(mailbox: MailboxId, started: int) -> Work:
    """The work of renewing one watch."""
    return work(RENEW, mailbox=mailbox, started=started)


def _next_link(shard: int, started: int, after: str) -> Work:
    return work(RENEW_SHARD, shard=shard, started=started, after=after)
