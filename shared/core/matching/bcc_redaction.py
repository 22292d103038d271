"""Takes BCC addresses out of a message: headers, bodies, names, file names (B6).

A reply quotes the header of the mail that it answers, with the address that logged it.
Promises: what the mail programs of the field make of an address is found, in time
linear in the text; a text without a BCC address stays as it is, the same object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shared.core.ids import Rfc822MessageId
from shared.core.mail import Address, AttachmentPart, Content, MessageHeaders
from shared.core.matching.bcc import BccAddressFormat
from shared.core.parsing.bcc_in_text import (
    IN_TEXT,
    bytes_without_bcc_addresses,
    without_bcc_addresses,
)
from shared.core.parsing.gmail_content import snippet_of

__all__ = [
    "BCC_PLACEHOLDER",
    "IN_TEXT",
    "MAX_BCC_ADDRESSES",
    "hide",
    "hide_in_content",
    "hide_in_file",
    "holds_bcc_address",
    "redact_bcc_addresses",
]

MAX_BCC_ADDRESSES = 10
"""BCC addresses of one mail that are looked up; nobody has more subaccounts at hand."""

BCC_PLACEHOLDER = Address("BCC address", "")
"""What stands on a message in the place of a BCC address (B6)."""

_TEXTS = ("text/", "message/", "application/ics")


def hide(text: str, form: BccAddressFormat | None, *, cut: bool = False) -> str:
    """The text with a placeholder for each BCC address, issued or not.

    `cut` says that the text's end was cut off, and with it part of an address perhaps.
    """
    if form is None:
        return text
    return without_bcc_addresses(text, form.prefix, form.domain, cut=cut)


def hide_in_file(
    content_type: str, data: bytes, form: BccAddressFormat | None
) -> bytes:
    """The same for an attachment that is a text, such as an invitation.

    Another file stays as it is: a change could break it.
    """
    if form is None or not content_type.lower().startswith(_TEXTS):
        return data
    return bytes_without_bcc_addresses(data, form.prefix, form.domain)


def holds_bcc_address(address: str, form: BccAddressFormat) -> bool:
    """Whether it is a BCC address or has one in it, as a bounce's return path does."""
    local, _, domain = address.rpartition("@")
    if domain == form.domain:
        return hide(address, form) != address
    return form.domain in local and hide(local, form) != local


def redact_bcc_addresses(
    message: MessageHeaders, form: BccAddressFormat | None
) -> MessageHeaders:
    """Take the BCC addresses out of the headers, and keep their tokens aside.

    What comes after this step cannot show, store or match a BCC address, nor one that
    stands in a name or in the subject. One that only the envelope names (Delivered-To)
    is shown in Bcc, which is where it was; one in To is shown in Cc (B6 knows no other
    place).
    """
    if form is None:
        return replace(message, delivered_to=())
    to, in_to = _split(message.to, form)
    cc, in_cc = _split(message.cc, form)
    bcc, in_bcc = _split(message.bcc, form)
    enveloped = [t for a in message.delivered_to if (t := form.token_of(a))]
    shown = dict.fromkeys((*in_to, *in_cc, *in_bcc))
    tokens = tuple(token for token in dict.fromkeys((*shown, *enveloped)) if token)
    senders = (message.sender,) if message.sender else ()
    own_id = message.rfc822_message_id
    return replace(
        message,
        # From a BCC address nobody writes: it matches nothing (M13).
        sender=next(iter(_split(senders, form)[0]), None),
        to=to,
        cc=(*cc, BCC_PLACEHOLDER) if in_to or in_cc else cc,
        bcc=(*bcc, BCC_PLACEHOLDER) if in_bcc or set(enveloped) - set(shown) else bcc,
        reply_to=_split(message.reply_to, form)[0],
        original_senders=_split(message.original_senders, form)[0],
        subject=hide(message.subject, form),
        rfc822_message_id=own_id and _hide_in_id(own_id, form),
        in_reply_to=tuple(_hide_in_id(id_, form) for id_ in message.in_reply_to),
        references=tuple(_hide_in_id(id_, form) for id_ in message.references),
        delivered_to=(),
        drops=tokens[:MAX_BCC_ADDRESSES],
    )


def hide_in_content(content: Content, form: BccAddressFormat | None) -> Content:
    """The content without BCC addresses in bodies, snippet and file names.

    The bytes of attachments are another matter: `hide_in_file`.
    """
    if form is None:
        return content
    cut = content.truncated
    text = content.text and hide(content.text, form, cut=cut)
    html = content.html and hide(content.html, form, cut=cut)
    changed = (text, html) != (content.text, content.html)
    return replace(
        content,
        text=text,
        html=html,
        # A snippet can end within an address.
        snippet=snippet_of(text, html) if changed else content.snippet,
        attachments=tuple(_hide_in_part(part, form) for part in content.attachments),
    )


def _hide_in_part(part: AttachmentPart, form: BccAddressFormat) -> AttachmentPart:
    return replace(
        part,
        filename=part.filename and hide(part.filename, form),
        content_type=hide(part.content_type, form),
        content_id=part.content_id and hide(part.content_id, form),
    )


def _hide_in_id(message_id: Rfc822MessageId, form: BccAddressFormat) -> Rfc822MessageId:
    """The same for all who refer to the message."""
    return Rfc822MessageId(hide(message_id, form))


def _hide_in_name(person: Address, form: BccAddressFormat) -> Address:
    if person.name is None:
        return person
    return replace(person, name=hide(person.name, form))


def _split(
    addresses: Iterable[Address], form: BccAddressFormat
) -> tuple[tuple[Address, ...], list[str]]:
    """The people, and a token for each BCC address: empty where one is only part."""
    people: list[Address] = []
    tokens: list[str] = []
    for address in addresses:
        if holds_bcc_address(address.address, form):
            tokens.append(form.token_of(address.address) or "")
        else:
            people.append(_hide_in_name(address, form))
    return tuple(people), tokens
