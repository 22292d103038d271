"""Connected Gmail accounts and the users' links to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from shared.core.history import newest
from shared.core.ids import HistoryId, MailboxId, UserId
from shared.core.lease import Lease
from shared.errors import AlreadyExists, Conflict
from shared.ports import Create, Documents, Put, Snapshot, Write
from shared.repositories import paths

Status = Literal["active", "reauth_required", "disconnected"]
ATTEMPTS = 8
"""Compare-and-set tries; a mailbox has a handful of writers at the same moment."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A connected Gmail account as it is stored.

    `users` maps each connected user to the moment (ms) since which mail counts for
    that user (C2). `cursor` is the last history id whose mail is durably applied;
    `last_synced_at`, `last_pushed_at` and `watch_expires_at` are in milliseconds.
    `lag_looks` counts the times in a row that Gmail announced a change which was not
    readable yet.
    """

    id: MailboxId
    address: str
    google_sub: str
    cursor: HistoryId
    aliases: tuple[str, ...] = ()
    users: Mapping[UserId, int] = field(default_factory=dict)
    status: Status = "active"
    watch_expires_at: int | None = None
    last_synced_at: int | None = None
    last_pushed_at: int | None = None
    lag_looks: int = 0
    lease: Lease = field(default_factory=Lease)

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address the owner may send from."""
        return frozenset((self.address, *self.aliases))


@dataclass(frozen=True, slots=True)
class Connection:
    """A user's link to a mailbox. `connected_at` in milliseconds."""

    user: UserId
    mailbox: MailboxId
    address: str
    status: Status
    connected_at: int
    daily_send_cap: int | None = None


class Mailboxes:
    """Reads and changes mailboxes; every change is a compare-and-set."""

    def __init__(self, documents: Documents) -> None:
        """Use this store."""
        self._documents = documents

    def read(self, mailbox: MailboxId) -> Mailbox | None:
        """The mailbox, None when it was never connected."""
        snapshot = self._documents.get([paths.mailbox(mailbox)])[0]
        return mailbox_from(snapshot) if snapshot.exists else None

    def change(
        self,
        mailbox: MailboxId,
        decide: Callable[[Mailbox | None], Mailbox | None],
        also: Callable[[Mailbox], list[Write]] | None = None,
    ) -> tuple[Mailbox | None, bool]:
        """Read, let `decide` make the new state, and write it if nobody came between.

        `decide` may be called several times; None from it leaves all as it is. `also`
        gives writes that go into the same commit. Returns the state as it then is and
        whether it was written. Raises Conflict when others are always faster.
        """
        path = paths.mailbox(mailbox)
        for _ in range(ATTEMPTS):
            snapshot = self._documents.get([path])[0]
            before = mailbox_from(snapshot) if snapshot.exists else None
            after = decide(before)
            if after is None:
                return before, False
            write: Write
            if snapshot.exists:
                write = Put(path, to_document(after), snapshot.version)
            else:
                write = Create(path, to_document(after))
            try:
                self._documents.commit([write, *(also(after) if also else ())])
            except (Conflict, AlreadyExists):
                continue
            return after, True
        raise Conflict

    def connection(self, user: UserId) -> Connection | None:
        """A user's connection, None when there never was one."""
        snapshot = self._documents.get([paths.connection(user)])[0]
        return connection_from(user, snapshot.data) if snapshot.exists else None


def advance(mailbox: Mailbox, cursor: HistoryId | None) -> Mailbox:
    """Move the cursor forward; an older one changes nothing."""
    return replace(mailbox, cursor=newest(mailbox.cursor, cursor) or mailbox.cursor)


def mailbox_from(snapshot: Snapshot) -> Mailbox:
    """Read a stored mailbox."""
    data = snapshot.data
    lease = data.get("lease", {})
    return Mailbox(
        id=MailboxId(snapshot.id),
        address=data["address"],
        google_sub=data["google_sub"],
        aliases=tuple(data.get("aliases", ())),
        users={UserId(u): entry["since"] for u, entry in data["users"].items()},
        status=data["status"],
        cursor=HistoryId(data["cursor"]),
        watch_expires_at=data.get("watch_expires_at"),
        last_synced_at=data.get("last_synced_at"),
        last_pushed_at=data.get("last_pushed_at"),
        lag_looks=data.get("lag_looks", 0),
        lease=Lease(**lease),
    )


def to_document(mailbox: Mailbox) -> dict[str, Any]:
    """Write a mailbox down."""
    lease = mailbox.lease
    return {
        "address": mailbox.address,
        "google_sub": mailbox.google_sub,
        "aliases": list(mailbox.aliases),
        "users": {user: {"since": since} for user, since in mailbox.users.items()},
        "status": mailbox.status,
        "cursor": mailbox.cursor,
        "watch_expires_at": mailbox.watch_expires_at,
        "last_synced_at": mailbox.last_synced_at,
        "last_pushed_at": mailbox.last_pushed_at,
        "lag_looks": mailbox.lag_looks,
        "lease": {
            "holder": lease.holder,
            "fence": lease.fence,
            "expires_at": lease.expires_at,
            "unreleased": lease.unreleased,
            "dirty": lease.dirty,
        },
    }


def connection_from(user: UserId, data: Mapping[str, Any]) -> Connection:
    """Read a stored connection."""
    return Connection(
        user=user,
        mailbox=MailboxId(data["mailbox"]),
        address=data["address"],
        status=data["status"],
        connected_at=data["connected_at"],
        daily_send_cap=data.get("daily_send_cap"),
    )


def connection_document(connection: Connection) -> dict[str, Any]:
    """Write a connection down."""
    return {
        "mailbox": connection.mailbox,
        "address": connection.address,
        "status": connection.status,
        "connected_at": connection.connected_at,
        "daily_send_cap": connection.daily_send_cap,
    }
