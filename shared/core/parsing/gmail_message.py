"""Gmail's message resource as the rules see it: headers first, content on demand (M14).

The resource is Gmail's, but every value in it is the sender's. Nothing here recurses,
and a value of the wrong type counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.core.ids import GmailMessageId, GmailThreadId, is_id
from shared.core.mail import (
    LABELS_OUT_OF_SIGHT,
    NEVER_READ,
    Address,
    MessageHeaders,
)
from shared.core.moments import MAX_MOMENT
from shared.core.parsing.address import normalise, parse_list, parse_sender
from shared.core.parsing.authentication import authenticity
from shared.core.parsing.bounce_signs import FAILED_RECIPIENTS_HEADER, may_be_bounce
from shared.core.parsing.gmail_content import content_of, held_back_bodies
from shared.core.parsing.gmail_part import headers_in
from shared.core.parsing.headers import (
    Header,
    is_automated,
    message_ids,
    parse_date,
    subject_text,
    values_of,
)
from shared.errors import Malformed

__all__ = [
    "FULL_FIELDS",
    "METADATA_FIELDS",
    "METADATA_HEADERS",
    "content_of",
    "delivered_to",
    "headers_of",
    "held_back_bodies",
]

CRM_MESSAGE_HEADER = "X-CRM-Message"

# Catch-all and routed mail at Google keeps its envelope recipient in X-Gm-Original-To.
_DELIVERY_HEADERS = (
    "Delivered-To",
    "X-Gm-Original-To",
    "X-Original-To",
    "Envelope-To",
    "X-Forwarded-To",
)

# Google Groups writes the first where it has changed From, the second always.
_ORIGINAL_SENDER_HEADERS = ("X-Original-From", "X-Original-Sender")

METADATA_HEADERS: tuple[str, ...] = (
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Authentication-Results",
    "Auto-Submitted",
    "Content-Type",
    "List-Id",
    "Precedence",
    "Reply-To",
    "Return-Path",
    "X-Autoreply",
    "X-Autorespond",
    "X-Autoresponder",
    FAILED_RECIPIENTS_HEADER,
    *_ORIGINAL_SENDER_HEADERS,
    CRM_MESSAGE_HEADER,
    *_DELIVERY_HEADERS,
)
"""The headers to ask for in the header pass (`metadataHeaders`)."""

# Partial responses: never Gmail's snippet, which is a piece of the body (M14).
METADATA_FIELDS = "id,threadId,labelIds,internalDate,payload/headers"
FULL_FIELDS = "id,threadId,labelIds,internalDate,payload"

# What is sent from here is no bounce, and the others are not considered (M1).
_NO_BOUNCE = NEVER_READ | LABELS_OUT_OF_SIGHT | {"SENT"}

_ID = re.compile(r"[A-Za-z0-9._~:-]{1,128}")
_MILLISECONDS = re.compile(r"[0-9]{1,15}")


def headers_of(resource: Mapping[str, Any]) -> MessageHeaders:
    """Translate a message resource (format `metadata` or `full`) to its headers.

    Raises:
        Malformed: Gmail's own ids or internal date are missing or invalid. Nothing
            that a sender can write makes this raise.
    """
    payload = resource.get("payload")
    headers = headers_in(payload if isinstance(payload, Mapping) else {})
    sender = parse_sender(values_of(headers, "From"))
    own_ids = message_ids(values_of(headers, "Message-ID"))
    marks = [v.strip() for v in values_of(headers, CRM_MESSAGE_HEADER)]
    verdict = authenticity(headers, sender)
    labels = resource.get("labelIds")
    seen = frozenset(
        label
        for label in (labels if isinstance(labels, list | tuple) else ())
        if isinstance(label, str)
    )
    return MessageHeaders(
        gmail_message_id=GmailMessageId(_id(resource, "id")),
        gmail_thread_id=GmailThreadId(_id(resource, "threadId")),
        labels=seen,
        internal_date=_internal_date(resource),
        sender=sender,
        to=parse_list(values_of(headers, "To")),
        cc=parse_list(values_of(headers, "Cc")),
        bcc=parse_list(values_of(headers, "Bcc")),
        subject=next(map(subject_text, values_of(headers, "Subject")), ""),
        date=next(map(parse_date, values_of(headers, "Date")), None),
        rfc822_message_id=next(iter(own_ids), None),
        in_reply_to=message_ids(values_of(headers, "In-Reply-To")),
        references=message_ids(values_of(headers, "References")),
        authenticity=verdict,
        authenticated=verdict == "pass",
        automated=is_automated(headers),
        original_senders=_original_senders(headers),
        reply_to=parse_list(values_of(headers, "Reply-To")),
        is_list=bool(values_of(headers, "List-Id")),
        crm_message=next(filter(_is_mark, marks), None),
        delivered_to=_delivered_to(headers),
        may_be_bounce=not seen & _NO_BOUNCE and may_be_bounce(headers, sender),
    )


def delivered_to(resource: Mapping[str, Any]) -> tuple[str, ...]:
    """Addresses by which a copy reached this mailbox, normalised, topmost first.

    A Bcc is not in the headers of the copy that arrives; the envelope's recipient is,
    in Delivered-To and its like. Each once.
    """
    payload = resource.get("payload")
    return _delivered_to(headers_in(payload if isinstance(payload, Mapping) else {}))


def _original_senders(headers: Sequence[Header]) -> tuple[Address, ...]:
    """All that are named, the one with a name first; each once."""
    values = [
        value for name in _ORIGINAL_SENDER_HEADERS for value in values_of(headers, name)
    ]
    return parse_list(values)


def _delivered_to(headers: Sequence[Header]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in _DELIVERY_HEADERS:
        for value in values_of(headers, name):
            address = normalise(value.strip().removeprefix("<").removesuffix(">"))
            if address:
                found[address] = None
    return tuple(found)


def _id(resource: Mapping[str, Any], name: str) -> str:
    value = resource.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Malformed(f"Gmail's message has no valid {name}.")
    return value


def _is_mark(text: str) -> bool:
    """Whether it is `{subaccount}/{message id}`, or an id alone, as an index has it.

    Both name documents: what the store reserves must never be looked for.
    """
    subaccount, slash, message = text.partition("/")
    return is_id(subaccount) and (is_id(message) or not slash)


def _internal_date(resource: Mapping[str, Any]) -> int:
    # int64 values are strings in Google's JSON; some servers send numbers.
    value = resource.get("internalDate")
    if not _MILLISECONDS.fullmatch(str(value)):
        raise Malformed("Gmail's message has no valid internalDate.")
    # That of imported mail is the sender's Date, which can be any.
    return min(int(str(value)), MAX_MOMENT)
