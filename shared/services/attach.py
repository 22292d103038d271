"""Links a user to a mailbox, in one commit with everything that depends on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.events import CrmEvent, EventType, connection_event
from shared.core.ids import MailboxId, UserId
from shared.core.lease import Lease
from shared.errors import AlreadyExists, Conflict, SyncError
from shared.logs import log
from shared.ports import (
    Clock,
    Create,
    Delete,
    Documents,
    Merge,
    Put,
    Secrets,
    Snapshot,
    Watch,
    Write,
)
from shared.repositories import outbox, paths
from shared.repositories.mailboxes import (
    ATTEMPTS,
    Connection,
    Mailbox,
    connection_document,
    connection_from,
    mailbox_from,
    to_document,
)
from shared.repositories.outbox import Outbox
from shared.services.accounts import HasGoogle, token_secret


@dataclass(frozen=True, slots=True)
class NewLink:
    """A consent that has passed every check. `flow` is spent with it."""

    user: UserId
    mailbox: MailboxId
    address: str
    google_sub: str
    aliases: tuple[str, ...]
    since: int
    watch: Watch
    flow: Snapshot


class Attachments:
    """Attaches users to mailboxes and lets go of the mailbox they had before."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        gateways: HasGoogle,
        publisher: Outbox,
        clock: Clock,
    ) -> None:
        """Use these gateways."""
        self._documents = documents
        self._secrets = secrets
        self._gateways = gateways
        self._outbox = publisher
        self._clock = clock

    def attach(self, link: NewLink) -> None:
        """Make the link, and end the user's link to another mailbox (C5), at once.

        The same address resumes from its cursor (C7), unless it had been disconnected:
        then it starts fresh (C6). Raises Conflict when the flow was spent by somebody
        else.
        """
        for _ in range(ATTEMPTS):
            try:
                event, left = self._commit(link)
            except (Conflict, AlreadyExists):
                if not self._documents.get([link.flow.path])[0].exists:
                    raise Conflict from None
                continue
            self._outbox.publish([event])
            if left is not None:
                self.close(left)
            return
        raise Conflict

    def _commit(self, link: NewLink) -> tuple[CrmEvent, MailboxId | None]:
        paths_read = [paths.connection(link.user), paths.mailbox(link.mailbox)]
        connection_found, mailbox_found = self._documents.get(paths_read)
        before = (
            connection_from(link.user, connection_found.data)
            if connection_found.exists
            else None
        )
        mailbox = _with_user(
            mailbox_from(mailbox_found) if mailbox_found.exists else None, link, before
        )
        kind, leaves = _kind(before, link)
        event = connection_event(kind, link.user, link.address, self._now())
        connection = Connection(
            user=link.user,
            mailbox=link.mailbox,
            address=link.address,
            status="active",
            connected_at=mailbox.users[link.user],
            daily_send_cap=before.daily_send_cap if before else None,
        )
        writes: list[Write] = [
            _replace(connection_found, connection_document(connection)),
            _replace(mailbox_found, to_document(mailbox)),
            *(
                Merge(paths.connection(user), {"status": "active"})
                for user in mailbox.users
                if user != link.user
            ),
            Delete(link.flow.path, link.flow.version),
            outbox.committing(event),
        ]
        ended = None
        if leaves is not None:
            old_found = self._documents.get([paths.mailbox(leaves)])[0]
            if old_found.exists:
                old = without_user(mailbox_from(old_found), link.user)
                writes.append(_replace(old_found, to_document(old)))
                ended = leaves if old.status == "disconnected" else None
        self._documents.commit(writes)
        return event, ended

    def close(self, mailbox: MailboxId) -> None:
        """Stop the watch, give the grant back and destroy the token (C6).

        For a mailbox that is disconnected already: whatever fails here, nothing is
        read from it any more. Can be repeated.
        """
        name = token_secret(mailbox)
        tokens = self._secrets.read_all(name)
        for token in tokens:
            try:
                self._gateways.google.gmail(token.decode()).stop()
            except SyncError as error:
                log.warning("watch_not_stopped", mailbox=mailbox, code=error.code)
            try:
                self._gateways.google.revoke(token.decode())
            except SyncError as error:
                log.warning("grant_not_given_back", mailbox=mailbox, code=error.code)
        self._secrets.destroy(name)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _kind(
    before: Connection | None, link: NewLink
) -> tuple[EventType, MailboxId | None]:
    """The event of this link, and the mailbox that it leaves."""
    if before is None or before.status == "disconnected":
        return "connection.connected", None
    if before.mailbox == link.mailbox:
        return "connection.connected", None
    return "connection.updated", before.mailbox


def _with_user(
    mailbox: Mailbox | None, link: NewLink, before: Connection | None
) -> Mailbox:
    """The mailbox with the user on it."""
    expires = int(link.watch.expires_at.timestamp() * 1000)
    resumes = (
        before is not None
        and before.mailbox == link.mailbox
        and before.status != "disconnected"
    )
    if mailbox is None or not mailbox.users:
        return Mailbox(
            id=link.mailbox,
            address=link.address,
            google_sub=link.google_sub,
            aliases=link.aliases,
            users={link.user: link.since},
            cursor=link.watch.history_id,
            watch_expires_at=expires,
            # A holder from before the disconnect must not pass for one of now.
            lease=Lease(fence=mailbox.lease.fence + 1 if mailbox else 0),
        )
    since = mailbox.users.get(link.user) if resumes else None
    return replace(
        mailbox,
        google_sub=link.google_sub,
        aliases=link.aliases,
        users={**mailbox.users, link.user: since or link.since},
        status="active",
        watch_expires_at=expires,
    )


def without_user(mailbox: Mailbox, user: UserId) -> Mailbox:
    """The mailbox without the user; without any user it is disconnected."""
    users = {one: since for one, since in mailbox.users.items() if one != user}
    status = mailbox.status if users else "disconnected"
    return replace(mailbox, users=users, status=status)


def _replace(found: Snapshot, document: dict[str, object]) -> Write:
    """Write the document, if nobody has since it was read."""
    if found.exists:
        return Put(found.path, document, found.version)
    return Create(found.path, document)
