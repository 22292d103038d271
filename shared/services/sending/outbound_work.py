"""What one message on `outbound-messages` asks for, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shared.core.ids import MessageId, SubaccountId
from shared.errors import Malformed
from shared.ports import Event

TOPIC = "outbound-messages"


@dataclass(frozen=True, slots=True)
class OutboundWork:
    """What is to be sent: one mail, or a bulk call to fan out from `start`."""

    subaccount: SubaccountId
    message: MessageId | None = None
    batch: str | None = None
    start: int = 0

    def to_event(self) -> Event:
        """Write it down."""
        data: dict[str, object] = {"subaccount": self.subaccount}
        if self.message is not None:
            data["message"] = self.message
        else:
            data |= {"batch": self.batch, "start": self.start}
        return Event(json.dumps(data).encode())

    @classmethod
    def from_push(cls, event: Event) -> OutboundWork:
        """Read an event of `outbound-messages`; raises Malformed."""
        try:
            data = json.loads(event.data)
            subaccount, message, batch = (
                data.get(name) for name in ("subaccount", "message", "batch")
            )
            start = data.get("start", 0)
        except (ValueError, AttributeError, RecursionError):
            raise Malformed from None
        named = [
            value for value in (message, batch) if isinstance(value, str) and value
        ]
        if not isinstance(subaccount, str) or len(named) != 1:
            raise Malformed
        if isinstance(start, bool) or not isinstance(start, int) or start < 0:
            raise Malformed
        return cls(
            SubaccountId(subaccount),
            MessageId(message) if message else None,
            batch,
            start,
        )
