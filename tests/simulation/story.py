"""One seed's story: what people, the CRM and fate do, one step after the other.

The cast is small and the days are short, so that everything meets everything. A step
either changes the world and tells the model, or lets the product work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from tests.simulation import cast
from tests.simulation.bcc_steps import BccSteps
from tests.simulation.bounce_steps import BounceSteps
from tests.simulation.cast import ALIAS, ANN
from tests.simulation.facts import Sub
from tests.simulation.fate_steps import FateSteps
from tests.simulation.operator_steps import OperatorSteps
from tests.simulation.send_steps import SendSteps

LOGGING_AT_FIRST = ("established", "established", "all_contacts")


class Story(BccSteps, BounceSteps, SendSteps, OperatorSteps, FateSteps):
    """Plays one seed."""

    def play(self) -> None:
        """Play to the end; raises WentWrong at the first thing that is wrong."""
        with contextlib.redirect_stdout(self.logs), self.stage.repeatable():
            self._set_up()
            everything, weights = zip(*self._steps(), strict=True)
            for _ in range(self.cast.steps):
                (step,) = self.rng.choices(everything, weights)
                step()
                self.post.discover()
                self.ledger.look()
                self.check(self.checks.cursors())
                self.check(self.sends.doubled())
            self.quiet()
            self.quiet()
        if cast.MARK in self.logs.getvalue():
            self.fail(["a log line tells more than ids"])

    def send_into_doubt(self) -> None:
        """S7: Gmail sends, or not, and whoever asked it never hears of it."""
        self.lose_a_fate()
        for _ in range(3):
            self.deliver()

    def _set_up(self) -> None:
        world = self.stage.world
        for account in self.cast.accounts:
            world.add_account(account, aliases=[ALIAS] if account == ANN else [])
            own = {account, ALIAS} if account == ANN else {account}
            self.model.aliases[account] = frozenset(own)
        for s in self.cast.subaccounts:
            self.model.subs[s] = Sub(internal=self.rng.choice(((), (cast.OURS,))))
            self.set_subaccount(s, self.rng.choice(LOGGING_AT_FIRST), ())
        members = list(self.cast.members)
        members += [("s2", "ann")] * (self.sending or self.rng.randrange(2))
        for s, user in members:
            self.model.members[s, user] = (f"{user}@{cast.OURS}",)
            self.set_list(s, user, ())
        if self.logging:
            self.set_up_logging()
        for _ in range(2 * len(self.cast.subaccounts)):
            self.change_contact()
        if self.sending:
            for s in self.cast.subaccounts:  # T3 is about a contact of both
                self.put_contact(s, "c1", (self.cast.people[0],), "ann")
        self.connect("ann", ANN)
        self.connect(*self.rng.choice(self.cast.second))
        for user, account in self.cast.more:
            self.connect(user, account)

    def _steps(self) -> list[tuple[Callable[[], None], float]]:
        return [
            (self.somebody_writes, 10),
            (self.user_writes, 9),
            (self.change_a_copy, 3),
            (self.crm_sends, 8 * self.sending),
            (self.send_into_doubt, 3 * self.sending),
            (self.change_cap, 0.5 * self.sending),
            (self.break_relay, 1.5 * self.sending),
            (self.logs_a_mail, 6 * self.logging),
            (self.who_was_logged_writes, 2 * self.logging),
            (self.a_stranger_tries, 0.7 * self.logging),
            (self.rotate, 0.5 * self.logging),
            (self.erase_what_was_made, 1 * self.logging),
            (self.poison, 2.5 * self.operating),
            (self.audit, 2.5 * self.operating),
            (self.backfill, 1.5 * self.operating),
            (self.import_old, 1),
            (self.twin, 1),
            (self.change_contact, 2),
            (self.delete_contact, 1),
            (self.settings, 1.5),
            (self.connecting, 2),
            (self.disconnect, 0.7),
            (self.password, 0.7),
            (self.expire, 0.7),
            (self.time_passes, 2),
            (self.fault, 4),
            (self.deliver, 10),
            (self.side_by_side, 4),
            (self.deliver_twice, 1),
            (self.renew, 0.5),
            (self.sweep, 0.5),
            (self.quiet, 1.5),
            (self.something_comes_back, 6 * self.bouncing),
        ]
