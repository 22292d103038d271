"""What the daily renewal costs, counted on in-memory gateways and extrapolated.

    python -m tools.renewal_figures 5000 > docs/renewal-figures.md

Every call is counted exactly; time is simulated: each call takes what LATENCY says, so
the figures are the same on every machine.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.ids import HistoryId, UserId, mailbox_id
from shared.core.syncing.watches import SHARDS
from shared.core.syncing.work import Work, work_from
from shared.gateways.memory import MemoryDocuments, MemorySecrets, MemoryTopics
from shared.ports import Create, Event, GmailProfile, Query, SendAs, Watch
from shared.repositories import paths
from shared.repositories.mailboxes import Mailbox, to_document
from shared.repositories.outbox import Outbox
from shared.repositories.work_queue import WorkQueue
from shared.services.connecting.accounts import Accounts, token_secret
from shared.services.connecting.renaming import Renaming
from shared.services.syncing.watches import Watches
from tools.costs import GMAIL_UNITS

LATENCY = {
    "gmail.watch": 0.30,
    "gmail.send_as": 0.15,
    "gmail.profile": 0.10,
    "oauth.token": 0.15,
    "secret.read": 0.05,
    "firestore.get": 0.02,
    "firestore.query": 0.05,
    "firestore.commit": 0.05,
    "pubsub.publish": 0.05,
}
"""Seconds that a call takes: cautious round figures for one region, not measured."""

UNITS = {"gmail.watch": GMAIL_UNITS["watch"], "gmail.send_as": 5, "gmail.profile": 1}
PROJECT_UNITS_PER_MINUTE = 1_200_000
MILLION = 1_000_000


@dataclass
class Bill:
    """Calls so far, and the clock that they move."""

    at: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    calls: Counter[str] = field(default_factory=Counter)
    read: int = 0
    written: int = 0

    def now(self) -> datetime:
        """The simulated moment."""
        return self.at

    def charge(self, call: str) -> None:
        """Count a call and let its time pass."""
        self.calls[call] += 1
        self.at += timedelta(seconds=LATENCY[call])


@dataclass(frozen=True)
class Figures:
    """What one daily renewal cost. Durations in seconds."""

    mailboxes: int
    renewed: int
    calls: Counter[str]
    documents_read: int
    documents_written: int
    runs: int
    longest_run: float
    longest_chain: float
    units: int


class _Documents:
    """Memory documents on the bill."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill
        self._inner = MemoryDocuments()

    def get(self, wanted: Any) -> Any:
        self._bill.charge("firestore.get")
        self._bill.read += len(wanted)
        return self._inner.get(wanted)

    def query(self, query: Query) -> Any:
        self._bill.charge("firestore.query")
        found = self._inner.query(query)
        self._bill.read += max(1, len(found))
        return found

    def commit(self, writes: Any) -> Any:
        self._bill.charge("firestore.commit")
        self._bill.written += len(writes)
        return self._inner.commit(writes)


class _Google:
    """Gmail that always renews; a stand-in for latency and counting."""

    scopes: tuple[str, ...] = ()

    def __init__(self, bill: Bill) -> None:
        self._bill = bill

    def gmail(self, token: str) -> Any:
        self._bill.charge("secret.read")
        self._bill.charge("oauth.token")
        return _Gmail(self._bill, token)


class _Gmail:
    def __init__(self, bill: Bill, address: str) -> None:
        self._bill = bill
        self._address = address

    def watch(self, _topic: str) -> Watch:
        self._bill.charge("gmail.watch")
        return Watch(HistoryId("9"), self._bill.now() + timedelta(days=7))

    def profile(self) -> GmailProfile:
        self._bill.charge("gmail.profile")
        return GmailProfile(self._address, HistoryId("9"))

    def send_as(self) -> tuple[SendAs, ...]:
        self._bill.charge("gmail.send_as")
        return (SendAs(self._address),)


class _NoDirectory:
    def add_internal_addresses(self, user: UserId, addresses: Any) -> None:
        """Nothing is new here."""


class _Gateways:
    def __init__(self, google: Any) -> None:
        self.google = google


def measure(mailboxes: int) -> Figures:
    """Renew so many mailboxes once, as the daily job does."""
    bill = Bill()
    documents: Any = _Documents(bill)
    secrets = MemorySecrets()
    _fill(documents, secrets, mailboxes, bill.now())
    waiting: deque[Work] = deque()

    def publish(_topic: str, event: Event) -> None:
        bill.charge("pubsub.publish")
        waiting.append(work_from(event.data))

    topics = MemoryTopics(publish)
    gateways: Any = _Gateways(_Google(bill))
    outbox = Outbox(documents, topics, "p")
    accounts = Accounts(documents, secrets, gateways, outbox, bill)
    queue, nobody = WorkQueue(topics), _NoDirectory()
    renaming = Renaming(documents, accounts, nobody, outbox, queue, bill)
    watches = Watches(documents, accounts, nobody, renaming, queue, bill, str)
    bill.at += timedelta(days=1)
    bill.calls.clear()
    bill.read = bill.written = 0
    watches.renew_all()
    runs, longest, chains = 1, 0.0, Counter[int]()
    while waiting:
        item = waiting.popleft()
        shard, began = item.number("shard"), bill.now()
        after = item.text("after") if item.has("after") else None
        watches.renew_shard(shard, item.number("started"), after)
        took = (bill.now() - began).total_seconds()
        runs, longest = runs + 1, max(longest, took)
        chains[shard] += round(took * 1000)
    return Figures(
        mailboxes=mailboxes,
        renewed=bill.calls["gmail.watch"],
        calls=bill.calls,
        documents_read=bill.read,
        documents_written=bill.written,
        runs=runs,
        longest_run=longest,
        longest_chain=max(chains.values()) / 1000,
        units=sum(UNITS[name] * bill.calls[name] for name in UNITS),
    )


def _fill(documents: Any, secrets: MemorySecrets, mailboxes: int, at: datetime) -> None:
    moment = int(at.timestamp() * 1000)
    for number in range(mailboxes):
        address = f"rep{number}@ours.example"
        mailbox = Mailbox(
            id=mailbox_id(address),
            address=address,
            google_sub=str(number),
            cursor=HistoryId("1"),
            aliases=(address,),
            users={UserId(f"u{number}"): moment},
            watch_expires_at=moment + 7 * 86400 * 1000,
            watch_renewed_at=moment,
        )
        documents.commit([Create(paths.mailbox(mailbox.id), to_document(mailbox))])
        secrets.write(token_secret(mailbox.id), address.encode())


def report(figures: Figures) -> str:
    """The figures as a page, with a million beside them."""
    factor = MILLION / figures.mailboxes
    chain = figures.longest_chain * factor / 3600
    minutes = figures.longest_chain / 60
    rate = SHARDS * figures.units / figures.renewed
    rate *= 60 / (sum(LATENCY.values()) - LATENCY["firestore.query"])
    counted = {
        **dict(sorted(figures.calls.items())),
        "documents read": figures.documents_read,
        "documents written": figures.documents_written,
        "Gmail units": figures.units,
    }
    rows = "\n".join(
        f"| {name} | {count:,} | {count / figures.mailboxes:.3f} | "
        f"{count * factor:,.0f} |"
        for name, count in counted.items()
    )
    return f"""\
# What the daily renewal of watches costs

Made by `python -m tools.renewal_figures {figures.mailboxes}`: calls are counted
exactly on the in-memory gateways; time is simulated from assumed latencies
(`LATENCY` in that module), because Google's own can't be measured here.

| call | {figures.mailboxes:,} mailboxes | per mailbox | 1,000,000 mailboxes |
| --- | ---: | ---: | ---: |
{rows}

- Renewed: {figures.renewed:,} of {figures.mailboxes:,}, each once.
- Function runs: {figures.runs:,}; the longest took {figures.longest_run:.1f} s; a
  function has 120 s. With 1,000,000 mailboxes the runs get more, not longer.
- {SHARDS} chains run side by side. The longest took {minutes:.1f} min
  here, and would take {chain:.1f} h with 1,000,000 mailboxes: the whole renewal ends on
  the same day, with six days in hand.
- Quota while it runs: at most {rate:,.0f} units a minute, \
{rate / PROJECT_UNITS_PER_MINUTE:.0%} of the project's {PROJECT_UNITS_PER_MINUTE:,}.
"""


if __name__ == "__main__":
    print(report(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)), end="")
