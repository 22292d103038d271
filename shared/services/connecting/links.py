"""What a new link, or the end of one, makes of a mailbox: values, nothing is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from shared.core.ids import HistoryId, MailboxId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.syncing.lease import Lease
from shared.errors import MailboxPurposeConflict, Transient
from shared.repositories.mailboxes import Connection, Mailbox

Outcome = Literal["began", "resumed", "renewed", "moved"]
"""What a link is to its user: the first or a new one (C1), the same mailbox after its
consent had ended (C7) or before that, or another mailbox instead of the one before
(C5)."""


@dataclass(frozen=True, slots=True)
class NewLink:
    """A consent that has passed every check."""

    user: UserId
    mailbox: MailboxId
    address: str
    google_sub: str
    aliases: tuple[str, ...]
    since: int
    cursor: HistoryId


def outcome_of(
    before: Connection | None, stored: Mailbox | None, link: NewLink
) -> tuple[Outcome, MailboxId | None]:
    """What this link is to the user (C1, C5, C7), and the mailbox that it leaves."""
    if before is None or before.status == "disconnected":
        return "began", None
    if before.mailbox != link.mailbox:
        return "moved", before.mailbox
    if stored is None or link.user not in stored.users:
        return "began", None
    return ("resumed" if before.status == "reauth_required" else "renewed"), None


def check_purpose(mailbox: Mailbox | None, link: NewLink) -> None:
    """Refuse the logging mailbox to a user, and a user's mailbox for logging.

    It could not be both: each has a topic of its own, and Gmail notifies only one.
    Raises Transient where another account got the address at this very moment.
    """
    users = mailbox.users if mailbox else ()
    if users and (LOGGING in users) != (link.user == LOGGING):
        raise MailboxPurposeConflict
    if mailbox is not None and mailbox.google_sub != link.google_sub:
        raise Transient("Another account has just been connected at this address.")


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
    if stored.address != link.address:
        stored = stored.renamed(link.address)
    since = stored.users.get(link.user) if resumes else None
    # What an earlier connection left (cursor, last success) lies beyond the gap.
    return replace(
        stored if stored.users else new_mailbox(link),
        former=stored.former,
        aliases=link.aliases,
        users={**stored.users, link.user: since or link.since},
        status="active",
        watch_renewed_at=link.since,
        renewal_failures=0,
        failing_since=None,
        failure=None,
        rests_until=None,
        closing_at=None,
        successor=None,
        consents=stored.consents + 1,
        # A holder from before must not pass for one of now: it has the old token.
        lease=Lease(fence=stored.lease.fence + 1),
    )


def without_user(mailbox: Mailbox, user: UserId, now: int) -> Mailbox:
    """The mailbox without the user; without any user it is disconnected.

    Then whoever reads from it right now has lost the lease, and it is to be closed.
    """
    users = {member: since for member, since in mailbox.users.items() if member != user}
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
