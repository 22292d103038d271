"""Holds a grant until its user has answered a question (C10), for minutes only.

It is kept as a mailbox that nobody uses, marked to be closed before its token is
written. So whatever dies, or is never answered, ends as every unused mailbox does: the
grant is given back unless a connection lives on it, and the token is destroyed.
"""

from __future__ import annotations

import secrets as random_tokens
from dataclasses import replace

from shared.core.ids import HistoryId, MailboxId
from shared.core.moments import to_epoch_ms
from shared.errors import DocumentMissing, SyncError
from shared.logs import log
from shared.ports import Clock, Documents, Grant, Secrets
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import token_secret
from shared.services.connecting.consent_flow import FLOW_MINUTES
from shared.services.connecting.mailbox_closer import MailboxCloser, close_soon

_HELD_SECONDS = FLOW_MINUTES * 60


class HeldGrants:
    """Keeps grants aside. Their tokens are in Secret Manager alone."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        closing: MailboxCloser,
        queue: WorkQueue,
        clock: Clock,
    ) -> None:
        self._mailboxes = Mailboxes(documents)
        self._secrets = secrets
        self._closer = closing
        self._queue = queue
        self._clock = clock

    def hold(self, grant: Grant, address: str) -> MailboxId:
        """Keep a grant that has a refresh token; returns where."""
        name = MailboxId(random_tokens.token_hex(16))
        held = Mailbox(
            id=name,
            address=address,
            google_sub=grant.google_sub,
            cursor=HistoryId("0"),
            status="disconnected",
            closing_at=self._now() + _HELD_SECONDS * 1000,
            unconfirmed=True,
        )
        self._mailboxes.change(name, lambda before: held if before is None else None)
        self._secrets.write(token_secret(name), (grant.refresh_token or "").encode())
        return name

    def take(self, name: MailboxId, scopes: frozenset[str]) -> Grant | None:
        """The grant, to be used now; None when it is no longer held.

        It stays marked: `give_up` or a sweep ends it when the use is over.
        """

        def keep(before: Mailbox | None) -> Mailbox | None:
            # Never again after it was given up, or after a sweep may have begun.
            if before is None or not before.unconfirmed:
                return None
            if (before.closing_at or 0) <= self._now():
                return None
            return replace(before, closing_at=self._now() + _HELD_SECONDS * 1000)

        state, written = self._mailboxes.change(name, keep)
        if state is None or not written:
            return None
        try:
            token = self._secrets.read(token_secret(name)).decode()
        except DocumentMissing:
            return None
        return Grant(token, scopes, state.google_sub, state.address)

    def give_up(self, name: MailboxId) -> None:
        """End what is held, now; what fails is tried again by itself."""

        def end(before: Mailbox | None) -> Mailbox | None:
            if before is None or not before.unconfirmed:
                return None
            return replace(before, closing_at=self._now())

        try:
            self._mailboxes.change(name, end)
        except SyncError as error:
            log.warning("deferred_to_sweep", mailbox=name, code=error.code)
        else:
            close_soon(self._closer, self._queue, name)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())
