"""Whether a copy says what its record says, and which of the two is believed (M9).

A Message-ID, a From, a Date and a Subject can be copied by anybody who has seen them.
So a copy joins a record only when nothing that matters differs, and where something
does, the one whose sender is proven is the record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from shared.core.ids import MailboxId, MessageId, digest
from shared.core.mail import Address, Content, MessageHeaders
from shared.core.people import MailboxForMatching
from shared.core.records import Message

Standing = Literal["joins", "replaces", "refused", "apart", "compare"]
"""What becomes of a copy: it `joins` the record; `replaces` it; is `refused`, as it
is not authenticated and says something else; is an email `apart`; or its body has to be
fetched to tell (`compare`).
"""

_LINK = re.compile(r"(?:https?://|www\.)\S++", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """What an email says besides its headers: words, and its attachments' outlines."""

    text: str
    attachments: tuple[tuple[str | None, str, int], ...]


def said_by(content: Content) -> Said:
    """What a copy says whose content has been fetched."""
    return Said(
        _words(content.text, content.html),
        tuple(
            (attachment.filename, attachment.content_type, attachment.size)
            for attachment in content.attachments
        ),
    )


def said_in(record: Message) -> Said:
    """What a record says; its envelope must be loaded."""
    envelope = record.envelope
    if envelope is None:
        return Said("", ())
    return Said(
        _words(envelope.text, envelope.html_original),
        tuple(
            (attachment.filename, attachment.content_type, attachment.size)
            for attachment in envelope.attachments
        ),
    )


def is_proven(message: MessageHeaders) -> bool:
    """Whether the copy's sender is certain: sent from here, or authenticated."""
    return "SENT" in message.labels or message.authenticated


def is_proven_record(record: Message) -> bool:
    """Whether the record's sender is; ours always are (M2, B5)."""
    return record.direction == "outbound" or record.authenticity == "pass"


def lists(record: Message, mailbox: MailboxId, message: MessageHeaders) -> bool:
    """Whether the record names this mailbox's copy."""
    copy = (mailbox, message.gmail_message_id)
    return any(
        (held_copy.mailbox, held_copy.gmail_message_id) == copy
        for held_copy in record.held_by
    )


def is_outdone(record: Message, message: MessageHeaders) -> bool:
    """Whether the copy is proven, and what the record says is not."""
    return is_proven(message) and not is_proven_record(record)


def standing(
    record: Message,
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    content: Content | None,
) -> Standing:
    """Say what becomes of a copy that has the record's id.

    Of two proven copies those to the same people are one email, when the mailboxes of
    both are among these or it is our own: a body of its own for each is what somebody
    writes whose recipients do not see each other. Else bodies are compared, which asks
    for one more fetch. The envelope of `record` must be loaded.
    """
    if record.route == "crm":
        return "joins"
    outdone = is_outdone(record, message)
    if lists(record, mailbox.id, message) and not outdone:
        return "joins"
    alike = _named(message.to, message.cc) == _named_in(record)
    both = is_proven(message) and is_proven_record(record)
    if (
        alike
        and both
        and (record.direction == "outbound" or _both_named(record, mailbox))
    ):
        return "joins"
    if alike and content is None:
        return "compare"
    if alike and content is not None:
        ours, theirs = said_in(record), said_by(content)
        # Of attachments only outlines are known: a proven one is taken as it is.
        plain = not outdone or not (ours.attachments or message.bcc or _bcc(record))
        if plain and (ours == theirs or (both and _is_amended(ours, theirs))):
            return "joins"
    if outdone:
        return "replaces"
    if is_proven_record(record) and not both:
        return "refused"
    return "apart"


def apart_ids(
    record: MessageId, message: MessageHeaders, mailbox: MailboxId
) -> tuple[MessageId, ...]:
    """Ids of an email that is not the one that has this id already.

    First the one that all copies to the same people share, then this copy's own.
    """
    people = sorted(_named(message.to, message.cc))
    return (
        MessageId(digest("message-to", record, *people)),
        MessageId(digest("message-at", record, mailbox, message.gmail_message_id)),
    )


def fits(record: Message, message: MessageHeaders) -> bool:
    """Whether a copy may join whose body may not be fetched (M3).

    The envelope of `record` must be loaded.
    """
    return record.route == "crm" or (
        is_proven(message) == is_proven_record(record)
        and _named(message.to, message.cc) == _named_in(record)
    )


def likeness(message: MessageHeaders) -> str:
    """What two copies have in common that may join although no body is fetched (M3)."""
    people = sorted(_named(message.to, message.cc))
    return digest("likeness", str(is_proven(message)), *people)


def without_unproven(message: MessageHeaders) -> MessageHeaders:
    """The copy without what only a proven one may tell: its hidden recipients."""
    return message if is_proven(message) else replace(message, bcc=())


def _named(*lists_of: Iterable[Address]) -> frozenset[str]:
    """Addresses that are named; a BCC address shows none."""
    return frozenset(
        address.address for some in lists_of for address in some if address.address
    )


def _named_in(record: Message) -> frozenset[str]:
    envelope = record.envelope
    return _named(envelope.to, envelope.cc) if envelope else frozenset()


def _bcc(record: Message) -> tuple[Address, ...]:
    return record.envelope.bcc if record.envelope else ()


def _both_named(record: Message, mailbox: MailboxForMatching) -> bool:
    named = _named_in(record)
    return not named.isdisjoint(mailbox.own_addresses) and any(
        copy.address in named for copy in record.held_by
    )


def _words(text: str | None, html: str | None) -> str:
    return " ".join(f"{text or ''} {html or ''}".split())


def _is_amended(ours: Said, other: Said) -> bool:
    """Whether two proven texts differ in links and in added words only.

    Gateways of the receiver's write a banner above, a footer below, and links anew.
    """
    if ours.attachments != other.attachments:
        return False
    short, long = sorted((_plain(ours.text), _plain(other.text)), key=len)
    rest: Iterator[str] = iter(long)
    return all(word in rest for word in short)


def _plain(text: str) -> list[str]:
    return _LINK.sub("", text).split()
