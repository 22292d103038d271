"""Why a message was recorded, or was not: each rule as a sentence for people.

The texts name no person: they are shown next to ids, in logs too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Outcome = Literal["recorded", "ignored", "quarantined"]

_RECORDED = {
    "M5": "A contact wrote, so it is in the contact's conversation.",
    "M6": "Sent from Gmail to a contact, so it is in the contact's conversation.",
    "M9": "The authenticated copy has replaced one that was not, and that came first.",
    "M10": "Forwarded to a contact: for this contact it is a mail like any other.",
    "T2": "It continues a thread that is in the CRM already.",
    "T3": "It answers mail sent from this subaccount's CRM, so it is here only.",
    "B2": "Logged with the user's BCC address.",
    "B7": "Logged with the BCC address; it would make too many contacts, so none.",
    "B6": "A participant answered in a known thread that has the BCC address in copy.",
    "S1": "Sent from the CRM through the user's Gmail.",
    "S2": "Sent from the CRM through the subaccount's own email provider.",
    "S12": "A delivery report on an email sent from here; that email shows it.",
}
_IGNORED = {
    "B1": "It names no BCC address that is in use; an old one stopped working.",
    "B5": "The BCC address takes only the user's own, authenticated mail.",
    "B7": "No contact is in it, but more than 50 people, or more than a day may make.",
    "C2": "It is from before the mailbox was connected, which is never synced.",
    "C6": "The mailbox was disconnected when it came.",
    "C11": "The user has switched the sync off for this subaccount.",
    "M1": "Drafts, chats, spam and trash stay out of the CRM.",
    "M2": "It claims to come from the team, but is not authenticated: a forgery.",
    "M3": "The address is a contact's, but has no relationship with this user.",
    "M4": "The mailbox's user belongs to no subaccount.",
    "M7": "Nobody in it is a contact, and mail never makes contacts.",
    "M9": "It claims to be an email that is recorded, says something else, and is not "
    "authenticated.",
    "M10": "Forwarded to somebody who is not a contact; a forward leaves its thread.",
    "M11": "Only colleagues are in it, and internal mail stays private.",
    "M12": "The contact is on the never-log list.",
    "M13": "Its sender is not exactly one address, so it matches nobody.",
    "S12": "A delivery report that names no recorded email from here with one of its "
    "recipients, or a forged one.",
    "T2": "It continues a known thread, but nobody in it belongs to that thread.",
    "T3": "It answers mail sent from another subaccount's CRM, so it is only there.",
}
_UNKNOWN = {
    "recorded": "It belongs to a conversation in the CRM.",
    "ignored": "No rule permits to record it.",
}
_QUARANTINED = "It could not be processed, is kept aside, and can be replayed."

_PRECEDENCE = (
    *("T3", "M9", "M2", "M12", "M10", "M3", "T2"),
    *("B5", "B7", "M11", "C11", "M7", "B1"),
)


def most_specific_refusal(rules: Iterable[str]) -> str:
    """Which of the subaccounts' refusals tells the user most.

    No refusal at all means that no subaccount had a say: the mail names no BCC address.
    """
    return min(rules, key=_PRECEDENCE.index, default="B1")


def explain(rule: str, outcome: Outcome) -> str:
    """One sentence that says why; an unknown rule gets a general one."""
    if outcome == "quarantined":
        return _QUARANTINED
    table = _RECORDED if outcome == "recorded" else _IGNORED
    return table.get(rule, _UNKNOWN[outcome])
