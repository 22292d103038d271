"""How mail comes to be: written by somebody, delivered by the simulated Gmail."""

from __future__ import annotations

from email.utils import format_datetime

from gmail_simulator.messages import Message
from tests.simulation.cast import ALIAS, ANN, LOG, WIDE, Copy, Mail, number_in
from tests.simulation.ledger import Ledger
from tests.simulation.stage import Stage

_ATTACHED = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain\r\n\r\n{words}"
    "\r\n--b\r\nContent-Type: application/pdf\r\n"
    "Content-Disposition: attachment; filename=f.pdf\r\n\r\n%PDF\r\n--b--\r\n"
)


def account_of(address: str) -> str | None:
    """The Gmail account that an address reaches."""
    if address == ALIAS:
        return ANN
    return address if address in WIDE.accounts else None


class Post:
    """Writes mails and finds their copies; the ledger hears of both."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage = stage
        self._ledger = ledger
        self._known: set[tuple[str, str]] = set()

    def from_outside(self, mail: Mail, auth: str, *, spam: bool = False) -> None:
        """Somebody writes who has no account in this Gmail."""
        drop = (mail.drop,) if mail.drop else ()
        recipients = (*mail.to, *mail.cc, *mail.bcc, *drop)
        self._stage.world.deliver_from_outside(
            self._raw(mail, bcc=False), recipients, auth, spam=spam, sender=mail.writer
        )
        self._written(mail)

    def from_gmail(self, mail: Mail, account: str, *, draft: bool = False) -> None:
        """A person writes on Gmail's own pages, perhaps with a draft on the way."""
        world = self._stage.world
        raw = self._raw(mail, bcc=True)
        if draft:
            box = world.account(account)
            name = world.store_draft(box, raw)
            self._stage.collect()
            sent = world.send_draft(box, name)
        else:
            sent = world.send_from_gmail(account, raw)
        mail.message_id = f"<{sent.rfc822_id}>"
        self._written(mail)

    def imported(self, mail: Mail, account: str, at: int, *, sent: bool) -> None:
        """Old mail is put into a mailbox."""
        labels = {"SENT"} if sent else {"INBOX"}
        self._stage.world.import_message(
            account, self._raw(mail, bcc=sent), labels, internal_date=at
        )
        self._written(mail)

    def change(self, copy: Copy, *, hide: str | None) -> None:
        """Put a copy into spam or trash, or take it out."""
        box = self._stage.world.account(copy.account).mailbox
        message = box.messages[copy.gmail_id]
        self._may_have_been_seen(copy)
        with self._stage.world.transaction():
            if hide:
                box.change_labels(message, add={hide}, remove={"INBOX"})
            else:
                box.change_labels(message, add={"INBOX"}, remove={"SPAM", "TRASH"})
        copy.hidden = hide is not None
        if not copy.hidden and self._is_read(copy.account):
            self._ledger.appears(copy, fresh=False)

    def vanish(self, copy: Copy) -> None:
        """Delete a copy for ever."""
        self._may_have_been_seen(copy)
        box = self._stage.world.account(copy.account).mailbox
        with self._stage.world.transaction():
            box.delete(box.messages[copy.gmail_id])
        copy.gone, copy.unread = True, copy in self._ledger.waiting

    def _may_have_been_seen(self, copy: Copy) -> None:
        """A worker in the middle of its work may know the copy as it was."""
        waiting = self._ledger.waiting.get(copy)
        if waiting is not None and self._stage.workers and not copy.hidden:
            waiting.seen = True

    def discover(self) -> None:
        """Find copies that have come to be: what the CRM sends comes by itself."""
        for account in self._stage.world.accounts:
            messages = account.mailbox.messages
            for message in list(messages.values()):
                known = (account.address, message.id)
                if known in self._known or "DRAFT" in message.labels:
                    continue
                self._known.add(known)
                number = number_in(message.snippet)
                if number is not None:
                    self._found(account.address, message, self._ledger.mails[number])

    def _found(self, account: str, message: Message, mail: Mail) -> None:
        copy = Copy(
            mail,
            account,
            message.id,
            message.thread_id,
            message.internal_date,
            sent="SENT" in message.labels,
            order=len(self._known),
            hidden="SPAM" in message.labels,
        )
        mail.copies.append(copy)
        if mail.crm and copy.sent:
            mail.message_id = f"<{message.rfc822_id}>"
        if not copy.hidden and self._is_read(copy.account):
            self._ledger.appears(copy)

    def _written(self, mail: Mail) -> None:
        self._ledger.begun(mail)
        self.discover()

    def _is_read(self, account: str) -> bool:
        links = self._ledger.model.links.values()
        return account == LOG or any(link.account == account for link in links)

    def _raw(self, mail: Mail, *, bcc: bool) -> bytes:
        rng = self._stage.rng
        lines = [f"From: {_spelled(mail.writer, rng.randrange(4))}"]
        dropped = {mail.drop_in: (mail.drop,)} if mail.drop else {}
        everybody = [
            ("To", mail.to),
            ("Cc", (*mail.cc, *dropped.get("cc", ()))),
            ("Bcc", (*mail.bcc, *dropped.get("bcc", ())) if bcc else ()),
        ]
        for name, addresses in everybody:
            if addresses:
                spelled = [_spelled(address, rng.randrange(4)) for address in addresses]
                lines.append(f"{name}: {', '.join(spelled)}")
        lines += [
            f"Subject: {mail.subject}",
            f"Date: {format_datetime(self._stage.clock.now())}",
            f"Message-ID: {mail.message_id}",
            "MIME-Version: 1.0",
        ]
        if mail.answers:
            ids = [answer.message_id for answer in mail.answers]
            lines.append(f"In-Reply-To: {ids[0]}")
            lines.append(f"References: {' '.join(reversed(ids))}")
        if mail.attachments:
            return (
                ("\r\n".join(lines) + "\r\n" + _ATTACHED)
                .format(words=mail.words)
                .encode()
            )
        return ("\r\n".join(lines) + "\r\n\r\n" + mail.words).encode()


def _spelled(address: str, way: int) -> str:
    """The same address as people and programs write it."""
    local, _, domain = address.partition("@")
    return (
        address,
        f'"{local.title()} (qzxcanary)" <{address}>',
        f"{local.title()}@{domain.upper()}",
        f"<{address}>",
    )[way]
