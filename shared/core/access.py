"""Who calls, and what that caller may touch.

What is refused from the token alone is `forbidden`, before anything is read. What the
token covers but is not there is `not_found`; so no answer says whether something
exists outside the caller's own subaccounts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.core.ids import SubaccountId, UserId

BACKEND = "crm"
"""`sub` of the CRM's own backend."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request, and for which subaccounts. Only what the token says."""

    sub: str
    subaccounts: frozenset[SubaccountId]

    @property
    def is_backend(self) -> bool:
        """Whether this is the CRM itself, not one of its users."""
        return self.sub == BACKEND

    @property
    def user(self) -> UserId | None:
        """The user who calls; None for the backend."""
        return None if self.is_backend else UserId(self.sub)


def may_touch_subaccount(caller: Caller, subaccount: SubaccountId) -> bool:
    """Whether the token names this subaccount."""
    return subaccount in caller.subaccounts


def may_name_user(caller: Caller, user: UserId) -> bool:
    """Whether the caller may speak of this user's connection at all.

    A user only of the own one; the backend of any, as far as `shares_subaccount` holds.
    """
    return caller.is_backend or caller.sub == user


def shares_subaccount(caller: Caller, memberships: Collection[SubaccountId]) -> bool:
    """Whether a user with these memberships belongs to one of the token's."""
    return not caller.subaccounts.isdisjoint(memberships)


def may_see_decision(
    caller: Caller, users: Collection[UserId], members: Collection[UserId]
) -> bool:
    """Whether mail that was not recorded may be explained to this caller (E2).

    `users` are those of the mailbox, `members` those of the subaccount asked in. A user
    sees only what concerns the own mailbox; the backend what concerns a team member.
    """
    if caller.user is not None:
        return caller.user in users and caller.user in members
    return not set(users).isdisjoint(members)
