"""What many mailboxes cost, and which limit bites first: the tables of docs/scale.md.

python -m tools.scale

The operations of `tools.costs` times what one mailbox does in a day (assumed in
`Mailbox`), held against limits from outside (`limits`). A busy mailbox is counted as if
it were swept too, and each change as a notification of its own: rather too much.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.core.syncing.watches import SHARDS
from tools import costs
from tools.costs import Operations

SIZES = (1_000, 100_000, 10_000_000)
MONTH_DAYS = 30
WORDS = ("most", "from")  # columns that hold no numbers
# 32 chains, 261,818 units a minute, 105 each (docs/renewal-figures.md, simulated).
RENEWAL_SECONDS = 0.77
LOG_GIB = 0.50  # USD for a GiB taken in: Cloud Logging "Pricing", read 2026-11

LOOK = {"history.list": 1}
GLANCE = Operations(LOOK, reads=1, writes=2, messages=2, calls=1, seconds=0.4)
"""A notification without a new mail (mail was read, moved or labelled): a sweep's look,
which is the idle day of `tools.costs` divided by its 25 runs, rounded up."""
SECRETS_PER_RUN = 1
"""`Accounts.gmail` reads the token in each run; nothing keeps it. `tools.costs` has 0.2
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
    peak_hour: float = 0.15  # share of a day's mail that comes in its busiest hour
    kept_kib: float = 30  # of a recorded mail in Firestore, its indexes included
    log_kib: float = 1  # of one run

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
        return sum(count * of(operations) for count, operations, _ in self.day())

    def peak(self, of: Callable[[Operations], float]) -> float:
        """The same in a second of the busiest hour."""
        return self.total(of) * self.peak_hour / 3600

    @property
    def runs(self) -> float:
        """Runs of a working day that open a mailbox, without sweeps."""
        return sum(count * runs for count, _, runs in self.day())


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


SLOTS = 20 * 4  # instances, and calls in each: infra/terraform/functions.tf
SEQUENTIAL = 500  # writes a second where an index grows with time; a cold load's first
OUTBOX_TOUCHES = 2  # created, then deleted, both at the index's hot end
SEND_TOUCHES = 4  # queued, claimed, sending, done: each rewrites a time of the send
QUIET_TOUCHES = 2  # the push, then the success, each move `quiet_since`


def reading_seconds(mailbox: Mailbox) -> float:
    """Seconds in which `inbound` works for a mailbox in a day; Sent copies too."""
    mails = (mailbox.recorded + mailbox.sent) * costs.MATCHED_MAIL.seconds
    mails += mailbox.ignored * costs.UNMATCHED_MAIL.seconds
    return mails + mailbox.glances * GLANCE.seconds


def limits(mailbox: Mailbox) -> list[Limit]:
    """Every limit that grows nearer with each mailbox, the first to bite first."""
    idle = costs.IDLE_MAILBOX_DAY
    second = mailbox.peak_hour / 3600
    index = "Firestore, best practices, 2026-11"
    ours = "infra/terraform/functions.tf"
    quota = "Gmail API, usage limits, 2026-11"
    units = mailbox.total(lambda op: op.units)
    events = mailbox.recorded + mailbox.bcc + mailbox.sent  # one each
    found = [
        Limit("Gmail: free units of a day", 80_000_000, "units a day",
              units + idle.units, quota),
        Limit("Gmail: units of the project", 1_200_000, "units a minute",
              units * second * 60 + idle.units / 1440, quota),
        Limit("`inbound`: 20 instances of 4 calls", SLOTS, "calls at once",
              reading_seconds(mailbox) * second, ours),
        Limit("`outbound`: 20 instances of 4 calls", SLOTS, "calls at once",
              mailbox.sent * costs.SENT_MAIL.seconds * second, ours),
        # A sweep finds a quarter of what an hour has made silent, four times an hour.
        Limit("`work`: a sweep ends before the next", SLOTS * 900, "seconds of work",
              idle.seconds / 4, ours),
        Limit("the daily renewal ends in a day", SHARDS * 86_400, "seconds of chains",
              RENEWAL_SECONDS, "docs/renewal-figures.md"),
        # One holder at a time reads it, one mail after the other.
        Limit("the one logging mailbox (BCC)", 60 / costs.MATCHED_MAIL.seconds,
              "mails a minute", mailbox.bcc * second * 60, "`tools.costs`, its lease"),
        Limit("Secret Manager: accesses", 90_000, "a minute",
              mailbox.runs * SECRETS_PER_RUN * second * 60 + idle.secret_reads / 1440,
              "Secret Manager, quotas, 2026-11"),
        Limit("index of `outbox.at`", SEQUENTIAL, "writes a second",
              events * OUTBOX_TOUCHES * second, index),
        Limit("indexes of `sends` (`look_at` and others)", SEQUENTIAL,
              "writes a second", mailbox.sent * SEND_TOUCHES * second, index),
        Limit(f"index of `shard, quiet_since` ({SHARDS} ends)", SEQUENTIAL * SHARDS,
              "writes a second", mailbox.runs * QUIET_TOUCHES * second, index),
        # Published and delivered are counted: half of them are deliveries of 1 kB.
        Limit("Pub/Sub: push, 20 MB a second", 20_000, "messages a second",
              mailbox.peak(lambda op: op.messages / 2),
              "lowest default found, not confirmed"),
    ]  # fmt: skip
    return sorted(found, key=lambda limit: limit.bites_at)


def bill(mailbox: Mailbox) -> dict[str, float]:
    """USD that one mailbox costs a month, by part; the first year's mail is kept."""
    at, days, idle = costs.Prices(), mailbox.working_days, costs.IDLE_MAILBOX_DAY

    def month(of: Callable[[Operations], float]) -> float:
        return days * mailbox.total(of) + MONTH_DAYS * of(idle)

    accesses = days * mailbox.runs * SECRETS_PER_RUN + MONTH_DAYS * idle.secret_reads
    # A decision is deleted after 30 days, which Firestore charges for.
    expired = days * mailbox.ignored * at.delete
    logged = month(lambda op: op.calls) * mailbox.log_kib / 1024**2
    kept = (
        12
        * days
        * (mailbox.recorded + mailbox.sent + mailbox.bcc)
        * mailbox.kept_kib
        / 1024**2
    )
    documents = month(lambda op: op.reads) * at.read
    documents += month(lambda op: op.writes) * at.write
    documents += month(lambda op: op.deletes) * at.delete
    return {
        "Firestore: reads, writes, deletes": documents + expired,
        "functions": month(lambda op: op.calls * (at.call + op.seconds * at.second)),
        "a secret for each mailbox": at.secret_month,
        "secrets read": accesses * at.secret_read,
        "Pub/Sub": month(lambda op: op.messages) * at.message,
        "logs": logged * LOG_GIB,
        "a year's mail, kept": kept * at.stored_gib_month,
    }


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _head(first: str, *others: str) -> Iterator[str]:
    yield _row(first, *others)
    yield _row("---", *("---" if item in WORDS else "---:" for item in others))


def assumptions(mailbox: Mailbox) -> Iterator[str]:
    """The table of what one mailbox is thought to do."""
    yield from _head("one mailbox, on a working day", "assumed")
    yield _row("mails that are recorded", f"{mailbox.recorded:g}")
    yield _row("mails that are not", f"{mailbox.ignored:g}")
    yield _row("other changes that Gmail announces", f"{mailbox.glances:g}")
    yield _row("mails that the CRM sends", f"{mailbox.sent:g}")
    yield _row("copies that reach the logging mailbox (BCC)", f"{mailbox.bcc:g}")
    yield _row("share of the busiest hour", f"{mailbox.peak_hour:.0%}")
    yield _row("working days a month", mailbox.working_days)
    yield _row(
        "KiB kept of a mail, logged by a run",
        f"{mailbox.kept_kib:g}, {mailbox.log_kib:g}",
    )


def costs_table(mailbox: Mailbox) -> Iterator[str]:
    """The table of USD a month, by part and number of mailboxes."""
    yield from _head("USD a month", *(f"{size:,}" for size in SIZES))
    parts = bill(mailbox)
    for name, usd in sorted(parts.items(), key=lambda part: -part[1]):
        yield _row(name, *(f"{usd * size:,.0f}" for size in SIZES))
    clock = MONTH_DAYS * costs.cost(costs.SCHEDULE_DAY, costs.Prices())
    each = sum(parts.values())
    yield _row("all, with the schedule", *(f"{clock + each * n:,.0f}" for n in SIZES))


def load_table(mailbox: Mailbox) -> Iterator[str]:
    """The table of what comes in a second of the busiest hour."""
    yield from _head("in the busiest hour", *(f"{size:,}" for size in SIZES))
    documents = mailbox.peak(lambda op: op.reads + op.writes + op.deletes)
    for name, each in (
        ("deliveries of Pub/Sub a second", mailbox.peak(lambda op: op.messages / 2)),
        (
            "`inbound` calls at once",
            reading_seconds(mailbox) * mailbox.peak_hour / 3600,
        ),
        ("Firestore operations a second", documents),
    ):
        yield _row(name, *(f"{each * size:,.0f}" for size in SIZES))
    ramps = (ramp_minutes(documents * size) for size in SIZES)
    yield _row("minutes to get there by 500/50/5", *ramps)


def ramp_minutes(operations: float) -> int:
    """500 a second at first, then half as much again every five minutes (Firestore)."""
    return 5 * max(0, math.ceil(math.log(max(operations, 1) / SEQUENTIAL, 1.5)))


def limits_table(mailbox: Mailbox) -> Iterator[str]:
    """The table of limits, the first to bite first."""
    sizes = (f"{size:,}" for size in SIZES)
    yield from _head("limit", "most", *sizes, "bites at", "from")
    for limit in limits(mailbox):
        most = f"{limit.most:,.0f} {limit.unit}"
        shares = (limit.each * size / limit.most for size in SIZES)
        used = (f"**{of:,.1f} times**" if of > 1 else f"{of:.1%}" for of in shares)
        # Two figures: the assumptions bear no more.
        bites = f"{float(f'{limit.bites_at:.2g}'):,.0f}"
        yield _row(limit.name, most, *used, bites, limit.source)


def document() -> str:
    """The tables of docs/scale.md, in Markdown."""
    tables = (assumptions, costs_table, load_table, limits_table)
    return "\n\n".join("\n".join(table(Mailbox())) for table in tables)


if __name__ == "__main__":
    sys.stdout.write(document() + "\n")
