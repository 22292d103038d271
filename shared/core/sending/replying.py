"""What makes a mail an answer (S4): reply headers, subject, Gmail's thread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.ids import GmailThreadId, MailboxId, Rfc822MessageId
from shared.core.parsing.headers import kept_references
from shared.core.records import Message
from shared.core.sending.mime_headers import is_message_id

# "Re:" and what mail programs of other languages write for it.
_REPLY_PREFIX = re.compile(
    r"\s*+(?:re|aw|antw|sv|vs|rv|ref|odp|ynt|ris|res|回复|答复|回覆)"
    r"\s*+(?:\[\d{1,3}\])?\s*+[:\uff1a]\s*+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ReplyHeaders:
    """How a mail refers to the one it answers."""

    in_reply_to: Rfc822MessageId | None = None
    references: tuple[Rfc822MessageId, ...] = ()
    gmail_thread: GmailThreadId | None = None


def reply_subject(subject: str | None, parent: str) -> str:
    """The subject of an answer: as given, or `Re:` of the one before."""
    if subject:
        return subject
    bare = bare_subject(parent)
    return f"Re: {bare}" if bare else "Re:"


def bare_subject(subject: str) -> str:
    """The subject without `Re:` and its like, on single blanks."""
    while match := _REPLY_PREFIX.match(subject):
        subject = subject[match.end() :]
    return " ".join(subject.split())


def reply_headers(
    parent: Message, thread: Sequence[Message], mailbox: MailboxId | None, subject: str
) -> ReplyHeaders:
    """Refer to the parent and its ancestors, as far as the thread's records tell.

    Gmail's thread id means nothing in another mailbox (C5), and Gmail ignores it under
    another subject: then it is left out.
    """
    if parent.rfc822_message_id is None or not is_message_id(parent.rfc822_message_id):
        return ReplyHeaders()
    by_id = {
        message.rfc822_message_id: message
        for message in (*thread, parent)
        if message.rfc822_message_id is not None
    }
    same = bare_subject(subject).casefold() == bare_subject(parent.subject).casefold()
    found = _gmail_thread(parent, thread, mailbox) if mailbox and same else None
    return ReplyHeaders(
        in_reply_to=parent.rfc822_message_id,
        references=_references(parent.rfc822_message_id, parent, by_id),
        gmail_thread=found,
    )


def _references(
    own: Rfc822MessageId, parent: Message, by_id: Mapping[Rfc822MessageId, Message]
) -> tuple[Rfc822MessageId, ...]:
    """The parent's own References, then its id (RFC 5322 §3.6.4).

    Of a parent whose header is not known, such as mail of the CRM, they are those of
    the mail that it answers, and so on.
    """
    ids = [own]
    at: Message | None = parent
    while at is not None:
        before = at.references or ((at.in_reply_to,) if at.in_reply_to else ())
        at = by_id.get(before[-1]) if before and not at.references else None
        ids = [*(id_ for id_ in before if id_ not in ids), *ids]
        if at is not None and before[-1] != ids[0]:
            break  # a circle
    return kept_references([id_ for id_ in ids if is_message_id(id_)])


def _gmail_thread(
    parent: Message, thread: Sequence[Message], mailbox: MailboxId
) -> GmailThreadId | None:
    newest_first = sorted(thread, key=lambda message: message.sent_at, reverse=True)
    for message in (parent, *newest_first):
        for held in message.held_by:
            if held.mailbox == mailbox:
                return held.gmail_thread_id
    return None
