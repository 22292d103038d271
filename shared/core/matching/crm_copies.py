"""A mail that the CRM sent comes back through Gmail (S1, M9)."""

from __future__ import annotations

import re
from collections.abc import Collection

from shared.core.ids import MessageId, SubaccountId
from shared.core.matching.asking import Asking
from shared.core.matching.facts import AddressKey, CrmMessageFact, CrmMessageKey
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.parties import holders
from shared.core.matching.places import Place

_NO_ID = re.compile(r"|\.{1,2}|__.*__")
"""What nobody has as an id: the store reserves it, and refuses to look for it."""


def copy_of_crm_mail(
    copy: MailboxCopy, subaccounts: Collection[SubaccountId]
) -> Asking[Place | None]:
    """Find the record of which this is a copy, in one of these subaccounts.

    Our header names it, but anybody can write a header: the mail must be from the
    address that the record was sent from, truly so, and carry its subject.
    """
    subaccount, _, record = (copy.message.crm_message or "").partition("/")
    if subaccount not in subaccounts or not record or not copy.is_believed:
        return None
    key = CrmMessageKey(SubaccountId(subaccount), MessageId(record))
    yield from copy.known.ask(key)
    fact = copy.known.crm_message(key)
    if fact is None or not _shows(copy, fact):
        return None
    return Place(
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


def is_of_another_crm(copy: MailboxCopy, subaccount: SubaccountId) -> Asking[bool]:
    """T3: whether another subaccount's CRM truly sent a mail of somebody external.

    The one that our header names may be none of this mailbox's: it is asked whether it
    has sent such a mail, or, when that was erased, whether the sender is of its team.
    """
    if not (copy.is_marked_for_another(subaccount) and copy.is_believed):
        return False
    owner, _, record = (copy.message.crm_message or "").partition("/")
    if _NO_ID.fullmatch(owner) or _NO_ID.fullmatch(record):
        return False
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
