"""One message in trouble never holds its mailbox; an outage sets nothing aside (E3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import SubaccountId
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"
CRM = Caller("crm", frozenset({SubaccountId("s")}))
GET = "gmail.users.messages.get"
ATTACHMENT = "gmail.users.messages.attachments.get"
PDF = b"%PDF-1.7 " + b"x" * 5000


def subjects(system: System) -> list[str]:
    return [message.subject for message in system.conversation("ada")]


def with_attachment(system: System, subject: str) -> str:
    """Arrives, and gives the Gmail id that it has."""
    mail = system.mail(ADA, ME, subject)
    mail.add_attachment(PDF, maintype="application", subtype="pdf", filename="a.pdf")
    delivered = system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    return str(delivered[0].message_id)


ODD_ANSWERS: dict[str, dict[str, Any]] = {
    "garbage": {"action": "garbage"},
    "an empty body": {"action": "garbage", "text": ""},
    "JSON that is cut off": {"action": "garbage", "text": '{"size": 9, "data": "AAA'},
    "JSON that is no object": {"action": "garbage", "text": "[1]"},
    "no base64": {"action": "garbage", "text": '{"data": "%%%%"}'},
    "another size": {"action": "garbage", "text": '{"size": 9, "data": "AAAA"}'},
    "data that is no text": {"action": "garbage", "text": '{"data": 17}'},
    "500 for ever": {"action": "status", "status": 500},
    "lost for ever": {"action": "drop_after"},
}


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_e3_an_attachment_that_cannot_be_read_holds_nothing_behind_it(
    system: System, answer: str
) -> None:
    poison = with_attachment(system, "poison")
    fault = system.world.faults.add(
        method=ATTACHMENT, message_id=poison, **ODD_ANSWERS[answer]
    )
    for number in range(3):
        system.arrives(ADA, ME, f"behind {number}")
    system.settle()
    assert subjects(system) == [f"behind {number}" for number in range(3)]
    (item,) = system.services.quarantine.items(CRM)
    assert (item.gmail_message_id, item.code) == (poison, "temporarily_unavailable")
    mailbox = system.mailbox(ME)
    assert (mailbox.trouble, mailbox.failing_since) == (None, None)

    system.world.faults.remove(fault)
    assert system.services.quarantine.replay(CRM, item.id) == "recorded"
    assert subjects(system)[0] == "poison"
    assert system.services.quarantine.items(CRM) == ()


@pytest.mark.parametrize("answer", ["garbage", "JSON that is cut off", "500 for ever"])
@pytest.mark.parametrize("alone", [True, False])
def test_e3_a_message_that_cannot_be_read_holds_nothing_behind_it(
    system: System, answer: str, alone: bool
) -> None:
    """Alone in its batch, it is told from an outage by another message's headers."""
    system.arrives(ADA, ME, "before")
    system.settle()
    mail = system.mail(ADA, ME, "poison")
    delivered = system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    poison = str(delivered[0].message_id)
    system.world.faults.add(method=GET, message_id=poison, **ODD_ANSWERS[answer])
    if not alone:
        system.arrives(ADA, ME, "behind")
    system.settle()
    assert subjects(system) == ["before"] if alone else ["before", "behind"]
    (item,) = system.services.quarantine.items(CRM)
    assert item.gmail_message_id == poison


def test_e3_two_messages_in_trouble_hold_nothing(system: System) -> None:
    system.arrives(ADA, ME, "before")
    system.settle()
    for number in range(2):
        mail = system.mail(ADA, ME, f"poison {number}").as_bytes()
        (delivered,) = system.world.deliver_from_outside(mail, [ME], "pass")
        system.world.faults.add("garbage", method=GET, message_id=delivered.message_id)
    system.settle()
    system.arrives(ADA, ME, "behind")
    system.settle()
    assert subjects(system) == ["before", "behind"]
    assert len(system.services.quarantine.items(CRM)) == 2


@pytest.mark.parametrize("method", [GET, "batch", ATTACHMENT])
def test_e3_an_outage_sets_nothing_aside_however_long_it_lasts(
    system: System, method: str
) -> None:
    """While no other message can be read either, each waits for its turn."""
    if method == ATTACHMENT:
        with_attachment(system, "0")
        fault = system.world.faults.add("status", method="*", status=503)
    else:
        for number in range(2):
            system.arrives(ADA, ME, str(number))
        fault = system.world.faults.add("status", method=method, status=503)
    with pytest.raises(AssertionError, match="never settle"):
        system.settle(limit=100)
    assert system.outside.documents.dump().keys().isdisjoint({"quarantine"})
    assert system.services.quarantine.items(CRM) == ()
    system.world.faults.remove(fault)
    system.settle()
    assert len(subjects(system)) == (1 if method == ATTACHMENT else 2)
    assert system.services.quarantine.items(CRM) == ()


def test_e3_a_fault_that_passes_within_a_minute_sets_nothing_aside(
    system: System,
) -> None:
    poison = with_attachment(system, "slow")
    system.world.faults.add(
        "status", method=ATTACHMENT, message_id=poison, status=500, count=5
    )
    system.arrives(ADA, ME, "behind")
    system.settle()
    assert subjects(system) == ["slow", "behind"]
    assert system.services.quarantine.items(CRM) == ()


def test_e3_many_pushes_in_a_second_are_not_many_tries(system: System) -> None:
    poison = with_attachment(system, "poison")
    system.world.faults.add("garbage", method=ATTACHMENT, message_id=poison)
    for number in range(20):
        system.arrives(ADA, ME, f"behind {number}")
    while system.pushes:  # each fails, and no time passes
        system.deliver(system.pushes.popleft())
    assert system.services.quarantine.items(CRM) == ()
    assert system.mailbox(ME).trouble.tries >= 5


def test_e3_a_sweep_reads_it_again_after_1_7_and_31_hours_and_then_no_more(
    system: System,
) -> None:
    poison = with_attachment(system, "poison")
    fault = system.world.faults.add("garbage", method=ATTACHMENT, message_id=poison)
    system.arrives(ADA, ME, "behind")
    system.settle()
    (item,) = system.services.quarantine.items(CRM)
    read = []
    for hour in range(1, 72):
        system.clock.advance(hours=1, seconds=60)
        struck = fault.struck
        system.sweep()
        system.settle()
        if fault.struck > struck:
            read.append(hour)
    assert read == [1, 7, 31]
    system.world.faults.remove(fault)
    assert system.services.quarantine.replay(CRM, item.id) == "recorded"


def test_e3_what_a_sweep_can_read_is_recorded_and_leaves_the_quarantine(
    system: System,
) -> None:
    poison = with_attachment(system, "poison")
    fault = system.world.faults.add("garbage", method=ATTACHMENT, message_id=poison)
    system.arrives(ADA, ME, "behind")
    system.settle()
    system.world.faults.remove(fault)
    system.clock.advance(hours=1, seconds=60)
    system.sweep()
    system.settle()
    assert subjects(system) == ["poison", "behind"]
    assert system.services.quarantine.items(CRM) == ()
    (decision,) = system.decisions(gmail_id=poison)
    assert decision.outcome == "recorded"


def test_e3_two_deliveries_read_it_again_once(system: System) -> None:
    poison = with_attachment(system, "poison")
    fault = system.world.faults.add("garbage", method=ATTACHMENT, message_id=poison)
    system.arrives(ADA, ME, "behind")
    system.settle()
    (item,) = system.services.quarantine.items(CRM)
    system.clock.advance(hours=2)
    now = int(system.clock.now().timestamp() * 1000)
    asked = []
    for _ in range(2):
        struck = fault.struck
        system.services.quarantine.read_again(item.id, now)
        asked.append(fault.struck > struck)
    assert asked == [True, False]


@pytest.mark.parametrize(
    "order", [("attachmentId", "size", "data"), ("data", "attachmentId", "size")]
)
def test_the_members_of_an_attachment_may_come_in_any_order(
    system: System, order: tuple[str, ...]
) -> None:
    message = with_attachment(system, "fine")
    values = {"attachmentId": "ANGjdJ-x", "size": 6, "data": "SGVsbG8u"}
    answer = json.dumps({name: values[name] for name in order}, indent=1)
    system.world.faults.add(
        "garbage", method=ATTACHMENT, message_id=message, text=answer
    )
    system.settle()
    (recorded,) = system.conversation("ada")
    (attachment,) = recorded.envelope.attachments
    assert (attachment.stored, attachment.size) == (True, 6)
