"""Which recorded message a bounce is about, and whether it is to be believed (S12).

Anybody can write a bounce, and most servers sign none. So who wrote it counts for
little, and what it knows for much: it must name a message that our side sent, by an id
which only those who got it know, and one of its recipients; and it must come to a
mailbox that the message was sent from. What it then adds is an entry, never a status.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.core.ids import MessageId, Rfc822MessageId, SubaccountId
from shared.core.mail import DeliveryFailure, DeliveryReport, MessageHeaders
from shared.core.matching.ancestors import references_nearest_first
from shared.core.matching.facts import MessageIdKey, OutboundFact, OutboundKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.matching.own_ids import record_named_by
from shared.core.matching.places import Decision, Returned
from shared.core.parsing.address import in_domains
from shared.core.parsing.spellings import mailbox_key
from shared.core.people import MailboxForMatching, UserForMatching
from shared.core.records import Bounce

MAX_NAMES = 10
"""Ids that are looked up. A bounce names one email, in two or three places."""

_GOOGLE = ("google.com", "googlemail.com", "gmail.com")
"""Their mail is always signed: what fails is not theirs."""


def bounced(
    message: MessageHeaders,
    report: DeliveryReport,
    mailbox: MailboxForMatching,
    users: Sequence[UserForMatching],
    known: Known,
) -> Lookup[Decision]:
    """Decide about a bounce: it is nobody's mail, wherever it names one of ours.

    Also where the sync is off (C11) or the contact is on a never-log list (M12): the
    message that it is about is recorded there.
    """
    ids = sorted({m.subaccount for user in users for m in user.memberships})
    ids = [
        subaccount for subaccount in ids if _is_credible(message, mailbox, subaccount)
    ]
    names = _names(message, report)
    yield from known.ask(*(MessageIdKey(s, name) for s in ids for name in names))
    keys = {s: _candidates(known, report, s, names) for s in ids}
    yield from known.ask(*(key for some in keys.values() for key in some))
    returned: list[Returned] = []
    for some in keys.values():
        returned += _first_named(message, report, mailbox, known, some)
    return Decision("S12", returned=tuple(returned))


def _is_credible(
    message: MessageHeaders, mailbox: MailboxForMatching, subaccount: SubaccountId
) -> bool:
    """Whether From may be true where it claims to be Google's, or the team's own.

    Of others a failed check proves nothing: a bounce has no envelope sender, so that
    SPF has nothing to align with, and few servers sign what they send by themselves.
    """
    if message.authenticity != "fail" or message.sender is None:
        return True
    sender = message.sender.address
    team = mailbox.subaccount(subaccount).internal_domains
    return not (in_domains(sender, (*_GOOGLE, *team)) or mailbox.is_own(sender))


def _names(
    message: MessageHeaders, report: DeliveryReport
) -> tuple[Rfc822MessageId, ...]:
    """Message-IDs that may be that of our message, the likeliest first."""
    ids = (*report.message_ids, *references_nearest_first(message))
    return tuple(dict.fromkeys(ids))[:MAX_NAMES]


def _candidates(
    known: Known,
    report: DeliveryReport,
    subaccount: SubaccountId,
    names: Sequence[Rfc822MessageId],
) -> tuple[OutboundKey, ...]:
    """Records that it may name: by our header, by Message-ID, by our own Message-ID."""
    found: dict[MessageId, None] = {}
    owner, _, record = (report.crm_message or "").partition("/")
    if owner == subaccount:
        found[MessageId(record)] = None
    for name in names:
        for message in known.messages(subaccount, name):
            found[message.id] = None
        own = record_named_by(name)
        if own is not None:
            found[own] = None
    return tuple(OutboundKey(subaccount, id_) for id_ in found)


def _first_named(
    message: MessageHeaders,
    report: DeliveryReport,
    mailbox: MailboxForMatching,
    known: Known,
    candidates: Sequence[OutboundKey],
) -> Iterator[Returned]:
    """The nearest of the messages that went to a recipient that the bounce names.

    References name the whole thread, and one mail of it came back.
    """
    for key in candidates:
        fact = known.outbound(key)
        if fact is None or not _sent_from(fact, mailbox):
            continue
        bounces = tuple(_entries(message, report.failures, fact))
        if bounces:
            yield Returned(key.subaccount, key.message, fact.contact, bounces)
            return


def _sent_from(fact: OutboundFact, mailbox: MailboxForMatching) -> bool:
    """Whether the message was sent from this mailbox, or by one of its users.

    Mail of the provider is in no mailbox; what comes back of it goes to its sender.
    """
    return (
        mailbox.id in fact.mailboxes
        or any(user.id == fact.user for user in mailbox.users)
        or mailbox.is_own(fact.sender)
    )


def _entries(
    message: MessageHeaders, failures: Sequence[DeliveryFailure], fact: OutboundFact
) -> Iterator[Bounce]:
    """One for each recipient of the message; other addresses are no business of ours.

    Where it was forwarded to, for one: the recipient has not told us.
    """
    recipients = {mailbox_key(address): address for address in fact.recipients}
    seen: set[str] = set()
    for failure in failures:
        ours = [
            address
            if address in fact.recipients
            else recipients.get(mailbox_key(address))
            for address in failure.addresses
        ]
        address = next((found for found in ours if found), None)
        if address is not None and address not in seen:
            seen.add(address)
            yield Bounce(
                address=address,
                code=failure.code,
                detail=failure.detail,
                permanent=failure.permanent,
                at=message.internal_date,
            )
