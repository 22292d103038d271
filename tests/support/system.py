"""The whole product in one process, without a socket, on in-memory gateways.

The Gmail is the project's simulator, driven by the real google-api-python-client
through an in-process transport; only Firestore, Pub/Sub, Secret Manager and Cloud
Storage are in memory. Time stands still unless a test moves it.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from functions.work import HANDLERS
from gmail_simulator.app import create_app
from gmail_simulator.consent import consent
from gmail_simulator.grants import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    Client,
)
from gmail_simulator.world import GmailWorld
from infra.local import in_process
from infra.local.in_process import PUBLIC
from shared import config
from shared.bootstrap import Services
from shared.core.access import Caller
from shared.core.ids import ContactId, MailboxId, SubaccountId, UserId, mailbox_id
from shared.core.records import Message, Subaccount
from shared.core.syncing.work import work_from
from shared.errors import NeedsReauth, Permanent, Transient
from shared.gateways.memory import (
    MemoryBlobs,
    MemoryDocuments,
    MemorySecrets,
    MemoryTopics,
)
from shared.ports import Documents, Event
from shared.repositories import messages
from shared.repositories.directory import ContactToWrite, MemberToWrite
from shared.services.syncing.sync import MailboxChanged
from tests.support.consenting import Consenting
from tests.support.crash import Crashing, CrashPlan

EPOCH = datetime(2026, 3, 2, 9, tzinfo=UTC)
PROJECT = "test-project"
_UPLOAD = re.compile(r"(/messages/[0-9a-f]+/)[0-9a-f]{32}/")


class FakeClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.at = EPOCH

    def now(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Push:
    """A notification on its way; the same `delivery` on every redelivery."""

    event: Event
    delivery: str
    attempts: int = 0

    def acknowledged(self, handle: Callable[[], object]) -> bool:
        """Deliver it once; false when it is to come again."""
        self.attempts += 1
        try:
            handle()
        except Transient:
            return False
        except (Permanent, NeedsReauth):
            return True
        return True


@functools.cache
def _settings(**settings: Any) -> config.Settings:
    """Checked once: a crash test makes thousands of deployments with the same ones."""
    return in_process.settings(PROJECT, **settings)


class Outside:
    """Gateways in memory, with the simulated Gmail behind the real client."""

    def __init__(
        self,
        world: GmailWorld,
        clock: FakeClock,
        *,
        validate: bool = True,
        **settings: Any,
    ) -> None:
        self.clock: Any = clock
        self.documents: Any = MemoryDocuments()
        self.blobs: Any = MemoryBlobs()
        self.secrets: Any = MemorySecrets()
        self.topics: Any = MemoryTopics()
        self.settings = _settings(public_url=PUBLIC, **settings)
        app = create_app(world, validate=validate)
        redirect_uris = (self.settings.redirect_uri,)
        world.oauth.register(
            Client(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, redirect_uris)
        )
        self.google: Any = in_process.google(app, self.settings, clock)
        self.browser = in_process.browser(app)


class System:
    """A deployment with one simulated Gmail, driven step by step."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.clock = FakeClock()
        self.pushes: deque[Push] = deque()
        self.work: deque[Push] = deque()
        self._deliveries = itertools.count(1)
        self.world = GmailWorld(self.clock.now, seed, self._published)
        self.world.settings.notification_rate_limited = False
        self.outside = Outside(self.world, self.clock, **settings)
        self.outside.topics = MemoryTopics(self._queued)
        self.services = Services(self.outside)
        self._mails = itertools.count(1)

    def restart(self, plan: CrashPlan | None = None) -> None:
        """A new process on the same state; with a plan it dies where that says."""
        at: Any = self.outside
        if plan is not None:
            at = SimpleNamespace(
                clock=at.clock,
                settings=at.settings,
                **{
                    name: Crashing(getattr(at, name), plan)
                    for name in ("documents", "blobs", "secrets", "topics", "google")
                },
            )
        self.services = Services(at)

    # --- the CRM -----------------------------------------------------------------

    def subaccount(self, s: str = "s", **settings: Any) -> None:
        smtp = (settings.get("default_provider") or {}).get("smtp", {})
        self.services.directory.put_subaccount(
            Subaccount(SubaccountId(s), name=s, **settings),
            "provider's password" if smtp.get("username") else None,
        )

    def user(
        self, u: str, email: str, s: str = "s", never_log: Iterable[str] = ()
    ) -> None:
        self.services.directory.put_member(
            SubaccountId(s), MemberToWrite(UserId(u), u, email, email, tuple(never_log))
        )

    def contact(
        self, c: str, *emails: str, s: str = "s", assigned_to: str | None = "u"
    ) -> None:
        self.services.directory.put_contact(
            SubaccountId(s),
            ContactToWrite(
                ContactId(c),
                c,
                emails,
                emails,
                UserId(assigned_to) if assigned_to else None,
                None,
            ),
        )

    def connect(
        self, u: str, address: str, *, intent: Any = None, **answer: Any
    ) -> Any:
        """Go through the real consent with a browser's cookie."""
        if self.world.resolve(address) is None:
            self.world.add_account(address)
        flow = Consenting(self.services, u, intent=intent)
        back = consent(self.outside.browser, flow.url, address, **answer)
        return flow.back(dict(parse_qsl(urlsplit(back).query)))

    # --- mail --------------------------------------------------------------------

    def mail(
        self,
        sender: str,
        to: str,
        subject: str = "Hello",
        text: str = "Hello there",
        headers: Mapping[str, str] | None = None,
    ) -> EmailMessage:
        """A plain mail with an own Message-ID, a second after the last one."""
        self.clock.advance(seconds=1)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        message["Date"] = format_datetime(self.clock.now())
        message["Message-ID"] = f"<mail-{next(self._mails)}@test.example>"
        for name, value in (headers or {}).items():
            message[name] = value
        message.set_content(text)
        return message

    def arrives(
        self,
        sender: str,
        to: str,
        subject: str = "Hello",
        *,
        reply_to: str | None = None,
        auth: str = "pass",
        spam: bool = False,
        **more: Any,
    ) -> str:
        """Somebody outside writes; returns the Message-ID."""
        message = self.mail(sender, to, subject, **more)
        if reply_to:
            message["In-Reply-To"] = message["References"] = reply_to
        everybody = f"{to},{message.get('Cc', '')}"
        rcpt = [item.strip() for item in everybody.split(",") if item.strip()]
        self.world.deliver_from_outside(message.as_bytes(), rcpt, auth, spam=spam)
        return str(message["Message-ID"])

    def sends(
        self,
        sender: str,
        to: str,
        subject: str = "Hello",
        *,
        reply_to: str | None = None,
        **more: Any,
    ) -> Any:
        """A user writes in Gmail; returns the simulator's Sent message."""
        message = self.mail(sender, to, subject, **more)
        if reply_to:
            message["In-Reply-To"] = message["References"] = reply_to
        return self.world.send_from_gmail(sender, message.as_bytes())

    # --- Pub/Sub -----------------------------------------------------------------

    def _published(self, topic: str, data: bytes, attributes: dict[str, str]) -> None:
        self.pushes.append(Push(Event(data, attributes), f"m{next(self._deliveries)}"))

    def deliver(self, push: Push) -> bool:
        """Push once; says whether it was acknowledged."""

        def handle() -> None:
            change = MailboxChanged.from_push(push.event)
            self.services.sync.notified(change, push.delivery)

        return push.acknowledged(handle)

    def _queued(self, topic: str, event: Event) -> None:
        if topic == "mailbox-work":
            self.work.append(Push(event, f"w{next(self._deliveries)}"))

    def do_work(self, push: Push) -> bool:
        """Deliver a piece of work once; says whether it was acknowledged."""

        def handle() -> None:
            item = work_from(push.event.data)
            HANDLERS[item.kind](self.services, item, push.delivery)

        return push.acknowledged(handle)

    def sweep(self, silent_for: int | None = None) -> None:
        """The scheduled sweep, with all that it starts."""
        self.services.sweep.sweep_all(silent_for)
        self.settle()

    def renew(self) -> None:
        """The daily renewal, with all that it starts."""
        self.services.watches.renew_all()
        self.settle()

    def pushes_merged(self) -> None:
        """Keep the newest notification only, as when they coalesce."""
        while len(self.pushes) > 1:
            self.pushes.popleft()

    def settle(self, limit: int = 200) -> None:
        """Push until all is acknowledged; a redelivery comes ten seconds later."""
        for _ in range(limit):
            if not self.pushes:
                self.world.release_notifications()
            if self.pushes:
                push = self.pushes.popleft()
                if not self.deliver(push):
                    self.clock.advance(seconds=10)
                    self.pushes.append(push)
            elif self.work:
                push = self.work.popleft()
                if not self.do_work(push):
                    self.clock.advance(seconds=10)
                    self.work.append(push)
            else:
                return
        raise AssertionError("notifications never settle")

    # --- what came of it ---------------------------------------------------------

    def conversation(self, c: str, s: str = "s") -> list[Message]:
        """Messages of a conversation, oldest first, envelopes loaded."""
        documents: Documents = self.outside.documents
        query = messages.conversation(SubaccountId(s), ContactId(c), limit=1000)
        found = documents.query(query)
        loaded = [messages.from_snapshot(item, self.outside.blobs) for item in found]
        return list(reversed(loaded))

    def decisions(self, s: str = "s", **by: str) -> list[Any]:
        caller = Caller("crm", frozenset({SubaccountId(s)}))
        explaining = self.services.explaining
        found = getattr(explaining, f"by_{next(iter(by))}")
        return list(found(caller, SubaccountId(s), next(iter(by.values()))))

    def events(self) -> list[dict[str, Any]]:
        """CloudEvents that were published."""
        return [
            json.loads(event.data)
            for event in self.outside.topics.published("crm-events")
        ]

    def state(self) -> dict[str, Any]:
        """All that is stored, without times and leases: equal runs have equal states."""
        kept = {"sent_at", "last_message_at", "created_at", "connected_at"}

        def volatile(name: str) -> bool:
            return (name.endswith("_at") and name not in kept) or name in {
                "lease",
                "lag_looks",
                "idle",
                "quiet_since",
                "failing_since",
                "failure",
                "consents",
            }

        def settled(value: Any) -> Any:
            if isinstance(value, dict):
                return {k: settled(v) for k, v in value.items() if not volatile(k)}
            if isinstance(value, list):
                return sorted(map(str, value))
            return place(value) if isinstance(value, str) else value

        def place(key: str) -> str:
            """Without the part of a blob's key that is drawn anew for each upload."""
            return _UPLOAD.sub(r"\1#/", key)

        documents = {
            path: settled(dict(data))
            for path, data in self.outside.documents.dump().items()
            if not path.startswith("oauth_")
        }
        return documents | {"blobs": sorted(map(place, self.outside.blobs.keys()))}

    def mailbox(self, address: str) -> Any:
        return self.services.accounts._mailboxes.read(mailbox_id(address))

    def mailbox_id(self, address: str) -> MailboxId:
        return mailbox_id(address)

    def units(self, during: Callable[[], None]) -> int:
        """Gmail quota units that this costs."""
        before = self.world.calls.units()
        during()
        return self.world.calls.units() - before
