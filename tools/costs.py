"""What running it costs: measured operations times list prices.

python -m tools.costs            the table of docs/deploy.md

Gmail units and Firestore operations are measured (tests/budget/test_costs_table.py);
Pub/Sub messages, secrets and seconds are estimates. The prices are Google's list prices
of region europe-west1 in USD, read 2026-11, without the free tiers, so a small
deployment pays less.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

GMAIL_UNITS: Mapping[str, int] = {
    "history.list": 2,
    "messages.get": 20,
    "messages.attachments.get": 20,
    "drafts.create": 10,
    "drafts.send": 100,
    "watch": 100,
    "getProfile": 1,
}
"""Google's table for projects of 2026. Units are a rate limit. They are free up to
80,000,000 a day and project; what they cost beyond is announced, not known yet."""


@dataclass(frozen=True, slots=True)
class Operations:
    """What one happening asks of Google."""

    gmail: Mapping[str, int] = field(default_factory=dict)
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    messages: int = 0
    """Pub/Sub messages: published and delivered count once each."""
    secret_reads: float = 0
    calls: int = 0
    """Calls of a function, and how long one takes."""
    seconds: float = 0

    @property
    def units(self) -> int:
        """Gmail units."""
        return sum(GMAIL_UNITS[name] * count for name, count in self.gmail.items())


MATCHED_MAIL = Operations(
    gmail={"history.list": 1, "messages.get": 2},
    reads=7,
    writes=7,
    deletes=1,
    messages=4,
    secret_reads=1,
    calls=1,
    seconds=0.8,
)
"""One mail that is recorded, in a notification of its own: the notification's history,
headers, then content; the lease and cursor counted in; the event in and out."""
UNMATCHED_MAIL = Operations(
    gmail={"history.list": 1, "messages.get": 1},
    reads=6,
    writes=3,
    messages=2,
    secret_reads=1,
    calls=1,
    seconds=0.5,
)
"""One mail that is not: its decision is all that is written."""
SENT_MAIL = Operations(
    gmail={"drafts.create": 1, "drafts.send": 1, "history.list": 1, "messages.get": 2},
    reads=27,
    writes=18,
    deletes=2,
    messages=8,
    secret_reads=2,
    calls=3,
    seconds=2.5,
)
"""One individual mail of the CRM, with its Sent copy that comes back."""
IDLE_MAILBOX_DAY = Operations(
    gmail={"watch": 1, "history.list": 24, "getProfile": 25},
    reads=20,
    writes=39,
    messages=50,
    secret_reads=25,
    calls=25,
    seconds=0.4,
)
"""A day of a mailbox in which nothing happens: one renewal and a sweep each hour."""

SCHEDULE_DAY = Operations(messages=392, reads=4_160, writes=96, calls=193, seconds=1.0)
"""A day of the clock, whatever the number of mailboxes."""


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices in USD."""

    read: float = 0.03 / 100_000
    write: float = 0.09 / 100_000
    delete: float = 0.01 / 100_000
    message: float = 40 / 1024**4 * 1_000
    """A message counts as 1,000 bytes at least."""
    secret_read: float = 0.03 / 10_000
    secret_month: float = 0.06
    call: float = 0.40 / 1_000_000
    second: float = 0.000024 + 0.5 * 0.0000025
    """One CPU and 512 MiB, billed while a call is answered."""
    stored_gib_month: float = 0.15
    """Firestore; a blob is a seventh of that."""


def cost(operations: Operations, prices: Prices) -> float:
    """USD of one happening, without storage."""
    return (
        operations.reads * prices.read
        + operations.writes * prices.write
        + operations.deletes * prices.delete
        + operations.messages * prices.message
        + operations.secret_reads * prices.secret_read
        + operations.calls * (prices.call + operations.seconds * prices.second)
    )


def table(prices: Prices | None = None) -> str:
    """The table of docs/deploy.md, in Markdown."""
    at = prices or Prices()
    idle_month = 30 * cost(IDLE_MAILBOX_DAY, at) + at.secret_month
    rows = [
        ("1,000 mails that are recorded", MATCHED_MAIL, 1_000 * cost(MATCHED_MAIL, at)),
        ("1,000 mails that are not", UNMATCHED_MAIL, 1_000 * cost(UNMATCHED_MAIL, at)),
        ("1,000 mails that the CRM sends", SENT_MAIL, 1_000 * cost(SENT_MAIL, at)),
        ("an idle mailbox, a month", IDLE_MAILBOX_DAY, idle_month),
        ("the schedule, a month", SCHEDULE_DAY, 30 * cost(SCHEDULE_DAY, at)),
    ]
    lines = [
        "| what | Gmail units each | Firestore reads, writes each | USD |",
        "| --- | --- | --- | --- |",
    ]
    for name, operations, usd in rows:
        each = f"{operations.reads}, {operations.writes}"
        lines.append(f"| {name} | {operations.units} | {each} | {usd:.2f} |")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    sys.stdout.write(table() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
