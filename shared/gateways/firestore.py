"""The document store on Firestore.

Every call has its own timeout and retry, so that no outage hangs a function. What the
service answers, and what it means (tried on the emulator; the same codes are in the
API's reference):

- create on an existing document: ALREADY_EXISTS
- update of a missing one: NOT_FOUND
- update time that no longer holds, the document deleted meanwhile included:
  FAILED_PRECONDITION
- contention: ABORTED; nothing was applied
- more than a document holds, in bytes or index entries: INVALID_ARGUMENT, told from
  everything else that is wrong with a request only by what the text says
- deadline, unavailable, internal on a commit: it may have been applied

A write that leaves a document as it was keeps its update time.

Importing this module imports Google's client: the composition root does it where a
function asks for documents, and nowhere else.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from google.api_core import exceptions as google
from google.api_core.retry import Retry, if_exception_type
from google.auth import exceptions as auth
from google.cloud.firestore import Client, DocumentSnapshot, FieldFilter

from shared.errors import (
    AlreadyExists,
    Conflict,
    DocumentFull,
    DocumentMissing,
    Misconfigured,
    SyncError,
)
from shared.gateways import document_rules as rules
from shared.gateways.firestore_writes import WritesBatch
from shared.gateways.google_faults import cause_of, error_of
from shared.gateways.query_rules import check_query
from shared.ports import (
    Create,
    Delete,
    Increment,
    Merge,
    Path,
    Query,
    Snapshot,
    Update,
    Write,
)

# Nested in the 20 s that one outside call may take.
_CALL_SECONDS = 8.0
_TOTAL_SECONDS = 18.0
_DATABASE = "(default)"

# How Firestore words that a document is too large ("cannot be written because its size
# (1,048,667 bytes) exceeds the maximum allowed size", "because it exceeds the maximum
# size allowed", firebase-js-sdk#4958; "value of property ... is longer than 1048487
# bytes"), how Datastore beneath it does ("entity is too big", nodejs-datastore#77; "too
# many index entries", "too many indexed properties"), and how the emulator does. That
# of an indexed value ("longer than 1500 bytes") is not among them: it is a bug.
_SAYS_FULL = re.compile(
    r"\bexceeds the maximum (?:allowed )?size\b"
    r"|\bmaximum (?:entity|document) size\b"
    r"|\b(?:entity|document) is too (?:big|large)\b"
    r"|\blonger than 1048\d{3} bytes"
    r"|\btoo many index(?:ed properties| entries)\b",
    re.IGNORECASE,
)


class FirestoreDocuments:
    """Implements `ports.Documents`; thread safe.

    The client is made at the first use. `FIRESTORE_EMULATOR_HOST` is honoured by
    Google's client itself.
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        database: str = _DATABASE,
        client_factory: Callable[[], Client] | None = None,
    ) -> None:
        self._project = project
        self._database = database
        self._client_factory = client_factory or self._make_client
        self._client: Client | None = None
        self._lock = threading.Lock()

    def get(self, paths: Sequence[Path]) -> list[Snapshot]:
        """Read these documents in one round trip; in order, missing ones included."""
        for path in paths:
            rules.check_document(path)
        if not paths:
            return []
        client = self._connected()
        # The service answers each document once, in any order.
        references = [client.document(path) for path in dict.fromkeys(paths)]
        with _translated():
            found = {
                answer.reference.path: _snapshot(answer)
                for answer in client.get_all(
                    references, retry=_read_retry(), timeout=_CALL_SECONDS
                )
            }
        return [found[path] for path in paths]

    def query(self, query: Query) -> list[Snapshot]:
        """Read the documents that match."""
        check_query(query)
        asked: Any = self._connected().collection(query.collection)
        for name, operator, value in query.where:
            asked = asked.where(filter=FieldFilter(name, operator, value))
        for name, direction in query.order_by:
            asked = asked.order_by(name, direction=_DIRECTIONS[direction])
        if query.start_after is not None:
            last = query.order_by[-1][1] if query.order_by else "asc"
            asked = asked.order_by("__name__", direction=_DIRECTIONS[last])
            asked = asked.start_after(list(query.start_after))
        if query.limit is not None:
            asked = asked.limit(query.limit)
        with _translated():
            return [
                _snapshot(answer)
                for answer in asked.stream(retry=_read_retry(), timeout=_CALL_SECONDS)
            ]

    def commit(self, writes: Sequence[Write]) -> list[object]:
        """Apply all writes or none; the documents' versions after them."""
        changes = rules.prepared(writes)
        if not writes:
            return []
        client = self._connected()
        batch = WritesBatch(
            client, f"projects/{client.project}/databases/{self._database}"
        )
        for write, change in zip(writes, changes, strict=True):
            batch.add(write, change)
        with _translated(writes):
            done = batch.commit(retry=_commit_retry(writes), timeout=_CALL_SECONDS)
        return [result.update_time for result in done]

    def _connected(self) -> Client:
        with self._lock:
            if self._client is None:
                with _translated():
                    self._client = self._client_factory()
            return self._client

    def _make_client(self) -> Client:
        return Client(project=self._project, database=self._database)


_DIRECTIONS = {"asc": "ASCENDING", "desc": "DESCENDING"}


def _snapshot(answer: DocumentSnapshot[Any]) -> Snapshot:
    path = answer.reference.path
    if not answer.exists:
        return Snapshot(path, exists=False)
    return Snapshot(
        path,
        exists=True,
        data=answer.to_dict() or {},
        version=answer.update_time,
        created=answer.create_time.isoformat() if answer.create_time else None,
    )


def _read_retry() -> Any:
    """A read may always be repeated."""
    return Retry(
        if_exception_type(
            google.ServiceUnavailable,
            google.InternalServerError,
            google.Aborted,
            google.TooManyRequests,
        ),
        initial=0.1,
        maximum=2.0,
        timeout=_TOTAL_SECONDS,
    )


def _commit_retry(writes: Sequence[Write]) -> Any:
    """Repeat a commit only when that cannot do anything twice.

    Aborted means that nothing was applied. After any other fault the commit may have
    been applied, and only writes that leave the same when repeated may be.
    """
    repeatable: tuple[type[Exception], ...] = (google.Aborted,)
    if all(map(_leaves_the_same_twice, writes)):
        repeatable += (google.ServiceUnavailable, google.InternalServerError)
    return Retry(
        if_exception_type(*repeatable),
        initial=0.05,
        maximum=1.0,
        timeout=_TOTAL_SECONDS,
    )


def _leaves_the_same_twice(write: Write) -> bool:
    if isinstance(write, Create):
        return False
    if not isinstance(write, Merge) and write.version is not None:
        return False
    return isinstance(write, Delete) or not _increments(write.data)


def _increments(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_increments, value.values()))
    return isinstance(value, Increment)


@contextmanager
def _translated(writes: Sequence[Write] = ()) -> Iterator[None]:
    """Raise our errors for the service's. The service's texts are never quoted."""
    try:
        yield
    except (google.GoogleAPICallError, google.RetryError, auth.GoogleAuthError) as it:
        raise _error(cause_of(it), writes) from it


def _error(fault: BaseException, writes: Sequence[Write]) -> SyncError:
    # The client counts Aborted and AlreadyExists both as a kind of (HTTP) conflict.
    if isinstance(fault, google.Aborted):
        return Conflict()
    if isinstance(fault, google.Conflict):
        return AlreadyExists()
    if isinstance(fault, google.NotFound):
        if any(isinstance(write, Update) for write in writes):
            return DocumentMissing()
        return Misconfigured("The project has no such Firestore database.")
    if isinstance(fault, google.InvalidArgument) and writes:
        # Anything else that it may mean is a bug of ours, and must look like one.
        if _SAYS_FULL.search(str(fault.message)):
            return DocumentFull()
        return error_of(fault, "Firestore")
    if isinstance(fault, google.FailedPrecondition):
        if any(getattr(write, "version", None) is not None for write in writes):
            return Conflict()
        # A query without its composite index.
        return Misconfigured("Firestore cannot do this as it is set up.")
    return error_of(fault, "Firestore")
