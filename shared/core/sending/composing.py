"""Write a mail as bytes (RFC 5322, MIME), piece by piece.

Pure: the same mail and contents give the same bytes. Written as a stream because an
`EmailMessage` of 25 MiB is held four times over before it is sent; headers go through
`mime_headers`, which lets nothing be smuggled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from shared.core.ids import digest
from shared.core.limits import MAX_SUBJECT_CHARS
from shared.core.mail import Address
from shared.core.parsing.plain_text import one_line
from shared.core.parsing.text_from_html import text_from_html
from shared.core.sending import mime_headers as headers
from shared.core.sending import unsubscribe
from shared.core.sending.transfer_encoding import (
    base64_lines,
    base64_size,
    encode_text,
)

CRM_MESSAGE_HEADER = "X-CRM-Message"


@dataclass(frozen=True, slots=True)
class PartToBuild:
    """An attachment. With `content_id` it is an image that the HTML shows inline."""

    filename: str | None
    content_type: str
    size: int
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class MailToBuild:
    """Everything of a mail but the attachments' bytes.

    Addresses are sent as they were given. `mark` goes into X-CRM-Message, `date` is in
    milliseconds. `html` is sent as it is, with a text made from it where none is given.
    """

    message_id: str
    mark: str
    date: int
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: Address | None = None
    subject: str = ""
    text: str | None = None
    html: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    list_unsubscribe: tuple[str, ...] = ()
    attachments: tuple[PartToBuild, ...] = ()


Contents = Callable[[int], Iterable[bytes]]
"""Gives the bytes of the attachment with this number, in pieces of any size."""


def subject_to_send(subject: str) -> str:
    """The subject as it is both sent and recorded, so that a copy is recognised."""
    return one_line(subject)[:MAX_SUBJECT_CHARS].rstrip()


def write_mail(
    mail: MailToBuild, contents: Contents, *, with_bcc: bool
) -> Iterator[bytes]:
    """Write the mail. `with_bcc` is for Gmail, which takes the header off itself.

    Raises Malformed, before the first byte, for any value that no header may hold.
    """
    head = _head(mail, with_bcc=with_bcc)
    body = _body(mail, contents)
    yield head
    yield from body


def mail_size(mail: MailToBuild) -> int:
    """How many bytes `write_mail` makes of it, without the attachments' bytes at hand.

    Raises Malformed as `write_mail` does.
    """
    written = write_mail(mail, lambda _: (), with_bcc=True)
    encoded = sum(base64_size(part.size) for part in mail.attachments)
    return sum(map(len, written)) + encoded


def inline_ids(
    html: str | None, parts: Sequence[PartToBuild]
) -> tuple[str | None, ...]:
    """The content id of each part that the HTML shows inline (`cid:`), else None.

    A part is named by its own content id or, without one, by its file name.
    """
    wanted = set(re.findall(r"cid:([^\s\"'<>()]{1,200})", html or "", re.IGNORECASE))
    return tuple(
        name
        if (name := part.content_id or part.filename)
        and name in wanted
        and headers.is_content_id(name)
        else None
        for part in parts
    )


def _head(mail: MailToBuild, *, with_bcc: bool) -> bytes:
    date = datetime.fromtimestamp(mail.date / 1000, UTC)
    fields = [
        headers.token_field("Date", format_datetime(date)),
        headers.address_field("From", (mail.sender,)),
    ]
    if mail.reply_to is not None:
        fields.append(headers.address_field("Reply-To", (mail.reply_to,)))
    lists = [("To", mail.to), ("Cc", mail.cc)]
    if with_bcc:
        lists.append(("Bcc", mail.bcc))
    fields += [headers.address_field(name, some) for name, some in lists if some]
    fields += [
        headers.text_field("Subject", mail.subject),
        headers.ids_field("Message-ID", (mail.message_id,)),
    ]
    if mail.in_reply_to is not None:
        fields.append(headers.ids_field("In-Reply-To", (mail.in_reply_to,)))
    if mail.references:
        fields.append(headers.ids_field("References", mail.references))
    fields += unsubscribe.fields(mail.list_unsubscribe)
    fields += [
        headers.token_field(CRM_MESSAGE_HEADER, mail.mark),
        headers.token_field("MIME-Version", "1.0"),
    ]
    return b"".join(fields)


def _body(mail: MailToBuild, contents: Contents) -> Iterator[bytes]:
    """Mixed around related around alternative, as far as they are needed."""
    inline = [
        i for i, attachment in enumerate(mail.attachments) if attachment.content_id
    ]
    apart = [
        i for i, attachment in enumerate(mail.attachments) if not attachment.content_id
    ]

    def attached(number: int, kind: str) -> Iterator[bytes]:
        return _attachment(mail.attachments[number], contents(number), kind)

    body = _words(mail)
    if inline:
        shown = [attached(number, "inline") for number in inline]
        body = _multipart(mail, "related", [body, *shown])
    if apart:
        added = [attached(number, "attachment") for number in apart]
        body = _multipart(mail, "mixed", [body, *added])
    return body


def _words(mail: MailToBuild) -> Iterator[bytes]:
    if mail.html is None:
        return _text("plain", mail.text or "")
    text = text_from_html(mail.html) if mail.text is None else mail.text
    return _multipart(
        mail, "alternative", [_text("plain", text), _text("html", mail.html)]
    )


def _multipart(
    mail: MailToBuild, kind: str, parts: Iterable[Iterator[bytes]]
) -> Iterator[bytes]:
    # "=_" stands in no quoted-printable and no base64 text.
    boundary = f"=_{digest(mail.message_id, kind)}"
    yield f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    for part in parts:
        yield f"--{boundary}\r\n".encode()
        yield from part
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _text(kind: str, text: str) -> Iterator[bytes]:
    encoding, written = encode_text(text)
    yield (
        f"Content-Type: text/{kind}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()
    yield written


def _attachment(
    part: PartToBuild, contents: Iterable[bytes], kind: str
) -> Iterator[bytes]:
    fields = [
        headers.token_field("Content-Type", headers.media_type(part.content_type)),
        headers.disposition_field(kind, part.filename),
        headers.token_field("Content-Transfer-Encoding", "base64"),
    ]
    if part.content_id:
        fields.append(headers.token_field("Content-ID", f"<{part.content_id}>"))
    yield b"".join(fields) + b"\r\n"
    yield from base64_lines(contents)
