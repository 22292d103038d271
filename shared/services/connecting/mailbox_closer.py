"""Ends a mailbox that nobody uses any more (C6): stop, give back, destroy, once.

The mailbox is marked in the commit that takes its last user away, or before its first
token is written, and the mark goes only when the token is gone or in use. So whatever
dies in between, the next sweep finds the mark and goes on; each step can be repeated.
"""

from __future__ import annotations

import contextlib
import secrets as random_tokens
from dataclasses import replace

from shared.core.ids import MailboxId
from shared.core.moments import to_epoch_ms
from shared.core.syncing.lease import release, take
from shared.core.syncing.work import Work, work
from shared.errors import Misconfigured, NeedsReauth, Permanent, SyncError, Transient
from shared.logs import log
from shared.ports import Clock, Documents, Gmail, Google, Secrets
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import HasGoogle, token_secret

CLOSE = "close"
GIVE_UP_SECONDS = 24 * 3600
"""After so long the token is destroyed although Google did not take the grant back."""


def to_close(mailbox: MailboxId) -> Work:
    """The work of ending a mailbox."""
    return work(CLOSE, mailbox=mailbox)


class MailboxCloser:
    """Stops watches, gives grants back and destroys tokens."""

    def __init__(
        self, documents: Documents, secrets: Secrets, gateways: HasGoogle, clock: Clock
    ) -> None:
        self._mailboxes = Mailboxes(documents)
        self._secrets = secrets
        self._gateways = gateways
        self._clock = clock

    def close(self, mailbox: MailboxId) -> None:
        """End the mailbox if it is marked and nobody uses it; else do nothing.

        Under the mailbox's lease, so that nobody connects it anew in the middle. Raises
        the fault that kept it from ending; it stays marked.
        """
        state = self._take(mailbox)
        if state is None:
            return
        try:
            self._end(state)
        except SyncError as error:
            self._finish(state, closed=False)
            log.warning("mailbox_not_closed", mailbox=mailbox, code=error.code)
            raise
        self._finish(state, closed=True)

    def _take(self, mailbox: MailboxId) -> Mailbox | None:
        name = random_tokens.token_hex(8)
        taken: list[bool] = []

        def begin(before: Mailbox | None) -> Mailbox | None:
            taken.clear()
            if before is None or not is_due(before, self._now()):
                return None
            decision = take(before.lease, name, self._now())
            if decision.action != "work":
                return None
            taken.append(True)
            return replace(before, lease=decision.lease)

        state, _ = self._mailboxes.change(mailbox, begin)
        return state if taken else None

    def _end(self, mailbox: Mailbox) -> None:
        name = token_secret(mailbox.id)
        if not self._shares_its_account(mailbox):
            too_late = self._now() - (mailbox.closing_at or 0) > GIVE_UP_SECONDS * 1000
            for token in self._secrets.read_all(name):
                try:
                    google = self._gateways.google
                    _stop(google.gmail(token.decode()), mailbox.id)
                    _give_back(google, token.decode(), mailbox.id)
                except SyncError:
                    if not too_late:
                        raise
        self._secrets.destroy(name)

    def _shares_its_account(self, mailbox: Mailbox) -> bool:
        """Whether another mailbox of the same Google account is in use, or about to be.

        Watch and grant belong to the account: they must live on. A consent that does
        not come to its end is closed by itself, and gives back what is spared here.
        """
        now = self._now()
        return any(
            (other.users or (other.closing_at or 0) > now) and other.id != mailbox.id
            for other in self._mailboxes.of_account(mailbox.google_sub)
        )

    def _finish(self, ours: Mailbox, *, closed: bool) -> None:
        def end(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.lease.fence != ours.lease.fence:
                return None
            if closed and before.unconfirmed:
                return None
            return replace(
                before,
                lease=release(before.lease),
                closing_at=None if closed else before.closing_at,
            )

        state, _ = self._mailboxes.change(ours.id, end)
        if closed and state is not None and state.unconfirmed:
            self._mailboxes.delete(state)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def close_soon(closing: MailboxCloser, queue: WorkQueue, mailbox: MailboxId) -> None:
    """End a mailbox without users now; what fails is tried again by itself."""
    try:
        closing.close(mailbox)
    except SyncError as error:
        log.warning("deferred_to_sweep", mailbox=mailbox, code=error.code)
        with contextlib.suppress(Transient):
            queue.add([to_close(mailbox)])


def is_due(mailbox: Mailbox, now: int) -> bool:
    """Say whether a mailbox is to be ended now."""
    return (
        not mailbox.users
        and mailbox.closing_at is not None
        and mailbox.closing_at <= now
    )


def _stop(gmail: Gmail, mailbox: MailboxId) -> None:
    try:
        gmail.stop()
    except NeedsReauth:
        pass  # the grant has ended, and the watch with it
    except Permanent as error:
        # Giving the grant back ends the watch as well.
        log.warning("watch_not_stopped", mailbox=mailbox, code=error.code)


def _give_back(google: Google, token: str, mailbox: MailboxId) -> None:
    try:
        google.revoke(token)
    except Misconfigured:
        raise
    except Permanent as error:
        log.warning("grant_revocation_failed", mailbox=mailbox, code=error.code)
