"""A mail through the user's Gmail, at most once and never lost.

draft made → its id stored → marked `sending` → drafts.send, asked once → the Message-ID
read back. Gmail sends a draft at most once, so whoever goes on after a crash looks for
the draft: there, it was not sent, and may be; gone, it was sent, and the Sent copy is
found by our header.
"""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from shared.core.ids import MailboxId
from shared.core.moments import to_epoch_ms
from shared.core.records import Message
from shared.core.sending.replying import ReplyHeaders
from shared.core.sending.states import Send
from shared.errors import (
    DailyLimitReached,
    GmailNotFound,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    SyncError,
    Transient,
)
from shared.logs import log
from shared.ports import Clock, Documents, Draft, Gmail
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.sends import Sends
from shared.services.connecting.accounts import Accounts
from shared.services.sending.completion import Sent
from shared.services.sending.gmail_fate import GmailFate, mark_of
from shared.services.sending.send_records import own_message_id
from shared.services.sending.send_steps import (
    MimeLoader,
    SendDeferred,
    SendRejected,
    SendUnknown,
    advance,
    told,
)

_REAUTH = "Google no longer accepts our permission; the user must connect again."
_LEFT = "The user has left this mailbox before the mail was sent."
_LIMIT = "Gmail takes no more mail from this mailbox before {at}."


class GmailRoute:
    """Sends through Gmail, or finds out what became of an earlier try."""

    def __init__(
        self,
        documents: Documents,
        accounts: Accounts,
        loader: MimeLoader,
        clock: Clock,
    ) -> None:
        self._sends = Sends(documents)
        self._mailboxes = Mailboxes(documents)
        self._accounts = accounts
        self._loader = loader
        self._fate = GmailFate(documents, clock)
        self._clock = clock

    def send(self, send: Send, record: Message) -> Sent:
        """Take the send as far as it goes.

        Raises Refused, Postponed or Unclear, which say what is certain.
        """
        mailbox = self._mailbox(send)
        refers = self._loader.reply_headers(send, record)
        gmail = self._open(send)
        if send.state == "taken":
            return self._fate.read_back(gmail, mailbox, send, refers)
        if send.state == "sending":
            found = self._fate.look(gmail, mailbox, send, refers)
            if found is not None:
                return found
        else:
            send = self._draft(gmail, send, record, refers)
            send = advance(
                self._sends, send, state="sending", sending_since=self._now()
            )
        return self._send(gmail, mailbox, send, record, refers)

    def abandon(self, send: Send) -> None:
        """Make sure that it is not sent any more; raises Unclear when it may have been.

        Without its draft a mail cannot be sent.
        """
        if send.state == "queued":
            return  # a draft that is left is removed afterwards
        if send.state == "taken":
            raise SendUnknown(looked=False)
        try:
            gmail = self._accounts.gmail(_mailbox_of(send))
            gmail.delete_draft(send.draft or "")
        except SyncError as error:
            raise SendUnknown(looked=isinstance(error, GmailNotFound)) from error

    def clean(self, send: Send, message_id: str) -> None:
        """Remove the drafts of a mail that failed; raises Transient."""
        try:
            gmail = self._accounts.gmail(_mailbox_of(send))
            found = gmail.find_drafts(mark_of(send), message_id)
            ids = {draft.id for draft in found} | (
                {send.draft} if send.draft else set()
            )
            for draft in sorted(ids):
                with suppress(GmailNotFound):
                    gmail.delete_draft(draft)
        except (NeedsReauth, Permanent) as error:
            log.warning("draft_not_removed", mailbox=send.mailbox, code=error.code)

    def what_is_known(self, send: Send) -> Sent:
        """A sent mail whose Message-ID cannot be learnt; the sync may bring it."""
        return self._fate.what_is_known(send)

    # --- steps -------------------------------------------------------------------

    def _mailbox(self, send: Send) -> Mailbox:
        mailbox = self._mailboxes.read(_mailbox_of(send))
        gone = mailbox is None or send.user not in mailbox.users
        if mailbox is None or (gone and send.state == "queued"):
            raise SendRejected("disconnected", _LEFT)
        return mailbox

    def _open(self, send: Send) -> Gmail:
        try:
            return self._accounts.gmail(_mailbox_of(send))
        except NeedsReauth:
            raise self._reauth(send) from None
        except Transient as error:
            raise _passing(send, error) from None
        except Misconfigured as error:
            raise _passing(send, _ours(error)) from None

    def _draft(
        self, gmail: Gmail, send: Send, record: Message, refers: ReplyHeaders
    ) -> Send:
        """The draft of this mail: known, left by an earlier holder, or new."""
        if send.draft is not None:
            return send
        try:
            draft = self._found_draft(gmail, send, record) or self._new_draft(
                gmail, record, refers
            )
        except Transient as error:
            raise SendDeferred(error) from None
        except NeedsReauth:
            raise self._reauth(send) from None
        except Misconfigured as error:
            raise SendDeferred(_ours(error)) from None
        except Permanent as error:
            raise SendRejected("rejected", told(error, record)) from None
        try:
            return advance(
                self._sends, send, draft=draft.id, gmail_thread=draft.gmail_thread_id
            )
        except Transient:
            # Another holder has made its own; this one is nobody's.
            with suppress(SyncError):
                self._remove_foreign(gmail, send, draft)
            raise

    def _found_draft(self, gmail: Gmail, send: Send, record: Message) -> Draft | None:
        """A draft that an earlier holder made before it died; others are removed."""
        if send.attempts <= 1:
            return None
        own_id = own_message_id(record.id, record.sender)
        found = gmail.find_drafts(mark_of(send), own_id)
        for spare in found[1:]:
            with suppress(GmailNotFound):
                gmail.delete_draft(spare.id)
        return found[0] if found else None

    def _new_draft(self, gmail: Gmail, record: Message, refers: ReplyHeaders) -> Draft:
        letter = io.BytesIO()
        for piece in self._loader.pieces(record, refers, reply_to=None, with_bcc=True):
            letter.write(piece)
        try:
            return gmail.create_draft(letter, refers.gmail_thread)
        except GmailNotFound:
            if refers.gmail_thread is None:
                raise
            # The user has deleted the thread for ever: the answer begins another.
            return gmail.create_draft(letter, None)

    def _remove_foreign(self, gmail: Gmail, send: Send, draft: Draft) -> None:
        current = self._sends.read(send.subaccount, send.message)
        if current is None or current.draft != draft.id:
            gmail.delete_draft(draft.id)

    def _send(
        self,
        gmail: Gmail,
        mailbox: Mailbox,
        send: Send,
        record: Message,
        refers: ReplyHeaders,
    ) -> Sent:
        try:
            message = gmail.send_draft(send.draft or "")
        except GmailNotFound:
            found = self._fate.look(gmail, mailbox, send, refers)
            if found is None:
                raise SendUnknown(looked=True) from None
            return found
        except DailyLimitReached as error:
            raise self._limit(error, record) from None
        except RateLimited as error:
            raise SendDeferred(error) from None
        except Transient as error:
            # The answer is lost, or Gmail failed midway.
            found = self._fate.look(gmail, mailbox, send, refers)
            if found is None:
                raise SendDeferred(error) from None
            return found
        except NeedsReauth:
            raise self._reauth(replace(send, state="queued")) from None
        except Permanent as error:
            raise SendRejected("rejected", told(error, record)) from None
        send = replace(send, gmail_message=message)
        return self._fate.read_back(gmail, mailbox, send, refers)

    # --- refusals ----------------------------------------------------------------

    def _reauth(self, send: Send) -> Exception:
        """C7: the connection is marked, and the mail fails, unless it may be out."""
        self._accounts.needs_reauth(_mailbox_of(send))
        if send.state in {"sending", "taken"}:
            return SendUnknown(looked=False)
        return SendRejected("reauth_required", _REAUTH)

    def _limit(self, error: DailyLimitReached, record: Message) -> SendRejected:
        free_at = self._now() + int((error.retry_after or 0.0) * 1000)
        at = datetime.fromtimestamp(free_at // 1000, UTC).isoformat()
        limit = DailyLimitReached(_LIMIT.format(at=at.replace("+00:00", "Z")))
        limit.said = error.said
        return SendRejected("daily_limit_reached", told(limit, record), free_at)

    def _now(self) -> int:
        return to_epoch_ms(self._clock.now())


def _ours(error: Misconfigured) -> Transient:
    """The deployment's fault is no mail's: operators mend it, and the mail waits."""
    log.error("sending_misconfigured", code=error.code, exc_info=error)
    return Transient(error.detail)


def _passing(send: Send, error: Transient) -> Exception:
    if send.state == "queued":
        return SendDeferred(error)
    return SendUnknown(looked=False, retry_after=error.retry_after)


def _mailbox_of(send: Send) -> MailboxId:
    if send.mailbox is None:
        raise SendRejected("disconnected", _LEFT)
    return send.mailbox
