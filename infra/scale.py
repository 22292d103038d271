"""What many mailboxes cost, and which limit bites first: the tables of docs/scale.md.

python -m infra.scale

Pure arithmetic: the operations of `infra.costs` (measured), times what one mailbox does
in a day (assumed, `Mailbox`), held against limits from outside (`limits`). A busy
mailbox is counted as if it were swept too, and each change as a notification of its own,
so load is rather over- than understated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra import costs
from infra.costs import Operations
from shared.core.watches import SHARDS

SIZES = (1_000, 100_000, 10_000_000)
MONTH_DAYS = 30
SECRET_WRITES_PER_CONNECTION = 2
"""The secret and its version, `shared/gateways/secret_manager.py`."""
SECRET_WRITES_PER_MINUTE = 600
"""Secret Manager "Quotas and limits", read 2026-11."""
RENEWAL_SECONDS = 0.77
"""One mailbox in a chain: 32 chains at 261,818 units a minute and 105 units each
(docs/renewal-figures.md; simulated latencies)."""
LOG_GIB = 0.50
"""Cloud Logging "Pricing", read 2026-11: USD for a GiB taken in."""

GLANCE = Operations(
    gmail={"history.list": 1},
    reads=4,
    writes=2,
    messages=2,
    secret_reads=1,
    calls=1,
    seconds=0.4,
)
"""A notification without a new mail (mail was read, moved or labelled): a sweep's look,
which is the idle day of `infra.costs` divided by its 25 runs, rounded up."""
SECRETS_PER_RUN = 1
"""`Accounts.gmail` reads the token in each run; nothing keeps it. `infra.costs` has 0.2
for a mail, as if five came in one run, so this table counts runs instead."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """What one mailbox does on a working day: assumptions, none of them measured."""

    recorded: float = 10
    ignored: float = 30
    glances: float = 40
    sent: float = 2
    bcc: float = 0.5
    working_days: int = 22
    peak_hour: float = 0.15
    """Share of a working day's mail that comes in its busiest hour."""
    kept_kib: float = 30
    """A recorded mail in Firestore, its indexes included."""
    log_kib: float = 1
    """What one run logs."""

    def day(self) -> list[tuple[float, Operations, int]]:
        """How often what happens, and in how many runs that open the mailbox."""
        return [
            (self.recorded + self.bcc, costs.MATCHED_MAIL, 1),
            (self.ignored, costs.UNMATCHED_MAIL, 1),
            (self.glances, GLANCE, 1),
            (self.sent, costs.SENT_MAIL, 2),
        ]

    def total(self, of: Callable[[Operations], float]) -> float:
        """A figure over a working day's mail."""
        return sum(count * of(one) for count, one, _ in self.day())

    def peak(self, of: Callable[[Operations], float]) -> float:
        """The same in a second of the busiest hour."""
        return self.total(of) * self.peak_hour / 3600

    @property
    def runs(self) -> float:
        """Runs of a working day that read the mailbox's token, without sweeps."""
        return sum(count * SECRETS_PER_RUN * runs for count, _, runs in self.day())


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and what one mailbox takes of it."""

    name: str
    most: float
    unit: str
    each: float
    source: str

    @property
    def bites_at(self) -> int:
        """The number of mailboxes that reach it."""
        return int(self.most / self.each)


SLOTS = 20 * 4
"""infra/terraform/functions.tf: instances of a function times calls in one of them."""
SEQUENTIAL = 500
"""Writes a second to a collection whose indexed field grows with time."""
OUTBOX_TOUCHES = 2
"""An event is created and, once published, deleted: both at the index's hot end."""
SEND_TOUCHES = 4
"""Queued, claimed, sending, done: each rewrites a time of the send."""
QUIET_TOUCHES = 2
"""The push, then the success, each move `quiet_since`."""


def limits(one: Mailbox) -> list[Limit]:
    """Every limit that grows nearer with each mailbox, the first to bite first."""
    idle = costs.IDLE_MAILBOX_DAY
    second = one.peak_hour / 3600
    index = "Firestore, best practices, 2026-11"
    ours = "infra/terraform/functions.tf"
    quota = "Gmail API, usage limits, 2026-11"
    units = one.total(lambda op: op.units)
    reading = one.peak(lambda op: op.calls * op.seconds)
    reading -= one.sent * costs.SENT_MAIL.calls * costs.SENT_MAIL.seconds * second
    sending = one.sent * costs.SENT_MAIL.seconds * second
    found = [
        Limit("Gmail: free units of a day", 80_000_000, "units a day",
              units + idle.units, quota),
        Limit("Gmail: units of the project", 1_200_000, "units a minute",
              units * second * 60 + idle.units / 1440, quota),
        Limit("`inbound`: 20 instances × 4 calls", SLOTS, "calls at once",
              reading, ours),
        Limit("`outbound`: 20 instances × 4 calls", SLOTS, "calls at once",
              sending, ours),
        # A sweep finds a quarter of what an hour has made silent, four times an hour.
        Limit("`work`: a sweep ends before the next", SLOTS * 900, "seconds of work",
              idle.seconds / 4, ours),
        Limit("the daily renewal ends in a day", SHARDS * 86_400, "seconds of chains",
              RENEWAL_SECONDS, "docs/renewal-figures.md"),
        # One holder at a time reads it, one mail after the other.
        Limit("the one logging mailbox (BCC)", 60 / costs.MATCHED_MAIL.seconds,
              "mails a minute", one.bcc * second * 60, "lease, infra/costs.py"),
        Limit("Secret Manager: accesses", 90_000, "a minute",
              one.runs * second * 60 + idle.secret_reads / 1440,
              "Secret Manager, quotas, 2026-11"),
        Limit("index of `decisions.decided_at`", SEQUENTIAL, "writes a second",
              one.ignored * second, index),
        Limit("index of `outbox.at`", SEQUENTIAL, "writes a second",
              one.peak(lambda op: op.deletes * OUTBOX_TOUCHES), index),
        Limit("indexes of `sends` (`look_at` and others)", SEQUENTIAL,
              "writes a second", one.sent * SEND_TOUCHES * second, index),
        Limit(f"index of `shard, quiet_since` ({SHARDS} ends)", SEQUENTIAL * SHARDS,
              "writes a second", one.runs * QUIET_TOUCHES * second, index),
        # Published and delivered are counted: half of them are deliveries of 1 kB.
        Limit("Pub/Sub: push, 20 MB a second", 20_000, "messages a second",
              one.peak(lambda op: op.messages / 2),
              "lowest default found, not confirmed"),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.bites_at)


def bill(one: Mailbox, prices: costs.Prices | None = None) -> dict[str, float]:
    """USD that one mailbox costs a month, by part; the first year's mail is kept."""
    at = prices or costs.Prices()
    idle = costs.IDLE_MAILBOX_DAY

    def month(of: Callable[[Operations], float]) -> float:
        return one.working_days * one.total(of) + MONTH_DAYS * of(idle)

    runs = month(lambda op: op.calls)
    accesses = one.working_days * one.runs + MONTH_DAYS * idle.secret_reads
    # A decision is deleted after 30 days, which Firestore charges for.
    expired = one.working_days * one.ignored * at.delete
    year = 12 * one.working_days * (one.recorded + one.sent + one.bcc)
    return {
        "Firestore: reads, writes, deletes": expired
        + month(
            lambda op: (
                op.reads * at.read + op.writes * at.write + op.deletes * at.delete
            )
        ),
        "functions": month(lambda op: op.calls * (at.call + op.seconds * at.second)),
        "a secret for each mailbox": at.secret_month,
        "secrets read": accesses * at.secret_read,
        "Pub/Sub": month(lambda op: op.messages) * at.message,
        "logs": runs * one.log_kib / 1024**2 * LOG_GIB,
        "mail of a year": year * one.kept_kib / 1024**2 * at.stored_gib_month,
    }


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(first: str, *others: str) -> Iterator[str]:
    yield _row(first, *others)
    yield _row("---", *("---:" for _ in others))


def assumptions(one: Mailbox) -> Iterator[str]:
    """The table of what one mailbox is thought to do."""
    yield from _head("one mailbox, on a working day", "assumed")
    yield _row("mails that are recorded", f"{one.recorded:g}")
    yield _row("mails that are not", f"{one.ignored:g}")
    yield _row("other changes that Gmail announces", f"{one.glances:g}")
    yield _row("mails that the CRM sends", f"{one.sent:g}")
    yield _row("of which by BCC, at the logging mailbox", f"{one.bcc:g}")
    yield _row("share of the busiest hour", f"{one.peak_hour:.0%}")
    yield _row("working days a month", one.working_days)
    yield _row("KiB kept of a recorded mail; logged by a run",
               f"{one.kept_kib:g}; {one.log_kib:g}")  # fmt: skip


def costs_table(one: Mailbox) -> Iterator[str]:
    """The table of USD a month, by part and number of mailboxes."""
    yield from _head("USD a month", *(f"{size:,}" for size in SIZES))
    parts = bill(one)
    for name, usd in sorted(parts.items(), key=lambda part: -part[1]):
        yield _row(name, *(f"{usd * size:,.0f}" for size in SIZES))
    clock = MONTH_DAYS * costs.cost(costs.SCHEDULE_DAY, costs.Prices())
    each = sum(parts.values())
    yield _row("all, with the schedule", *(f"{clock + each * n:,.0f}" for n in SIZES))


def limits_table(one: Mailbox) -> Iterator[str]:
    """The table of limits, the first to bite first."""
    yield from _head("limit", "most", *(f"{size:,}" for size in SIZES), "bites at",
                     "from")  # fmt: skip
    for limit in limits(one):
        used = (f"{limit.each * size / limit.most:,.1%}" for size in SIZES)
        # Two figures: the assumptions bear no more.
        bites = f"{float(f'{limit.bites_at:.2g}'):,.0f}"
        yield _row(limit.name, f"{limit.most:,.0f} {limit.unit}", *used, bites,
                   limit.source)  # fmt: skip


def document(one: Mailbox | None = None) -> str:
    """The tables of docs/scale.md, in Markdown."""
    mailbox = one or Mailbox()
    tables = (assumptions(mailbox), costs_table(mailbox), limits_table(mailbox))
    return "\n\n".join("\n".join(table) for table in tables)


def main() -> int:
    """Print the tables."""
    sys.stdout.write(document() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
