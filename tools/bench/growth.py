"""What grows with a deployment, and what a mail costs then: it should stay the same."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from shared.core.ids import ContactId, UserId, gmail_thread_key, mailbox_id
from shared.ports import Event, Put, Query, Write
from shared.repositories import paths
from shared.repositories.directory import ContactToWrite, MemberToWrite
from shared.services.syncing.sync import MailboxChanged
from tools.bench.cast import ME, SUBACCOUNT, USER, Writer, address, connect, set_up
from tools.bench.stage import Environment, InMemory, OnEmulators, Stage
from tools.metered import MeteredDocuments, Usage

_BURST = 25
_BURSTS = 3
_WRITES = 500
"""Firestore takes so many in one commit."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a mail costs at one size; calls and documents are means."""

    what: str
    size: int
    stage: str
    per_second: float
    cpu_ms: float
    gmail_calls: float
    firestore_calls: float
    reads: float
    writes: float


class Probe:
    """The product on a stage whose calls are counted."""

    def __init__(self, environment: Environment) -> None:
        """Set up a mailbox with a few contacts."""
        plain = environment.stage()
        self.meter = MeteredDocuments(plain.outside.documents)
        self.stage = replace(
            plain, outside=replace(plain.outside, documents=self.meter)
        )
        self.services = set_up(self.stage)
        self.writer = Writer()
        self._deliveries = 0

    def arrive(self, mails: list[bytes], mailbox: str = ME) -> bytes:
        """Let mail come; returns the notification that covers all of it."""
        self.stage.post.hints()
        self.stage.post.arrive(mails, mailbox)
        return self.stage.post.hints()[-1]

    def handle(self, hint: bytes) -> float:
        """Let the product act; returns the seconds."""
        self._deliveries += 1
        change = MailboxChanged.from_push(Event(hint))
        began = time.perf_counter()
        self.services.sync.notified(change, f"m{self._deliveries}")
        return time.perf_counter() - began

    def point(
        self, what: str, size: int, groups: Callable[[], Iterator[tuple[bytes, int]]]
    ) -> Point:
        """Handle notifications of so many mails each, and say what a mail costs."""
        usage, calls = self.meter.usage, len(self.stage.post.calls())
        seconds, cpu, total = [], 0.0, 0
        for hint, mails in groups():
            began = time.process_time()
            seconds.append(self.handle(hint) / mails)
            cpu += time.process_time() - began
            total += mails
        spent: Usage = self.meter.usage - usage
        asked = self.stage.post.calls()[calls:]
        return Point(
            what,
            size,
            self.stage.name,
            1 / statistics.median(seconds),
            1000 * cpu / total,
            # A batch is one call on the wire, and a call for each message in it.
            len([item for item in asked if item.startswith("gmail.")]) / total,
            (spent.gets + spent.queries + spent.commits) / total,
            spent.reads / total,
            (spent.writes + spent.deletes) / total,
        )

    def bursts(self, reply_to: str | None = None) -> Iterator[tuple[bytes, int]]:
        """Mail from contacts, or from one contact in one thread."""
        for _ in range(_BURSTS):
            mails = (
                self.writer.mails(_BURST)
                if reply_to is None
                else [self.writer.mail(address(0), reply_to) for _ in range(_BURST)]
            )
            yield self.arrive(mails), _BURST


def contacts(environment: Environment, size: int) -> Point:
    """Mail in a subaccount with so many contacts."""
    probe = Probe(environment)
    probe.handle(probe.arrive(probe.writer.mails(1)))
    _fill(probe.stage, _contacts(size))
    return probe.point("contacts of the subaccount", size, probe.bursts)


def mailboxes(environment: Environment, size: int) -> Point:
    """A mail for each of so many mailboxes, a user's own each."""
    probe = Probe(environment)
    directory = probe.services.directory
    people = [(UserId(f"u{n}"), f"rep{n}@ours.example") for n in range(size)]
    for number, (user, mailbox) in enumerate(people):
        member = MemberToWrite(user, user, mailbox, mailbox, ())
        directory.put_member(SUBACCOUNT, member)
        some = (f"own{number}@client.example",)
        own = ContactToWrite(ContactId(f"o{number}"), "Ann", some, some, user, None)
        directory.put_contact(SUBACCOUNT, own)
        connect(probe.stage, probe.services, user, mailbox)

    def groups() -> Iterator[tuple[bytes, int]]:
        for number, (_, mailbox) in enumerate(people * max(1, 20 // size)):
            sender = f"own{number % size}@client.example"
            yield probe.arrive([probe.writer.mail(sender)], mailbox), 1

    return probe.point("mailboxes with notifications", size, groups)


def thread(environment: Environment, size: int) -> Point:
    """Answers in a thread that has so many messages."""
    probe = Probe(environment)
    first = probe.writer.mail(address(0))
    probe.handle(probe.arrive([first]))
    beginning = "<mail-1@client.example>"
    for start in range(1, size, _BURST):
        some = range(start, min(start + _BURST, size))
        mails = [probe.writer.mail(address(0), beginning) for _ in some]
        probe.handle(probe.arrive(mails))
    return probe.point("messages in the thread", size, lambda: probe.bursts(beginning))


def conversation(environment: Environment, size: int) -> Point:
    """Mail of a contact whose conversation has so many messages, a thread each."""
    probe = Probe(environment)
    probe.handle(probe.arrive([probe.writer.mail(address(0))]))
    _fill(probe.stage, _copies(probe.stage, size))

    def groups() -> Iterator[tuple[bytes, int]]:
        for _ in range(_BURSTS):
            mails = [probe.writer.mail(address(0)) for _ in range(_BURST)]
            yield probe.arrive(mails), _BURST

    return probe.point("messages in the conversation", size, groups)


def _contacts(size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(size):
        address, name = f"p{number}@many.example", f"p{number}"
        yield (
            paths.contact(SUBACCOUNT, ContactId(name)),
            {"name": name, "emails": [address], "assigned_to": USER},
        )
        entry = {"created_at": 1, "assigned_to": USER, "emails": [address]}
        yield paths.address(SUBACCOUNT, address), {"contacts": {name: entry}}


def _copies(stage: Stage, size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The message that is recorded, and its thread, so many times."""
    documents = stage.outside.documents
    message = documents.query(Query(paths.messages(SUBACCOUNT)))[0].data
    threads = paths.threads(SUBACCOUNT)
    own = documents.query(Query(threads))[0].data
    for number in range(size):
        name = f"copy{number}"
        yield (
            f"{paths.messages(SUBACCOUNT)}/{name}",
            {**message, "thread": name, "sent_at": message["sent_at"] - number},
        )
        key = gmail_thread_key(mailbox_id(ME), name)  # type: ignore[arg-type]
        yield f"{threads}/{name}", {**own, "gmail_threads": [key]}


def _fill(stage: Stage, documents: Iterator[tuple[str, dict[str, Any]]]) -> None:
    """Put documents into the store, not counted."""
    store = stage.outside.documents.inner
    if hasattr(store, "load"):
        store.load(documents)
        return
    some: list[Write] = []
    for path, data in documents:
        some.append(Put(path, data))
        if len(some) == _WRITES:
            store.commit(some)
            some = []
    if some:
        store.commit(some)


def measure(
    memory: InMemory,
    emulators: OnEmulators | None,
    say: Callable[[str], None],
    *,
    quick: bool,
) -> list[Point]:
    """All sizes. A million contacts and a thousand mailboxes are in memory."""
    sizes = (10, 1_000, 10_000) if quick else (10, 1_000, 100_000, 1_000_000)
    plan: list[
        tuple[Callable[[Environment, int], Point], Environment, tuple[int, ...]]
    ] = [
        (contacts, memory, sizes),
        (mailboxes, memory, (1, 20) if quick else (1, 100, 1_000)),
        (thread, memory, (1, 100) if quick else (1, 100, 1_000)),
    ]
    if emulators is not None:
        plan.append((contacts, emulators, (10, 1_000) if quick else (10, 10_000)))
        plan.append((conversation, emulators, (1, 1_000) if quick else (1, 3_000)))
    points = []
    for measured, environment, wanted in plan:
        for size in wanted:
            points.append(measured(environment, size))
            last = points[-1]
            say(f"{last.what}, {size:,} ({last.stage}): {last.per_second:.0f} mails/s")
    return points
