"""What Gmail does to a mail on its way out and on its way in.

Only headers are touched: those a provider sets, and those a receiving server
puts on top. The rest of the bytes pass as they are.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, parsedate_to_datetime

from . import headers
from .accounts import Account, domain_of
from .errors import bad_request
from .headers import Field
from .settings import Settings

_RECIPIENT_HEADERS = ("To", "Cc", "Bcc")
_TOKEN = string.ascii_letters + string.digits + "_-"
_IP = "209.85.220.41"


@dataclass(frozen=True)
class Outgoing:
    """A mail ready to leave: the Sent copy, what travels, and to whom."""

    sent_copy: bytes
    travelling: bytes
    recipients: list[str]


def outgoing(
    raw: bytes, account: Account, settings: Settings, rng: random.Random, now: datetime
) -> Outgoing:
    """Set what Gmail sets on a mail that is sent; only the Sent copy keeps Bcc."""
    fields, body = headers.split(raw)
    recipients = _recipients(fields)
    fields = _with_true_sender(fields, account)
    fields = _with_message_id(fields, settings, rng)
    if not headers.get(fields, "Date"):
        fields.append(headers.field("Date", format_datetime(now)))
    if not headers.get(fields, "MIME-Version"):
        fields.append(headers.field("MIME-Version", "1.0"))
    number = rng.randrange(10**11, 10**12)
    received = headers.field(
        "Received",
        f"from {number} named unknown by gmailapi.google.com with HTTPREST; "
        f"{format_datetime(now)}",
    )
    fields.insert(0, received)
    sent_copy = headers.join(fields, body)
    travelling = headers.join(headers.without(fields, "Bcc"), body)
    return Outgoing(sent_copy, travelling, recipients)


def arriving(
    raw: bytes,
    *,
    recipient: str,
    sender: str,
    auth: str,
    caught_by: str | None,
    settings: Settings,
    rng: random.Random,
    now: datetime,
) -> bytes:
    """Put on top of a mail what Google's receiving server puts there.

    `caught_by` is the catch-all mailbox where the recipient is nobody's own address.
    """
    stamp = format_datetime(now)
    top = [
        headers.field("Delivered-To", caught_by or recipient),
        headers.field(
            "Received",
            f"by 2002:a05:7300:{rng.randrange(4096):x} with SMTP id "
            f"{_random(rng, 20)};\r\n        {stamp}",
        ),
    ]
    if caught_by:
        top += [headers.field(name, recipient) for name in settings.catch_all_headers]
    top += [
        headers.field("Return-Path", f"<{sender}>"),
        headers.field(
            "Received",
            f"from mail-sor-f41.google.com (mail-sor-f41.google.com. [{_IP}])\r\n"
            f"        by mx.google.com with SMTPS id {_random(rng, 24)}\r\n"
            f"        for <{recipient}>\r\n        (Google Transport Security);\r\n"
            f"        {stamp}",
        ),
        headers.field("Authentication-Results", auth),
    ]
    fields = headers.split(raw)[0]
    if not headers.get(fields, "Message-ID"):
        top.append(headers.field("Message-ID", new_message_id(rng)))
    return b"".join(f.raw for f in top) + raw


def authentication_results(
    auth: str, raw: bytes, sender: str, rng: random.Random
) -> str:
    """Return the value of Authentication-Results: for a verdict, or as it was given."""
    authors = headers.addresses(headers.get_all(headers.split(raw)[0], "From"))
    domain = domain_of(authors[0][1]) if authors else domain_of(sender)
    policy = f"(p=NONE sp=NONE dis=NONE) header.from={domain}"
    if auth == "pass":
        return (
            f"mx.google.com;\r\n       dkim=pass header.i=@{domain} header.s=20230601 "
            f"header.b={_random(rng, 8)};\r\n       spf=pass (google.com: domain of "
            f"{sender} designates {_IP} as permitted sender) smtp.mailfrom={sender};"
            f"\r\n       dmarc=pass {policy}"
        )
    if auth == "fail":
        return (
            f"mx.google.com;\r\n       spf=fail (google.com: domain of {sender} does "
            f"not designate {_IP} as permitted sender) smtp.mailfrom={sender};"
            f"\r\n       dmarc=fail {policy}"
        )
    if auth == "none":
        return (
            f"mx.google.com;\r\n       spf=none (google.com: {sender} does not "
            f"designate permitted sender hosts) smtp.mailfrom={sender}"
        )
    return auth


def new_message_id(rng: random.Random) -> str:
    """Make a Message-ID as Gmail makes them."""
    return f"<CA{_random(rng, 48)}@mail.gmail.com>"


def date_of(fields: list[Field]) -> int | None:
    """Return the Date header in milliseconds; None where it says nothing."""
    try:
        moment = parsedate_to_datetime(headers.get(fields, "Date"))
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, TypeError, OverflowError):
        return None


def sender_of(raw: bytes) -> str:
    """Return the address in From, for an envelope that nobody gave."""
    found = headers.addresses(headers.get_all(headers.split(raw)[0], "From"))
    return found[0][1] if found else ""


def _recipients(fields: list[Field]) -> list[str]:
    """Return the envelope: every recipient once, in the order of the headers."""
    found: dict[str, str] = {}
    for name in _RECIPIENT_HEADERS:
        values = headers.get_all(fields, name)
        entries = headers.addresses(values)
        if any(value.strip() for value in values) and not entries:
            raise bad_request(f"Invalid {name} header")
        for _, address in entries:
            found.setdefault(address.lower(), address)
    if not found:
        raise bad_request("Recipient address required")
    return list(found.values())


def _with_true_sender(fields: list[Field], account: Account) -> list[Field]:
    """Replace a From that is neither the account's nor an alias of it."""
    authors = headers.addresses(headers.get_all(fields, "From"))
    if len(authors) == 1 and account.may_send_as(authors[0][1]):
        return list(fields)
    kept = headers.without(fields, "From")
    name = (authors[0][0] if authors else "") or account.name
    quoted = name.replace("\\", "").replace('"', "")
    if quoted and not quoted.isascii():
        quoted = Header(quoted, "utf-8", maxlinelen=10_000).encode()
        kept.append(headers.field("From", f"{quoted} <{account.address}>"))
    elif quoted:
        kept.append(headers.field("From", f'"{quoted}" <{account.address}>'))
    else:
        kept.append(headers.field("From", account.address))
    if authors:
        kept.append(headers.field("X-Google-Original-From", authors[0][1]))
    return kept


def _with_message_id(
    fields: list[Field], settings: Settings, rng: random.Random
) -> list[Field]:
    original = headers.get(fields, "Message-ID")
    if original and not settings.rewrite_message_id:
        return fields
    kept = headers.without(fields, "Message-ID")
    if original:
        kept.append(headers.field("X-Google-Original-Message-ID", original))
    kept.append(headers.field("Message-ID", new_message_id(rng)))
    return kept


def _random(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(_TOKEN, k=length))
