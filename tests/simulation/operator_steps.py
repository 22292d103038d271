"""Steps of the operator: audits, backfills, and mail that cannot be processed."""

from __future__ import annotations

from typing import Any

from shared.core.access import Caller
from shared.core.ids import ContactId, SubaccountId, UserId
from tests.simulation.cast import Copy
from tests.simulation.crm_steps import CrmSteps
from tests.simulation.model import Rec
from tests.simulation.stage import POISON

ADDED_LATER = 0.7
"""How often a backfill is for a contact that has just come, or got an address."""


class OperatorSteps(CrmSteps):
    """Looks, repairs, and what makes it necessary."""

    def poison(self) -> None:
        """E3: Gmail refuses one mail for good, until the cause is gone."""
        fresh = [copy for copy in self.ledger.waiting if not copy.gone]
        if not fresh:
            return
        copy = self.rng.choice(fresh)
        self.tell("Gmail cannot give", copy.mail, "in", copy.account)
        self.poisoned.add(copy.gmail_id)
        self.ledger.waiting[copy].late = True
        self.ledger.look()
        self.stage.world.faults.add(
            "status",
            method="gmail.users.messages.get",
            account=copy.account,
            message_id=copy.gmail_id,
            status=POISON,
        )

    def audit(self) -> None:
        """E4: compare a mailbox with the records, and perhaps repair."""
        users = [
            user
            for user, link in sorted(self.model.links.items())
            if link.account not in self.ledger.dead
        ]
        if not users:
            return
        user = self.rng.choice(users)
        repair = self.rng.random() < 0.6
        self.quiet()
        self.tell("an audit of", user, "and a repair" * repair)
        link = self.model.links[user]
        mine = {s for s, item in self.model.members if item == user}
        end = self.now() + 1000
        copies = [c for c in self._copies(link.account) if link.since <= c.at < end]
        wanted = {copy.gmail_id: self._differs(copy, mine) for copy in copies}
        for copy in copies if repair else ():
            self._reads_again(copy, mine)
            if not wanted[copy.gmail_id]:
                # What a repair changes for others, the next audit of the span tells.
                self.ledger.need_not_be_read(copy)
        self.ledger.look()
        caller = Caller("crm", frozenset(map(SubaccountId, self.model.subs)))
        job = self.ask(
            lambda: self.stage.services.jobs.audit(
                caller, UserId(user), link.since, end, repair=repair
            )
        )
        self.quiet()
        result = self._result(caller, job)
        if result is None:
            return
        there = len(copies)
        there += self.checks.comebacks.number(link.account, link.since, end)
        if result["gmail"] != there:
            self.fail([f"the audit saw {result['gmail']} of {there} messages"])
        listed = {
            difference["gmail_message_id"] for difference in result["differences"]
        }
        for name, differs in wanted.items():
            if differs is not None and differs != (name in listed):
                self.fail([f"the audit is wrong about {name}: {listed}"])

    def backfill(self) -> None:
        """E5: bring in the mail with one contact since each user's connection."""
        if not self.model.contacts:
            return
        s, c = self.rng.choice(sorted(self.model.contacts))
        self.quiet()
        if self.rng.random() < ADDED_LATER:
            s, c = self.change_contact()
        if (s, c) not in self.model.contacts:
            return
        self.tell("a backfill of", c, "in", s)
        emails = set(self.model.contacts[s, c].emails)
        for account in {link.account for link in self.model.links.values()}:
            if account in self.ledger.dead:
                continue
            for copy in self._copies(account):
                if emails & {copy.mail.writer, *copy.others}:
                    self._reads_again(copy, {s})
        self.ledger.look()  # the newest are read first: others build on them
        job = self.ask(
            lambda: self.stage.services.jobs.backfill(SubaccountId(s), ContactId(c))
        )
        self.quiet()
        self._result(Caller("crm", frozenset({SubaccountId(s)})), job)

    # --- what may come of it ---------------------------------------------------------

    def _copies(self, account: str) -> list[Copy]:
        """What Gmail lists: all but spam and trash, the oldest first."""
        found = [
            copy
            for mail in self.ledger.mails
            for copy in mail.copies
            if copy.account == account and not copy.hidden and not copy.gone
        ]
        return sorted(found, key=lambda copy: copy.order)

    def _reads_again(self, copy: Copy, only: set[str]) -> None:
        self.ledger.appears(copy, fresh=False)
        for s in self.model.subs:
            if s not in only:
                self.ledger.waiting[copy].need_not(s)

    def _differs(self, copy: Copy, mine: set[str]) -> bool | None:
        """Whether the audit must list a copy; None where the model leaves it open."""
        verdicts = []
        for s in sorted(mine):
            base = self.ledger.settled.get(s, {}).get(copy.mail)
            says = self.ledger.says(copy, s, whoever=base is not None)
            if len(says) != 1:
                return None
            (rec,) = says
            if base is None:
                verdicts.append(rec is not None)
            elif rec is None:
                if not self._is_listed(s, copy, base):
                    return None  # its own record may keep it in its thread (T1, T2)
                # A record that does not name this copy is another mailbox's business.
                verdicts.append(copy.account in base.held)
            elif copy.account not in base.held:
                verdicts.append(True)  # M9
            elif rec.contact != base.contact:
                return None
            else:
                verdicts.append(False)
        return any(verdicts)

    def _is_listed(self, s: str, copy: Copy, rec: Rec) -> bool:
        """M12: whether the contact is on everybody's never-log list now."""
        users = self.model.users_of(copy.account, s, copy.at)
        emails = self.model.contacts[s, rec.contact].emails
        return not self.model.allowing(s, emails, users)

    def _result(self, caller: Caller, job: Any) -> dict[str, Any] | None:
        done, result = self.stage.services.jobs.view(caller, job.id)
        if done.status != "done":
            self.fail([f"the {done.kind} is {done.status}"])
        return result
