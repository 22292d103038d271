"""The in-memory world with mail that the CRM sends, and an SMTP server in memory."""

from __future__ import annotations

from collections import deque
from email import message_from_bytes, policy
from types import SimpleNamespace
from typing import Any

from shared.bootstrap import Services
from shared.core.ids import ContactId, MessageId, SubaccountId, UserId
from shared.core.records import Message
from shared.gateways.memory import MemoryRelay
from shared.ports import Event
from shared.repositories import messages
from shared.services.sending.outbound_work import OutboundWork
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.send_records import SendRequest, Upload
from shared.services.sending.submission import Accepted
from tests.support.crash import Crashing, CrashPlan
from tests.support.system import Push, System

S = SubaccountId("s")
MIA, CARLA, BOB = "mia@agency.test", "carla@customer.test", "bob@inside.test"
PORTS = ("documents", "blobs", "secrets", "topics", "google", "relay")
PROVIDER = {
    "smtp": {
        "host": "relay.test",
        "port": 587,
        "security": "starttls",
        "username": "u",
        "from": "news@agency.test",
    }
}


class SendingSystem(System):
    """One user `u` (Mia), one contact `c` (Carla) and one (`b`, Bob) with a Gmail."""

    def __init__(
        self, seed: int = 0, *, connected: bool = True, **settings: Any
    ) -> None:
        self.outgoing: deque[Push] = deque()
        super().__init__(seed, **settings)
        self.outside.relay = MemoryRelay()
        self.keys = 0
        self.subaccount("s", default_provider=PROVIDER)
        self.user("u", MIA)
        self.contact("c", CARLA)
        self.contact("b", BOB)
        self.world.add_account(BOB)
        if connected:
            assert self.connect("u", MIA).code == "connected"
        self.forget_events()

    @property
    def relay(self) -> MemoryRelay:
        relay: MemoryRelay = self.outside.relay
        return relay

    def forget_events(self) -> None:
        self._seen_events = len(self.events())

    def new_events(self) -> list[tuple[str, str]]:
        """Type and id of the events since `forget_events`."""
        return [
            (event["type"], event["id"]) for event in self.events()[self._seen_events :]
        ]

    def restart(self, plan: CrashPlan | None = None) -> None:
        at: Any = self.outside
        if plan is not None:
            at = SimpleNamespace(
                clock=at.clock,
                settings=at.settings,
                **{name: Crashing(getattr(at, name), plan) for name in PORTS},
            )
        self.services = Services(at)

    # --- sending -----------------------------------------------------------------

    def post(
        self,
        contact: str | None = "c",
        *,
        key: str | None = None,
        uploads: tuple[Upload, ...] = (),
        **fields: Any,
    ) -> Accepted:
        """The CRM sends one mail."""
        self.keys += 1
        asked = (
            (RequestedRecipient("/to/0", contact=ContactId(contact)),)
            if contact
            else ()
        )
        request: dict[str, Any] = {
            "subaccount": S,
            "kind": "individual",
            "user": UserId("u"),
            "to": asked,
            "subject": "Offer",
            "text": "Hello Carla",
            **fields,
        }
        return self.services.sending.submit(
            SendRequest(**request), uploads, key or f"key-{self.keys}"
        )

    def bulk(
        self, *contacts: str, key: str = "bulk", uploads: Any = (), **fields: Any
    ) -> Accepted:
        request: dict[str, Any] = {
            "subaccount": S,
            "kind": "bulk",
            "user": UserId("u"),
            "contacts": tuple(map(ContactId, contacts)),
            "subject": "News",
            "text": "Read this",
            **fields,
        }
        return self.services.bulk.submit(SendRequest(**request), uploads, key)

    def _queued(self, topic: str, event: Event) -> None:
        if topic == "outbound-messages":
            self.outgoing.append(Push(event, f"o{next(self._deliveries)}"))
        else:
            super()._queued(topic, event)

    def push_out(self, push: Push) -> bool:
        """Deliver a piece of outbound work once; says whether it was acknowledged."""

        def handle() -> None:
            work = OutboundWork.from_push(push.event)
            self.services.outbound.handle(work, push.delivery)

        return push.acknowledged(handle)

    def send_all(self, limit: int = 3000, pause: float = 20) -> None:
        """Push outbound work until all is acknowledged."""
        for _ in range(limit):
            if not self.outgoing:
                return
            push = self.outgoing.popleft()
            try:
                acknowledged = self.push_out(push)
            except BaseException:
                self.outgoing.append(push)  # a crash acknowledges nothing
                raise
            if not acknowledged:
                self.clock.advance(seconds=pause)
                self.outgoing.append(push)
        raise AssertionError("outbound work never settles")

    def settle(self, limit: int = 200) -> None:
        self.send_all()
        super().settle(limit)

    # --- what came of it ---------------------------------------------------------

    def record(self, message: MessageId) -> Message:
        found = messages.load(self.outside.documents, self.outside.blobs, S, message)
        assert found is not None
        return found

    def left_today(self) -> int:
        return self.services.caps.left_today(self.mailbox_id(MIA))

    def drafts(self) -> int:
        return len(self.world.account(MIA).mailbox.drafts)

    def outside_mail(self) -> list[Any]:
        """Mail that left the simulated Gmail, parsed."""
        return [
            message_from_bytes(item.raw, policy=policy.default)
            for item in self.world.outside
        ]

    def under_way(self) -> int:
        from shared.ports import Query

        return len(self.outside.documents.query(Query("sends")))
