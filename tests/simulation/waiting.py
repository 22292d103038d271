"""A copy that is on its way, and all that may come of it until it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation.model import Rec
from tests.simulation.model_bcc import NEW, Logged

MAX_VIEWS = 24
"""More ways than this in which mail on its way can be known: anything is allowed."""

ANY = Rec("*", -1)


@dataclass(frozen=True)
class Found:
    """A record of the product, as the checks read it."""

    contact: str
    thread: str
    held: frozenset[str]
    only: bool


@dataclass
class Waiting:
    """A copy that has not certainly been read.

    `allowed` is what the model said at some moment since it came; `joins` leaves M3 out
    (M9); `logs` is what B said. One that is `late` is read after its successors; `seen`
    says that a worker may have read it before it was hidden or deleted.
    """

    order: int
    allowed: dict[str, set[Rec | None]]
    joins: dict[str, set[Rec | None]]
    before: dict[str, set[Rec]] = field(default_factory=dict)
    logs: dict[str, list[Logged | None]] = field(default_factory=dict)
    fresh: bool = True
    late: bool = False
    seen: bool = False

    def may(self, s: str) -> set[Rec | None]:
        """All that can have come of it."""
        return self.allowed[s] | self.before.get(s, set())

    def need_not(self, s: str) -> None:
        """Nothing may come of it as well."""
        self.allowed[s].add(None)
        self.joins[s].add(None)
        self.logs.setdefault(s, []).append(None)

    def may_make(self, s: str, address: str) -> str | None:
        """The user whose contact B2 may make of this address."""
        return next(
            (
                item.user
                for item in self.logs.get(s, ())
                if item is not None and address in item.contacts
            ),
            None,
        )

    def makes(self, s: str) -> frozenset[str]:
        """Addresses that were to become contacts, whenever it was read."""
        return self._always(s, "contacts")

    def relates(self, s: str) -> frozenset[str]:
        """Addresses with which its user is established for certain (B3)."""
        return self._always(s, "related")

    def _always(self, s: str, what: str) -> frozenset[str]:
        said = self.logs.get(s, [])
        if not said or any(message is None or message.rec is None for message in said):
            return frozenset()
        sets: list[frozenset[str]] = [getattr(message, what) for message in said]
        return frozenset.intersection(*sets)


def is_contact(option: Rec, actual: str, made: frozenset[str] = frozenset()) -> bool:
    """Whether an option is about this contact; `made` are its addresses, if B2 did."""
    if option.contact.startswith(NEW):
        return option.contact.removeprefix(NEW) in made
    return option.contact in (actual, "*")
