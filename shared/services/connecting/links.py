"""What a new link, or the end of one, makes of a mailbox: values, nothing is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.core.events import EventType
from shared.core.ids import HistoryId, MailboxId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.syncing.lease import Lease
from shared.errors import ServesOtherwise
from shared.ports import Snapshot
from shared.repositories.mailboxes import Connection, Mailbox


@dataclass(frozen=True, slots=True)
class NewLink:
    """A consent that has passed every check. `flow` is spent with it."""

    user: UserId
    mailbox: MailboxId
    address: str
    google_sub: str
    aliases: tuple[str, ...]
    since: int
    cursor: HistoryId
    flow: Snapshot


def kind_of(
    before: Connection | None, link: NewLink
) -> tuple[EventType, MailboxId | None]:
    """The event of this link, and the mailbox that it leaves."""
    if before is None or before.status == "disconnected":
        return "connection.connected", None
    if before.mailbox == link.mailbox:
        return "connection.connected", None
    return "connection.updated", before.mailbox


def check_purpose(mailbox: Mailbox | None, user: UserId) -> None:
    """Refuse the logging mailbox to a rep, and a rep's mailbox for logging.

    It could not be both: each has a topic of its own, and Gmail notifies only one.
    """
    users = mailbox.users if mailbox else ()
    if users and (LOGGING in users) != (user == LOGGING):
        raise ServesOtherwise


def new_mailbox(link: NewLink) -> Mailbox:
    """A mailbox that nobody uses yet."""
    return Mailbox(
        id=link.mailbox,
        address=link.address,
        google_sub=link.google_sub,
        aliases=link.aliases,
        cursor=link.cursor,
        status="disconnected",
    )


def with_user(
    mailbox: Mailbox | None, link: NewLink, before: Connection | None
) -> Mailbox:
    """The mailbox with the user on it, and the new token in use."""
    resumes = (
        before is not None
        and before.mailbox == link.mailbox
        and before.status != "disconnected"
    )
    stored = mailbox or new_mailbox(link)
    since = stored.users.get(link.user) if resumes else None
    # What an earlier connection left (cursor, last success) lies beyond the gap; and an
    # account made anew under the old address has another history.
    goes_on = stored.users and stored.google_sub == link.google_sub
    return replace(
        stored if goes_on else new_mailbox(link),
        aliases=link.aliases,
        users={**stored.users, link.user: since or link.since},
        status="active",
        watch_renewed_at=link.since,
        renewal_failures=0,
        failing_since=None,
        failure=None,
        rests_until=None,
        closing_at=None,
        consents=stored.consents + 1,
        # A holder from before must not pass for one of now: it has the old token.
        lease=Lease(fence=stored.lease.fence + 1),
    )


def without_user(mailbox: Mailbox, user: UserId, now: int) -> Mailbox:
    """The mailbox without the user; without any user it is disconnected.

    Then whoever reads from it right now has lost the lease, and it is to be closed.
    """
    users = {one: since for one, since in mailbox.users.items() if one != user}
    if users or not mailbox.users:
        return replace(mailbox, users=users)
    return replace(
        mailbox,
        users={},
        status="disconnected",
        closing_at=now,
        resync=None,
        idle=None,
        lease=Lease(fence=mailbox.lease.fence + 1),
    )
