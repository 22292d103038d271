"""Ids as types, so that they cannot be swapped, and the keys derived from them.

Keys are digests: they have a fixed length, no character that a path forbids, and show
nobody an address.
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

SubaccountId = NewType("SubaccountId", str)
UserId = NewType("UserId", str)
ContactId = NewType("ContactId", str)
MailboxId = NewType("MailboxId", str)
MessageId = NewType("MessageId", str)
"""Our id of a recorded message; the same email has the same id in every subaccount."""
ThreadId = NewType("ThreadId", str)
GmailMessageId = NewType("GmailMessageId", str)
GmailThreadId = NewType("GmailThreadId", str)
HistoryId = NewType("HistoryId", str)
"""A string on the wire; can exceed 64 bits. Compare with `history.order`."""
Rfc822MessageId = NewType("Rfc822MessageId", str)
"""With its angle brackets, as in the header."""


# Firestore reserves `__x__`; `.` and `..` disappear from every URL.
_ID = re.compile(r"(?!\.{1,2}\Z|__.*__\Z)[A-Za-z0-9._~-]{1,128}")


def is_id(value: str) -> bool:
    """Whether this can be one of the CRM's own ids."""
    return _ID.fullmatch(value) is not None


def digest(*parts: str) -> str:
    """Hash parts to 32 hex digits (128 bits of SHA-256).

    The parts are length-prefixed, so no two different lists share a digest by
    concatenation.
    """
    hashed = hashlib.sha256()
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        hashed.update(len(raw).to_bytes(8))
        hashed.update(raw)
    return hashed.hexdigest()[:32]


def address_key(address: str) -> str:
    """Key of a normalised address."""
    return digest("address", address)


def mailbox_id(address: str, google_sub: str = "") -> MailboxId:
    """Id of the mailbox with this normalised address.

    With `google_sub` that of an account which got the address after another one.
    """
    account = (google_sub,) if google_sub else ()
    return MailboxId(digest("mailbox", address, *account))


def message_id_key(rfc822_message_id: str) -> str:
    """Key under which recorded messages with this Message-ID are found."""
    return digest("message-id", rfc822_message_id)


def gmail_thread_key(mailbox: MailboxId, gmail_thread: GmailThreadId) -> str:
    """Key of a Gmail thread; Gmail's thread ids mean nothing in another mailbox."""
    return digest("gmail-thread", mailbox, gmail_thread)
