"""What the two ways of sending have in common: how a try ends, and the mail itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from shared.core.mail import Address
from shared.core.records import Message
from shared.core.sending.composing import MailToBuild, write_mail
from shared.core.sending.quoting import quoted
from shared.core.sending.replying import ReplyHeaders, reply_headers
from shared.core.sending.states import Send
from shared.errors import DocumentMissing, SyncError, Transient
from shared.ports import Blobs, Documents, Query
from shared.repositories import messages, paths
from shared.repositories.sends import Sends
from shared.services.sending.completion import HolderChanged
from shared.services.sending.send_records import mail_of

_THREAD_LOOKED_AT = 30


class SendRejected(Exception):
    """Certainly not sent, and trying again cannot help.

    `free_at` (ms) is when Gmail itself allows sending again.
    """

    def __init__(self, code: str, detail: str, free_at: int | None = None) -> None:
        """Fail with this reason."""
        super().__init__(code)
        self.code, self.detail, self.free_at = code, detail, free_at


class SendDeferred(Exception):
    """Certainly not sent; it may be tried again."""

    def __init__(self, cause: Transient) -> None:
        """Because of this."""
        super().__init__(cause.code)
        self.cause = cause


class SendUnknown(Exception):
    """It may have been sent; only looking again tells.

    `looked`: Gmail could be asked, and shows neither the draft nor a sent mail.
    """

    def __init__(self, *, looked: bool, retry_after: float | None = None) -> None:
        """Say whether looking was possible at all."""
        super().__init__()
        self.looked, self.retry_after = looked, retry_after


def told(error: SyncError, record: Message) -> str:
    """The reason as it is shown: ours, then the other side's own words (S8)."""
    envelope = record.envelope
    shown = (*envelope.to, *envelope.cc) if envelope else ()
    words = quoted(
        error.said or "",
        [record.sender.address, *(address.address for address in shown)],
        [recipient.address for recipient in envelope.bcc] if envelope else (),
    )
    return f'{error.detail} It said: "{words}"' if words else error.detail


def advance(known: Sends, send: Send, **changes: object) -> Send:
    """Store how far a send has come, as long as it is ours.

    Raises HolderChanged when another holder has taken it over.
    """

    def step(before: Send) -> Send | None:
        if before.fence != send.fence:
            return None
        return replace(before, **changes)  # type: ignore[arg-type]

    after = known.change(send.subaccount, send.message, step)
    if after is None:
        raise HolderChanged
    return after


class MimeLoader:
    """Makes the mail of a record, with its attachments streamed."""

    def __init__(self, documents: Documents, blobs: Blobs) -> None:
        self._documents = documents
        self._blobs = blobs

    def reply_headers(self, send: Send, record: Message) -> ReplyHeaders:
        """How the mail refers to the one it answers.

        Raises Postponed while that one is itself still under way.
        """
        if send.answers is None:
            return ReplyHeaders()
        path = paths.message(send.subaccount, send.answers)
        found = self._documents.get([path])[0]
        if not found.exists:
            return ReplyHeaders()
        parent = messages.from_snapshot(found)
        if parent.status == "queued":
            raise SendDeferred(
                Transient("The mail that it answers is still under way.")
            )
        query = Query(
            paths.messages(send.subaccount),
            where=(("thread", "==", record.thread),),
            limit=_THREAD_LOOKED_AT,
        )
        thread = [
            messages.from_snapshot(document)
            for document in self._documents.query(query)
        ]
        return reply_headers(parent, thread, send.mailbox, record.subject)

    def pieces(
        self,
        record: Message,
        refers: ReplyHeaders,
        *,
        reply_to: Address | None,
        with_bcc: bool,
    ) -> Iterator[bytes]:
        """The mail, piece by piece."""
        mail: MailToBuild = replace(
            mail_of(record),
            reply_to=reply_to,
            in_reply_to=refers.in_reply_to,
            references=refers.references,
        )

        def contents(number: int) -> Iterator[bytes]:
            place = messages.attachment_key(record, str(number))
            try:
                return self._blobs.stream(place)
            except DocumentMissing:
                # A batch brings them in a moment; an erasure has removed them.
                raise Transient("An attachment is not there.") from None

        return write_mail(mail, contents, with_bcc=with_bcc)
