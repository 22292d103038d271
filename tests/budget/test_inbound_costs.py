"""What inbound sync costs, exactly: Gmail units and Firestore operations.

Costs are found as differences between runs, so a notification's own cost (lease, cursor,
who shares the mailbox) and that of one more message are told apart. README and
docs/deploy.md quote these numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.bounces import comes_back, postfix
from tests.support.system import System
from tools.metered import MeteredDocuments, Usage

ME = "rep@ours.example"
ADA = "ada@client.example"


def metered(contacts: int = 1) -> tuple[System, MeteredDocuments]:
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    # Straight into the store: the directory would take minutes for 100,000.
    for start in range(1, contacts, 250):
        some = range(start, min(start + 250, contacts))
        system.outside.documents.commit([item for n in some for item in _contact(n)])
    system.connect("u", ME)
    system.settle()
    meter = MeteredDocuments(system.outside.documents)
    system.outside.documents = meter
    system.restart()
    return system, meter


def _contact(n: int) -> list[object]:
    from shared.core.ids import ContactId, SubaccountId
    from shared.ports import Put
    from shared.repositories import paths

    s, address = SubaccountId("s"), f"p{n}@many.example"
    entry = {f"c{n}": {"created_at": 1, "assigned_to": "u", "emails": [address]}}
    return [
        Put(paths.contact(s, ContactId(f"c{n}")), {"name": "x", "emails": [address]}),
        Put(paths.address(s, address), {"contacts": entry}),
    ]


def cost(
    before: Callable[[System], object], work: Callable[[System], object]
) -> tuple[int, Usage]:
    """Gmail units and Firestore operations of what `work` brings about."""
    system, meter = metered()
    before(system)
    system.settle()
    usage = meter.usage
    units = system.units(
        lambda: (work(system), system.pushes_merged(), system.settle())
    )
    return units, meter.usage - usage


def nothing(_: System) -> None:
    return None


def arrive(system: System, sender: str, number: int) -> None:
    for n in range(number):
        system.arrives(sender, ME, f"mail {n}")


def marginal(sender: str, contacts: int = 1) -> tuple[int, Usage]:
    """What the 11th to 20th message of one notification add, a message each."""
    system, meter = metered(contacts)

    def notify(number: int) -> tuple[int, Usage]:
        before = meter.usage
        arrive(system, sender, number)
        system.pushes_merged()
        units = system.units(system.settle)
        return units, meter.usage - before

    ten, twenty = notify(10), notify(20)
    units, usage = twenty[0] - ten[0], twenty[1] - ten[1]
    assert units % 10 == 0
    assert usage.reads % 10 == 0
    assert usage.writes % 10 == 0
    return units // 10, Usage(
        reads=usage.reads // 10, writes=usage.writes // 10, deletes=usage.deletes // 10
    )


@pytest.mark.parametrize("contacts", [10, 100_000])
def test_a_matched_message_costs_40_units_1_read_and_5_writes(contacts: int) -> None:
    units, usage = marginal(ADA, contacts)
    assert units == 40
    # Its record; who the sender is was read once for the batch.
    assert (usage.reads, usage.writes, usage.deletes) == (1, 5, 1)


@pytest.mark.parametrize("contacts", [10, 100_000])
def test_an_unmatched_message_costs_20_units_and_its_decision(contacts: int) -> None:
    units, usage = marginal("eve@stranger.example", contacts)
    assert units == 20
    assert (usage.reads, usage.writes, usage.deletes) == (0, 1, 0)


def test_a_notification_with_one_matched_message() -> None:
    units, usage = cost(nothing, lambda s: s.arrives(ADA, ME))
    assert units == 42
    # 4 for the notification (mailbox, user, subaccount, membership), 3 for the message
    # (address, Gmail thread, record).
    assert usage.reads == 7
    # Lease, cursor with release; message, index, thread, conversation, event.
    assert usage.writes == 7
    assert usage.deletes == 1


def test_a_reply_costs_three_reads() -> None:
    """Address, In-Reply-To, record: its contact is known by its address."""
    first: list[str] = []

    def ask(system: System) -> None:
        first.append(system.arrives(ADA, ME, "Question"))

    def answer(system: System) -> None:
        system.arrives(ADA, ME, "Re: Question", reply_to=first[0])

    units, usage = cost(ask, answer)
    assert units == 42
    assert usage.reads == 4 + 3
    assert usage.writes == 2 + 5


def test_an_outbound_reply_costs_five_reads() -> None:
    """As an inbound one, and the thread: who has taken part in it (M10).

    And whether the CRM sent it: of mail from our side the Message-ID is looked up, as a
    copy of the CRM's mail may have lost our header (M9). Mail of contacts is spared.
    """
    first: list[str] = []

    def ask(system: System) -> None:
        first.append(system.arrives(ADA, ME, "Question"))

    def answer(system: System) -> None:
        system.sends(ME, ADA, "Re: Question", reply_to=first[0])

    units, usage = cost(ask, answer)
    assert units == 42
    assert usage.reads == 4 + 5
    assert usage.writes == 2 + 5


def test_s12_a_bounce_is_read_as_a_whole_and_adds_to_its_message() -> None:
    """Its headers, itself, and the report that Gmail keeps apart; nothing to record."""
    sent: list[str] = []

    def write(system: System) -> None:
        sent.append(f"<{system.sends(ME, ADA, 'Offer').rfc822_id}>")

    units, usage = cost(write, lambda s: comes_back(s, postfix(sent[0], ADA)))
    assert units == 2 + 20 + 20 + 20
    # The Message-ID, whose record it is, and the record as it is when it is changed.
    assert usage.reads == 4 + 3
    # The entry, its event, the decision.
    assert usage.writes == 2 + 3
    assert usage.deletes == 1


def test_s12_a_bounce_of_nothing_of_ours_costs_a_read_and_its_decision() -> None:
    units, usage = cost(nothing, lambda s: comes_back(s, postfix("<x@y>", ADA)))
    assert units == 2 + 20 + 20 + 20
    assert usage.reads == 4 + 1
    assert usage.writes == 2 + 1


def test_the_normal_path_never_lists_messages() -> None:
    system, _ = metered()
    arrive(system, ADA, 30)
    system.settle()
    assert system.world.calls.count("gmail.users.messages.list") == 0


def test_headers_come_in_batches_and_a_notification_reads_history_once() -> None:
    system, _ = metered()
    arrive(system, ADA, 30)
    system.pushes_merged()
    calls = system.world.calls
    before = calls.count("batch"), calls.count("gmail.users.history.list")
    system.settle()
    # Two batches of headers (25 and 5), two of contents.
    assert calls.count("gmail.users.history.list") - before[1] == 1
    assert calls.count("gmail.users.messages.get") == 60


def test_one_mail_makes_a_bounded_number_of_notifications() -> None:
    """The sync changes nothing in Gmail, so it never notifies itself."""
    system, _ = metered()
    system.arrives(ADA, ME)
    delivered = len(system.pushes)
    before = len(system.world.calls)
    system.settle()
    assert not system.pushes
    assert delivered == 1
    asked = {call.method for call in system.world.calls[before:]}
    reading = {"gmail.users.history.list", "gmail.users.messages.get", "oauth.token"}
    assert asked <= reading | {"batch"}


@pytest.mark.parametrize("sender", [ADA, "eve@stranger.example"])
def test_more_mail_in_a_notification_asks_firestore_no_more_often(sender: str) -> None:
    """Records of a batch are looked for in one read and made in one commit."""
    system, meter = metered()

    def calls(number: int) -> tuple[int, int, int]:
        before = meter.usage
        arrive(system, sender, number)
        system.pushes_merged()
        system.settle()
        spent = meter.usage - before
        return spent.gets, spent.queries, spent.commits

    assert calls(5) == calls(25)
