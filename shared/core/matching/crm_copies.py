"""A mail that the CRM sent comes back through Gmail (S1, M9)."""

from __future__ import annotations

from collections.abc import Collection

from shared.core.ids import MessageId, SubaccountId
from shared.core.matching.asking import Asking
from shared.core.matching.facts import CrmMessageKey
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.parties import holders
from shared.core.matching.places import Place


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
    if fact is None or fact.sender != copy.sender:
        return None
    if fact.subject.split() != copy.message.subject.split():
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
