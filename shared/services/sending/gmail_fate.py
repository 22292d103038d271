"""What became of a mail that Gmail was asked to send, as far as Gmail can tell (S7).

Gmail sends a draft at most once: a draft that is there was not sent, and of one that is
gone the Sent copy is found by our header. Sends nothing.
"""

from __future__ import annotations

from shared.core.mail import MessageHeaders
from shared.core.moments import to_epoch_ms
from shared.core.sending.replying import ReplyHeaders
from shared.core.sending.states import Send
from shared.errors import SyncError, Transient
from shared.ports import Clock, Documents, Gmail
from shared.repositories.mailboxes import Mailbox, Mailboxes
from shared.repositories.sends import Sends
from shared.services.sending.completion import Sent
from shared.services.sending.send_steps import SendUnknown, advance


class GmailFate:
    """Looks for sent mail, and reads back what Gmail made of it."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._sends = Sends(documents)
        self._mailboxes = Mailboxes(documents)
        self._clock = clock

    def look(
        self, gmail: Gmail, mailbox: Mailbox, send: Send, refers: ReplyHeaders
    ) -> Sent | None:
        """What became of it; None: the draft is there, so it was not sent.

        Raises Unclear when Gmail cannot be asked, or shows neither.
        """
        try:
            if gmail.draft_exists(send.draft or ""):
                return None
            since = send.sending_since or send.accepted_at
            found = gmail.find_sent(mark_of(send), send.gmail_thread, since)
        except SyncError as error:
            wait = error.retry_after if isinstance(error, Transient) else None
            raise SendUnknown(looked=False, retry_after=wait) from None
        if found is None:
            raise SendUnknown(looked=True)
        return _sent(found, mailbox, refers)

    def read_back(
        self, gmail: Gmail, mailbox: Mailbox, send: Send, refers: ReplyHeaders
    ) -> Sent:
        """Gmail's own Message-ID, thread and date of the mail that it has sent."""
        if send.gmail_message is None:
            raise SendUnknown(looked=False)
        try:
            found = gmail.headers([send.gmail_message])[send.gmail_message]
            if isinstance(found, SyncError):
                raise found
        except Transient as error:
            advance(self._sends, send, state="taken", gmail_message=send.gmail_message)
            raise SendUnknown(looked=False, retry_after=error.retry_after) from None
        except SyncError:
            # It was sent; more than that cannot be learnt.
            return self.what_is_known(send)
        return _sent(found, mailbox, refers)

    def what_is_known(self, send: Send) -> Sent:
        """A sent mail whose Message-ID cannot be learnt; the sync may bring it."""
        mailbox = self._mailboxes.read(send.mailbox) if send.mailbox else None
        return Sent(
            at=send.sending_since or to_epoch_ms(self._clock.now()),
            address=mailbox.address if mailbox else None,
            gmail_message=send.gmail_message,
            gmail_thread=send.gmail_thread,
        )


def mark_of(send: Send) -> str:
    """What our header X-CRM-Message says in this mail."""
    return f"{send.subaccount}/{send.message}"


def _sent(found: MessageHeaders, mailbox: Mailbox, refers: ReplyHeaders) -> Sent:
    return Sent(
        at=found.internal_date,
        rfc822_message_id=found.rfc822_message_id,
        in_reply_to=refers.in_reply_to,
        address=mailbox.address,
        gmail_message=found.gmail_message_id,
        gmail_thread=found.gmail_thread_id,
    )
