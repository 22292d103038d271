"""What the rules answer: where a message is recorded, and what comes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.ids import ContactId, MessageId, SubaccountId, ThreadId, UserId
from shared.core.mail import Address, MessageHeaders
from shared.core.records import Bounce, Direction, Route


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact that is made together with the record (B2)."""

    id: ContactId
    address: str
    name: str
    assigned_to: UserId


@dataclass(frozen=True, slots=True)
class Placement:
    """One subaccount in which the message is to be recorded.

    `user` is who sent it from our side (None for inbound). `holders` are the users of
    this mailbox who may see it there. `link_gmail_thread` is false for a forward, which
    stays in Gmail's original thread. `message` names the record that this is a copy of,
    when the mail was sent from the CRM. `sender` is who wrote it where From does not
    say it (M2). `new_contacts` are made, and `establish` are
    the addresses that become the user's own relations, in the same commit (B2, B3).
    """

    subaccount: SubaccountId
    contact: ContactId
    thread: ThreadId
    direction: Direction
    rule: str
    holders: tuple[UserId, ...]
    user: UserId | None = None
    exclusive: bool = False
    link_gmail_thread: bool = True
    participants: tuple[str, ...] = ()
    message: MessageId | None = None
    route: Route = "gmail"
    sender: Address | None = None
    new_contacts: tuple[NewContact, ...] = ()
    establish: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """A recorded message of which something came back, and what (S12)."""

    subaccount: SubaccountId
    message: MessageId
    contact: ContactId
    bounces: tuple[Bounce, ...]


Answer = Placement | str
"""What a rule answers for one subaccount: the place, or which rule forbids it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a message is recorded; with no place, `rule` says why it is not.

    `copies` are places where only M3 forbids a record for this mailbox's users: when
    another mailbox brings the email there, this one holds it too (M9). `concerns` are
    the users whose BCC address it names, when it came to the logging mailbox.
    `refusals` say for each other subaccount that was considered by which rule not.
    `returned` are the messages that show what it says, when it is a bounce (S12).
    """

    rule: str
    places: tuple[Placement, ...] = ()
    copies: tuple[Placement, ...] = ()
    concerns: tuple[UserId, ...] = ()
    refusals: Mapping[SubaccountId, str] = field(default_factory=dict, compare=False)
    returned: tuple[Returned, ...] = ()

    @property
    def recorded(self) -> bool:
        """Say whether it is recorded anywhere."""
        return bool(self.places)

    def without(self, refused: Mapping[SubaccountId, str]) -> Decision:
        """The decision when it turned out that it is not recorded in some places."""
        if not refused:
            return self
        left = tuple(place for place in self.places if place.subaccount not in refused)
        rule = left[0].rule if left else next(iter(refused.values()))
        return replace(
            self, rule=rule, places=left, refusals={**self.refusals, **refused}
        )


def recipients(message: MessageHeaders) -> tuple[str, ...]:
    """Addresses of To, Cc and Bcc in this order, each once; no BCC address (B6)."""
    everybody = (*message.to, *message.cc, *message.bcc)
    return tuple(
        dict.fromkeys(person.address for person in everybody if person.address)
    )
