"""For whom a mailbox is being connected, in names that a person recognises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.records import Member, Subaccount

MOST_NAMES = 20
"""So many subaccounts are named; of more the page says how many."""


class KnowsNames(Protocol):
    """The directory, as far as the consent pages need it."""

    def subaccounts_of(self, user: UserId) -> tuple[SubaccountId, ...]:
        """Subaccounts in which this user is a member."""

    def member(self, subaccount: SubaccountId, user: UserId) -> Member | None:
        """A user as a member of this subaccount."""

    def subaccount(self, subaccount: SubaccountId) -> Subaccount | None:
        """Settings of a subaccount."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A user and the teams in which the mailbox will be synced (C11).

    Without a name it is the deployment itself: its logging mailbox.
    """

    name: str | None
    teams: tuple[str, ...] = ()
    more: int = 0


def subject_of(directory: KnowsNames, user: UserId) -> Subject | None:
    """Whose connection it is; None when the user is in no subaccount any more."""
    if user == LOGGING:
        return Subject(None)
    own = directory.subaccounts_of(user)
    named = own[:MOST_NAMES]
    members = [directory.member(subaccount, user) for subaccount in named]
    name = next((member.name for member in members if member is not None), None)
    if name is None:
        return None
    here = [member.subaccount for member in members if member and member.sync]
    found = [directory.subaccount(subaccount) for subaccount in here or named]
    teams = tuple(team.name for team in found if team is not None)
    return Subject(name, teams, len(own) - len(named))
