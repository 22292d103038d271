"""What a recorded message looks like, and what a second copy of it adds (M9)."""

from __future__ import annotations

from dataclasses import replace

from shared.core.ids import MailboxId, MessageId, Rfc822MessageId, digest
from shared.core.limits import MAX_COPIES_LISTED, MAX_INDEXED_ADDRESSES
from shared.core.mail import Address, Content, MessageHeaders
from shared.core.matching.places import Placement
from shared.core.matching.rewritten import as_recorded
from shared.core.matching.sameness import without_unproven
from shared.core.parsing.headers import kept_references
from shared.core.people import MailboxForMatching
from shared.core.records import Attachment, Envelope, HeldBy, Message, Route

NOBODY = Address(None, "")


def message_id(message: MessageHeaders, mailbox: MailboxId) -> MessageId:
    """Id of the email: the same in every mailbox and subaccount (M9).

    Two emails that carry one Message-ID but differ in From, Date or Subject are two
    (M9). A mail without a Message-ID is known by its place in this mailbox only.
    """
    if message.rfc822_message_id is None:
        return MessageId(digest("gmail", mailbox, message.gmail_message_id))
    sender = message.sender or NOBODY
    return MessageId(
        digest(
            "message",
            message.rfc822_message_id,
            sender.address,
            str(message.date),
            " ".join(message.subject.split()),
        )
    )


def record_id(
    message: MessageHeaders, mailbox: MailboxId, place: Placement
) -> MessageId:
    """Id of the record at this place: the email's own, or that of the CRM's mail."""
    return place.message or message_id(as_recorded(message, place), mailbox)


def held_by(
    message: MessageHeaders, mailbox: MailboxForMatching, place: Placement
) -> tuple[HeldBy, ...]:
    """Whose mailbox shows the email (M9): one entry for each user of the mailbox."""
    return tuple(
        HeldBy(
            user=user,
            mailbox=mailbox.id,
            address=mailbox.address,
            gmail_message_id=message.gmail_message_id,
            gmail_thread_id=message.gmail_thread_id,
        )
        for user in place.holders
    )


def compose(
    message: MessageHeaders,
    mailbox: MailboxForMatching,
    place: Placement,
    content: Content,
    attachments: tuple[Attachment, ...],
    safe_html: str | None,
    recorded_at: int,
) -> Message:
    """Put together the record of one message in one subaccount."""
    sender = message.sender or NOBODY
    everybody = (sender, *message.to, *message.cc, *message.bcc)
    return Message(
        id=record_id(message, mailbox.id, place),
        subaccount=place.subaccount,
        contact=place.contact,
        thread=place.thread,
        direction=place.direction,
        route=place.route,
        status="received" if place.direction == "inbound" else "sent",
        rule=place.rule,
        sent_at=message.internal_date,
        recorded_at=recorded_at,
        sender=sender,
        subject=message.subject,
        snippet=content.snippet,
        user=place.user,
        rfc822_message_id=message.rfc822_message_id,
        in_reply_to=_parent(message),
        references=kept_references(message.references or message.in_reply_to[:1]),
        exclusive=place.exclusive,
        automated=message.automated,
        authenticity=message.authenticity,
        held_by=held_by(message, mailbox, place),
        addresses=tuple(
            dict.fromkeys(person.address for person in everybody if person.address)
        )[:MAX_INDEXED_ADDRESSES],
        envelope=Envelope(
            to=message.to,
            cc=message.cc,
            bcc=message.bcc,
            text=content.text,
            html=safe_html,
            html_original=content.html,
            attachments=attachments,
            truncated=content.truncated,
        ),
    )


def _parent(message: MessageHeaders) -> Rfc822MessageId | None:
    return next(iter(message.in_reply_to), None)


def join(
    recorded: Message,
    message: MessageHeaders,
    holders: tuple[HeldBy, ...],
    place: Placement | None = None,
) -> Message | None:
    """Add what another mailbox's copy tells to the record; None: nothing new.

    To be called of a copy that `sameness` lets join.

    The result is the same whichever copy came first: the earlier date, Bcc from the
    sender's own copy, whose verdict (none) also counts before a receiver's. For mail of
    the CRM Gmail's own Message-ID and the date of the Sent copy replace what was known
    when it was queued. `recorded.envelope` may be None when the copy has no Bcc.
    `place` is where the copy would be recorded by itself: it can tell a better route.
    """
    message = without_unproven(message)
    have = {(copy.user, copy.gmail_message_id) for copy in recorded.held_by}
    more = tuple(
        holder
        for holder in holders
        if (holder.user, holder.gmail_message_id) not in have
    )
    more = more[: max(0, MAX_COPIES_LISTED - len(have))]
    envelope = recorded.envelope
    if envelope is not None and len(message.bcc) > len(envelope.bcc):
        envelope = replace(envelope, bcc=message.bcc)
    verdict = recorded.authenticity
    if recorded.direction == "outbound":
        verdict = message.authenticity if "SENT" in message.labels else verdict
    elif verdict == "unknown" or message.authenticated:
        verdict = message.authenticity
    sent_at = min(recorded.sent_at, message.internal_date)
    recorded_as = recorded
    if recorded.route == "crm":
        sent = "SENT" in message.labels
        sent_at = message.internal_date if sent else recorded.sent_at
        answers = recorded.in_reply_to or _parent(message)
        recorded_as = replace(recorded, in_reply_to=answers)
        if sent and recorded.reason and recorded.reason["code"] == "fate_unknown":
            # The Sent copy came after all: now its fate is known (S7).
            recorded_as = replace(recorded_as, status="sent", reason=None)
    joined = replace(
        recorded_as,
        held_by=recorded.held_by + more,
        sent_at=sent_at,
        rfc822_message_id=message.rfc822_message_id or recorded.rfc822_message_id,
        authenticity=verdict,
        envelope=envelope,
        addresses=tuple(
            dict.fromkeys(
                (
                    *recorded.addresses,
                    *(
                        recipient.address
                        for recipient in message.bcc
                        if recipient.address
                    ),
                )
            )
        )[:MAX_INDEXED_ADDRESSES],
    )
    if place is not None and _tells_more(place.route, recorded):
        joined = replace(
            joined, route=place.route, rule=place.rule, user=place.user or joined.user
        )
    return None if joined == recorded else joined


def _tells_more(route: Route, recorded: Message) -> bool:
    """Whether a copy's route is the one to show (docs/decisions, route precedence).

    Of our own mail: why it is here, which is the BCC address. Of a contact's answer:
    where it came to, which is the user's mailbox. Mail of the CRM stays that.
    """
    shown: Route = "bcc" if recorded.direction == "outbound" else "gmail"
    return recorded.route not in {"crm", shown} and route == shown
