"""What the use cases need from the outside, as narrow protocols.

Each has a real gateway and an in-memory one in `shared/gateways`; one contract suite
(`tests/contract`) holds both to the same promises.

Longer than other modules: the whole border is read on one page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Literal, Protocol

from shared.core.ids import GmailMessageId, GmailThreadId, HistoryId
from shared.core.mail import Content, DeliveryReport, MessageHeaders
from shared.errors import SyncError

# --- documents (Firestore) -------------------------------------------------------

Path = str
"""`collection/document[/collection/document…]`; segments come from `repositories`."""
Data = Mapping[str, Any]
"""str, int, float, bool, None, bytes, datetime (UTC), list and dict of these, and the
transforms below as values."""


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to the stored number (missing counts as 0), without reading it."""

    by: int


@dataclass(frozen=True, slots=True)
class Maximum:
    """Keep the greater of the stored number and this one."""

    value: int


@dataclass(frozen=True, slots=True)
class Union:
    """Add values to the stored list, each once."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class DeleteField:
    """Remove this field."""


@dataclass(frozen=True, slots=True)
class Create:
    """Write a document that must not exist; else the commit raises AlreadyExists."""

    path: Path
    data: Data


@dataclass(frozen=True, slots=True)
class Put:
    """Replace the document, whatever was there.

    With `version` the document must still be as it was read, else Conflict.
    """

    path: Path
    data: Data
    version: object | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Set the given fields and leave the others; creates the document when missing.

    Non-empty dicts merge field by field, at every depth; all else replaces.
    """

    path: Path
    data: Data


@dataclass(frozen=True, slots=True)
class Update:
    """As Merge, on a document that must exist (else Missing).

    With `version` the document must still be as it was read, else Conflict.
    """

    path: Path
    data: Data
    version: object | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the document; a missing one is no error unless `version` is given."""

    path: Path
    version: object | None = None


Write = Create | Put | Merge | Update | Delete


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document as it was read. `data` is empty when it does not exist.

    `version` is opaque: give it back in Put, Update or Delete to compare and set. That
    of a document which a commit deletes means nothing. `created` tells a document from
    one that was deleted and made anew under its path.
    """

    path: Path
    exists: bool
    data: Mapping[str, Any] = field(default_factory=dict)
    version: object | None = None
    created: str | None = None

    @property
    def id(self) -> str:
        """Last segment of the path."""
        return self.path.rsplit("/", 1)[-1]


Operator = Literal["==", "<", "<=", ">", ">=", "array_contains", "array_contains_any"]


@dataclass(frozen=True, slots=True)
class Query:
    """Documents of one collection, filtered and ordered.

    Ties are broken by document id in the direction of the last order. `start_after`
    holds a value for each order, then the document id. `array_contains_any` takes at
    most 30 values.
    """

    collection: str
    where: tuple[tuple[str, Operator, Any], ...] = ()
    order_by: tuple[tuple[str, Literal["asc", "desc"]], ...] = ()
    limit: int | None = None
    start_after: tuple[Any, ...] | None = None


class Documents(Protocol):
    """The document store. Every read sees every write committed before it."""

    def get(self, paths: Sequence[Path]) -> list[Snapshot]:
        """Read these documents in one round trip; in order, missing ones included."""

    def query(self, query: Query) -> list[Snapshot]:
        """Read the documents that match."""

    def commit(self, writes: Sequence[Write]) -> list[object]:
        """Apply all writes or none, at most 500; the documents' versions after them.

        Raises AlreadyExists, Missing or Conflict as the writes say, and Transient when
        the outcome is not known: then repeat by key, never blindly.
        """


# --- blobs (Cloud Storage) -------------------------------------------------------


class Blobs(Protocol):
    """Big bodies and attachments. A key is written whole or not at all."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store, replacing what was there."""

    def get(self, key: str) -> bytes:
        """Read; raises Missing."""

    def stream(self, key: str) -> Iterator[bytes]:
        """Read in pieces of at most 1 MiB; raises Missing before the first piece."""

    def delete_prefix(self, prefix: str) -> None:
        """Remove every key that begins with this; none is no error."""


# --- secrets (Secret Manager) ----------------------------------------------------


class Secrets(Protocol):
    """Named secrets with versions. A name is 1-255 of `A-Za-z0-9_-`."""

    def read(self, name: str) -> bytes:
        """Newest enabled version; raises Missing."""

    def read_all(self, name: str) -> list[bytes]:
        """All enabled versions, newest first; empty when there is none."""

    def write(self, name: str, value: bytes) -> None:
        """Add a version (making the secret if needed) and destroy all older ones."""

    def destroy(self, name: str) -> None:
        """Remove the secret and all its versions; a missing one is no error."""


# --- events (Pub/Sub) ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """One Pub/Sub message. `subscription` is set on what is pushed to us."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    subscription: str = ""


class Topics(Protocol):
    """Publishing. Returns when the service has taken every message."""

    def publish(self, topic: str, events: Sequence[Event]) -> None:
        """Publish to the topic with this short name; raises Transient."""


# --- a relay (SMTP) --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelayServer:
    """A subaccount's own email provider. Its repr shows no password."""

    host: str
    port: int
    security: Literal["none", "starttls", "tls"]
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Relay(Protocol):
    """Sending through an SMTP server."""

    def send(
        self,
        server: RelayServer,
        sender: str,
        recipients: Sequence[str],
        mail: Iterable[bytes],
        begin: Callable[[], None] = ...,
    ) -> None:
        """Hand a mail over, to all recipients or to none; asks exactly once.

        `begin` is called at the last moment at which nothing can have been sent.

        Raises Transient or Permanent when the server certainly has not taken it, and
        FateUnknown when the connection broke after all of it was handed over.
        """


# --- Gmail -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GmailProfile:
    """Address of the mailbox (as Gmail writes it) and its newest history id."""

    address: str
    history_id: HistoryId


@dataclass(frozen=True, slots=True)
class SendAs:
    """An address that the owner may send as; `signature` is HTML, "" for none."""

    address: str
    name: str = ""
    signature: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Watch:
    """What `watch` answered. `expires_at` is in UTC."""

    history_id: HistoryId
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change that can bring a message into view (M1).

    `kind` is `added`, `labels_added` or `labels_removed`; `labels` are those that
    changed (for `added`: the message's own). `history_id` is the record's own id.
    """

    history_id: HistoryId
    gmail_message_id: GmailMessageId
    kind: Literal["added", "labels_added", "labels_removed"]
    labels: frozenset[str]


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of history.list. May have no entry and still a next page.

    `newest_record` is the greatest id of the page's records of any kind, those that
    make no entry included; None when the page has no record at all. `history_id` is
    the mailbox's newest id, which can be ahead of what is readable yet.
    """

    entries: tuple[HistoryEntry, ...]
    history_id: HistoryId
    next_page_token: str | None
    newest_record: HistoryId | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page of messages.list."""

    gmail_message_ids: tuple[GmailMessageId, ...]
    next_page_token: str | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft, and the thread that Gmail put it in."""

    id: str
    gmail_thread_id: GmailThreadId | None


class GmailSending(Protocol):
    """Sending from a mailbox by drafts, each of which Gmail sends at most once (S7)."""

    def create_draft(self, mail: IO[bytes], thread: GmailThreadId | None) -> Draft:
        """Upload a mail as a draft; sends nothing, so it goes on where it stopped.

        Raises Transient when it is not known whether the draft exists, GmailNotFound
        when the thread does not.
        """

    def find_drafts(self, mark: str, message_id: str) -> tuple[Draft, ...]:
        """Drafts that carry this X-CRM-Message, among the newest."""

    def send_draft(self, draft: str) -> GmailMessageId:
        """Send, asking exactly once.

        Raises GmailNotFound when there is no such draft (any more), DailyLimitReached
        when Gmail's own limit is reached; after any other Transient only looking tells.
        """

    def draft_exists(self, draft: str) -> bool:
        """Whether the draft is still there, which is to say: was not sent."""

    def delete_draft(self, draft: str) -> None:
        """Remove a draft; raises GmailNotFound when it is gone."""

    def find_sent(
        self, mark: str, thread: GmailThreadId | None, since: int
    ) -> MessageHeaders | None:
        """The sent mail with this X-CRM-Message, in the thread or since then (ms)."""


class Gmail(GmailSending, Protocol):
    """One mailbox, with its owner's consent.

    Every call raises Transient (RateLimited with `retry_after` if Gmail says so),
    NeedsReauth, Misconfigured or Permanent; a lost message is GmailNotFound.
    """

    def profile(self) -> GmailProfile:
        """users.getProfile."""

    def send_as(self) -> tuple[SendAs, ...]:
        """Addresses the owner may send as, verified ones only, the own one included."""

    def watch(self, topic: str) -> Watch:
        """users.watch on the topic's full name, no label filter.

        When Gmail allows only one client a watch, stops the other one first.
        """

    def stop(self) -> None:
        """users.stop."""

    def history(self, start: HistoryId, page_token: str | None = None) -> HistoryPage:
        """users.history.list from `start`, all types; raises HistoryExpired."""

    def headers(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, MessageHeaders | SyncError]:
        """Headers only (M14), in one batch; each message fails by itself."""

    def contents(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, Content | SyncError]:
        """Bodies and the list of attachments, in one batch."""

    def reports(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, DeliveryReport | SyncError | None]:
        """What these messages say as bounces, in one batch; None: it is none."""

    def attachment(self, message: GmailMessageId, attachment: str) -> bytes:
        """Bytes of one attachment."""

    def list_messages(self, query: str, page_token: str | None = None) -> MessagePage:
        """users.messages.list with `q`, spam and trash left out."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What Google gave for an authorization code.

    `google_sub` and `address` come from the verified ID token.
    `refresh_token` is None when Google gave none.
    """

    refresh_token: str | None
    scopes: frozenset[str]
    google_sub: str
    address: str

    def __repr__(self) -> str:
        """Hide the token: a repr may be logged."""
        return f"Grant(scopes={sorted(self.scopes)})"


class Google(Protocol):
    """Google's OAuth server and the Gmail of a mailbox whose token we hold."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """The permissions that are asked for; all of them must be granted (C1)."""

    def authorization_url(
        self, *, state: str, code_challenge: str, login_hint: str | None
    ) -> str:
        """Where the user's browser goes to consent (PKCE S256, offline, chooser)."""

    def exchange(self, *, code: str, code_verifier: str) -> Grant:
        """Trade the code for a grant.

        Raises Malformed for a bad code or ID token, Transient, Misconfigured.
        """

    def gmail(self, refresh_token: str) -> Gmail:
        """Gmail with this grant; access tokens are cached per instance."""

    def revoke(self, refresh_token: str) -> None:
        """Give the grant back; a dead one is no error."""


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The current moment, in UTC."""
