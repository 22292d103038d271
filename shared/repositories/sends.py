"""Mail under way, its idempotency keys, and the sends of a mailbox that count.

A send's document lives until the mail's fate is known and is gone then; the record says
the rest. Keys are kept for good: S7 has no date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shared.core.ids import ContactId, MailboxId, MessageId, SubaccountId, digest
from shared.core.sending.send_window import SendWindow, pack, unpack
from shared.core.sending.states import Send
from shared.errors import Conflict
from shared.ports import Create, Documents, Put, Query, Snapshot, Write

ATTEMPTS = 8
PAGE = 200
MOST_PAGES = 100
"""Of stalled sends, so that looking fits a function's time; the rest is found later."""


def send_path(subaccount: SubaccountId, message: MessageId) -> str:
    """A mail that is under way."""
    return f"sends/{digest('send', subaccount, message)}"


def key_path(subaccount: SubaccountId, key: str) -> str:
    """What was asked for under an Idempotency-Key, and the answer."""
    return f"subaccounts/{subaccount}/idempotency/{digest('idempotency', key)}"


def batch_path(subaccount: SubaccountId, batch: str) -> str:
    """A bulk call that is being fanned out."""
    return f"subaccounts/{subaccount}/batches/{batch}"


def batch_prefix(subaccount: SubaccountId, batch: str) -> str:
    """Every blob of a bulk call has a key that begins so."""
    return f"subaccounts/{subaccount}/batches/{batch}/"


def window_path(mailbox: MailboxId) -> str:
    """The sends of a mailbox that count for its daily cap."""
    return f"send_windows/{mailbox}"


def provider_window_path(subaccount: SubaccountId) -> str:
    """The mails that count for the daily cap of the subaccount's provider."""
    return f"subaccounts/{subaccount}/send_windows/provider"


# --- one send --------------------------------------------------------------------


def send_document(send: Send) -> dict[str, Any]:
    """Write a send down."""
    return asdict(send)


def send_from(snapshot: Snapshot) -> Send:
    """Read a send."""
    return Send(**snapshot.data)


class Sends:
    """Reads and changes sends; every change is a compare-and-set."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def change(
        self,
        subaccount: SubaccountId,
        message: MessageId,
        decide: Callable[[Send], Send | None],
    ) -> Send | None:
        """Read, let `decide` make the new state, and write it if nobody came between.

        None when there is no such send, or `decide` gave None. Raises Conflict when
        others are always faster.
        """
        path = send_path(subaccount, message)
        for _ in range(ATTEMPTS):
            found = self._documents.get([path])[0]
            if not found.exists:
                return None
            after = decide(send_from(found))
            if after is None:
                return None
            try:
                self._documents.commit([Put(path, send_document(after), found.version)])
            except Conflict:
                continue
            return after
        raise Conflict

    def read(self, subaccount: SubaccountId, message: MessageId) -> Send | None:
        """The send as it is stored now; None when it has ended."""
        found = self._documents.get([send_path(subaccount, message)])[0]
        return send_from(found) if found.exists else None

    def exists(self, subaccount: SubaccountId, message: MessageId) -> bool:
        """Whether the mail is still under way."""
        return self._documents.get([send_path(subaccount, message)])[0].exists

    def stalled_since(self, at: int) -> Iterator[list[Send]]:
        """Pages of sends that should have been looked at before `at` and were not."""
        after: tuple[int, str] | None = None
        for _ in range(MOST_PAGES):
            query = Query(
                "sends",
                where=(("look_at", "<", at),),
                order_by=(("look_at", "asc"),),
                limit=PAGE,
                start_after=after,
            )
            found = self._documents.query(query)
            if found:
                yield [send_from(snapshot) for snapshot in found]
            if len(found) < PAGE:
                return
            after = (found[-1].data["look_at"], found[-1].id)


# --- idempotency -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstResult:
    """What the first call under a key was answered. `payload` is its content's hash."""

    payload: str
    ids: tuple[MessageId, ...]
    batch: str | None = None


def key_write(subaccount: SubaccountId, key: str, result: FirstResult) -> Create:
    """Keep the first result; another call under the key makes the commit fail."""
    return Create(
        key_path(subaccount, key),
        {"payload": result.payload, "ids": list(result.ids), "batch": result.batch},
    )


def key_from(snapshot: Snapshot) -> FirstResult:
    """Read a first result."""
    data = snapshot.data
    ids = tuple(map(MessageId, data["ids"]))
    return FirstResult(data["payload"], ids, data.get("batch"))


# --- bulk ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BulkRecipient:
    """One contact of a bulk call, with the address and name that it has now.

    `stored` tells it from another that got its id after it was erased.
    """

    contact: ContactId
    message: MessageId
    address: str = ""
    name: str | None = None
    stored: str | None = None


def recipients_fields(recipients: Sequence[BulkRecipient]) -> list[dict[str, Any]]:
    """Write the contacts of a bulk call down: ids only, one may be erased meanwhile."""
    return [
        {
            "contact": recipient.contact,
            "message": recipient.message,
            "stored": recipient.stored,
        }
        for recipient in recipients
    ]


def recipients_from(data: Sequence[Mapping[str, Any]]) -> list[BulkRecipient]:
    """Read the contacts of a bulk call, without their addresses."""
    return [
        BulkRecipient(value["contact"], value["message"], stored=value.get("stored"))
        for value in data
    ]


# --- the daily cap ---------------------------------------------------------------


def window_from(snapshot: Snapshot) -> SendWindow:
    """Read a window; an empty one when nothing was counted yet."""
    data = snapshot.data
    return SendWindow(
        taken=unpack(data.get("taken", b"")),
        reserved={MessageId(m): at for m, at in data.get("reserved", {}).items()},
        blocked_until=data.get("blocked_until", 0),
        cap=data.get("cap"),
    )


def window_write(snapshot: Snapshot, window: SendWindow) -> Write:
    """Replace the window, as it was read."""
    data = {
        "taken": pack(window.taken),
        "reserved": dict(window.reserved),
        "blocked_until": window.blocked_until,
        "cap": window.cap,
    }
    if snapshot.exists:
        return Put(snapshot.path, data, snapshot.version)
    return Create(snapshot.path, data)
