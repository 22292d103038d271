"""Steps with BCC addresses: mail to them, forged mail, and addresses that change."""

from __future__ import annotations

from shared.core.ids import SubaccountId, UserId
from tests.simulation import cast
from tests.simulation.cast import BEN, DAN, LOG, LOGGER, NEWCOMERS
from tests.simulation.mail_steps import MailSteps, about
from tests.simulation.post import account_of


class BccSteps(MailSteps):
    """What users, and others, send to a BCC address."""

    def set_up_logging(self) -> None:
        """The logging mailbox, and everybody's address."""
        self.model.aliases[LOG] = frozenset({LOG})
        self.stage.world.add_account(LOG)
        if self.stage.connect(LOGGER, LOG).code != "connected":
            self.fail(["the logging mailbox cannot be connected"])
        self.checks.ever_linked.add((LOGGER, LOG))
        for s, user in sorted(self.model.members):
            self._learn(s, user)

    def _learn(self, s: str, user: str) -> None:
        shown = self.stage.services.bcc.show(SubaccountId(s), UserId(user))
        if shown is None:
            self.fail([f"{user} has no BCC address in {s}"])
            return
        self.model.drops[shown] = (s, user)
        self.checks.drops[shown] = user

    def rotate(self) -> None:
        """B1: a new address; the old one stops working."""
        drop = self.rng.choice(sorted(self.model.drops))
        s, user = self.model.drops[drop]
        self.tell(user, "gets a new BCC address in", s)
        self.ledger.look()
        del self.model.drops[drop]
        self.ledger.look()
        self.ask(lambda: self.stage.services.bcc.rotate(SubaccountId(s), UserId(user)))
        self._learn(s, user)
        self.ledger.look()
        self._logs(drop)

    def logs_a_mail(self) -> None:
        """B2: a user writes with the own BCC address, in Gmail or elsewhere."""
        self._logs(self.rng.choice(sorted(self.checks.drops)))

    def _logs(self, drop: str) -> None:
        rng = self.rng
        user = self.checks.drops[drop]
        if rng.random() < 0.1:
            user = rng.choice(("ann", "dan"))  # not always the owner's
        writer = rng.choice(sorted(self.model.identity(user)))
        anybody = (*self.cast.people, *NEWCOMERS, *NEWCOMERS, DAN)
        to = rng.sample(anybody, rng.choice((1, 1, 2)))
        if rng.random() < 0.4 and (known := self.an_address()) not in to:
            to[0] = known or to[0]
        cc = rng.sample((*self.cast.people, *NEWCOMERS, BEN), rng.choice((0, 0, 1)))
        parent = self.to_answer() if rng.random() < 0.25 else None
        forward = parent is not None and rng.random() < 0.3
        if parent is not None and not forward and rng.random() < 0.7:
            to = [parent.writer]
        mail = self.mail(writer, to, cc, parent, forward=forward)
        mail.drop, mail.drop_in = drop, rng.choice(("bcc", "bcc", "cc"))
        account = account_of(writer)
        from_gmail = account is not None and rng.random() < 0.6
        mail.true = from_gmail or rng.random() < 0.8
        where = "in Gmail" if from_gmail else "elsewhere" if mail.true else "forged"
        self.tell(
            mail, writer, "->", *to, "cc", *mail.cc, about(mail), where, "for", user
        )
        if from_gmail and account is not None:
            self.post.from_gmail(mail, account)
        else:
            auth = "pass" if mail.true else rng.choice(("fail", "none"))
            self.post.from_outside(mail, auth)

    def who_was_logged_writes(self) -> None:
        """B3: somebody whom a user has logged writes to that user, out of the blue."""
        logged = [item for item in self.ledger.mails if item.drop in self.checks.drops]
        if not logged:
            return
        before = self.rng.choice(logged)
        user = self.checks.drops[before.drop or ""]
        link = self.model.links.get(user)
        outside = [
            recipient for recipient in before.to if account_of(recipient) is None
        ]
        if link is None or not outside:
            return
        mail = self.mail(self.rng.choice(outside), [link.account], [], None)
        self.tell(mail, mail.writer, "->", *mail.to, "logged by", user, "before")
        self.post.from_outside(mail, "pass")

    def a_stranger_tries(self) -> None:
        """B5: somebody found out a BCC address."""
        writer = self.rng.choice((self.cast.people[0], *cast.STRANGERS))
        mail = self.mail(writer, [self.rng.choice(self.cast.people)], [], None)
        mail.drop = self.rng.choice(sorted(self.checks.drops))
        mail.drop_in = self.rng.choice(("bcc", "cc"))
        self.tell(mail, writer, "writes to a BCC address")
        self.post.from_outside(mail, "pass")
