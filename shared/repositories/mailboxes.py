"""Connected Gmail accounts and the users' links to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from shared.core.ids import GmailMessageId, HistoryId, MailboxId, UserId, mailbox_id
from shared.core.syncing.history import Idle, newest
from shared.core.syncing.lease import Lease
from shared.core.syncing.resync import Resync
from shared.core.syncing.trouble import Trouble
from shared.core.syncing.watches import shard_of
from shared.errors import AlreadyExists, Conflict
from shared.ports import Create, Delete, Documents, Put, Query, Snapshot, Write
from shared.repositories import paths

Status = Literal["active", "reauth_required", "disconnected"]
ATTEMPTS = 8
"""Compare-and-set tries; a mailbox has a handful of writers at the same moment."""

MAX_FORMER = 20
"""Google lets an account be renamed a few times a year."""
_SHARED = 10
"""Accounts that had one address, one after the other."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A connected Gmail account as it is stored.

    `users` maps each connected user to the moment (ms) since which mail counts for
    that user (C2). `cursor` is the last history id whose mail is durably applied;
    `last_synced_at`, `last_pushed_at` and `watch_expires_at` are in milliseconds.
    `lag_looks` counts the times in a row that Gmail announced a change which was not
    readable yet. `resync` is where a rebuild after an expired history goes on (W3),
    `idle` what an empty history said last (W2). `consents` counts the tokens that were
    given, so that the end of an old one does not count against a new one.

    `closing_at`: from this moment on the token is destroyed, if no user is left. It is
    written before a token is, and goes only when the token is in use or destroyed, so
    none is ever left behind (C6). `failing_since` and `failure` tell of work that does
    not succeed, `renewal_failures` of renewals in a row. Before `rests_until` Gmail
    wants to be asked nothing. `trouble` is the message that alone could not be read
    when the last work ended (E3). `version` is the document's.

    `former` are addresses that the account had before (C9): they stay its own.
    `successor` is the mailbox of another account that has this one's address now: what
    Gmail says of the address is about that one. An `unconfirmed` mailbox only holds a
    grant until its user has answered (C10); nobody reads it, and its end deletes it.
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
    resync: Resync | None = None
    idle: Idle | None = None
    consents: int = 0
    closing_at: int | None = None
    watch_renewed_at: int | None = None
    renewal_failures: int = 0
    failing_since: int | None = None
    failure: str | None = None
    rests_until: int | None = None
    trouble: Trouble | None = None
    former: tuple[str, ...] = ()
    successor: MailboxId | None = None
    unconfirmed: bool = False
    version: object | None = field(default=None, compare=False, repr=False)

    @property
    def quiet_since(self) -> int:
        """The last moment at which somebody looked after this mailbox, or told us to.

        A sweep takes those that have been quiet for long (W2).
        """
        moments = (self.last_pushed_at, self.last_synced_at, *self.users.values())
        return max((moment for moment in moments if moment is not None), default=0)

    @property
    def own_addresses(self) -> frozenset[str]:
        """Every address the owner may send from."""
        return frozenset((self.address, *self.aliases, *self.former))

    def renamed(self, address: str) -> Mailbox:
        """The mailbox under another address of the same account (C9)."""
        former = dict.fromkeys((self.address, *self.former))
        former.pop(address, None)
        return replace(
            self,
            address=address,
            former=tuple(former)[:MAX_FORMER],
            # It was of the address that is given up.
            successor=None,
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A user's link to a mailbox. `connected_at` in milliseconds."""

    user: UserId
    mailbox: MailboxId
    address: str
    status: Status
    connected_at: int


class Mailboxes:
    """Reads and changes mailboxes; every change is a compare-and-set."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def read(self, mailbox: MailboxId) -> Mailbox | None:
        """The mailbox, None when it was never connected."""
        snapshot = self._documents.get([paths.mailbox(mailbox)])[0]
        return mailbox_from(snapshot) if snapshot.exists else None

    def id_for(self, address: str, google_sub: str) -> MailboxId:
        """The mailbox of this account, whatever its address was before (C9).

        Where the address was another account's before, it is a mailbox of its own: of
        the old one nothing is taken over.
        """
        known = [
            mailbox
            for mailbox in self.of_account(google_sub)
            if not mailbox.unconfirmed
        ]
        if known:
            # Before accounts were known by their id, a renamed one could have two.
            return max(
                known,
                key=lambda mailbox: (
                    bool(mailbox.users),
                    mailbox.address == address,
                    mailbox.id,
                ),
            ).id
        first = mailbox_id(address)
        stored = self.read(first)
        if stored is None or stored.google_sub == google_sub:
            return first
        return mailbox_id(address, google_sub)

    def delete(self, mailbox: Mailbox) -> None:
        """Delete a mailbox; raises Conflict when somebody has changed it since."""
        self._documents.commit([Delete(paths.mailbox(mailbox.id), mailbox.version)])

    def change(
        self,
        mailbox: MailboxId,
        decide: Callable[[Mailbox | None], Mailbox | None],
        also: Callable[[Mailbox], list[Write]] | None = None,
        *,
        known: Mailbox | None = None,
    ) -> tuple[Mailbox | None, bool]:
        """Read, let `decide` make the new state, and write it if nobody came between.

        `decide` may be called several times; None from it leaves all as it is. `also`
        gives writes that go into the same commit. The first time `known`, which was
        read or written before, saves the reading: if it is no longer true the write
        fails and all is read. Returns the state as it then is and whether it was
        written. Raises Conflict when others are always faster.
        """
        path = paths.mailbox(mailbox)
        before = known
        for attempt in range(ATTEMPTS):
            if attempt > 0 or known is None:
                before = self.read(mailbox)
            after = decide(before)
            if after is None:
                return before, False
            write: Write = (
                Create(path, to_document(after))
                if before is None
                else Put(path, to_document(after), before.version)
            )
            try:
                versions = self._documents.commit(
                    [write, *(also(after) if also else ())]
                )
            except (Conflict, AlreadyExists):
                continue
            return replace(after, version=versions[0]), True
        raise Conflict

    def active_in_shard(
        self, shard: int, after: str | None, limit: int
    ) -> list[Mailbox]:
        """A page of the active mailboxes of a shard, by their ids."""
        query = Query(
            "mailboxes",
            where=(("shard", "==", shard), ("status", "==", "active")),
            limit=limit,
            start_after=(after,) if after else None,
        )
        return [mailbox_from(document) for document in self._documents.query(query)]

    def quiet_in_shard(
        self, shard: int, before: int, after: tuple[int, str] | None, limit: int
    ) -> list[Mailbox]:
        """A page of a shard's active mailboxes, quiet since before then (ms)."""
        query = Query(
            "mailboxes",
            where=(("shard", "==", shard), ("quiet_since", "<", before)),
            order_by=(("quiet_since", "asc"),),
            limit=limit,
            start_after=after,
        )
        return [mailbox_from(document) for document in self._documents.query(query)]

    def expiring(self, before: int, limit: int) -> list[Mailbox]:
        """Active mailboxes whose watch ends before then (ms), the soonest first."""
        query = Query(
            "mailboxes",
            where=(("status", "==", "active"), ("watch_expires_at", "<", before)),
            order_by=(("watch_expires_at", "asc"),),
            limit=limit,
        )
        return [mailbox_from(document) for document in self._documents.query(query)]

    def to_close(self, before: int, limit: int) -> list[Mailbox]:
        """Mailboxes that should have been closed by then (ms)."""
        query = Query(
            "mailboxes",
            where=(("closing_at", "<", before),),
            order_by=(("closing_at", "asc"),),
            limit=limit,
        )
        return [mailbox_from(document) for document in self._documents.query(query)]

    def of_account(self, google_sub: str) -> list[Mailbox]:
        """Every mailbox of a Google account: an account can change its address."""
        query = Query("mailboxes", where=(("google_sub", "==", google_sub),))
        return [mailbox_from(document) for document in self._documents.query(query)]

    def at_address(self, address: str) -> Mailbox | None:
        """The mailbox whose account has this address now, an active one first.

        Only asked where a mailbox's id, made of its first address, does not tell.
        """
        query = Query("mailboxes", where=(("address", "==", address),), limit=_SHARED)
        found = [mailbox_from(document) for document in self._documents.query(query)]
        active = [mailbox for mailbox in found if mailbox.status == "active"]
        return next(iter(active or found), None)

    def active(self, after: str | None, limit: int) -> list[Mailbox]:
        """A page of all active mailboxes, by their ids."""
        query = Query(
            "mailboxes",
            where=(("status", "==", "active"),),
            limit=limit,
            start_after=(after,) if after else None,
        )
        return [mailbox_from(document) for document in self._documents.query(query)]

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
    resync, idle = data.get("resync"), data.get("idle")
    successor = data.get("successor")
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
        lease=Lease(**data.get("lease", {})),
        resync=resync_from(resync) if resync else None,
        idle=Idle(HistoryId(idle["history_id"]), idle["at"]) if idle else None,
        consents=data.get("consents", 0),
        closing_at=data.get("closing_at"),
        watch_renewed_at=data.get("watch_renewed_at"),
        renewal_failures=data.get("renewal_failures", 0),
        failing_since=data.get("failing_since"),
        failure=data.get("failure"),
        rests_until=data.get("rests_until"),
        trouble=_trouble_from(data.get("trouble")),
        former=tuple(data.get("former", ())),
        successor=MailboxId(successor) if successor else None,
        unconfirmed=data.get("unconfirmed", False),
        version=snapshot.version,
    )


def _trouble_from(data: Mapping[str, Any] | None) -> Trouble | None:
    if data is None:
        return None
    return Trouble(GmailMessageId(data["message"]), data["tries"], data["since"])


def resync_from(data: Mapping[str, Any]) -> Resync:
    """Read a stored resync."""
    last = data["last"]
    return Resync(
        target=HistoryId(data["target"]),
        begin=data["begin"],
        end=data["end"],
        span=data["span"],
        last=GmailMessageId(last) if last else None,
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
        "resync": asdict(mailbox.resync) if mailbox.resync else None,
        "idle": asdict(mailbox.idle) if mailbox.idle else None,
        "consents": mailbox.consents,
        "closing_at": mailbox.closing_at,
        "watch_renewed_at": mailbox.watch_renewed_at,
        "renewal_failures": mailbox.renewal_failures,
        "failing_since": mailbox.failing_since,
        "failure": mailbox.failure,
        "rests_until": mailbox.rests_until,
        "trouble": asdict(mailbox.trouble) if mailbox.trouble else None,
        "former": list(mailbox.former),
        "successor": mailbox.successor,
        "unconfirmed": mailbox.unconfirmed,
        # For the queries of the fan-out alone.
        "shard": shard_of(mailbox.id),
        "quiet_since": mailbox.quiet_since if mailbox.status == "active" else None,
    }


def connection_from(user: UserId, data: Mapping[str, Any]) -> Connection:
    """Read a stored connection."""
    return Connection(
        user=user,
        mailbox=MailboxId(data["mailbox"]),
        address=data["address"],
        status=data["status"],
        connected_at=data["connected_at"],
    )


def connection_document(connection: Connection) -> dict[str, Any]:
    """Write a connection down."""
    return {
        "mailbox": connection.mailbox,
        "address": connection.address,
        "status": connection.status,
        "connected_at": connection.connected_at,
    }
