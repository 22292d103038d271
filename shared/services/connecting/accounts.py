"""Gmail of a connected mailbox, and what happens when its credentials die (C7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from shared.core.events import CrmEvent, connection_event
from shared.core.ids import MailboxId
from shared.core.moments import to_epoch_ms
from shared.core.syncing.lease import release
from shared.errors import DocumentMissing, NeedsReauth, SyncError
from shared.logs import log
from shared.ports import (
    Clock,
    Documents,
    Gmail,
    Google,
    Merge,
    Secrets,
    SendAs,
    Write,
)
from shared.repositories import outbox, paths
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.outbox import Outbox


class HasGoogle(Protocol):
    """Where Google is built on first use: it needs the OAuth client's secret."""

    @property
    def google(self) -> Google:
        """Google's OAuth server and Gmail."""


def token_secret(mailbox: MailboxId) -> str:
    """Name of the secret that holds a mailbox's refresh token."""
    return f"gmail-token-{mailbox}"


class Accounts:
    """Opens mailboxes, and closes those whose owner must connect again."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        gateways: HasGoogle,
        publisher: Outbox,
        clock: Clock,
    ) -> None:
        self._mailboxes = Mailboxes(documents)
        self._secrets = secrets
        self._gateways = gateways
        self._outbox = publisher
        self._clock = clock

    def gmail(self, mailbox: MailboxId) -> Gmail:
        """Gmail of a mailbox; raises NeedsReauth when there is no token."""
        try:
            token = self._secrets.read(token_secret(mailbox))
        except DocumentMissing:
            raise NeedsReauth from None
        return self._gateways.google.gmail(token.decode())

    def send_as(self, mailbox: MailboxId) -> tuple[SendAs, ...]:
        """Addresses that the owner may send as, as far as Gmail can be asked now."""
        try:
            return self.gmail(mailbox).send_as()
        except SyncError as error:
            log.warning("send_as_not_known", mailbox=mailbox, code=error.code)
            return ()

    def needs_reauth(
        self,
        mailbox: MailboxId,
        fence: int | None = None,
        *,
        consents: int | None = None,
    ) -> None:
        """Mark the mailbox and its users' connections; one event for each user.

        With `fence` only under that lease, which is freed. With `consents` only if no
        new consent has come since: then an old token's end means nothing. Says it once:
        a mailbox that is marked already stays as it is.
        """
        events: list[CrmEvent] = []
        now = to_epoch_ms(self._clock.now())

        def mark(before: Mailbox | None) -> Mailbox | None:
            if before is None or before.status != "active":
                return None
            if fence is not None and before.lease.fence != fence:
                return None
            if consents is not None and before.consents != consents:
                return None
            return replace(
                before, status="reauth_required", lease=release(before.lease)
            )

        def tell(after: Mailbox) -> list[Write]:
            events[:] = [
                connection_event("connection.reauth_required", user, after.address, now)
                for user in after.users
            ]
            return [
                *(
                    Merge(paths.connection(user), {"status": "reauth_required"})
                    for user in after.users
                ),
                *(outbox.committing(event) for event in events),
            ]

        _, written = self._mailboxes.change(mailbox, mark, tell)
        if written:
            self._outbox.publish(events)
