"""Decide where a Gmail message is recorded, or by which rule it is not (rules M, T, B).

The rules read headers only (M14) and ask for facts about addresses and threads by key;
they write nothing and know nothing of where facts come from.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.core.ids import SubaccountId, UserId
from shared.core.mail import LABELS_OUT_OF_SIGHT, NEVER_READ, MessageHeaders
from shared.core.matching.bcc import LOGGING
from shared.core.matching.bcc_rules import drops_of, logged
from shared.core.matching.bounces import bounced
from shared.core.matching.crm_copies import copy_of_crm_mail
from shared.core.matching.gmail_rules import matched
from shared.core.matching.lookups import Known, Lookup
from shared.core.matching.mailbox_copy import MailboxCopy
from shared.core.matching.places import Answer, Decision, Placement, recipients
from shared.core.matching.reasons import most_specific_refusal
from shared.core.people import MailboxForMatching

__all__ = ["Decision", "Placement", "decide", "recipients"]


def decide(message: MessageHeaders, mailbox: MailboxForMatching) -> Lookup[Decision]:
    """Decide about one message of one mailbox, in all of its users' subaccounts.

    Promises: internal mail is never recorded (M11), nothing outside the users'
    subaccounts, at most one place a subaccount, no contact is created but by the
    user's own BCC address (M7, B2). The message has been through `bcc_redaction`.
    """
    if message.labels & (NEVER_READ | LABELS_OUT_OF_SIGHT):
        return Decision("M1")
    users = tuple(u for u in mailbox.users if message.internal_date >= u.since)
    if not users:
        return Decision("C2")
    known = Known()
    if message.report is not None:
        return (yield from bounced(message, message.report, mailbox, users, known))
    drops = yield from drops_of(known, message)
    logging = any(user.id == LOGGING for user in users)
    concerns = tuple(sorted({bcc_token.user for bcc_token in drops})) if logging else ()
    if message.sender is None:
        return Decision("M13", concerns=concerns)
    ids = sorted(
        {membership.subaccount for user in users for membership in user.memberships}
    )
    if not ids and not logging:
        return Decision("M4")
    copy = MailboxCopy(message, message.sender.address, mailbox, users, known)
    reach = {
        *ids,
        *(membership for drop in drops if logging for membership in drop.memberships),
    }
    sent_by_crm = yield from copy_of_crm_mail(copy, reach)
    if sent_by_crm is not None:
        return Decision(sent_by_crm.rule, (sent_by_crm,))
    by_bcc = yield from logged(copy, drops)
    by_gmail = yield from matched(copy, ids, done=by_bcc)
    return _sum_up(by_bcc | by_gmail, concerns)


def _sum_up(
    answers: Mapping[SubaccountId, Answer], concerns: tuple[UserId, ...]
) -> Decision:
    """One decision of the subaccounts' answers, in the order of their ids."""
    ordered = dict(sorted(answers.items()))
    found = [place for place in ordered.values() if isinstance(place, Placement)]
    places = tuple(place for place in found if place.rule != "M3")
    copies = tuple(place for place in found if place.rule == "M3")
    refusals = {
        s: outcome for s, outcome in ordered.items() if isinstance(outcome, str)
    }
    refusals |= {copy.subaccount: copy.rule for copy in copies}
    rule = places[0].rule if places else most_specific_refusal(refusals.values())
    return Decision(rule, places, copies, concerns, refusals)
