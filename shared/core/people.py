"""The mailbox and its users as the rules see them."""

from __future__ import annotations

from dataclasses import dataclass

from shared.core.ids import MailboxId, SubaccountId, UserId
from shared.core.parsing.spellings import mailbox_key, mailbox_keys
from shared.core.records import Logging


@dataclass(frozen=True, slots=True)
class SubaccountForMatching:
    """A subaccount's settings that decide what is recorded. Lists are normalised."""

    id: SubaccountId
    logging: Logging = "established"
    internal_domains: tuple[str, ...] = ()
    never_log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in one subaccount, with the user's own never-log list there.

    `sync` says whether the mailbox is recorded there by M and T (C11).
    """

    subaccount: SubaccountId
    never_log: tuple[str, ...] = ()
    sync: bool = True


@dataclass(frozen=True, slots=True)
class UserForMatching:
    """A user who connected the mailbox, and since when (ms): nothing older (C2)."""

    id: UserId
    since: int
    memberships: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True)
class MailboxForMatching:
    """One connected Gmail account with all its users (C4).

    `own_addresses` are its address and send-as aliases, normalised.
    """

    id: MailboxId
    address: str
    own_addresses: frozenset[str]
    users: tuple[UserForMatching, ...]
    subaccounts: tuple[SubaccountForMatching, ...]

    def is_own(self, address: str) -> bool:
        """Say whether it is the mailbox's, in whatever spelling."""
        return address in self.own_addresses or mailbox_key(address) in mailbox_keys(
            self.own_addresses
        )

    def subaccount(self, subaccount: SubaccountId) -> SubaccountForMatching:
        """The settings of one of the subaccounts."""
        return next(team for team in self.subaccounts if team.id == subaccount)
