"""What a BCC address logs, straight from rules B, and what the CRM sent (T3, S1)."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.cast import LOG, Copy
from tests.simulation.model import Model, Rec, Refused, Thread, View, number_of

NEW = "new:"
"""A contact that B2 makes; its id is the product's to choose."""


@dataclass(frozen=True)
class Logged:
    """What comes of a copy that names a BCC address.

    `contacts` are the addresses that become contacts of `user`, `related` those with
    which the user is established from then on (B3).
    """

    rec: Rec | None
    user: str = ""
    contacts: frozenset[str] = frozenset()
    related: frozenset[str] = frozenset()


class FullModel(Model):
    """All the rules: M, T and B, and mail of the CRM itself."""

    def would_record(
        self, copy: Copy, s: str, view: View, *, whoever: bool = False
    ) -> set[Rec | None]:
        """Where a copy that is read at this moment is recorded, or nowhere (None)."""
        if copy.mail.crm:
            return self._copy_of_ours(copy, s, view)
        logged = self.logged(copy, s, view)
        if logged is not None:
            return {item.rec for item in logged}
        if copy.account == LOG:
            return {None}
        return super().would_record(copy, s, view, whoever=whoever)

    def _copy_of_ours(self, copy: Copy, s: str, view: View) -> set[Rec | None]:
        """T3: in the subaccount that sent it, and there only."""
        users = self.users_of(copy.account, s, copy.at)
        if copy.mail.crm != s or not users or copy.hidden or copy.gone:
            return {None}
        rec = view.here.get(copy.mail)
        # Erased with its contact: nothing says whether its copy counts as new mail.
        return {rec} if rec else super().would_record(copy, s, view) | {None}

    def logged(self, copy: Copy, s: str, view: View) -> list[Logged] | None:
        """What B makes of it; None when it is no business of B, and M decides."""
        owner, user = self.drops.get(copy.mail.drop, ("", ""))
        if copy.hidden or copy.gone:
            return None
        seen = copy.account == LOG or copy.sent or copy.mail.drop_in == "cc"
        if owner != s or not seen or not self.users_of(copy.account, s, copy.at):
            return None
        if copy.mail.writer in self.identity(user) and self._is_true(copy):
            return [
                self._own(copy, s, view, user, thread)
                for thread in self.threads(copy, s, view)
            ]
        if copy.account == LOG:
            return [
                Logged(self._answer(copy, s, view, user, thread))
                for thread in self.threads(copy, s, view)
            ]
        return None

    def _is_true(self, copy: Copy) -> bool:
        """B5: authenticated, or Gmail's own Sent copy of the writer's mailbox."""
        own = copy.sent and copy.mail.writer in self.aliases[copy.account]
        return own or copy.mail.true

    def _own(self, copy: Copy, s: str, view: View, user: str, thread: Thread) -> Logged:
        """B2: the user logged it on purpose."""
        mail = copy.mail
        outside = self.outside(copy, s)
        if not outside or isinstance(thread, Refused):
            return Logged(None)  # M11, T3
        to = [a for a in mail.to if a in outside]
        wanted = [a for a in to if not self.listed(s, user, self._emails(s, a))]
        new = [a for a in wanted if self._is_new(copy, s, a)]
        took_part = self.took_part(s, copy.account, view, thread)
        goes_on = thread is not None and self.stays(s, thread, outside, took_part)
        if thread is not None and goes_on and not mail.forward:
            contact, root, only = thread.contact, thread.root, thread.only  # T2
        else:
            if to and to[0] not in wanted:
                return Logged(None)  # M12
            first = next(filter(None, (self._found(s, a, new) for a in outside)), None)
            if first is None:
                return Logged(None)  # M7
            begins = mail if mail.forward or thread is not None else mail.root
            contact, root = first, number_of(begins)
            only = thread is not None and thread.only
        emails = self._emails_of(s, contact)
        users = self.users_of(copy.account, s)
        if self.listed(s, user, emails) or not self.allowing(s, emails, users):
            return Logged(None)  # M12
        related = [a for a in outside if a in emails]
        return Logged(
            Rec(contact, root, only),
            user,
            frozenset(new),
            frozenset((*wanted, *related)),
        )

    def _answer(
        self, copy: Copy, s: str, view: View, user: str, thread: Thread
    ) -> Rec | None:
        """B6: a participant's authenticated answer that reaches the BCC address."""
        writer = copy.mail.writer
        if not copy.mail.true or self.internal(s, copy.account, writer):
            return None  # B5
        if not isinstance(thread, Rec):
            return None
        if writer not in self.took_part(s, copy.account, view, thread):
            return None
        if self.listed(s, user, self._emails_of(s, thread.contact)):
            return None  # M12
        return Rec(thread.contact, thread.root, thread.only)

    # --- people ----------------------------------------------------------------------

    def _is_new(self, copy: Copy, s: str, address: str) -> bool:
        """Nobody's address; mail from before an erasure brings nobody back."""
        return (
            self.contact_of(s, address) is None
            and self.erased.get((s, address), 0) < copy.at
        )

    def _found(self, s: str, address: str, new: list[str]) -> str | None:
        return self.contact_of(s, address) or (
            NEW + address if address in new else None
        )

    def _emails(self, s: str, address: str) -> tuple[str, ...]:
        contact = self.contact_of(s, address)
        return (address, *(self._emails_of(s, contact) if contact else ()))

    def _emails_of(self, s: str, contact: str) -> tuple[str, ...]:
        if contact.startswith(NEW):
            return (contact.removeprefix(NEW),)
        return self.contacts[s, contact].emails
