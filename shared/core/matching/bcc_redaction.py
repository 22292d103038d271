"""Takes BCC addresses out of a message: headers, bodies, names, file names (B6).

A reply quotes the header of the mail that it answers, with the address that logged it.
Promises: what the mail programs of the field make of an address is found, in time
linear in the text; a text without a BCC address stays as it is, the same object.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.core.mail import Address, AttachmentPart, Content, MessageHeaders
from shared.core.matching.bcc import TOKEN_CHARS, BccAddressFormat

MAX_BCC_ADDRESSES = 10
"""BCC addresses of one mail that are looked up; nobody has more subaccounts at hand."""

BCC_PLACEHOLDER = Address("BCC address", "")
"""What stands on a message in the place of a BCC address (B6)."""

IN_TEXT = "BCC-address"
"""One word without signs: it can stand in text, in markup and in a link."""

# What programs put inside a long word, so that a line can end there.
_BREAKS = r"(?:<wbr\s?/?>|</wbr>|&shy;|&#173;|&ZeroWidthSpace;|&#8203;|\u00ad|\u200b)"
_BREAK = _BREAKS + r"{0,3}+"
_ENTITIES: Mapping[str, str] = {
    "@": "&commat;",
    "+": "&plus;",
    ".": "&period;",
    "_": "&lowbar;",
}


def hide(text: str, form: BccAddressFormat | None) -> str:
    """The text with a placeholder for each BCC address, issued or not.

    Escapes of HTML and of URLs are understood. Where the form begins with letters of
    its own, such as `log+`, its local part alone is hidden too: it is the secret.
    """
    if form is None or _certain_word(form) not in text.lower():
        return text
    return _pattern(form).sub(IN_TEXT, text)


def hide_in_bytes(data: bytes, form: BccAddressFormat | None) -> bytes:
    """The same for a text in any charset that agrees with ASCII; other bytes stay."""
    text = data.decode("latin-1")
    hidden = hide(text, form)
    return data if hidden is text else hidden.encode("latin-1")


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
    tokens = tuple(dict.fromkeys((*shown, *enveloped)))[:MAX_BCC_ADDRESSES]
    sender = message.sender
    return replace(
        message,
        # From a BCC address nobody writes: it matches nothing (M13).
        sender=_hide_in_name(sender, form)
        if sender and not form.token_of(sender.address)
        else None,
        to=to,
        cc=(*cc, BCC_PLACEHOLDER) if in_to or in_cc else cc,
        bcc=(*bcc, BCC_PLACEHOLDER) if in_bcc or set(enveloped) - set(shown) else bcc,
        reply_to=_split(message.reply_to, form)[0],
        original_senders=_split(message.original_senders, form)[0],
        subject=hide(message.subject, form),
        delivered_to=(),
        drops=tokens,
    )


def hide_in_content(content: Content, form: BccAddressFormat | None) -> Content:
    """The content without BCC addresses in bodies, snippet and file names.

    The bytes of attachments are another matter: `hide_in_bytes`.
    """
    if form is None:
        return content
    return replace(
        content,
        text=hide(content.text, form) if content.text else content.text,
        html=hide(content.html, form) if content.html else content.html,
        snippet=hide(content.snippet, form),
        attachments=tuple(_hide_in_part(part, form) for part in content.attachments),
    )


def _hide_in_part(part: AttachmentPart, form: BccAddressFormat) -> AttachmentPart:
    if part.filename is None:
        return part
    return replace(part, filename=hide(part.filename, form))


def _hide_in_name(person: Address, form: BccAddressFormat) -> Address:
    if person.name is None:
        return person
    return replace(person, name=hide(person.name, form))


def _split(
    addresses: Iterable[Address], form: BccAddressFormat
) -> tuple[tuple[Address, ...], list[str]]:
    people: list[Address] = []
    tokens: list[str] = []
    for address in addresses:
        token = form.token_of(address.address)
        if token is None:
            people.append(_hide_in_name(address, form))
        else:
            tokens.append(token)
    return tuple(people), tokens


@functools.cache
def _certain_word(form: BccAddressFormat) -> str:
    """A word in lower case that any text with an address of this form holds."""
    words = re.findall(r"[a-z0-9]+", form.prefix or form.domain)
    shown = "" if form.prefix else _shown(form.domain)
    return max(words, key=len, default="") if shown.isascii() else ""


@functools.cache
def _pattern(form: BccAddressFormat) -> re.Pattern[str]:
    prefix = "".join(_character(c) for c in form.prefix) + _BREAK
    token = rf"(?:[a-z2-7]{_BREAK}){{{TOKEN_CHARS}}}"
    spellings = {form.domain, _shown(form.domain)}
    domains = "|".join(
        "".join(_character(c) for c in domain) for domain in sorted(spellings)
    )
    domain = rf"{_character('@')}{_BREAK}(?:{domains})"
    # Nothing of a longer word: that is another address, or none.
    end = r"(?![a-z2-7])"
    tail = rf"(?:{domain}|{end})" if form.prefix else domain
    return re.compile(f"{prefix}{token}{tail}", re.IGNORECASE)


def _character(char: str) -> str:
    """A pattern for one character, plain or escaped as HTML and URLs escape signs."""
    if char.isascii() and char.isalnum():
        return re.escape(char)
    number = ord(char)
    escaped = [f"%{octet:02x}" for octet in char.encode()]
    spellings = [re.escape(char), rf"&#0?{number};", rf"&#x0?{number:x};"]
    spellings.append("".join(escaped))
    if char in _ENTITIES:
        spellings.append(_ENTITIES[char])
    return f"(?:{'|'.join(spellings)})"


def _shown(domain: str) -> str:
    """The domain as a mail program shows it to a person."""
    try:
        return domain.encode("ascii").decode("idna")
    except UnicodeError:
        return domain
