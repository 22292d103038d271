"""The fault switchboard: rules that break chosen calls in chosen ways.

A rule is data, so that it can be set over HTTP. Probability comes from the world's
seeded generator: the same seed breaks the same calls.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

Action = Literal[
    "status",  # answer `status` (and `reason`, `retry_after`) without doing the work
    "drop_before",  # lose the connection before the work
    "drop_after",  # do the work and lose the answer
    "garbage",  # do the work and answer 200 with `text` in place of the answer
    "slow",  # answer after `seconds`; a client with less patience loses the answer
    "history_expired",  # 404 on history.list
    "history_lag",  # hide changes younger than `seconds` from history.list
    "vanish",  # 404 on the message, as if deleted since it was listed
    "notification_drop",
    "notification_duplicate",  # publish 1 + `times`
    "notification_delay",  # publish `seconds` later
    "notification_reorder",  # publish after the next one
]
ACTIONS = frozenset(get_args(Action))
_METHODS = {
    "history_expired": "gmail.users.history.list",
    "history_lag": "gmail.users.history.list",
    "vanish": "gmail.users.messages.get",
}


@dataclass
class Fault:
    """One rule: what it matches, how often it strikes, and what it does then."""

    action: Action
    # method id with wildcards, such as `gmail.users.messages.*` or `oauth.token`
    method: str = ""
    account: str = "*"
    # only this message, where the call names one
    message_id: str | None = None
    # let the first matching calls pass
    after: int = 0
    # strike this often, then never again
    count: int | None = None
    probability: float = 1.0
    status: int = 503
    reason: str | None = None
    retry_after: int | None = None
    seconds: float = 0.0
    text: str = "<!doctype html><title>Error</title>"
    times: int = 1
    # history_lag: `historyId` of the answer is the newest, or that of what is shown
    reports: Literal["current", "visible"] = "current"
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        """Fill in the method where the action says it."""
        if self.action not in ACTIONS:
            raise ValueError(f"unknown action {self.action!r}")
        self.method = self.method or _METHODS.get(self.action, "*")

    def strikes(
        self, method: str, account: str, message_id: str | None, rng: random.Random
    ) -> bool:
        """Whether this rule breaks this call; counts it."""
        if not (
            fnmatchcase(method, self.method) and fnmatchcase(account, self.account)
        ):
            return False
        if self.message_id is not None and self.message_id != message_id:
            return False
        self.seen += 1
        if self.seen <= self.after:
            return False
        if self.count is not None and self.struck >= self.count:
            return False
        if self.probability < 1.0 and rng.random() >= self.probability:
            return False
        self.struck += 1
        return True


class Faults:
    """The rules in force, asked in their order."""

    def __init__(self, rng: random.Random) -> None:
        """Begin without a fault."""
        self._rng = rng
        self._rules: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        """Go through the rules."""
        return iter(self._rules)

    def __len__(self) -> int:
        """Count the rules."""
        return len(self._rules)

    def add(self, action: Action, **rule: Any) -> Fault:
        """Add a rule and return it; its `struck` tells how often it struck."""
        fault = Fault(action, **rule)
        self._rules.append(fault)
        return fault

    def replace(self, rules: list[dict[str, Any]]) -> None:
        """Put these rules in place of all others."""
        self._rules = [Fault(**rule) for rule in rules]

    def remove(self, fault: Fault) -> None:
        """Take one rule away."""
        self._rules.remove(fault)

    def clear(self) -> None:
        """Take all rules away."""
        self._rules.clear()

    def for_call(
        self, method: str, account: str, message_id: str | None = None
    ) -> list[Fault]:
        """Return the rules that break this call."""
        return [
            fault
            for fault in self._rules
            if not fault.action.startswith("notification_")
            and fault.strikes(method, account, message_id, self._rng)
        ]

    def for_notification(self, account: str) -> list[Fault]:
        """Return the rules that break the next notification of a mailbox."""
        return [
            fault
            for fault in self._rules
            if fault.action.startswith("notification_")
            and fault.strikes("notification", account, None, self._rng)
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rules as the admin API shows them."""
        return [asdict(fault) for fault in self._rules]
