"""Bounces as servers write them, for tests that are not about how they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from email.message import Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from zlib import crc32

from tests.support.system import System

DAEMON = "Mail Delivery System <MAILER-DAEMON@mx.client.example>"


def postfix(
    message_id: str,
    *failed: str,
    to: str = "rep@ours.example",
    sender: str = DAEMON,
    action: str = "failed",
    status: str = "5.1.1",
    words: str = "550 5.1.1 no such user",
    notice_id: str | None = None,
    mark: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> Message:
    """A report in the form of RFC 3464 that returns the headers of a message."""
    notice = MIMEMultipart("report", report_type="delivery-status")
    notice["From"], notice["To"] = sender, to
    notice["Subject"] = "Undelivered Mail Returned to Sender"
    notice["Message-ID"] = notice_id or _own_id(action, failed)
    notice["Auto-Submitted"] = "auto-replied"
    for name, value in headers:
        notice[name] = value
    notice.attach(MIMEText("This is the mail system at host mx.client.example."))
    report = "Reporting-MTA: dns; mx.client.example\n\n" + "\n".join(
        f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; {words}\n"
        for address in failed
    )
    notice.attach(_raw("message/delivery-status", report))
    returned = f"From: {to}\nMessage-ID: {message_id}\nSubject: Hello\n"
    returned += f"X-CRM-Message: {mark}\n" if mark else ""
    notice.attach(_raw("text/rfc822-headers", returned))
    return notice


def _own_id(action: str, failed: Iterable[str]) -> str:
    """As servers make them: they name nobody."""
    return f"<dsn-{crc32(repr((action, list(failed))).encode())}@mx.example>"


def _raw(content_type: str, text: str) -> Message:
    part = Message()
    part["Content-Type"] = content_type
    # The library takes a report for a list of messages, and would not write a text.
    part.set_payload(text)
    return part


def comes_back(
    system: System, notice: Message, to: str = "rep@ours.example", auth: str = "none"
) -> None:
    """Deliver a bounce: it has no envelope sender."""
    system.clock.advance(seconds=1)
    raw = bytes_of(notice)
    system.world.deliver_from_outside(raw, [to], auth, sender="")


def bytes_of(notice: Message) -> bytes:
    """`as_bytes` of the parts one by one: a report's text is no list of messages."""
    boundary = "=boundary="
    notice.set_boundary(boundary)
    head = "".join(f"{name}: {value}\n" for name, value in notice.items())
    parts = "".join(
        f"--{boundary}\n"
        + "".join(f"{name}: {value}\n" for name, value in part.items())
        + f"\n{part.get_payload()}\n"
        for part in notice.get_payload()
    )
    return f"{head}\n{parts}--{boundary}--\n".encode()
