"""One mailbox through the Gmail API.

Nothing is repeated behind the caller's back, except a request refused with 401 (once,
with a new token), the parts of a batch that failed in passing (once, at once), and a
read on a kept connection that had been closed. Waiting is left to the redelivery of the
work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from googleapiclient.errors import HttpError

from shared.core import limits
from shared.core.ids import GmailMessageId, HistoryId
from shared.core.mail import Content, DeliveryReport, MessageHeaders
from shared.core.parsing.delivery_reports import held_back_reports, report_of
from shared.core.parsing.gmail_message import (
    FULL_FIELDS,
    METADATA_FIELDS,
    METADATA_HEADERS,
    content_of,
    headers_of,
    held_back_bodies,
)
from shared.core.syncing.failures import Operation
from shared.errors import (
    Misconfigured,
    NeedsReauth,
    Permanent,
    SyncError,
    Transient,
)
from shared.gateways import gmail_answers as answers
from shared.gateways import gmail_connections
from shared.gateways.gmail_connections import HttpFactory, open_http
from shared.gateways.gmail_faults import (
    AnswerTooLarge,
    error_of,
    refusal_of,
    translated,
)
from shared.gateways.gmail_http import AccessToken, Authorised, api
from shared.gateways.gmail_sending import SendingMixin
from shared.ports import GmailProfile, HistoryPage, MessagePage, SendAs, Watch

GMAIL_ENDPOINT = "https://gmail.googleapis.com"

_ME = "me"
# All types are asked for: a record that concerns nothing of ours moves the cursor, too.
_HISTORY_FIELDS = (
    "historyId,nextPageToken,history(id,messagesAdded/message(id,labelIds),"
    "labelsAdded(labelIds,message/id),labelsRemoved(labelIds,message/id))"
)
_PAGE = 500
# Base64 is a third longer. A mail of all that Gmail takes fits into each.
_BATCH_BYTES = 48 * 1024 * 1024
_ATTACHMENT_BYTES = limits.MAX_ATTACHMENT_BYTES * 3 // 2
# What Gmail says when the mailbox is watched on another topic.
_OTHER_WATCH = "only one user push notification client"

_T = TypeVar("_T")
_Read = Callable[[Mapping[str, Any]], _T]


class GmailMailbox(SendingMixin):
    """Implements `ports.Gmail`; thread safe. Its repr shows no token."""

    def __init__(
        self,
        access_token: AccessToken,
        *,
        endpoint: str = GMAIL_ENDPOINT,
        http_factory: HttpFactory = open_http,
    ) -> None:
        """Use the mailbox that the access token is for."""
        self._access_token = access_token
        self._http_factory = http_factory
        self._api = api(endpoint)

    def profile(self) -> GmailProfile:
        """users.getProfile."""
        answer = self._do(self._api.users.getProfile(userId=_ME))
        return GmailProfile(
            answers.text(answer, "emailAddress"),
            HistoryId(answers.number(answer, "historyId")),
        )

    def send_as(self) -> tuple[SendAs, ...]:
        """Addresses the owner may send as, verified ones only, the own one included."""
        answer = self._do(self._api.send_as.list(userId=_ME))
        return answers.verified(answer)

    def watch(self, topic: str) -> Watch:
        """users.watch on the topic's full name.

        When another client's topic is watched, stops that and tries once more.
        """
        try:
            return self._watch(topic)
        except _WatchedElsewhere:
            self.stop()
        try:
            return self._watch(topic)
        except _WatchedElsewhere:
            raise Permanent("Gmail lets only another client watch this.") from None

    def stop(self) -> None:
        """users.stop."""
        self._do(self._api.users.stop(userId=_ME))

    def history(self, start: HistoryId, page_token: str | None = None) -> HistoryPage:
        """users.history.list from `start`, all types; raises HistoryExpired."""
        request = self._api.users.history().list(
            userId=_ME,
            startHistoryId=start,
            maxResults=_PAGE,
            fields=_HISTORY_FIELDS,
            **_page(page_token),
        )
        return answers.history_page(self._do(request, "history"))

    def headers(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, MessageHeaders | SyncError]:
        """Headers only (M14), in one batch; each message fails by itself."""
        return self._read_all(
            ids,
            headers_of,
            format="metadata",
            metadataHeaders=list(METADATA_HEADERS),
            fields=METADATA_FIELDS,
        )

    def contents(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, Content | SyncError]:
        """Bodies and the list of attachments, in one batch."""
        found = self._read_all(ids, _content_or_raw, format="full", fields=FULL_FIELDS)
        return {
            message: self._with_parts(
                message, answer, held_back_bodies(answer), content_of
            )
            if isinstance(answer, Mapping)
            else answer
            for message, answer in found.items()
        }

    def reports(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, DeliveryReport | SyncError | None]:
        """Read as bounces, in one batch, with what Gmail keeps apart of them."""
        found = self._read_all(ids, _report_or_raw, format="full", fields=FULL_FIELDS)
        return {
            message: self._with_parts(
                message, answer, held_back_reports(answer), report_of
            )
            if isinstance(answer, Mapping)
            else answer
            for message, answer in found.items()
        }

    def _with_parts(
        self,
        message: GmailMessageId,
        resource: Mapping[str, Any],
        parts: Sequence[str],
        read: Callable[[Mapping[str, Any], Mapping[str, bytes]], _T],
    ) -> _T | SyncError:
        """Read a message with what Gmail keeps apart: a long body, or a named one."""
        try:
            fetched = {part: self.attachment(message, part) for part in parts}
        except (NeedsReauth, Misconfigured):
            raise
        except SyncError as fault:
            return fault
        return read(resource, fetched)

    def attachment(self, message: GmailMessageId, attachment: str) -> bytes:
        """Bytes of one attachment."""
        request = (
            self._api.users.messages()
            .attachments()
            .get(userId=_ME, messageId=message, id=attachment, fields="data")
        )
        request.postproc = answers.attachment
        # Unpacking would hold it once more.
        request.headers["accept-encoding"] = "identity"
        http = self._http(repeatable=True, most_bytes=_ATTACHMENT_BYTES)
        try:
            with translated("message"), http as carrier:
                data: bytes = request.execute(http=carrier, num_retries=0)
        except AnswerTooLarge:
            raise _too_large() from None
        return data

    def list_messages(self, query: str, page_token: str | None = None) -> MessagePage:
        """users.messages.list with `q`, spam and trash left out."""
        request = self._api.users.messages().list(
            userId=_ME,
            q=query,
            includeSpamTrash=False,
            maxResults=_PAGE,
            fields="messages/id,nextPageToken",
            **_page(page_token),
        )
        return answers.message_page(self._do(request))

    def _http(
        self, *, repeatable: bool = False, most_bytes: int | None = None
    ) -> closing[Any]:
        http = self._http_factory(repeatable)
        http.most_bytes = most_bytes or gmail_connections.MOST_BYTES
        return closing(Authorised(http, self._access_token))

    def _do(self, request: Any, operation: Operation = "other") -> Mapping[str, Any]:
        reads = request.method == "GET"
        with translated(operation), self._http(repeatable=reads) as http:
            answer = request.execute(http=http, num_retries=0)
        return answers.checked(answer)

    def _watch(self, topic: str) -> Watch:
        request = self._api.users.watch(userId=_ME, body={"topicName": topic})
        with translated("watch"), self._http() as http:
            try:
                answer = request.execute(http=http, num_retries=0)
            except HttpError as fault:
                if _OTHER_WATCH in refusal_of(fault).text.lower():
                    raise _WatchedElsewhere from None
                raise
        return answers.watch(answers.checked(answer))

    # --- batches -----------------------------------------------------------------

    def _read_all(
        self, ids: Sequence[GmailMessageId], read: _Read[_T], **wanted: Any
    ) -> dict[GmailMessageId, _T | SyncError]:
        """Read messages in batches; see `ports.Gmail.headers`.

        What concerns the mailbox or the deployment, and not one message, is raised.
        """
        found: dict[GmailMessageId, _T | SyncError] = {}
        unique = list(dict.fromkeys(ids))
        for at in range(0, len(unique), limits.HEADERS_PER_BATCH):
            part = unique[at : at + limits.HEADERS_PER_BATCH]
            try:
                found |= self._batch_or_halves(part, read, wanted)
            except Transient as fault:
                if not found:
                    raise
                # What other batches brought is not thrown away.
                found |= dict.fromkeys(part, fault)
                continue
            again = [name for name in part if _in_passing(found[name])]
            if again:
                try:
                    found |= self._batch_or_halves(again, read, wanted)
                except Transient:
                    continue  # each keeps its own error
        return found

    def _batch_or_halves(
        self,
        ids: Sequence[GmailMessageId],
        read: _Read[_T],
        wanted: Mapping[str, Any],
    ) -> dict[GmailMessageId, _T | SyncError]:
        """Read a batch; one that is too large in parts, down to the message it is."""
        try:
            return self._batch(ids, read, wanted)
        except AnswerTooLarge:
            if len(ids) == 1:
                return {ids[0]: _too_large()}
        half = len(ids) // 2
        return self._batch_or_halves(ids[:half], read, wanted) | self._batch_or_halves(
            ids[half:], read, wanted
        )

    def _batch(
        self,
        ids: Sequence[GmailMessageId],
        read: _Read[_T],
        wanted: Mapping[str, Any],
    ) -> dict[GmailMessageId, _T | SyncError]:
        found: dict[GmailMessageId, _T | SyncError] = {}

        def collect(name: str, answer: Any, fault: HttpError | None) -> None:
            found[GmailMessageId(name)] = (
                _read_one(answer, read) if fault is None else error_of(fault, "message")
            )

        messages = self._api.messages
        batch = self._api.service.new_batch_http_request(callback=collect)
        for name in ids:
            request = messages.get(userId=_ME, id=name, **wanted)
            request.postproc = _readable(request.postproc)
            batch.add(request, request_id=name)
        http = self._http(repeatable=True, most_bytes=_BATCH_BYTES)
        with translated(), http as carrier:
            batch.execute(http=carrier)
        for outcome in found.values():
            if isinstance(outcome, NeedsReauth | Misconfigured):
                raise outcome
        return found


def _content_or_raw(resource: Mapping[str, Any]) -> Content | Mapping[str, Any]:
    """Translate at once what can be, so that a batch is not in memory as JSON."""
    return resource if held_back_bodies(resource) else content_of(resource)


def _report_or_raw(
    resource: Mapping[str, Any],
) -> DeliveryReport | Mapping[str, Any] | None:
    return resource if held_back_reports(resource) else report_of(resource)


class _WatchedElsewhere(SyncError):
    """Gmail lets only another client watch this mailbox."""


def _readable(postproc: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Let garbage in one part of a batch be that message's fault, not the batch's."""

    def read(response: Any, content: Any) -> Any:
        try:
            return postproc(response, content)
        except (ValueError, RecursionError):
            return _GARBAGE

    return read


def _too_large() -> Permanent:
    return Permanent("Gmail's answer about this message is too large.")


_GARBAGE = Transient("Gmail's answer cannot be read.")


def _read_one(answer: Any, read: _Read[_T]) -> _T | SyncError:
    if isinstance(answer, Transient):
        return answer
    try:
        return read(answers.checked(answer))
    except SyncError as fault:
        return fault


def _in_passing(outcome: object) -> bool:
    """Whether asking again at once may help."""
    return isinstance(outcome, Transient) and outcome.retry_after is None


def _page(token: str | None) -> dict[str, str]:
    return {} if token is None else {"pageToken": token}
