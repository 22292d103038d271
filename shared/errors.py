"""One error tree: a class says by its type what must happen next.

The docstring of a class is its message. Nothing in a message may hold an address, a
subject, a body or a token: messages are logged and shown.
"""

from __future__ import annotations


class SyncError(Exception):
    """Something went wrong in the sync."""

    code = "internal_error"
    said: str | None = None
    """What the other side said in its own words: foreign text that may hold addresses.

    Never part of the message; `core/sending/quoting.py` makes it fit to be shown.
    """

    def __init__(self, detail: str | None = None) -> None:
        """Keep `detail` for people; without one the class docstring is the message."""
        super().__init__(detail or (type(self).__doc__ or "").strip())

    @property
    def detail(self) -> str:
        """The message for people."""
        return str(self.args[0])


# --- try again later -------------------------------------------------------------


class Transient(SyncError):
    """A passing fault of a service that we depend on; try again later."""

    code = "temporarily_unavailable"

    def __init__(
        self, detail: str | None = None, *, retry_after: float | None = None
    ) -> None:
        """Remember how many seconds the service asked us to wait, if it said so."""
        super().__init__(detail)
        self.retry_after = retry_after


class RateLimited(Transient):
    """A service asks us to slow down; try again later."""

    code = "rate_limited"


class DailyLimitReached(RateLimited):
    """Gmail takes no more mail from this mailbox for now."""

    code = "daily_limit_reached"


class FateUnknown(SyncError):
    """It may have been sent or not, and nobody can tell any more (S7)."""

    code = "fate_unknown"


class Conflict(Transient):
    """Somebody else changed the same record at the same moment; try again."""

    code = "conflict"


# --- trying again cannot help ----------------------------------------------------


class Permanent(SyncError):
    """This will never succeed as it stands."""

    code = "permanent"


class Malformed(Permanent):
    """The input cannot be understood."""

    code = "malformed"


class DocumentFull(Permanent):
    """The document that this would be added to holds no more."""

    code = "limit_reached"


class MailboxPurposeConflict(Permanent):
    """Logging BCC mail and a user's own connection exclude each other."""

    code = "serves_otherwise"


class GmailNotFound(Permanent):
    """The thing no longer exists."""

    code = "vanished"


class HistoryExpired(Permanent):
    """Gmail no longer has the history since our cursor; a resync is needed."""

    code = "history_expired"


class Misconfigured(Permanent):
    """The deployment itself is set up wrongly; no user can mend this."""

    code = "misconfigured"


# --- the user must act -----------------------------------------------------------


class NeedsReauth(SyncError):
    """The mailbox owner must connect again; retrying cannot help."""

    code = "reauth_required"


# --- somebody may be attacking ---------------------------------------------------


class Unauthenticated(SyncError):
    """The caller is not who it must be."""

    code = "forbidden"


# --- what the document store says ------------------------------------------------


class AlreadyExists(SyncError):
    """A record that had to be new exists already."""

    code = "already_exists"


class DocumentMissing(SyncError):
    """A record that had to exist does not."""

    code = "missing"


# --- what an API caller did ------------------------------------------------------


class Problem(SyncError):
    """A request that is refused, as an RFC 9457 problem document.

    `code` is stable and public; `detail` is for people; `errors` lists
    `{"pointer": JSON pointer, "detail": text}` for bad input.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: tuple[dict[str, str], ...] = (),
        headers: dict[str, str] | None = None,
        **extra: object,
    ) -> None:
        """Refuse with this HTTP status, stable code and sentence."""
        super().__init__(detail)
        self.status = status
        self.code = code
        self.errors = errors
        self.headers = headers or {}
        self.extra = extra
