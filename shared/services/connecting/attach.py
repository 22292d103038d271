"""Links users to mailboxes and lets go of them, each in one commit.

The commit comes first: from it on nothing more is read from a mailbox that was let go.
What must be done at Google follows it, and is finished by a sweep after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.events import CrmEvent, EventType, connection_event
from shared.core.ids import MailboxId, UserId, mailbox_id
from shared.core.moments import to_epoch_ms
from shared.core.syncing.work import Work, to_sync
from shared.errors import AlreadyExists, Conflict, Transient
from shared.logs import log
from shared.ports import (
    Clock,
    Create,
    Documents,
    Merge,
    Put,
    Snapshot,
    Update,
    Watch,
    Write,
)
from shared.repositories import outbox, paths
from shared.repositories.mailboxes import (
    ATTEMPTS,
    Connection,
    Mailbox,
    Mailboxes,
    connection_document,
    connection_from,
    mailbox_from,
    to_document,
)
from shared.repositories.outbox import Outbox
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.links import (
    NewLink,
    Outcome,
    check_purpose,
    new_mailbox,
    outcome_of,
    with_user,
    without_user,
)
from shared.services.connecting.mailbox_closer import MailboxCloser, close_soon

PREPARED_SECONDS = 600
"""A consent that has not ended after this died on its way."""


@dataclass(frozen=True, slots=True)
class Attached:
    """What a commit has made: the event, the mailbox that was left, and work to do."""

    event: CrmEvent
    how: Outcome
    left: MailboxId | None
    work: Sequence[Work]


class Attachments:
    """Attaches users to mailboxes and lets go of the mailbox they had before."""

    def __init__(
        self,
        documents: Documents,
        publisher: Outbox,
        closing: MailboxCloser,
        queue: WorkQueue,
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._mailboxes = Mailboxes(documents)
        self._outbox = publisher
        self._closer = closing
        self._queue = queue
        self._clock = clock

    def attach(self, link: NewLink, watch: Watch) -> Outcome:
        """Make the link, and end the user's link to another mailbox (C5), at once.

        The same account resumes from its cursor (C7), unless it had been disconnected:
        then it starts fresh (C6). Raises ServesOtherwise between a user's mailbox and
        the logging one, Conflict when others are always faster.
        """
        for _ in range(ATTEMPTS):
            try:
                made = self._commit(link, watch)
            except (Conflict, AlreadyExists):
                continue
            self._announce(made.event, made.work)
            if made.left is not None:
                close_soon(self._closer, self._queue, made.left)
            return made.how
        raise Conflict

    def _commit(self, link: NewLink, watch: Watch) -> Attached:
        paths_read = [paths.connection(link.user), paths.mailbox(link.mailbox)]
        connection_found, mailbox_found = self._documents.get(paths_read)
        before = (
            connection_from(link.user, connection_found.data)
            if connection_found.exists
            else None
        )
        stored = mailbox_from(mailbox_found) if mailbox_found.exists else None
        check_purpose(stored, link)
        mailbox = replace(
            with_user(stored, link, before),
            watch_expires_at=to_epoch_ms(watch.expires_at),
        )
        was_read = stored is not None and stored.users and stored.status == "active"
        # What came while nobody was allowed to read, or while the watch began, is
        # brought in now: nothing else would announce it (C2, C7).
        behind = not was_read and mailbox.cursor != watch.history_id
        work = [to_sync(link.mailbox)] if behind else []
        how, leaves = outcome_of(before, stored, link)
        kind: EventType = "connection.updated" if leaves else "connection.connected"
        event = connection_event(kind, link.user, link.address, self._now())
        connection = Connection(
            user=link.user,
            mailbox=link.mailbox,
            address=link.address,
            status="active",
            connected_at=mailbox.users[link.user],
        )
        others: dict[MailboxId, tuple[Snapshot, Mailbox]] = {}
        if leaves is not None and (found := self._stored(leaves)):
            left = without_user(found[1], link.user, self._now())
            others[leaves] = (found[0], left)
        first = mailbox_id(link.address)
        if first != link.mailbox:
            # Another account had this address before. It keeps what it has, but what
            # Gmail says of the address is about ours from now on. Whether the other
            # account still lets us in shows when it is read.
            earlier = others.get(first) or self._stored(first)
            if earlier is not None and earlier[1].address == link.address:
                others[first] = (
                    earlier[0],
                    replace(earlier[1], successor=link.mailbox),
                )
                work += [to_sync(first)] if earlier[1].users else []
        self._documents.commit(
            [
                _replace(connection_found, connection_document(connection)),
                _replace(mailbox_found, to_document(mailbox)),
                *(
                    Merge(
                        paths.connection(user),
                        {"status": "active", "address": link.address},
                    )
                    for user in mailbox.users
                    if user != link.user
                ),
                *(_replace(at, to_document(other)) for at, other in others.values()),
                outbox.committing(event),
            ]
        )
        return Attached(event, how, leaves if leaves in others else None, work)

    def _stored(self, mailbox: MailboxId) -> tuple[Snapshot, Mailbox] | None:
        found = self._documents.get([paths.mailbox(mailbox)])[0]
        return (found, mailbox_from(found)) if found.exists else None

    def prepare(self, link: NewLink) -> None:
        """Say that a token is about to be written, so that it is never left behind.

        Raises Transient while an earlier connection of this mailbox is being ended:
        that gives back all that was granted, the new consent too. Raises
        ServesOtherwise, as `attach` does.
        """
        closing_at = self._now() + PREPARED_SECONDS * 1000

        def mark(before: Mailbox | None) -> Mailbox | None:
            check_purpose(before, link)
            if before is not None and before.users:
                return None
            if before is None:
                before = new_mailbox(link)
            if before.lease.holder and before.lease.expires_at > self._now():
                raise Transient("This mailbox is just being disconnected.")
            return replace(before, status="disconnected", closing_at=closing_at)

        self._mailboxes.change(link.mailbox, mark)

    def detach(self, user: UserId) -> None:
        """End the user's connection (C6); an ended one only finishes what is left.

        Only the last user of a mailbox takes its watch, grant and token along (C4).
        """
        for _ in range(ATTEMPTS):
            found = self._documents.get([paths.connection(user)])[0]
            if not found.exists:
                return
            connection = connection_from(user, found.data)
            if connection.status == "disconnected":
                break
            try:
                event = self._commit_detached(found, connection)
            except (Conflict, AlreadyExists):
                continue
            self._announce(event)
            break
        else:
            raise Conflict
        close_soon(self._closer, self._queue, connection.mailbox)

    def _commit_detached(self, found: Snapshot, connection: Connection) -> CrmEvent:
        user, now = connection.user, self._now()
        event = connection_event(
            "connection.disconnected", user, connection.address, now
        )
        ended = replace(connection, status="disconnected")
        writes: list[Write] = [
            Update(found.path, {"status": ended.status}, found.version),
            outbox.committing(event),
        ]
        mailbox_found = self._documents.get([paths.mailbox(connection.mailbox)])[0]
        if mailbox_found.exists:
            left = without_user(mailbox_from(mailbox_found), user, now)
            writes.append(_replace(mailbox_found, to_document(left)))
        self._documents.commit(writes)
        return event

    def _announce(self, event: CrmEvent, then: Sequence[Work] = ()) -> None:
        """Say what is committed; the next sweep says what can't be said now."""
        try:
            self._outbox.publish([event])
            self._queue.add(then)
        except Transient as error:
            log.warning("deferred_to_sweep", code=error.code)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _replace(found: Snapshot, document: dict[str, object]) -> Write:
    """Write the document, if nobody has since it was read."""
    if found.exists:
        return Put(found.path, document, found.version)
    return Create(found.path, document)
