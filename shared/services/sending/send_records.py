"""What the CRM asks to send, its record, and the mail that is made from the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.ids import (
    ContactId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
    digest,
)
from shared.core.limits import MAX_INDEXED_ADDRESSES, MAX_THREAD_PARTICIPANTS
from shared.core.mail import Address
from shared.core.matching import own_ids
from shared.core.matching.bcc import BccAddressFormat
from shared.core.matching.bcc_redaction import (
    hide,
    hide_in_file,
    holds_bcc_address,
)
from shared.core.parsing.plain_text import one_line, safe_filename
from shared.core.parsing.sanitise import safe_html
from shared.core.parsing.text_from_html import text_from_html
from shared.core.records import Attachment, Envelope, Kind, Message
from shared.core.sending import unsubscribe
from shared.core.sending.composing import MailToBuild, PartToBuild, inline_ids
from shared.ports import Create, Increment, Maximum, Merge, Union, Update, Write
from shared.repositories import messages, paths
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.senders import Sender, bad_field

MAX_ATTACHMENTS_BYTES = 25 * 1024 * 1024
"""Of one mail, as they come."""
_SNIPPET_CHARS = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """An attachment as it came."""

    filename: str | None
    content_type: str
    data: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What the CRM asks to send. `contacts` is for bulk, `to` for everything else."""

    subaccount: SubaccountId
    kind: Kind
    user: UserId
    to: tuple[RequestedRecipient, ...] = ()
    cc: tuple[RequestedRecipient, ...] = ()
    bcc: tuple[RequestedRecipient, ...] = ()
    contacts: tuple[ContactId, ...] = ()
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    answers: MessageId | None = None
    sender: str | None = None
    signature: bool = False
    list_unsubscribe: tuple[str, ...] = ()


def redacted_call(
    request: SendRequest, uploads: Sequence[Upload], form: BccAddressFormat | None
) -> tuple[SendRequest, tuple[Upload, ...]]:
    """The call without BCC addresses in what it quotes: contacts would read it (B6).

    Raises Problem for one among the recipients: mail of the CRM is recorded anyway.
    """
    if form is None:
        return request, tuple(uploads)
    for person in (*request.to, *request.cc, *request.bcc):
        if person.address and holds_bcc_address(person.address, form):
            raise bad_field(person.pointer, "is a BCC address")

    def hidden(text: str | None) -> str | None:
        return text if text is None else hide(text, form)

    def named(people: Sequence[RequestedRecipient]) -> tuple[RequestedRecipient, ...]:
        return tuple(replace(person, name=hidden(person.name)) for person in people)

    quoted = replace(
        request,
        to=named(request.to),
        cc=named(request.cc),
        bcc=named(request.bcc),
        subject=hidden(request.subject),
        text=hidden(request.text),
        html=hidden(request.html),
    )
    return quoted, tuple(
        replace(
            upload,
            filename=hidden(upload.filename),
            content_id=hidden(upload.content_id),
            data=hide_in_file(upload.content_type, upload.data, form),
        )
        for upload in uploads
    )


def new_thread(message: MessageId) -> ThreadId:
    """The thread that a mail of the CRM begins."""
    return ThreadId(digest("thread", "crm", message))


def describe(uploads: Sequence[Upload], html: str | None) -> tuple[Attachment, ...]:
    """Attachments as they are recorded: names made harmless, inline images named."""
    names = [safe_filename(upload.filename) for upload in uploads]
    parts = [
        PartToBuild(name, upload.content_type, len(upload.data), upload.content_id)
        for name, upload in zip(names, uploads, strict=True)
    ]
    return tuple(
        Attachment(
            id=str(number),
            filename=part.filename,
            content_type=part.content_type,
            size=part.size,
            stored=True,
            content_id=content_id,
            inline=content_id is not None,
        )
        for number, (part, content_id) in enumerate(
            zip(parts, inline_ids(html, parts), strict=True)
        )
    )


def compose_record(
    request: SendRequest,
    sender: Sender,
    message: MessageId,
    *,
    contact: ContactId,
    thread: ThreadId,
    to: tuple[Address, ...],
    cc: tuple[Address, ...] = (),
    bcc: tuple[Address, ...] = (),
    subject: str,
    attachments: tuple[Attachment, ...],
    now: int,
) -> Message:
    """The record of a mail that waits to be sent.

    What a relay sends carries our Message-ID, so its answers find the thread from the
    start; Gmail's is known only when it has sent.
    """
    words = request.text
    if words is None and request.html is not None:
        words = text_from_html(request.html, _SNIPPET_CHARS * 4)
    everybody = (sender.address, *to, *cc, *bcc)
    own_id = own_message_id(message, sender.address)
    return Message(
        id=message,
        subaccount=request.subaccount,
        contact=contact,
        thread=thread,
        direction="outbound",
        route="crm",
        status="queued",
        rule="S2" if sender.route == "provider" else "S1",
        sent_at=now,
        recorded_at=now,
        sender=sender.address,
        subject=subject,
        snippet=one_line(words or "")[:_SNIPPET_CHARS].rstrip(),
        user=request.user,
        kind=request.kind,
        rfc822_message_id=own_id if sender.route == "provider" else None,
        exclusive=True,
        addresses=tuple(dict.fromkeys(person.address for person in everybody))[
            :MAX_INDEXED_ADDRESSES
        ],
        envelope=Envelope(
            to=to,
            cc=cc,
            bcc=bcc,
            text=request.text,
            html=safe_html(request.html) if request.html else None,
            html_original=request.html,
            attachments=attachments,
            list_unsubscribe=tuple(
                unsubscribe.for_message(uri, message, contact)
                for uri in request.list_unsubscribe
            ),
        ),
    )


def own_message_id(message: MessageId, sender: Address) -> Rfc822MessageId:
    """The Message-ID that we write; Gmail may replace it."""
    return own_ids.own_message_id(message, sender.address.rpartition("@")[2])


def record_writes(
    record: Message,
    document: dict[str, object],
    external: Sequence[str],
    contact: object | None = None,
) -> list[Write]:
    """The writes that make a mail appear in its conversation.

    With the contact's version they fail when that has changed meanwhile.
    """
    return [
        Create(paths.message(record.subaccount, record.id), document),
        Merge(
            paths.thread(record.subaccount, record.thread),
            {
                "contact": record.contact,
                "exclusive": True,
                "participants": Union(tuple(external[:MAX_THREAD_PARTICIPANTS])),
                "gmail_threads": Union(()),
            },
        ),
        Update(
            paths.contact(record.subaccount, record.contact),
            {"messages": Increment(1), "last_message_at": Maximum(record.sent_at)},
            contact,
        ),
        *messages.index(record),
    ]


def mail_of(record: Message, sender: Sender | None = None) -> MailToBuild:
    """The mail as it is sent, from its record; without reply headers."""
    envelope = record.envelope or Envelope()
    return MailToBuild(
        message_id=own_message_id(record.id, record.sender),
        mark=f"{record.subaccount}/{record.id}",
        date=record.recorded_at,
        sender=record.sender,
        to=envelope.to,
        cc=envelope.cc,
        bcc=envelope.bcc,
        reply_to=sender.reply_to if sender else None,
        subject=record.subject,
        text=envelope.text,
        html=envelope.html_original,
        list_unsubscribe=envelope.list_unsubscribe,
        attachments=tuple(
            PartToBuild(
                attachment.filename,
                attachment.content_type,
                attachment.size,
                attachment.content_id,
            )
            for attachment in envelope.attachments
        ),
    )
