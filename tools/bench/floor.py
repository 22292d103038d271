"""The floor: the calls of a recorded run, made again with nothing in between.

Same clients, same requests in the same order, same documents; no rules, no checks, no
reading of the answers beyond what the clients themselves do. On the emulators the
documents are even encoded before the clock starts. Nobody could sync with it: it only
says what the calls alone cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from google.cloud.firestore import FieldFilter

from shared.core.parsing.gmail_message import (
    FULL_FIELDS,
    METADATA_FIELDS,
    METADATA_HEADERS,
)
from shared.gateways import document_rules
from shared.gateways.firestore import FirestoreDocuments
from shared.gateways.firestore_writes import WritesBatch, encoded
from shared.gateways.gmail import _HISTORY_FIELDS, _PAGE
from shared.gateways.gmail_connections import open_http
from shared.gateways.gmail_http import Authorised, api
from shared.ports import Put, Query, Update, Write
from tools.bench.stage import Stage
from tools.bench.tape import Call

Step = Callable[[], object]
_SECONDS = 10.0


class Floor:
    """Plays tapes on one stage."""

    def __init__(
        self, stage: Stage, token: str, tapes: Sequence[Sequence[Call]]
    ) -> None:
        """Get the tapes ready, one for each notification; ask for nothing yet."""
        self._gmail = _Gmail(stage, token)
        documents = stage.outside.documents
        on_firestore = isinstance(documents, FirestoreDocuments)
        self._documents = (
            _Firestore(documents) if on_firestore else _InMemory(documents)
        )
        self._outside = stage.outside
        self._tapes = [[self._step(call) for call in tape] for tape in tapes]

    def play(self, number: int) -> None:
        """Make the calls of one notification."""
        for step in self._tapes[number]:
            step()

    def _step(self, call: Call) -> Step:
        prepared: dict[str, Any] = {"documents": self._documents, "gmail": self._gmail}
        if call.port in prepared:
            prepare: Callable[..., Step] = getattr(prepared[call.port], call.method)
            return prepare(*call.arguments, **call.named)
        method = getattr(getattr(self._outside, call.port), call.method)
        return lambda: method(*call.arguments, **call.named)


class _Gmail:
    """The product's requests to Gmail, by Google's client and no more."""

    def __init__(self, stage: Stage, token: str) -> None:
        self._api = api(stage.gmail_url)
        self._token = token

    def history(self, start: str, page: str | None = None) -> Step:
        more = {"pageToken": page} if page else {}
        return lambda: self._execute(
            self._api.users.history().list(
                userId="me",
                startHistoryId=start,
                maxResults=_PAGE,
                fields=_HISTORY_FIELDS,
                **more,
            )
        )

    def headers(self, ids: Sequence[str]) -> Step:
        return lambda: self._batch(
            ids,
            format="metadata",
            metadataHeaders=list(METADATA_HEADERS),
            fields=METADATA_FIELDS,
        )

    def contents(self, ids: Sequence[str]) -> Step:
        return lambda: self._batch(ids, format="full", fields=FULL_FIELDS)

    def attachment(self, message: str, attachment: str) -> Step:
        attachments = self._api.users.messages().attachments()
        return lambda: self._execute(
            attachments.get(
                userId="me", messageId=message, id=attachment, fields="data"
            )
        )

    def _http(self) -> closing[Any]:
        http = open_http(repeatable=True)
        return closing(Authorised(http, lambda _refused: self._token))

    def _execute(self, request: Any) -> None:
        with self._http() as http:
            request.execute(http=http, num_retries=0)

    def _batch(self, ids: Sequence[str], **wanted: Any) -> None:
        batch = self._api.service.new_batch_http_request(callback=_take)
        for name in ids:
            batch.add(self._api.messages.get(userId="me", id=name, **wanted))
        with self._http() as http:
            batch.execute(http=http)


def _take(_name: str, _answer: Any, fault: Exception | None) -> None:
    if fault is not None:
        raise fault


class _InMemory:
    """The in-memory store; it has no client to do without."""

    def __init__(self, documents: Any) -> None:
        self._documents = documents
        self._versions: dict[str, Any] = {}

    def get(self, paths: Sequence[str]) -> Step:
        return lambda: self._seen(self._documents.get(paths))

    def query(self, query: Query) -> Step:
        return lambda: self._seen(self._documents.query(query))

    def commit(self, writes: Sequence[Write]) -> Step:
        paths = [write.path for write in writes]

        def step() -> None:
            told = self._documents.commit([self._current(write) for write in writes])
            self._versions.update(zip(paths, told, strict=True))

        return step

    def _seen(self, found: Sequence[Any]) -> None:
        for item in found:
            self._versions[item.path] = item.version

    def _current(self, write: Write) -> Write:
        """The write as of what this run has read: versions differ between runs."""
        if isinstance(write, Put | Update) and write.version is not None:
            return replace(write, version=self._versions[write.path])
        return write


class _Firestore:
    """Google's Firestore client, with requests that are made beforehand."""

    def __init__(self, documents: FirestoreDocuments) -> None:
        self._client = documents._connected()  # noqa: SLF001  (below our own gateway)
        self._root = f"projects/{self._client.project}/databases/(default)"
        self._versions: dict[str, Any] = {}

    def get(self, paths: Sequence[str]) -> Step:
        references = [self._client.document(path) for path in dict.fromkeys(paths)]

        def step() -> None:
            for answer in self._client.get_all(references, timeout=_SECONDS):
                self._seen(answer)

        return step

    def query(self, query: Query) -> Step:
        asked: Any = self._client.collection(query.collection)
        for name, operator, value in query.where:
            asked = asked.where(filter=FieldFilter(name, operator, value))
        for name, direction in query.order_by:
            way = {"asc": "ASCENDING", "desc": "DESCENDING"}[direction]
            asked = asked.order_by(name, direction=way)
        if query.limit is not None:
            asked = asked.limit(query.limit)

        def step() -> None:
            for answer in asked.stream(timeout=_SECONDS):
                self._seen(answer)

        return step

    def commit(self, writes: Sequence[Write]) -> Step:
        unversioned = [
            replace(write, version=None) if isinstance(write, Put | Update) else write
            for write in writes
        ]
        changes = document_rules.prepared(unversioned)
        names = [f"{self._root}/documents/{write.path}" for write in writes]
        ready = [
            encoded(item, change, name)
            for item, change, name in zip(unversioned, changes, names, strict=True)
        ]
        versioned = [
            (write.path, type(message).pb(message).current_document)
            for write, message in zip(writes, ready, strict=True)
            if isinstance(write, Put | Update) and write.version is not None
        ]

        def step() -> None:
            for path, condition in versioned:
                condition.update_time.CopyFrom(self._versions[path])
            batch = WritesBatch(self._client, self._root)
            batch._add_write_pbs(ready)  # noqa: SLF001  (as our own gateway does)
            told = batch.commit(timeout=_SECONDS)
            # As the product does: it writes again what it wrote, without reading it.
            for write, result in zip(writes, told, strict=True):
                if isinstance(write, Put):
                    version = result.update_time.timestamp_pb()
                    self._versions[write.path] = version

        return step

    def _seen(self, answer: Any) -> None:
        if answer.exists:
            answer.to_dict()
            version = answer.update_time.timestamp_pb()
            self._versions[answer.reference.path] = version
