"""Builds the mails that people write in the web mailbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP

from . import headers, parts
from .errors import bad_request
from .messages import Message
from .web import Request


@dataclass
class Upload:
    """A file of a submitted form, or of the mail that is forwarded."""

    filename: str
    content_type: str
    data: bytes


@dataclass
class Letter:
    """What a compose form holds."""

    sender: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    in_reply_to: str = ""
    references: str = ""
    files: list[Upload] = field(default_factory=list)


def build(letter: Letter, message_id: str = "") -> bytes:
    """Turn a letter into a raw mail."""
    mail = EmailMessage(policy=SMTP)
    named = {
        "From": letter.sender,
        "To": letter.to,
        "Cc": letter.cc,
        "Bcc": letter.bcc,
        "Subject": letter.subject,
        "Message-ID": message_id,
        "In-Reply-To": letter.in_reply_to,
        "References": letter.references,
    }
    try:
        for name, value in named.items():
            if value.strip():
                mail[name] = " ".join(value.split())
        mail.set_content(letter.text.replace("\r\n", "\n"))
        for upload in letter.files:
            main, _, sub = upload.content_type.partition("/")
            mail.add_attachment(
                upload.data,
                maintype=main if sub and main != "text" else "application",
                subtype=sub if sub and main != "text" else "octet-stream",
                filename=upload.filename,
            )
        return mail.as_bytes()
    except (MessageError, ValueError, IndexError) as problem:
        raise bad_request(f"This mail cannot be built: {problem}") from None


def reply(message: Message, mine: Iterable[str], *, everybody: bool) -> Letter:
    """Begin a reply, or a reply to all without one's own addresses."""
    own = {address.lower() for address in mine}
    author = message.header("Reply-To") or message.header("From")
    to, cc = author, ""
    if headers.addresses([author])[:1] and _is(author, own):
        # a reply to one's own mail goes to whom it went
        to = message.header("To")
    if everybody:
        named = [message.header("To"), message.header("Cc")]
        others = [
            f'"{name}" <{address}>' if name else address
            for name, address in headers.addresses(named)
            if address.lower() not in own and address.lower() not in to.lower()
        ]
        cc = ", ".join(dict.fromkeys(others))
    quoted = "\n".join(f"> {line}" for line in text_of(message).splitlines())
    date = message.header("Date")
    intro = f"{f'On {date}, ' if date else ''}{message.header('From')} wrote:"
    in_reply_to, references = _threading(message)
    return Letter(
        to=to,
        cc=cc,
        subject=_prefixed("Re: ", message.subject),
        text=f"\n\n{intro}\n{quoted}\n",
        in_reply_to=in_reply_to,
        references=references,
    )


def forward(message: Message) -> Letter:
    """Begin a forward, with the attachments; as in Gmail it keeps the thread."""
    about = "\n".join(
        f"{name}: {message.header(name)}"
        for name in ("From", "Date", "Subject", "To", "Cc")
        if message.header(name)
    )
    body = f"\n\n---------- Forwarded message ---------\n{about}\n\n{text_of(message)}"
    in_reply_to, references = _threading(message)
    return Letter(
        subject=_prefixed("Fwd: ", message.subject),
        text=body,
        files=[
            Upload(part.filename, part.mime_type, part.data)
            for part in parts.walk(message.root)
            if part.filename
        ],
        in_reply_to=in_reply_to,
        references=references,
    )


def from_draft(message: Message) -> Letter:
    """Take a draft up again."""
    return Letter(
        sender=message.header("From"),
        to=message.header("To"),
        cc=message.header("Cc"),
        bcc=message.header("Bcc"),
        subject=message.subject,
        text=text_of(message),
        in_reply_to=message.header("In-Reply-To"),
        references=message.header("References"),
    )


def text_of(message: Message) -> str:
    """Return the plain text of a mail, or what its snippet says."""
    for part in parts.walk(message.root):
        if part.mime_type == "text/plain" and not part.filename:
            return parts.as_utf8(part).decode("utf-8", "replace").replace("\r\n", "\n")
    return message.snippet


def html_of(message: Message) -> str:
    """Return the HTML of a mail, if it has some."""
    for part in parts.walk(message.root):
        if part.mime_type == "text/html" and not part.filename:
            return parts.as_utf8(part).decode("utf-8", "replace")
    return ""


def read_form(request: Request) -> tuple[dict[str, str], list[Upload]]:
    """Return the fields and the files of a submitted form."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        return {k: v[-1] for k, v in request.form().items()}, []
    outer = [headers.field("Content-Type", kind)]
    values: dict[str, str] = {}
    files: list[Upload] = []
    for piece in parts.split_multipart(outer, request.body):
        fields, data = headers.split(piece)
        given = EmailMessage()
        given["Content-Disposition"] = headers.get(fields, "Content-Disposition")
        name = given["Content-Disposition"].params.get("name", "")
        filename = given.get_filename()
        if filename:
            content_type = headers.get(fields, "Content-Type")
            files.append(Upload(filename, content_type, data))
        elif filename is None:
            values[name] = data.decode("utf-8", "replace")
    return values, files


def _is(value: str, own: set[str]) -> bool:
    return any(address.lower() in own for _, address in headers.addresses([value]))


def _prefixed(prefix: str, subject: str) -> str:
    if subject.lower().startswith(prefix.strip().lower()):
        return subject
    return prefix + subject


def _threading(message: Message) -> tuple[str, str]:
    own = f"<{message.rfc822_id}>"
    older = message.header("References") or message.header("In-Reply-To")
    return own, f"{older} {own}".strip()
