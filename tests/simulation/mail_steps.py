"""Steps in which mail is written, moved, or lost."""

from __future__ import annotations

from collections.abc import Sequence

from tests.simulation import cast
from tests.simulation.cast import ALIAS, ANN, BEN, DAN, Copy, Mail
from tests.simulation.post import account_of
from tests.simulation.scene import Scene


class MailSteps(Scene):
    """What people do with their mail."""

    def somebody_writes(self) -> None:
        """A contact, a stranger, a colleague or a forger writes to us."""
        rng = self.rng
        writer = rng.choice(
            (*self.cast.people, *self.cast.people, *cast.STRANGERS, DAN, ANN)
        )
        if rng.random() < 0.5:
            writer = self.an_address() or writer
        to = rng.sample((ANN, ALIAS, BEN, *self.cast.accounts[1:]), rng.choice((1, 2)))
        if rng.random() < 0.5:
            to[0] = self.a_mailbox() or to[0]
        parent = self.to_answer() if rng.random() < 0.5 else None
        if parent is not None and rng.random() < 0.6:
            writer, to = self._answers(parent, writer, to)
        true = account_of(writer) is None and rng.random() < 0.9
        others = rng.sample(
            (*self.cast.people, *cast.STRANGERS, DAN), rng.choice((0, 0, 1))
        )
        to = list(dict.fromkeys(to))
        mail = self.mail(writer, to, others, parent, true=true)
        if parent is not None and parent.drop_in == "cc" and rng.random() < 0.6:
            mail.drop, mail.drop_in = parent.drop, "cc"  # an answer to all (B6)
        spam = rng.random() < 0.1
        auth = "pass" if true else rng.choice(("fail", "none"))
        self.tell(
            mail, writer, "->", *to, "cc", *others, about(mail), auth, "spam" * spam
        )
        self.post.from_outside(mail, auth, spam=spam)

    def _answers(
        self, parent: Mail, writer: str, to: list[str]
    ) -> tuple[str, list[str]]:
        """One who got it writes back to who wrote it."""
        known = {*self.cast.people, *cast.NEWCOMERS}
        got_it = [item for item in (*parent.to, *parent.cc) if item in known]
        if got_it:
            writer = self.rng.choice(got_it)
        return writer, [parent.writer] if account_of(parent.writer) else to

    def user_writes(self) -> None:
        """Somebody writes in Gmail: new, an answer, to all, or a forward."""
        rng = self.rng
        account = rng.choice((ANN, *self.cast.accounts))
        if rng.random() < 0.6:
            account = self.a_mailbox() or account
        writer = ALIAS if account == ANN and rng.random() < 0.2 else account
        parent = self.to_answer() if rng.random() < 0.6 else None
        anybody = (*self.cast.people, *self.cast.people, *cast.STRANGERS, BEN, DAN, ANN)
        to = rng.sample(anybody, rng.choice((1, 1, 2)))
        if rng.random() < 0.5 and (known := self.an_address()) not in to:
            to[0] = known or to[0]
        cc = rng.sample(anybody, rng.choice((0, 0, 1)))
        bcc = rng.sample(anybody, 1) if rng.random() < 0.1 else []
        forward = parent is not None and rng.random() < 0.2
        if parent is not None and not forward and rng.random() < 0.8:
            to = [parent.writer]
            cc = [*parent.to, *parent.cc] if rng.random() < 0.5 else []
        mail = self.mail(writer, to, cc, parent, bcc=bcc, forward=forward)
        self.tell(mail, writer, "->", *mail.to, "cc", *mail.cc, *bcc, about(mail))
        self.post.from_gmail(mail, account, draft=rng.random() < 0.1)

    def an_address(self) -> str | None:
        """One of a contact."""
        known = sorted({a for c in self.model.contacts.values() for a in c.emails})
        return self.rng.choice(known) if known else None

    def a_mailbox(self) -> str | None:
        """One that is connected."""
        known = sorted({link.account for link in self.model.links.values()})
        return self.rng.choice(known) if known else None

    def to_answer(self) -> Mail | None:
        self.post.discover()
        recent = [
            item
            for item in self.ledger.mails[-6:]
            if item.twin is None and item.message_id
        ]
        if self.sending and self.rng.random() < 0.5:
            recent = [item for item in recent if item.crm] or recent
        if not recent:
            return None
        mail = self.rng.choice(recent)
        if self.ledger.uncertain(mail):
            self.quiet()
        return mail

    def mail(
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
            tuple(fromkey for fromkey in dict.fromkeys(cc) if fromkey not in to),
            tuple(recipient for recipient in bcc if recipient not in (*to, *cc)),
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
            item
            for item in self.ledger.mails[-6:]
            if item.twin is None
            and not any(item in other.answers for other in self.ledger.mails)
        ]
        if not leaves:
            return
        first = self.rng.choice(leaves)
        mail = self.mail(self.rng.choice(self.cast.people), [ANN], [], None)
        mail.message_id, mail.twin, first.twin = first.message_id, first, mail
        self.tell(mail, mail.writer, "->", ANN, "with the Message-ID of", first)
        self.post.from_outside(mail, "pass")

    def import_old(self) -> None:
        """Mail from before the connection is put into a mailbox (C2)."""
        mail = self.mail(self.rng.choice(self.cast.people), [ANN], [], None)
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


def about(mail: Mail) -> str:
    kind = "forwards" if mail.forward else "answers"
    return f"{kind} {mail.answers[0]}" if mail.answers else "new"
