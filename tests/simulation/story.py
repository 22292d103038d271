"""One seed's story: what people, the CRM and fate do, one step after the other.

The cast is small and the days are short, so that everything meets everything. A step
either changes the world and tells the model, or lets the product work.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence

from tests.simulation import cast
from tests.simulation.cast import (
    ACCOUNTS,
    ALIAS,
    ANN,
    BEN,
    DAN,
    MOVED,
    SHOP,
    Copy,
    Mail,
)
from tests.simulation.checks import Checks
from tests.simulation.ledger import Ledger
from tests.simulation.model import Link, Model, Person, Sub
from tests.simulation.post import Post, account_of
from tests.simulation.sends import Sends
from tests.simulation.stage import MOST_CRASHES, Delivery, Stage

STEPS = 26
SENDING = 0.4
"""Share of the seeds in which the CRM sends as well: it doubles their time."""
LISTABLE = ((), (), (), (cast.PEOPLE[0],), (cast.PARTNER,), (cast.PEOPLE[1],))


class WentWrong(AssertionError):
    """The product did something that the model does not allow."""


class Story:
    """Plays one seed. `told` is what happened, line by line."""

    def __init__(self, seed: int) -> None:
        self.stage = Stage(seed)
        self.rng = self.stage.rng
        self.sending = self.rng.random() < SENDING
        self.model = Model()
        self.ledger = Ledger(self.model)
        self.post = Post(self.stage, self.ledger)
        self.checks = Checks(self.stage, self.ledger)
        self.sends = Sends(self.stage)
        self.stage.on_commit = self.checks.on_commit
        self.told: list[str] = []
        self.logs = io.StringIO()

    # --- playing ---------------------------------------------------------------------

    def play(self, steps: int = STEPS) -> None:
        """Play to the end; raises WentWrong at the first thing that is wrong."""
        with contextlib.redirect_stdout(self.logs), self.stage.repeatable():
            self._set_up()
            everything, weights = zip(*self._steps(), strict=True)
            for _ in range(steps):
                (step,) = self.rng.choices(everything, weights)
                step()
                self.ledger.look()
                self._check(self.checks.cursors())
                self._check(self.sends.doubled())
            self.quiet()
            self.quiet()
        if cast.MARK in self.logs.getvalue():
            self._fail(["a log line tells more than ids"])

    def tell(self, *words: object) -> None:
        """Note what happens."""
        at = self.stage.clock.now().strftime("%d %H:%M:%S")
        self.told.append(f"{at}  {' '.join(map(str, words))}")

    def quiet(self) -> None:
        """Let everything come to rest, and check all of it."""
        self.tell("all is delivered, then a sweep")
        self.ledger.look()
        self.stage.quieten()
        self._check(self.checks.cursors())
        self._check(self.checks.everything())
        self._check(self.sends.doubled())
        self._check(self.sends.ended())

    def _check(self, wrong: Sequence[str] | object) -> None:
        found = [*self.stage.wrong, *wrong]  # type: ignore[misc]
        if found:
            self._fail(found)

    def _fail(self, found: list[str]) -> None:
        raise WentWrong("; ".join(found))

    def _set_up(self) -> None:
        world = self.stage.world
        for account in ACCOUNTS:
            world.add_account(account, aliases=[ALIAS] if account == ANN else [])
            own = {account, ALIAS} if account == ANN else {account}
            self.model.aliases[account] = frozenset(own)
        for s in ("s1", "s2"):
            self.model.subs[s] = Sub(internal=self.rng.choice(((), (cast.OURS,))))
            self._set(s, self.rng.choice(("established", "all_contacts")), ())
        members = [("s1", "ann"), ("s1", "ben"), ("s2", "cat"), ("s1", "dan")]
        members += [("s2", "ann")] * self.rng.randrange(2)
        for s, user in members:
            self.model.members[s, user] = (f"{user}@{cast.OURS}",)
            self._list(s, user, ())
        if self.sending:
            self.sends.set_up()
        for _ in range(4):
            self.put_contact()
        self.connect("ann", ANN)
        second = (("ben", BEN), ("ben", BEN), ("ben", ANN), ("cat", SHOP))
        self.connect(*self.rng.choice(second))

    def _steps(self) -> list[tuple[Callable[[], None], float]]:
        return [
            (self.somebody_writes, 10),
            (self.user_writes, 9),
            (self.change_a_copy, 3),
            (self.crm_sends, 4 if self.sending else 0),
            (self.import_old, 1),
            (self.twin, 1),
            (self.put_contact, 2),
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
            (self.quiet, 1.5),
        ]

    # --- mail ------------------------------------------------------------------------

    def crm_sends(self) -> None:
        """S7: the CRM sends a mail, or asks for it once more."""
        self.tell("the CRM sends", self.sends.ask())

    def somebody_writes(self) -> None:
        """A contact, a stranger, a colleague or a forger writes to us."""
        rng = self.rng
        writer = rng.choice((*cast.PEOPLE, *cast.PEOPLE, *cast.STRANGERS, DAN, ANN))
        true = account_of(writer) is None and rng.random() < 0.9
        others = rng.sample((*cast.PEOPLE, *cast.STRANGERS, DAN), rng.choice((0, 0, 1)))
        to = rng.sample((ANN, ALIAS, BEN, BEN, SHOP, MOVED), rng.choice((1, 2)))
        to = list(dict.fromkeys(to))
        parent = self._to_answer() if rng.random() < 0.45 else None
        mail = self._mail(writer, to, others, parent, true=true)
        spam = rng.random() < 0.1
        auth = "pass" if true else rng.choice(("fail", "none"))
        self.tell(mail, writer, "->", *to, "cc", *others, _about(mail), auth, spam)
        self.post.from_outside(mail, auth, spam=spam)

    def user_writes(self) -> None:
        """Somebody writes in Gmail: new, an answer, to all, or a forward."""
        rng = self.rng
        account = rng.choice((ANN, ANN, BEN, SHOP, MOVED))
        writer = ALIAS if account == ANN and rng.random() < 0.2 else account
        parent = self._to_answer() if rng.random() < 0.6 else None
        anybody = (*cast.PEOPLE, *cast.PEOPLE, *cast.STRANGERS, BEN, DAN, ANN)
        to = rng.sample(anybody, rng.choice((1, 1, 2)))
        cc = rng.sample(anybody, rng.choice((0, 0, 1)))
        bcc = rng.sample(anybody, 1) if rng.random() < 0.1 else []
        forward = parent is not None and rng.random() < 0.2
        if parent is not None and not forward and rng.random() < 0.8:
            to = [parent.writer]
            cc = [*parent.to, *parent.cc] if rng.random() < 0.5 else []
        mail = self._mail(writer, to, cc, parent, bcc=bcc, forward=forward)
        self.tell(mail, writer, "->", *mail.to, "cc", *mail.cc, *bcc, _about(mail))
        self.post.from_gmail(mail, account, draft=rng.random() < 0.1)

    def _to_answer(self) -> Mail | None:
        recent = [one for one in self.ledger.mails[-6:] if one.twin is None]
        if not recent:
            return None
        mail = self.rng.choice(recent)
        if self.ledger.uncertain(mail):
            self.quiet()
        return mail

    def _mail(
        self,
        writer: str,
        to: Sequence[str],
        cc: Sequence[str],
        parent: Mail | None,
        *,
        bcc: Sequence[str] = (),
        forward: bool = False,
        true: bool = True,
    ) -> Mail:
        self.stage.clock.advance(seconds=self.rng.choice((1, 2, 7)))
        no = len(self.ledger.mails)
        answers: tuple[Mail, ...] = ()
        subject = f"{cast.MARK} {no}"
        if parent is not None:
            short = self.rng.random() < 0.08
            answers = (parent,) if short else (parent, *parent.answers)
            base = parent.subject.rpartition(": ")[2]
            subject = f"{'Fwd' if forward else 'Re'}: {base}"
            if self.rng.random() < 0.1:
                subject = f"{'Fwd' if forward else 'Re'}: {cast.MARK} {no}"
        return Mail(
            no,
            writer,
            tuple(to),
            tuple(one for one in dict.fromkeys(cc) if one not in to),
            tuple(one for one in bcc if one not in (*to, *cc)),
            subject,
            answers,
            forward,
            true,
            f"<m-{no}@mail.invalid>",
            attachments=int(self.rng.random() < 0.1),
        )

    def twin(self) -> None:
        """Another mail with a Message-ID that is in use (M9)."""
        leaves = [
            one
            for one in self.ledger.mails[-6:]
            if one.twin is None
            and not any(one in other.answers for other in self.ledger.mails)
        ]
        if not leaves:
            return
        first = self.rng.choice(leaves)
        mail = self._mail(self.rng.choice(cast.PEOPLE), [ANN], [], None)
        mail.message_id, mail.twin, first.twin = first.message_id, first, mail
        self.tell(mail, mail.writer, "->", ANN, "with the Message-ID of", first)
        self.post.from_outside(mail, "pass")

    def import_old(self) -> None:
        """Mail from before the connection is put into a mailbox (C2)."""
        mail = self._mail(self.rng.choice(cast.PEOPLE), [ANN], [], None)
        at = int(self.stage.clock.now().timestamp() * 1000) - 90 * 86_400_000
        self.tell(mail, "is imported, from 90 days ago")
        self.post.imported(mail, ANN, at, sent=False)

    def change_a_copy(self) -> None:
        """Spam, trash, out of them, or gone."""
        copies = [
            copy for mail in self.ledger.mails for copy in mail.copies if not copy.gone
        ]
        if not copies:
            return
        hidden = [copy for copy in copies if copy.hidden]
        copy: Copy = self.rng.choice(hidden * 3 or copies[-5:])
        if self.rng.random() < 0.15:
            self.tell(copy.mail, "vanishes from", copy.account)
            self.post.vanish(copy)
            return
        hide = None if copy.hidden else self.rng.choice(("SPAM", "TRASH"))
        self.tell(copy.mail, "in", copy.account, "goes to", hide or "the inbox")
        self.post.change(copy, hide=hide)

    # --- the CRM ---------------------------------------------------------------------

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
            self._list(s, user, listed)
            return
        s = self.rng.choice(("s1", "s2"))
        logging = self.rng.choice(("established", "all_contacts", "threads"))
        self.tell(s, "logs", logging, "but", *listed)
        self._set(s, logging, listed)

    def _set(self, s: str, logging: str, never_log: tuple[str, ...]) -> None:
        sub = self.model.subs[s]
        sub.logging, sub.never_log = logging, never_log
        self.stage.subaccount(
            s, logging=logging, internal_domains=sub.internal, never_log=never_log
        )

    def _list(self, s: str, user: str, never_log: tuple[str, ...]) -> None:
        self.stage.user(user, f"{user}@{cast.OURS}", s, never_log)
        self.model.own_lists[s, user] = never_log

    # --- connections -----------------------------------------------------------------

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
            self._fail([f"{user} cannot connect {account}: {result.code}"])
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

    # --- fate ------------------------------------------------------------------------

    def time_passes(self) -> None:
        """The clock jumps, also under the hands of workers."""
        seconds = self.rng.choice((5, 15, 150, 900, 4000, 90_000, 700_000))
        self.tell(seconds, "seconds pass")
        self.stage.clock.advance(seconds=seconds)
        self.stage.world.tick()

    def renew(self) -> None:
        """The daily renewal."""
        self.tell("watches are renewed")
        self.stage.services.watches.renew_all()

    def fault(self) -> None:
        """Something breaks for a while."""
        rng, faults = self.rng, self.stage.world.faults
        method = rng.choice(
            ("*", "gmail.users.messages.get", "gmail.users.history.list", "oauth.token")
        )
        action = rng.choice(
            (
                *("status", "status", "drop_before", "drop_after", "history_lag"),
                *("notification_drop", "notification_duplicate"),
                *("notification_delay", "notification_reorder"),
            )
        )
        rule: dict[str, object] = {"count": rng.choice((1, 2, 5)), "probability": 0.6}
        match action:
            case "status":
                rule |= {"method": method, "status": rng.choice((429, 500, 503))}
            case "drop_before" | "drop_after":
                rule |= {"method": method}
            case "history_lag":
                reports = rng.choice(("current", "visible"))
                rule |= {"seconds": 3600, "reports": reports}
            case "notification_delay":
                rule |= {"seconds": 120}
        self.tell("fault:", action, rule)
        faults.add(action, **rule)

    # --- the product at work ---------------------------------------------------------

    def deliver(self) -> None:
        """One delivery, undisturbed or with a crash."""
        delivery = self._next()
        if delivery is None:
            return
        worker = self.stage.begin(delivery)
        self._trouble(worker)
        worker.shared = bool(self.stage.workers[1:])
        while not worker.dead:
            self.stage.go_on(worker)
        self.tell(
            "delivered", delivery.push.delivery, "crashed" if worker.crashed else ""
        )

    def side_by_side(self) -> None:
        """Some deliveries at the same time, call by call; perhaps not to their end."""
        for _ in range(3):
            if (delivery := self._next()) is not None:
                worker = self.stage.begin(delivery)
                self._trouble(worker)
                worker.shared = True
        workers = self.stage.workers
        self.tell("at once:", *(one.delivery.push.delivery for one in workers))
        for _ in range(self.rng.choice((5, 20, 80))):
            if not workers:
                return
            worker = self.rng.choice(workers)
            worker.shared = True
            self.stage.go_on(worker)

    def deliver_twice(self) -> None:
        """Pub/Sub delivers at least once."""
        delivery = self._next()
        if delivery is not None:
            self.tell("twice:", delivery.push.delivery)
            copy = Delivery(delivery.kind, delivery.push, delivery.due)
            self.stage.bag.append(copy)

    def _next(self) -> Delivery | None:
        return self.stage.next_due()

    def _trouble(self, worker: object) -> None:
        chance = self.rng.random()
        if chance < 0.25 and self.stage.crashes < MOST_CRASHES:
            worker.dies_in = self.rng.randrange(60)  # type: ignore[attr-defined]
        elif chance < 0.35:
            worker.loses_in = self.rng.randrange(4)  # type: ignore[attr-defined]


def _about(mail: Mail) -> str:
    kind = "forwards" if mail.forward else "answers"
    return f"{kind} {mail.answers[0]}" if mail.answers else "new"
