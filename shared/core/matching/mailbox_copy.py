"""One mailbox's copy of an email: what every rule starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.core.ids import SubaccountId
from shared.core.mail import MessageHeaders
from shared.core.matching.bcc import LOGGING
from shared.core.matching.facts import AddressKey
from shared.core.matching.lookups import Known, Lookup
from shared.core.parsing.spellings import mailbox_key
from shared.core.people import MailboxForMatching, UserForMatching


@dataclass(frozen=True, slots=True)
class MailboxCopy:
    """A message in one mailbox, its one sender, and the users it is considered for.

    `known` collects the facts that the rules have asked for so far.
    """

    message: MessageHeaders
    sender: str
    mailbox: MailboxForMatching
    users: tuple[UserForMatching, ...]
    known: Known

    @property
    def at_logging_mailbox(self) -> bool:
        """Say whether it came to the mailbox that BCC addresses lead to (B4)."""
        return any(user.id == LOGGING for user in self.users)

    @property
    def is_own(self) -> bool:
        """Say whether the mailbox's owner sent it, or claims to have (M2).

        Gmail says so whatever From is: an alias that was added a minute ago.
        """
        return self.is_sent or self.mailbox.is_own(self.sender)

    @property
    def is_sent(self) -> bool:
        """Say whether Gmail shows that the mailbox's owner sent it."""
        return "SENT" in self.message.labels

    @property
    def is_believed(self) -> bool:
        """Say whether From is true: sent from here, or authenticated by Google (M2)."""
        return self.is_sent or self.message.authenticated

    def is_marked_for_another(self, subaccount: SubaccountId) -> bool:
        """Say whether another subaccount's CRM sent it, by our header (T3).

        Ask it of mail that is believed: whoever lies then hides mail of their own.
        """
        owner = (self.message.crm_message or "").partition("/")[0]
        return owner not in {"", subaccount}

    def members(self, subaccount: SubaccountId) -> tuple[UserForMatching, ...]:
        """Those of its users for whom it is recorded in a subaccount (C11)."""
        return tuple(
            user
            for user in self.users
            if any(
                membership.subaccount == subaccount and membership.sync
                for membership in user.memberships
            )
        )

    def ask_addresses(
        self, subaccounts: Iterable[SubaccountId], addresses: Iterable[str]
    ) -> Lookup[None]:
        """Ask for addresses; the mailbox's own are known without.

        Also for the spelling by which a colleague is known whatever is written (M11).
        """
        others = [address for address in addresses if not self.mailbox.is_own(address)]
        spellings = dict.fromkeys((*others, *map(mailbox_key, others)))
        yield from self.known.ask(
            *(AddressKey(s, spelling) for s in subaccounts for spelling in spellings)
        )
