"""What was called, how it ended, and what it cost."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from .settings import OTHER_UNITS, Settings

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method; `status` 0 is a connection that was lost."""

    method: str
    account: str
    status: int
    units: int
    at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return the call as the admin API lists it."""
        return asdict(self) | {"at": self.at.isoformat()}


class Ledger(list[Call]):
    """The calls in order, with sums over them."""

    def __init__(self, settings: Settings) -> None:
        """Count by the table of units in the settings."""
        super().__init__()
        self._settings = settings
        self._recent: dict[str, deque[tuple[datetime, int]]] = {}

    def note(self, method: str, account: str, status: int, now: datetime) -> None:
        """Write a call down."""
        units = self.price(method) if account else 0
        self.append(Call(method, account, status, units, now))

    def price(self, method: str) -> int:
        """Return the units of a method."""
        if not method.startswith("gmail."):
            return 0
        return self._settings.units.get(method, OTHER_UNITS)

    def units(self, account: str | None = None, since: datetime | None = None) -> int:
        """Sum the units of an account, or of all, since a moment or ever."""
        return sum(
            call.units
            for call in self
            if account in (None, call.account) and (since is None or call.at >= since)
        )

    def count(self, method: object, account: str | None = None) -> int:
        """Count the calls of a method; `*` at its end stands for anything."""
        name = str(method)
        stem = name.removesuffix("*")
        return sum(
            (call.method == name or (stem != name and call.method.startswith(stem)))
            and account in (None, call.account)
            for call in self
        )

    def over_budget(self, account: str, method: str, now: datetime) -> bool:
        """Charge a call to the minute; say whether the minute had no room for it."""
        limit = self._settings.units_per_minute
        if limit is None:
            return False
        recent = self._recent.setdefault(account, deque())
        while recent and recent[0][0] <= now - _MINUTE:
            recent.popleft()
        if sum(units for _, units in recent) + self.price(method) > limit:
            return True
        recent.append((now, self.price(method)))
        return False
