"""The notice by which Gmail tells a sender that an address does not exist.

In the form of Gmail's own: a text for people, a delivery report (RFC 3464), and the
mail that comes back.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime

from . import headers
from .delivery import new_message_id

DAEMON = "mailer-daemon@googlemail.com"
_REASON = (
    "550-5.1.1 The email account that you tried to reach does not exist. Please try "
    "double-checking the recipient's email address for typos or unnecessary spaces. "
    "Learn more at https://support.google.com/mail/?p=NoSuchUser - gsmtp"
)


def returned(
    raw: bytes,
    sender: str,
    failed: Sequence[str],
    rng: random.Random,
    now: datetime,
) -> bytes:
    """Make the notice for a mail that did not reach these recipients."""
    fields, _ = headers.split(raw)
    original = headers.get(fields, "Message-ID")
    text = MIMEMultipart("alternative")
    for subtype in ("plain", "html"):
        text.attach(MIMEText(_words(failed, subtype), subtype, "utf-8"))
    related = MIMEMultipart("related")
    related.attach(text)
    notice = MIMEMultipart("report", report_type="delivery-status")
    notice["From"] = f"Mail Delivery Subsystem <{DAEMON}>"
    notice["To"] = sender
    notice["Subject"] = "Delivery Status Notification (Failure)"
    notice["Date"] = format_datetime(now)
    notice["Message-ID"] = new_message_id(rng)
    notice["Auto-Submitted"] = "auto-replied"
    notice["X-Failed-Recipients"] = ", ".join(failed)
    notice["In-Reply-To"] = notice["References"] = original
    notice.attach(related)
    notice.attach(_status(failed, now))
    notice.attach(_attached(b"".join(f.raw for f in fields)))
    return notice.as_bytes()


def _words(failed: Sequence[str], subtype: str) -> str:
    text = "** Address not found **\n\n" + "\n".join(
        f"Your message wasn't delivered to {address} because the address couldn't be "
        "found, or is unable to receive mail.\n"
        for address in failed
    )
    text += f"\nThe response was:\n\n{_REASON}\n"
    return (
        text if subtype == "plain" else f"<html><body><pre>{text}</pre></body></html>"
    )


def _status(failed: Sequence[str], now: datetime) -> MIMEBase:
    stamp = format_datetime(now)
    blocks = [f"Reporting-MTA: dns; googlemail.com\nArrival-Date: {stamp}\n"]
    blocks += [
        f"Final-Recipient: rfc822; {address}\nAction: failed\nStatus: 5.1.1\n"
        f"Diagnostic-Code: smtp; {_REASON}\nLast-Attempt-Date: {stamp}\n"
        for address in failed
    ]
    part = MIMEBase("message", "delivery-status")
    # a string payload is written as it is; the library has fields of its own here
    part.set_payload([_block(block) for block in blocks])
    return part


def _block(text: str) -> EmailMessage:
    block = EmailMessage()
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        block[name] = value
    return block


def _attached(head: bytes) -> MIMEBase:
    """Only the headers come back, as from Gmail when the mail is long."""
    part = MIMEBase("text", "rfc822-headers")
    part.set_payload(head.decode("latin-1").replace("\r\n", "\n"))
    return part
