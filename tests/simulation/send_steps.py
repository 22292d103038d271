"""Steps in which the CRM sends: one mail, an answer, many; and twice at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from shared.core.ids import ContactId, MessageId, SubaccountId, UserId
from shared.errors import Problem
from shared.services.sending.recipients import RequestedRecipient as Recipient
from shared.services.sending.send_records import SendRequest
from tests.simulation.cast import BEN, MARK, PROVIDER, Mail
from tests.simulation.mail_steps import MailSteps
from tests.simulation.model import Rec
from tests.simulation.sends import Asked


class SendSteps(MailSteps):
    """What the CRM asks to be sent."""

    def crm_sends(self) -> None:
        """S7: a new mail, or an earlier call once more."""
        self.post.discover()
        if self.sends.asked and self.rng.random() < 0.15:
            key = self.rng.choice(sorted(self.sends.asked))
            self.tell("the CRM asks again for", key)
            again = self._submit(*self.requests[key], key)
            if again != self.sends.asked[key].messages:
                self.fail([f"{key} gave another message"])
            return
        s, user = self.rng.choice(sorted(self.model.members))
        contacts = sorted(c for at, c in self.model.contacts if at == s)
        if not contacts:
            return
        key = f"{MARK} key {len(self.requests)}"
        if s == "s1" and self.rng.random() < 0.3:
            self._bulk(key, s, user, self.rng.sample(contacts, min(2, len(contacts))))
            return
        kind = "workflow" if self.rng.random() < 0.25 else "individual"
        self._one(key, s, user, kind, self.rng.choice(contacts))

    def _one(self, key: str, s: str, user: str, kind: str, contact: str) -> None:
        link = self.model.links.get(user) if kind == "individual" else None
        mail, rec, parent = self._written(
            s, contact, link.account if link else PROVIDER
        )
        to = Recipient("/to/0", contact=ContactId(contact))
        cc = tuple(Recipient("/cc/0", address=recipient) for recipient in mail.cc)
        request = SendRequest(
            subaccount=SubaccountId(s),
            kind=kind,  # type: ignore[arg-type]
            user=UserId(user),
            to=(to,),
            cc=cc,
            subject=mail.subject,
            text=mail.words,
            answers=MessageId(parent) if parent else None,
        )
        self.tell(mail, "is sent by", user, "in", s, kind, "to", contact, *mail.cc)
        self.ledger.is_sent_by_crm(mail, rec)
        self.ledger.look()
        if kind == "individual":
            self.model.perhaps |= {(s, item, user) for item in (*mail.to, *mail.cc)}
        try:
            ids = self._submit("sending", request, key)
        except Problem as refusal:
            self.tell("refused:", refusal.code)
            self.ledger.is_refused(mail)
            account = link.account if link else None
            self._check_refusal(refusal.code, s, account, mail)
            return
        self._accepted(key, s, user, ids, (rec.contact,), mail, link)

    def _accepted(
        self,
        key: str,
        s: str,
        user: str,
        ids: tuple[str, ...],
        contacts: tuple[str, ...],
        mail: Mail | None = None,
        link: Any = None,
    ) -> None:
        account = link.account if link else None
        if account is None and s != "s1":
            self.fail([f"{key} is accepted, although nobody can send it"])
        broken = account in self.ledger.dead or self.stage.is_troubled()
        troubles = -1 if broken else self.stage.troubles
        self.sends.asked[key] = Asked(s, account, ids, contacts, troubles, mail)

    def _check_refusal(
        self, code: str, s: str, account: str | None, mail: Mail
    ) -> None:
        """S1, S5: a refusal has its cause.

        The rules leave open whether a mail can be answered that failed, or may have.
        """
        fits = {
            "invalid_request": any(
                item.fate in {"failed", "unknown"} and item.mail in mail.answers[:1]
                for item in self.sends.asked.values()
            ),
            "no_sender": account is None and s != "s1",
            "reauth_required": account in self.ledger.dead,
            "daily_limit_reached": account is not None
            and self.sends.may_be_full(account),
        }
        if not fits.get(code, False):
            self.fail([f"a send of {account} in {s} is refused: {code}"])

    def _written(
        self, s: str, contact: str, writer: str
    ) -> tuple[Mail, Rec, str | None]:
        """A mail of the CRM, where it belongs, and the record that it answers."""
        person = self.model.contacts[s, contact]
        cc = [BEN] if self.rng.random() < 0.15 else []
        parent, record = self._parent(s)
        mail = self.mail(writer, [person.emails[0]], cc, parent)
        mail.crm, mail.message_id, mail.attachments = s, "", 0
        rec = self.ledger.settled[s][parent] if parent else Rec(contact, mail.no)
        return mail, Rec(rec.contact, rec.root, only=True), record

    def _parent(self, s: str) -> tuple[Mail | None, str | None]:
        if self.rng.random() < 0.7:
            return None, None
        known = [
            (mail, self.checks.ids[s, mail.no])
            for mail in self.ledger.settled.get(s, {})
            if (s, mail.no) in self.checks.ids and mail.message_id and not mail.twin
        ]
        return self.rng.choice(known[-4:]) if known else (None, None)

    def _bulk(self, key: str, s: str, user: str, contacts: list[str]) -> None:
        request = SendRequest(
            subaccount=SubaccountId(s),
            kind="bulk",
            user=UserId(user),
            contacts=tuple(map(ContactId, contacts)),
            subject=f"{MARK} news",
            text=f"bulk-no-{len(self.requests)}; {MARK}",
        )
        self.tell(user, "sends to all of", *contacts, "in", s)
        ids = self._submit("bulk", request, key)
        self._accepted(key, s, user, ids, tuple(contacts))

    def _submit(self, service: str, request: SendRequest, key: str) -> tuple[str, ...]:
        """Call, and perhaps call at the same moment under the same key."""
        self.requests[key] = service, request

        def submit() -> tuple[str, ...]:
            return getattr(self.stage.services, service).submit(request, (), key).ids

        said: list[Any] = []
        if self.rng.random() < 0.15:
            self.stage.caller(submit, said).shared = True
        try:
            ids: tuple[str, ...] = self.ask(submit)
        finally:
            self.stage.finish_calls()
        if any(isinstance(message, tuple) and message != ids for message in said):
            self.fail([f"{key} gave two answers at once"])
        return ids

    # --- the daily cap, the provider -------------------------------------------------

    def lose_a_fate(self) -> None:
        """S7: nobody hears what becomes of the next mail that Gmail is to send."""
        how = self.rng.choice(("crash", "crash", "drop_after", "drop_before", "status"))
        self.tell("the next mail that Gmail sends:", how)
        self.stage.troubles += 1
        if how == "crash":
            self.stage.dies_after = "send_draft"
        else:
            method = "gmail.users.drafts.send"
            self.stage.world.faults.add(how, method=method, count=1)
        self.crm_sends()

    def change_cap(self) -> None:
        """S5: a mailbox gets a cap of its own, or the default one back."""
        accounts = sorted({link.account for link in self.model.links.values()})
        if not accounts:
            return
        account = self.rng.choice(accounts)
        cap = self.rng.choice((1, 2, 5, None))
        self.tell(account, "may send", cap, "a day")
        self.sends.set_cap(account, cap)
        self.ask(partial(self._set_cap, self.stage.mailbox_id(account), cap))

    def _set_cap(self, mailbox: Any, cap: int | None) -> None:
        self.stage.services.caps.set_cap(mailbox, cap)

    def break_relay(self) -> None:
        """The default provider is out of order, or the worker dies while it takes."""
        how = self.rng.choice(("outage", "refusal", "doubt", "crash"))
        self.tell("the default provider:", how)
        self.sends.break_relay(how, self.rng.choice((1, 2)))
