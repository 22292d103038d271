"""Which thread a message belongs to (T1, T3): the nearest known ancestor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.core.ids import (
    ContactId,
    MailboxId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    digest,
)
from shared.core.mail import MessageHeaders
from shared.core.matching.facts import ContactKey, GmailThreadKey, MessageIdKey
from shared.core.matching.lookups import Known, Lookup

REFERENCES_PER_LOOKUP = 10
"""References are looked up in pieces from the last one: the nearest is nearly always
there, and a mailing list can carry a hundred."""


@dataclass(frozen=True, slots=True)
class KnownThread:
    """The thread of a message in one subaccount, by its nearest known ancestor.

    `exclusive`: the ancestor exists in this subaccount only, because the thread comes
    from a mail that was sent from its CRM (T3).
    """

    thread: ThreadId
    contact: ContactId
    exclusive: bool


def references_nearest_first(message: MessageHeaders) -> tuple[Rfc822MessageId, ...]:
    """In-Reply-To, then References from last to first, without the message itself."""
    ids = (*message.in_reply_to, *reversed(message.references))
    return tuple(
        dict.fromkeys(
            message_id for message_id in ids if message_id != message.rfc822_message_id
        )
    )


def new_thread(
    message: MessageHeaders, mailbox: MailboxId, contact: ContactId, *, forward: bool
) -> ThreadId:
    """Id of a thread that begins, for us, with this message.

    Named after the thread's root, so that mails of one thread that arrive in the wrong
    order, or in two mailboxes at once, still meet. A forward leaves its thread (M10)
    and is a root itself.
    """
    root: str | None = message.rfc822_message_id
    if not forward:
        root = next(iter((*message.references, *message.in_reply_to)), root)
    if root is None:
        root = digest("gmail", mailbox, message.gmail_message_id)
    return ThreadId(digest("thread", root, contact))


def _pieces(
    message: MessageHeaders,
) -> Iterator[Sequence[Rfc822MessageId]]:
    ids = references_nearest_first(message)
    first = len(message.in_reply_to)
    if first:
        yield ids[:first]
    for start in range(first, len(ids), REFERENCES_PER_LOOKUP):
        yield ids[start : start + REFERENCES_PER_LOOKUP]


def find_threads(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxId,
    subaccounts: Sequence[SubaccountId],
) -> Lookup[dict[SubaccountId, KnownThread]]:
    """Find the message's thread in each of the subaccounts where it is known.

    When the nearest ancestor of all is exclusive, only the subaccounts that hold it
    exclusively are answered, each with `exclusive` set: the caller must then record
    nowhere else (T3).
    """
    found: dict[SubaccountId, KnownThread] = {}
    for piece in _pieces(message):
        open_ones = [
            subaccount for subaccount in subaccounts if subaccount not in found
        ]
        if not open_ones:
            return found
        yield from known.ask(*(MessageIdKey(s, i) for i in piece for s in open_ones))
        for reference in piece:
            here = yield from _at(known, reference, open_ones)
            if not found and (exclusive := _exclusive(here)):
                return exclusive
            found = here | found
    open_ones = [subaccount for subaccount in subaccounts if subaccount not in found]
    here = yield from _in_gmail_thread(known, message, mailbox, open_ones)
    if not found and (exclusive := _exclusive(here)):
        return exclusive
    return here | found


def is_exclusive(threads: Mapping[SubaccountId, KnownThread]) -> bool:
    """T3: the nearest ancestor of all forbids every other subaccount."""
    return bool(threads) and all(thread.exclusive for thread in threads.values())


def _exclusive(
    threads: dict[SubaccountId, KnownThread],
) -> dict[SubaccountId, KnownThread]:
    return {s: thread for s, thread in threads.items() if thread.exclusive}


def _in_gmail_thread(
    known: Known,
    message: MessageHeaders,
    mailbox: MailboxId,
    subaccounts: Sequence[SubaccountId],
) -> Lookup[dict[SubaccountId, KnownThread]]:
    keys = {s: GmailThreadKey(s, mailbox, message.gmail_thread_id) for s in subaccounts}
    yield from known.ask(*keys.values())
    here: dict[SubaccountId, KnownThread] = {}
    for subaccount, key in keys.items():
        for thread in sorted(known.threads(key), key=lambda other: other.id):
            if (yield from _exists(known, subaccount, thread.contact)):
                here[subaccount] = KnownThread(
                    thread.id, thread.contact, thread.exclusive
                )
                break
    return here


def _at(
    known: Known, reference: Rfc822MessageId, subaccounts: Sequence[SubaccountId]
) -> Lookup[dict[SubaccountId, KnownThread]]:
    here: dict[SubaccountId, KnownThread] = {}
    for subaccount in subaccounts:
        for message in known.messages(subaccount, reference):
            if (yield from _exists(known, subaccount, message.contact)):
                here[subaccount] = KnownThread(
                    message.thread, message.contact, message.exclusive
                )
                break
    return here


def _exists(known: Known, subaccount: SubaccountId, contact: ContactId) -> Lookup[bool]:
    """Say whether a thread's contact still exists; an erased one has no thread."""
    if known.is_contact(subaccount, contact):
        return True
    yield from known.ask(ContactKey(subaccount, contact))
    return known.contact(subaccount, contact).exists
