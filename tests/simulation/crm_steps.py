"""Steps of the CRM and its users: contacts, settings, connections.

Each call may die at any gateway call; the CRM, or the person, then asks again.
"""

from __future__ import annotations

from typing import Any

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.repositories.directory import ContactToWrite
from tests.simulation import cast
from tests.simulation.cast import DAN, LOG, PROVIDER
from tests.simulation.checks import CONTACTS
from tests.simulation.facts import Link, Person
from tests.simulation.scene import Scene
from tests.simulation.stage import PATIENCE

DEFAULT_PROVIDER = {
    "smtp": {
        "host": "relay.invalid",
        "port": 587,
        "security": "starttls",
        "username": "u",
        "from": PROVIDER,
    }
}
PATIENCE_MS = PATIENCE * 60_000
"""The longest that a call takes until it is answered."""
LISTABLE = ((), (), (), (cast.PEOPLE[0],), (cast.PARTNER,), (cast.PEOPLE[1],))


class CrmSteps(Scene):
    """What the CRM asks for, and who connects."""

    def change_contact(self) -> tuple[str, str]:
        """A contact comes, or changes; also the addresses of one with mail."""
        s = self.rng.choice(self.cast.subaccounts)
        some = (*self.cast.people, *self.cast.people, cast.STRANGERS[1], DAN)
        emails = tuple(dict.fromkeys(self.rng.sample(some, self.rng.choice((1, 1, 2)))))
        user = self.rng.choice(self.cast.owners(s))
        c = self.rng.choice(CONTACTS)
        self.put_contact(s, c, emails, user)
        return s, c

    def put_contact(
        self, s: str, c: str, emails: tuple[str, ...], user: str | None
    ) -> None:
        self.tell("PUT", s, c, *emails, "of", user)
        self.ledger.look()
        before = self.model.contacts.get((s, c))
        # Written at once, or at a later try: until it is known, both may hold (M8).
        now = self.now()
        soonest, latest = (before.born[0],) * 2 if before else (now, now + PATIENCE_MS)
        for born in (latest, soonest):
            self.model.contacts[s, c] = Person(emails, user, (born, c))
            self.ledger.look()
        wanted = ContactToWrite(
            ContactId(c), c, emails, emails, UserId(user) if user else None, None
        )
        self.ask(
            lambda: self.stage.services.directory.put_contact(SubaccountId(s), wanted)
        )
        path = f"subaccounts/{s}/contacts/{c}"
        (stored,) = self.stage.outside.documents.get([path])
        born = stored.data["created_at"]
        if not soonest <= born <= latest:
            self.fail([f"{c} in {s} was created at {born}"])
        self.model.contacts[s, c] = Person(emails, user, (born, c))

    def delete_contact(self) -> None:
        """A contact goes, with all that was said."""
        if self.model.contacts:
            self.erase(*self.rng.choice(sorted(self.model.contacts)))

    def erase(self, s: str, c: str) -> None:
        """Let the CRM delete this contact."""
        self.tell("DELETE", s, c)
        self.post.discover()
        self.ledger.look()
        self.ledger.erase(s, c)
        self.sends.erase(s, c)
        self.ledger.look()
        self.ask(
            lambda: self.stage.services.directory.delete_contact(
                SubaccountId(s), ContactId(c)
            )
        )
        self.ledger.is_erased(s, c)

    def erase_what_was_made(self) -> None:
        """B2: a contact that BCC mail has made goes, and the mail is read once more."""
        made = sorted(item for item in self.ledger.made if item in self.model.contacts)
        if made:
            self.erase(*self.rng.choice(made))
            self.forget(LOG)

    def settings(self) -> None:
        """A subaccount's settings change, or somebody's own never-log list."""
        listed = self.rng.choice(LISTABLE)
        self.ledger.look()
        if self.rng.random() < 0.5:
            s, user = self.rng.choice(sorted(self.model.members))
            self.tell(user, "never logs in", s, *listed)
            self.set_list(s, user, listed)
            return
        s = self.rng.choice(self.cast.subaccounts)
        logging = self.rng.choice(("established", "all_contacts", "threads"))
        self.tell(s, "logs", logging, "but", *listed)
        self.set_subaccount(s, logging, listed)

    def set_subaccount(self, s: str, logging: str, never_log: tuple[str, ...]) -> None:
        sub = self.model.subs[s]
        sub.logging, sub.never_log = logging, never_log
        self.ledger.look()
        provider = DEFAULT_PROVIDER if s == "s1" else None
        self.ask(
            lambda: self.stage.subaccount(
                s,
                logging=logging,
                internal_domains=sub.internal,
                never_log=never_log,
                default_provider=provider,
            )
        )

    def set_list(self, s: str, user: str, never_log: tuple[str, ...]) -> None:
        self.model.own_lists[s, user] = never_log
        self.ledger.look()
        email = f"{user}@{cast.OURS}"
        self.ask(lambda: self.stage.user(user, email, s, never_log))

    def connecting(self) -> None:
        """A user connects, moves (C5), or gives consent again (C7)."""
        user = self.rng.choice(self.cast.connecting)
        link = self.model.links.get(user)
        places = list(self.cast.accounts)
        if link and self.rng.random() < 0.6:
            places = [link.account]
        self.connect(user, self.rng.choice(places))

    def connect(self, user: str, account: str) -> None:
        """Through the real consent; one that is abandoned or denied changes nothing."""
        self.stage.finish()
        self.stage.clock.advance(seconds=2)
        if self.rng.random() < 0.1:
            self.tell(user, "abandons connecting", account)
            self.stage.services.connections.begin(UserId(user))
            self.stage.world.faults.clear()
            if self.stage.connect(user, account, deny=True).code != "denied":
                self.fail([f"{user} was connected without consent"])
        self.tell(user, "connects", account)
        for _ in range(3):
            result: Any = self.ask(lambda: self._consent(user, account))
            if result.code == "connected":
                break
            self.stage.world.faults.clear()
        else:
            self.fail([f"{user} cannot connect {account}: {result.code}"])
        users = {u for u, link in self.model.links.items() if link.account == account}
        if not users:
            self.checks.begun[account] += 1
        before = self.model.links.get(user)
        since = self.now() // 1000 * 1000
        if before and before.account == account:
            since = before.since
        self.model.links[user] = Link(account, since)
        self.checks.ever_linked.add((user, account))
        self.stage.troubles += 1
        self.ledger.dead.discard(account)
        for (s, member), known in list(self.model.members.items()):
            if member == user:
                own = self.model.aliases[account]
                self.model.members[s, member] = tuple(sorted({*known, *own}))

    def _consent(self, user: str, account: str) -> Any:
        self.stage.clock.advance(seconds=1)
        view = self.stage.services.connections._mailboxes.connection(UserId(user))
        if view and view.status == "reauth_required" and view.address != account:
            # C10: whoever chose another account by mistake loses nothing.
            self.tell(user, "chooses by mistake", account)
            kept = self.stage.connect(user, account, moves=False)
            if kept.code != "kept":
                self.fail([f"{user} was moved unasked: {kept.code}"])
        return self.stage.connect(user, account)

    def disconnect(self) -> None:
        """C6."""
        if not self.model.links:
            return
        user = self.rng.choice(sorted(self.model.links))
        account = self.model.links[user].account
        if [link.account for link in self.model.links.values()].count(account) > 1:
            self.stage.finish()
        self.tell(user, "disconnects", account)
        self.ledger.look()
        del self.model.links[user]
        self.ledger.look()
        self.stage.troubles += 1
        self.ask(lambda: self.stage.services.connections.disconnect(UserId(user)))
        if all(link.account != account for link in self.model.links.values()):
            self.ledger.dead.discard(account)

    def password(self) -> None:
        """C7: every token of an account ends."""
        if not self.model.links:
            return
        account = self.rng.choice(sorted(self.model.links.items()))[1].account
        self.tell("the password of", account, "changes")
        self.stage.world.change_password(account)
        self.stage.troubles += 1
        self.ledger.dead.add(account)

    def expire(self) -> None:
        """Gmail forgets a mailbox's history (W3)."""
        self.forget(self.rng.choice(self.cast.accounts))

    def forget(self, account: str) -> None:
        """Let Gmail forget the history of this mailbox."""
        self.tell("the history of", account, "expires")
        self.stage.world.expire_history(account)
        self.ledger.look()
        self.ledger.may_be_read_again(account)
