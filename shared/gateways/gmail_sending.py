"""Sending through the Gmail API: drafts, uploaded and sent, and what became of them."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import IO, Any, cast

from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload

from shared.core.ids import GmailMessageId, GmailThreadId
from shared.core.mail import MessageHeaders
from shared.core.parsing.gmail_message import (
    METADATA_FIELDS,
    METADATA_HEADERS,
    headers_of,
)
from shared.core.syncing.failures import DAILY_LIMIT_SECONDS, Operation
from shared.errors import (
    DailyLimitReached,
    GmailNotFound,
    RateLimited,
    SyncError,
    Transient,
)
from shared.gateways import gmail_answers as answers
from shared.gateways.gmail_faults import error_of, refusal_of, translated
from shared.gateways.gmail_http import Api
from shared.ports import Draft

_ME = "me"
# A small mail travels in one request; a big one in pieces that can go on after a break.
_SMALL_BYTES = 256 * 1024
_PIECE_BYTES = 8 * 1024 * 1024
_MAIL_TYPE = "message/rfc822"
# How often one upload goes on after its connection broke, within one call.
_UPLOAD_BREAKS = 5
_DRAFTS_LOOKED_AT = 25
_SENT_LOOKED_AT = 100
_CLOCK_SKEW_MS = 120_000

_DAILY_REASONS = frozenset(
    ("dailyLimitExceeded", "userDailyLimitExceeded", "dailyLimitExceededUnreg")
)
_DAILY_TEXT = "(mail sending)"
_TOO_MANY, _FORBIDDEN = 429, 403


class SendingMixin:
    """The sending half of `ports.Gmail`, for `GmailMailbox`."""

    _api: Api

    def _http(
        self, *, repeatable: bool = False, most_bytes: int | None = None
    ) -> closing[Any]:
        raise NotImplementedError

    def _do(self, request: Any, operation: Operation = "other") -> Mapping[str, Any]:
        raise NotImplementedError

    def headers(
        self, ids: Sequence[GmailMessageId]
    ) -> dict[GmailMessageId, MessageHeaders | SyncError]:
        """See `GmailMailbox`."""
        raise NotImplementedError

    # --- drafts ------------------------------------------------------------------

    def create_draft(self, mail: IO[bytes], thread: GmailThreadId | None) -> Draft:
        """users.drafts.create: at once, or as a resumable upload when it is big."""
        size = mail.seek(0, os.SEEK_END)
        mail.seek(0)
        message: dict[str, Any] = {} if thread is None else {"threadId": thread}
        create = self._api.users.drafts().create
        if size <= _SMALL_BYTES:
            message["raw"] = base64.urlsafe_b64encode(mail.read()).decode()
            answer = self._do(create(userId=_ME, body={"message": message}), "draft")
        else:
            media = MediaIoBaseUpload(
                cast(io.IOBase, mail),
                _MAIL_TYPE,
                chunksize=_PIECE_BYTES,
                resumable=True,
            )
            body = {"message": message}
            answer = self._upload(create(userId=_ME, body=body, media_body=media))
        return answers.draft(answer)

    def find_drafts(self, mark: str, message_id: str) -> tuple[Draft, ...]:
        """Drafts of ours, by our Message-ID, else by our header among the newest."""
        drafts = self._api.users.drafts()
        wanted = {"userId": _ME, "fields": "drafts(id,message(id,threadId))"}
        named = drafts.list(**wanted, q=f"rfc822msgid:{message_id.strip('<>')}")
        found = self._marked(mark, answers.drafts(self._do(named)))
        if found:
            return found
        newest = drafts.list(**wanted, maxResults=_DRAFTS_LOOKED_AT)
        return self._marked(mark, answers.drafts(self._do(newest)))

    def draft_exists(self, draft: str) -> bool:
        """users.drafts.get."""
        request = self._api.users.drafts().get(
            userId=_ME, id=draft, format="minimal", fields="id"
        )
        try:
            self._do(request, "draft")
        except GmailNotFound:
            return False
        return True

    def delete_draft(self, draft: str) -> None:
        """users.drafts.delete; raises GmailNotFound."""
        self._do(self._api.users.drafts().delete(userId=_ME, id=draft), "draft")

    # --- sending -----------------------------------------------------------------

    def send_draft(self, draft: str) -> GmailMessageId:
        """users.drafts.send, exactly one request."""
        request = self._api.users.drafts().send(userId=_ME, body={"id": draft})
        with translated("draft"), self._http() as http:
            try:
                answer = request.execute(http=http, num_retries=0)
            except HttpError as fault:
                _raise_if_daily(fault)
                raise
        return GmailMessageId(answers.text(answers.checked(answer), "id"))

    def find_sent(
        self, mark: str, thread: GmailThreadId | None, since: int
    ) -> MessageHeaders | None:
        """Look in the thread first, then among all that was sent since (ms)."""
        ids = self._sent_in_thread(mark, thread) if thread else []
        if not ids:
            ids = self._sent_since(since)
        for start in range(0, len(ids), _DRAFTS_LOOKED_AT):
            found = self.headers(ids[start : start + _DRAFTS_LOOKED_AT])
            for headers in found.values():
                if isinstance(headers, Transient):
                    raise headers
                if (
                    isinstance(headers, MessageHeaders)
                    and headers.crm_message == mark
                    and "SENT" in headers.labels
                ):
                    return headers
        return None

    # --- inside ------------------------------------------------------------------

    def _upload(self, request: Any) -> Mapping[str, Any]:
        """Upload in pieces; a broken connection is continued, not begun again."""
        breaks = 0
        answer: Any = None
        while answer is None:
            try:
                with translated("draft"), self._http() as http:
                    _, answer = request.next_chunk(http=http, num_retries=0)
            except RateLimited:
                raise
            except Transient:
                breaks += 1
                if breaks > _UPLOAD_BREAKS or request.resumable_uri is None:
                    raise
        return answers.checked(answer)

    def _marked(
        self, mark: str, found: Sequence[tuple[Draft, GmailMessageId]]
    ) -> tuple[Draft, ...]:
        headers = self.headers([message for _, message in found]) if found else {}
        ours = []
        for draft, message in found:
            known = headers.get(message)
            if isinstance(known, Transient):
                raise known
            if isinstance(known, MessageHeaders) and known.crm_message == mark:
                ours.append(draft)
        return tuple(ours)

    def _sent_in_thread(self, mark: str, thread: GmailThreadId) -> list[GmailMessageId]:
        request = self._api.users.threads().get(
            userId=_ME,
            id=thread,
            format="metadata",
            metadataHeaders=list(METADATA_HEADERS),
            fields=f"messages({METADATA_FIELDS})",
        )
        try:
            answer = self._do(request, "message")
        except GmailNotFound:
            return []
        headers = [
            headers_of(message) for message in answers.objects(answer, "messages")
        ]
        return [
            message.gmail_message_id
            for message in headers
            if message.crm_message == mark
        ]

    def _sent_since(self, since: int) -> list[GmailMessageId]:
        request = self._api.messages.list(
            userId=_ME,
            labelIds=["SENT"],
            q=f"after:{(since - _CLOCK_SKEW_MS) // 1000}",
            maxResults=_SENT_LOOKED_AT,
            fields="messages/id",
        )
        return list(answers.message_page(self._do(request)).gmail_message_ids)


def _raise_if_daily(fault: HttpError) -> None:
    """Tell Gmail's daily limit of sends from its limits of speed."""
    said = refusal_of(fault)
    status = int(fault.resp.status)
    by_reason = said.reason in _DAILY_REASONS and status in {_FORBIDDEN, _TOO_MANY}
    by_text = status == _TOO_MANY and _DAILY_TEXT in said.text.lower()
    if by_reason or by_text:
        known = error_of(fault, "draft")
        wait = known.retry_after if isinstance(known, Transient) else None
        limit = DailyLimitReached(retry_after=wait or DAILY_LIMIT_SECONDS)
        limit.said = known.said
        raise limit
