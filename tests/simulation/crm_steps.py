"""Steps of the CRM and its users: contacts, settings, connections."""

from __future__ import annotations

from tests.simulation import cast
from tests.simulation.cast import ACCOUNTS, ANN, BEN, DAN, MOVED, SHOP
from tests.simulation.model import Link, Person
from tests.simulation.scene import Scene

LISTABLE = ((), (), (), (cast.PEOPLE[0],), (cast.PARTNER,), (cast.PEOPLE[1],))


class CrmSteps(Scene):
    """What the CRM asks for, and who connects."""

    def put_contact(self) -> None:
        """A contact comes, or changes."""
        s = self.rng.choice(("s1", "s2"))
        c = self.rng.choice(("c1", "c2", "c3", "c4"))
        some = (*cast.PEOPLE, *cast.PEOPLE, cast.STRANGERS[1], DAN)
        emails = tuple(dict.fromkeys(self.rng.sample(some, self.rng.choice((1, 1, 2)))))
        user = self.rng.choice(("ann", "ann", "ben", "cat", None))
        self.tell("PUT", s, c, *emails, "of", user)
        self.stage.contact(c, *emails, s=s, assigned_to=user)
        before = self.model.contacts.get((s, c))
        now = int(self.stage.clock.now().timestamp() * 1000)
        born = before.born if before else (now, c)
        self.model.contacts[s, c] = Person(emails, user, born)

    def delete_contact(self) -> None:
        """A contact goes, with all that was said."""
        if not self.model.contacts:
            return
        s, c = self.rng.choice(sorted(self.model.contacts))
        self.tell("DELETE", s, c)
        self.ledger.look()
        self.ledger.erase(s, c)
        del self.model.contacts[s, c]
        self.ledger.look()
        self.stage.services.directory.delete_contact(s, c)

    def settings(self) -> None:
        """A subaccount's settings change, or somebody's own never-log list."""
        self.stage.finish()
        listed = self.rng.choice(LISTABLE)
        if self.rng.random() < 0.5:
            s, user = self.rng.choice(sorted(self.model.members))
            self.tell(user, "never logs in", s, *listed)
            self.set_list(s, user, listed)
            return
        s = self.rng.choice(("s1", "s2"))
        logging = self.rng.choice(("established", "all_contacts", "threads"))
        self.tell(s, "logs", logging, "but", *listed)
        self.set_subaccount(s, logging, listed)

    def set_subaccount(self, s: str, logging: str, never_log: tuple[str, ...]) -> None:
        sub = self.model.subs[s]
        sub.logging, sub.never_log = logging, never_log
        self.stage.subaccount(
            s, logging=logging, internal_domains=sub.internal, never_log=never_log
        )

    def set_list(self, s: str, user: str, never_log: tuple[str, ...]) -> None:
        self.stage.user(user, f"{user}@{cast.OURS}", s, never_log)
        self.model.own_lists[s, user] = never_log

    def connecting(self) -> None:
        """A user connects, moves (C5), or gives consent again (C7)."""
        user = self.rng.choice(("ann", "ben", "cat"))
        link = self.model.links.get(user)
        places = [ANN, BEN, SHOP, MOVED]
        if link and self.rng.random() < 0.6:
            places = [link.account]
        self.connect(user, self.rng.choice(places))

    def connect(self, user: str, account: str) -> None:
        """Through the real consent."""
        self.stage.finish()
        self.stage.clock.advance(seconds=2)
        self.tell(user, "connects", account)
        rules = list(self.stage.world.faults)
        self.stage.world.faults.clear()
        result = self.stage.connect(user, account)
        for rule in rules:
            self.stage.world.faults._rules.append(rule)
        if result.code != "connected":
            self.fail([f"{user} cannot connect {account}: {result.code}"])
        users = {u for u, one in self.model.links.items() if one.account == account}
        if not users:
            self.checks.begun[account] += 1
        before = self.model.links.get(user)
        since = int(self.stage.clock.now().timestamp()) * 1000
        if before and before.account == account:
            since = before.since
        self.model.links[user] = Link(account, since)
        self.checks.ever_linked.add((user, account))
        self._revive(account)
        for (s, one), known in list(self.model.members.items()):
            if one == user:
                own = self.model.aliases[account]
                self.model.members[s, one] = tuple(sorted({*known, *own}))

    def _revive(self, account: str) -> None:
        self.ledger.dead.discard(account)

    def disconnect(self) -> None:
        """C6."""
        if not self.model.links:
            return
        user = self.rng.choice(sorted(self.model.links))
        account = self.model.links[user].account
        if [one.account for one in self.model.links.values()].count(account) > 1:
            self.stage.finish()
        self.tell(user, "disconnects", account)
        rules = list(self.stage.world.faults)
        self.stage.world.faults.clear()
        self.stage.services.connections.disconnect(user)
        for rule in rules:
            self.stage.world.faults._rules.append(rule)
        del self.model.links[user]
        if all(one.account != account for one in self.model.links.values()):
            self.ledger.dead.discard(account)

    def password(self) -> None:
        """C7: every token of an account ends."""
        if not self.model.links:
            return
        account = self.rng.choice(sorted(self.model.links.items()))[1].account
        self.tell("the password of", account, "changes")
        self.stage.world.change_password(account)
        self.ledger.dead.add(account)

    def expire(self) -> None:
        """Gmail forgets a mailbox's history (W3)."""
        account = self.rng.choice(ACCOUNTS)
        self.tell("the history of", account, "expires")
        self.stage.world.expire_history(account)
        self.ledger.look()
        self.ledger.may_be_read_again(account)
