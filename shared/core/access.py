"""Who calls, and what that caller may do.

What a token does not cover is refused from the token and the call alone, before
anything is read. What it covers but is not there is `not_found`; so no response says
whether something exists outside the caller's own subaccounts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from shared.core.ids import SubaccountId, UserId

BACKEND = "crm"
"""`sub` of the CRM's own backend."""

Refusal = Literal["backend_only", "deployment_only", "forbidden"]
"""The code of a call that the token does not cover."""


class Authority(Enum):
    """Who may make a call. Every call of the API declares one."""

    PUBLIC = auto()
    """Anybody, without a token."""

    BACKEND = auto()
    """The CRM's backend, in the subaccounts that its token names."""

    DEPLOYMENT = auto()
    """The backend with the right to what belongs to no subaccount."""

    OWN_USER = auto()
    """The backend, and the user that the path names."""

    OWN_SENDS = auto()
    """The backend, and a user who sends individual email as itself."""

    OWN_MAILBOX = auto()
    """The backend, and a user about its own mailbox."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request, and what for. Only what the token says.

    `deployment` is the right to what belongs to no subaccount: the logging mailbox, and
    dead letters without a mailbox. A user never has it.
    """

    sub: str
    subaccounts: frozenset[SubaccountId]
    deployment: bool = False

    @property
    def is_backend(self) -> bool:
        """Whether this is the CRM itself, not one of its users."""
        return self.sub == BACKEND

    @property
    def user(self) -> UserId | None:
        """The user who calls; None for the backend."""
        return None if self.is_backend else UserId(self.sub)


def refusal(
    authority: Authority,
    caller: Caller,
    *,
    user: str | None = None,
    subaccount: str | None = None,
) -> Refusal | None:
    """Why the caller may not make a call on this user and subaccount of its path.

    None when the token covers it. Whether the user belongs to one of the token's
    subaccounts (`shares_subaccount`) is not known from the token.
    """
    if caller.user is not None:
        if authority in {Authority.BACKEND, Authority.DEPLOYMENT}:
            return "backend_only"
        if authority is Authority.OWN_USER and caller.user != user:
            return "backend_only"
    elif authority is Authority.DEPLOYMENT and not caller.deployment:
        return "deployment_only"
    if subaccount is not None and subaccount not in caller.subaccounts:
        return "forbidden"
    return None


def may_send(caller: Caller, kind: object, user: object) -> bool:
    """Whether the caller may send email of this kind in this user's name (S1, S2).

    Both are what the request says, not yet checked.
    """
    return caller.user is None or (kind == "individual" and caller.user == user)


def shares_subaccount(caller: Caller, memberships: Collection[SubaccountId]) -> bool:
    """Whether a user with these memberships belongs to one of the token's."""
    return not caller.subaccounts.isdisjoint(memberships)


def may_see_decision(
    caller: Caller, users: Collection[UserId], members: Collection[UserId]
) -> bool:
    """Whether mail that was not recorded may be explained to this caller (E2).

    `users` are those of the mailbox, `members` those of the subaccount asked in. A user
    sees only what concerns the own mailbox; the backend what concerns a user.
    """
    if caller.user is not None:
        return caller.user in users and caller.user in members
    return not set(users).isdisjoint(members)
