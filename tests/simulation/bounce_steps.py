"""Steps in which something comes back: true bounces, late ones, and forged ones (S12)."""

from __future__ import annotations

from tests.simulation import cast
from tests.simulation.comebacks import Comeback
from tests.simulation.mail_steps import MailSteps
from tests.support.bounces import bytes_of, postfix


class BounceSteps(MailSteps):
    """What mail servers, and who pretends to be one, send to our mailboxes."""

    def something_comes_back(self) -> None:
        """A bounce of a mail that somebody has sent, or of one that nobody has."""
        rng = self.rng
        sent = [
            copy
            for mail in self.ledger.mails[-12:]
            for copy in mail.copies
            if copy.sent and mail.message_id
        ]
        if not sent:
            return
        copy = rng.choice(sent)
        mail, account = copy.mail, copy.account
        named, address = mail.message_id, rng.choice((*mail.to, *mail.cc, *mail.bcc))
        way = rng.choice(
            ("true", "true", "late", "elsewhere", "elsewhere", "id", "person")
        )
        if way == "elsewhere":
            account = self.a_mailbox() or account
        if way == "id":
            named = f"<guessed-{len(self.told)}@mail.invalid>"
        if way == "person":
            address = cast.STRANGERS[0]
        self.stage.clock.advance(seconds=1)
        action = "delayed" if way == "late" else "failed"
        notice = postfix(
            named,
            address,
            to=account,
            action=action,
            notice_id=f"<back-{len(self.told)}@mx.invalid>",
        )
        self.tell(mail, "to", address, "comes back to", account, way)
        self.stage.world.deliver_from_outside(
            bytes_of(notice), [account], rng.choice(("none", "fail", "pass")), sender=""
        )
        self.checks.comebacks.add(
            Comeback(named, address, account, permanent=way != "late", at=self.now())
        )
