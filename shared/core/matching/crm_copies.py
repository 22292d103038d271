"""A mail that the CRM sent comes back through Gmail (S1, M9)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from shared.core.ids import MessageId, SubaccountId, is_id
from shared.core.matching.facts import (
    AddressKey,
    CrmMessageFact,
    CrmMessageKey,
    MessageIdKey,
)
from shared.core.matching.lookups import Lookup
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.own_ids import record_named_by
from shared.core.matching.parties import Parties, holders
from shared.core.matching.places import Placement


def copy_of_crm_mail(
    copy: MailboxCopy, subaccounts: Collection[SubaccountId]
) -> Lookup[Placement | None]:
    """Find the record of which this is a copy, in one of these subaccounts.

    Our header names it, or our Message-ID, or the one by which it was seen to go out:
    lists take headers away, and Gmail may write a Message-ID of its own. Anybody can
    write all of them: the mail must be from the address that the record was sent from,
    truly so, and carry its subject.
    """
    if not copy.is_believed:
        return None
    keys = [*_named(copy, subaccounts)]
    yield from copy.known.ask(*keys)
    found = _first_shown(copy, keys)
    if found is None:
        keys = yield from _indexed(copy, subaccounts)
        yield from copy.known.ask(*keys)
        found = _first_shown(copy, keys)
    if found is None:
        return None
    key, fact = found
    return Placement(
        subaccount=key.subaccount,
        contact=fact.contact,
        thread=fact.thread,
        direction="outbound",
        rule="S1",
        holders=holders(copy.users, key.subaccount),
        user=fact.user,
        exclusive=True,
        message=fact.id,
    )


def _named(
    copy: MailboxCopy, subaccounts: Collection[SubaccountId]
) -> Iterator[CrmMessageKey]:
    """The records that its header, or our own Message-ID, names."""
    subaccount, _, record = (copy.message.crm_message or "").partition("/")
    if subaccount in subaccounts and record:
        yield CrmMessageKey(SubaccountId(subaccount), MessageId(record))
        return
    named = record_named_by(copy.message.rfc822_message_id or "")
    if named is not None:
        for subaccount_id in sorted(subaccounts):
            yield CrmMessageKey(subaccount_id, named)


def _indexed(
    copy: MailboxCopy, subaccounts: Collection[SubaccountId]
) -> Lookup[list[CrmMessageKey]]:
    """Records that were sent under its Message-ID; asked of mail from our side only.

    So the mail of contacts costs nothing more.
    """
    name = copy.message.rfc822_message_id
    if name is None or copy.message.crm_message is not None:
        return []
    ours = sorted(subaccounts)
    if "SENT" not in copy.message.labels and not copy.is_own:
        looked_at = [
            subaccount.id
            for subaccount in copy.mailbox.subaccounts
            if subaccount.id in subaccounts
        ]
        yield from copy.ask_addresses(looked_at, (copy.sender,))
        ours = [
            subaccount.id
            for subaccount in copy.mailbox.subaccounts
            if subaccount.id in looked_at
            and Parties(copy.known, subaccount, copy.mailbox.own_addresses).is_internal(
                copy.sender
            )
        ]
    yield from copy.known.ask(*(MessageIdKey(our, name) for our in ours))
    return [
        CrmMessageKey(our, known.id)
        for our in ours
        for known in copy.known.messages(our, name)
        if known.exclusive
    ]


def _first_shown(
    copy: MailboxCopy, keys: Iterable[CrmMessageKey]
) -> tuple[CrmMessageKey, CrmMessageFact] | None:
    for key in keys:
        fact = copy.known.crm_message(key)
        if fact is not None and _shows(copy, fact):
            return key, fact
    return None


def is_of_another_crm(copy: MailboxCopy, subaccount: SubaccountId) -> Lookup[bool]:
    """T3: whether another subaccount's CRM truly sent a mail of somebody external.

    The one that our header names may be none of this mailbox's: it is asked whether it
    has sent such a mail, or, when that was erased, whether the sender is of its team.
    """
    if not (copy.is_marked_for_another(subaccount) and copy.is_believed):
        return False
    owner, _, record = (copy.message.crm_message or "").partition("/")
    if not (is_id(owner) and is_id(record)):
        return False  # the store refuses to look for it
    theirs = SubaccountId(owner)
    sent, sender = (
        CrmMessageKey(theirs, MessageId(record)),
        AddressKey(theirs, copy.sender),
    )
    yield from copy.known.ask(sent, sender)
    fact = copy.known.crm_message(sent)
    return bool(copy.known.address(theirs, copy.sender).members) or (
        fact is not None and _shows(copy, fact)
    )


def _shows(copy: MailboxCopy, fact: CrmMessageFact) -> bool:
    """Whether a mail is what its record says: anybody can write our header."""
    subject = copy.message.subject
    return fact.sender == copy.sender and fact.subject.split() == subject.split()
