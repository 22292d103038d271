"""A Gmail of its own: accounts, the mail between them, and the world outside.

Plain Python with an injected clock and seeded randomness: the same seed and the same
calls make the same world. Thread safe; notifications are published after the lock is
released, so a publisher may call back into the world.

Longer than other modules: one class is the whole face of the engine, and its methods
are the steps that one lock has to hold together.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from . import bouncing, delivery, headers
from .accounts import Account, SendAs, canonical, domain_of, new_account
from .errors import ApiError, not_found
from .faults import Faults
from .grants import Grants
from .ledger import Ledger
from .mailbox import Mailbox
from .messages import HistoryRecord, Message
from .oauth_records import DEFAULT_CLIENT_ID, GMAIL_FULL, Tokens
from .push import Notification, Notifier
from .settings import CONSUMER_DOMAINS, Settings

Publish = Callable[[str, bytes, dict[str, str]], None]
ARRIVED = frozenset({"INBOX", "UNREAD", "CATEGORY_PERSONAL"})
SPAM = frozenset({"SPAM", "UNREAD"})


@dataclass(frozen=True)
class OutsideMail:
    """A mail that left this world; one for every recipient."""

    sender: str
    recipient: str
    raw: bytes
    at: datetime


@dataclass(frozen=True)
class Delivered:
    """Where a mail was put."""

    account: str
    message_id: str
    thread_id: str


def _publish_nothing(topic: str, data: bytes, attributes: dict[str, str]) -> None:
    """Publish to nobody."""


class GmailWorld:
    """All accounts of one simulated Gmail, and the mail between them."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        seed: int = 0,
        publish: Publish | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Begin without accounts; `clock` returns times with a zone."""
        self.clock = clock
        self.rng = random.Random(seed)  # noqa: S311  # repeatable on purpose
        self.settings = settings or Settings()
        self.faults = Faults(random.Random(seed + 1))  # noqa: S311
        self.calls = Ledger(self.settings)
        self.oauth = Grants(clock, random.Random(seed + 2), self.settings)  # noqa: S311
        self.outside: list[OutsideMail] = []
        # puts arriving mail into spam; asked for every delivery
        self.is_spam: Callable[[Account, bytes], bool] = lambda _account, _raw: False
        self._publish = publish or _publish_nothing
        self._notifier = Notifier(clock, self.settings, self.faults)
        self._accounts: dict[str, Account] = {}
        self._receiving: dict[str, Account] = {}
        self._lock = threading.RLock()
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Lock the world; publish what came of it after the outermost one ends."""
        due: list[Notification] = []
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    due = self._notifier.collect()
        self._send_out(due)

    def tick(self) -> None:
        """Publish the delayed notifications whose time has come."""
        with self.transaction():
            pass

    def release_notifications(self) -> None:
        """Publish everything that a fault holds back, due or not."""
        with self._lock:
            due = self._notifier.release()
        self._send_out(due)

    # --- accounts --------------------------------------------------------------

    def add_account(
        self,
        address: str,
        name: str = "",
        aliases: Iterable[str] = (),
        *,
        domain: str | None = None,
        catch_all: bool = False,
    ) -> Account:
        """Make an account; aliases are verified and receive mail, too."""
        with self.transaction():
            if canonical(address) in self._receiving:
                raise ValueError(f"{address} exists already")
            subject = str(self.rng.randrange(10**20, 10**21))

            def on_change(record: HistoryRecord) -> None:
                self._notifier.changed(account, record)

            mailbox = Mailbox(self.clock, self.rng, on_change)
            account = new_account(
                address, name, subject, mailbox, domain=domain, catch_all=catch_all
            )
            self._accounts[account.address] = account
            self._receiving[canonical(address)] = account
            for alias in aliases:
                self.add_alias(account.address, alias)
            return account

    def remake_account(self, address: str) -> Account:
        """Delete an account and give its address to a new one, as Google can."""
        with self.transaction():
            old = self.account(address)
            self.oauth.revoke_account(old)
            del self._accounts[old.address]
            for reached in [k for k, a in self._receiving.items() if a is old]:
                del self._receiving[reached]
            return self.add_account(old.address, old.name)

    def rename_account(self, address: str, new: str) -> Account:
        """Give an account another address, as Google can.

        The account is the same: tokens, mail, history and watches stay. The old address
        goes on as an alias.
        """
        with self.transaction():
            account, new = self.account(address), new.strip().lower()
            if self._receiving.get(canonical(new), account) is not account:
                raise ValueError(f"{new} exists already")
            del self._accounts[account.address]
            account.rename(new)
            self._accounts[new] = account
            self._receiving[canonical(new)] = account
            return account

    def add_alias(self, address: str, alias: str, *, verified: bool = True) -> None:
        """Give an account another address to send from and to receive at."""
        with self.transaction():
            account = self.account(address)
            account.send_as[alias.lower()] = SendAs(
                alias.lower(), account.name, verified=verified
            )
            self._receiving.setdefault(canonical(alias), account)

    @property
    def accounts(self) -> list[Account]:
        """All accounts, in the order of their making."""
        return list(self._accounts.values())

    def account(self, address: str) -> Account:
        """Return the account with this address or alias."""
        found = self._receiving.get(canonical(address))
        if found is None:
            raise not_found()
        return found

    def resolve(self, address: str) -> Account | None:
        """Return whose mailbox an address reaches, catch-all included."""
        if found := self._receiving.get(canonical(address)):
            return found
        domain = domain_of(address)
        return next(
            (a for a in self._accounts.values() if a.catch_all and a.domain == domain),
            None,
        )

    def grant(
        self,
        address: str,
        scopes: Iterable[str] = (GMAIL_FULL,),
        client_id: str = DEFAULT_CLIENT_ID,
    ) -> Tokens:
        """Give a client access without a browser."""
        with self.transaction():
            return self.oauth.grant(self.account(address), scopes, client_id)

    def change_password(self, address: str) -> None:
        """Change a password: every token of the account ends."""
        with self.transaction():
            self.oauth.revoke_account(self.account(address))

    def revoke_access(self, address: str, client_id: str | None = None) -> None:
        """Take a client's access away, as a person does in the account settings."""
        with self.transaction():
            self.oauth.revoke_account(self.account(address), client_id)

    # --- mail ------------------------------------------------------------------

    def deliver_from_outside(
        self,
        raw: bytes,
        rcpt: Iterable[str],
        auth: str = "pass",
        *,
        spam: bool = False,
        sender: str | None = None,
    ) -> list[Delivered]:
        """Let somebody outside write; the bytes stay, the server's headers go on top.

        `auth` is pass, fail, none, or a whole Authentication-Results value. An address
        that nobody here has is skipped.
        """
        with self.transaction():
            envelope = delivery.sender_of(raw) if sender is None else sender
            results = delivery.authentication_results(auth, raw, envelope, self.rng)
            return self._deliver(raw, rcpt, envelope, results, spam=spam)

    def send(
        self, account: Account, raw: bytes, thread_id: str | None = None
    ) -> Message:
        """Send a mail as an account, and keep the Sent copy."""
        with self.transaction():
            now = self.clock()
            if len(raw) > self.settings.max_message_bytes:
                raise ApiError(413, "Message too large: the limit is exceeded.")
            if thread_id is not None:
                account.mailbox.thread(thread_id)
            mail = delivery.outgoing(raw, account, self.settings, self.rng, now)
            self._charge_send(account, now)
            fields = headers.split(mail.sent_copy)[0]
            labels = {"SENT"}
            if any(self.resolve(address) is account for address in mail.recipients):
                labels |= {"INBOX", "UNREAD"}
            message = account.mailbox.add(
                mail.sent_copy,
                labels,
                thread_id=self._thread(account, fields, thread_id),
            )
            sender = delivery.sender_of(mail.sent_copy)
            results = delivery.authentication_results(
                "pass", mail.travelling, sender, self.rng
            )
            others = [r for r in mail.recipients if self.resolve(r) is not account]
            self._deliver(mail.travelling, others, sender, results)
            if self.settings.unknown_addresses_bounce:
                self.bounce(account, message.raw, filter(self._is_nobody, others))
            return message

    def bounce(self, account: Account, raw: bytes, failed: Iterable[str]) -> None:
        """Tell an account that a mail of its did not reach these recipients."""
        recipients = list(failed)
        if not recipients:
            return
        with self.transaction():
            sender, now = delivery.sender_of(raw), self.clock()
            notice = bouncing.returned(raw, sender, recipients, self.rng, now)
            results = delivery.authentication_results(
                "pass", notice, bouncing.DAEMON, self.rng
            )
            self._deliver(notice, [account.address], "", results)

    def send_from_gmail(
        self, address: str, raw: bytes, thread_id: str | None = None
    ) -> Message:
        """Let a person send from Gmail's own pages."""
        return self.send(self.account(address), raw, thread_id)

    def import_message(
        self,
        address: str,
        raw: bytes,
        labels: Iterable[str] = (),
        internal_date: int | None = None,
    ) -> Message:
        """Put a mail into a mailbox without sending it anywhere."""
        with self.transaction():
            account = self.account(address)
            fields = headers.split(raw)[0]
            return account.mailbox.add(
                raw,
                labels,
                thread_id=account.mailbox.thread_for(fields),
                internal_date=internal_date,
            )

    def store_draft(
        self,
        account: Account,
        raw: bytes,
        thread_id: str | None = None,
        draft_id: str | None = None,
    ) -> str:
        """Keep a draft, new or in place of its older text; return its id."""
        with self.transaction():
            mailbox = account.mailbox
            if len(raw) > self.settings.max_message_bytes:
                raise ApiError(413, "Message too large: the limit is exceeded.")
            old = self.draft_message(account, draft_id) if draft_id else None
            fields = headers.split(raw)[0]
            if not headers.get(fields, "Message-ID"):
                made = delivery.new_message_id(self.rng)
                raw = headers.field("Message-ID", made).raw + raw
            if old and (thread_id is None or thread_id == old.thread_id):
                thread = old.thread_id
            else:
                thread = self._thread(account, fields, thread_id) or ""
            message = mailbox.add(raw, {"DRAFT"}, thread_id=thread or None)
            if old:
                mailbox.delete(old)
            draft_id = draft_id or mailbox.new_draft_id()
            mailbox.drafts[draft_id] = message.id
            return draft_id

    def draft_message(self, account: Account, draft_id: str) -> Message:
        """Return the message of a draft, or refuse as Gmail does."""
        if draft_id not in account.mailbox.drafts:
            raise not_found()
        return account.mailbox.messages[account.mailbox.drafts[draft_id]]

    def send_draft(self, account: Account, draft_id: str) -> Message:
        """Send a draft: it goes, and a new message with the SENT label comes."""
        with self.transaction():
            draft = self.draft_message(account, draft_id)
            message = self.send(account, draft.raw, draft.thread_id)
            account.mailbox.delete(draft)
            return message

    def expire_history(self, address: str, keep: int = 0) -> None:
        """Forget a mailbox's history: cursors from before now get 404."""
        with self.transaction():
            self.account(address).mailbox.expire_history(keep)

    def announce(self, account: Account, client_id: str) -> None:
        """Publish to a watch although nothing changed."""
        self._notifier.announce(account, client_id)

    # --- inside ----------------------------------------------------------------

    def _is_nobody(self, address: str) -> bool:
        """Whether an address is in a domain of this server, and nobody's."""
        domains = {domain_of(account.address) for account in self.accounts}
        here = domains - CONSUMER_DOMAINS
        return domain_of(address) in here and self.resolve(address) is None

    def _deliver(
        self,
        raw: bytes,
        rcpt: Iterable[str],
        sender: str,
        auth: str,
        *,
        spam: bool = False,
    ) -> list[Delivered]:
        now = self.clock()
        reached: set[str] = set()
        delivered: list[Delivered] = []
        for recipient in rcpt:
            account = self.resolve(recipient)
            if account is None:
                self.outside.append(OutsideMail(sender, recipient, raw, now))
                continue
            if self.settings.dedupe_deliveries and account.address in reached:
                continue
            reached.add(account.address)
            caught = canonical(recipient) not in self._receiving
            arrived = delivery.arriving(
                raw,
                recipient=recipient,
                sender=sender,
                auth=auth,
                caught_by=account.address if caught else None,
                settings=self.settings,
                rng=self.rng,
                now=now,
            )
            message = account.mailbox.add(
                arrived,
                SPAM if spam or self.is_spam(account, arrived) else ARRIVED,
                thread_id=account.mailbox.thread_for(headers.split(arrived)[0]),
            )
            delivered.append(Delivered(account.address, message.id, message.thread_id))
        return delivered

    def _thread(
        self, account: Account, fields: list[headers.Field], wanted: str | None
    ) -> str | None:
        mailbox = account.mailbox
        if wanted is None:
            return mailbox.thread_for(fields)
        if mailbox.accepts_in_thread(fields, wanted):
            return wanted
        only_drafts = all("DRAFT" in m.labels for m in mailbox.thread(wanted))
        # a draft that began a thread keeps it when it is sent
        return wanted if only_drafts else mailbox.thread_for(fields)

    def _charge_send(self, account: Account, now: datetime) -> None:
        free_at = account.next_send(now)
        if free_at is None:
            account.sent_at.append(now)
            return
        if self.settings.send_limit_status == 403:  # noqa: PLR2004  # a status
            raise ApiError(403, reason="dailyLimitExceeded")
        until = free_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
        raise ApiError(
            429, f"User-rate limit exceeded.  Retry after {until} (Mail sending)"
        )

    def _send_out(self, due: list[Notification]) -> None:
        for note in due:
            self._publish(note.topic, note.data, {})
