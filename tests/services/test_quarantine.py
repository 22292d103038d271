"""What is set aside blocks nothing, and is replayed once the cause is gone (E3)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import SubaccountId
from shared.core.matching import recording
from shared.core.syncing import dead_letters
from shared.errors import Malformed, Problem
from tests.support.bcc import BccSystem
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"
CRM = Caller("crm", frozenset({SubaccountId("s")}))
OPERATOR = Caller("crm", frozenset(), deployment=True)
COMPOSE = recording.compose


def poisoned(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A mail with the subject Poison cannot be processed."""

    def compose(headers: Any, *rest: Any) -> Any:
        if headers.subject == "Poison":
            raise error
        return COMPOSE(headers, *rest)

    monkeypatch.setattr(recording, "compose", compose)


@pytest.mark.parametrize(
    ("error", "code"), [(Malformed(), "malformed"), (KeyError("x"), "internal_error")]
)
def test_e3_poison_among_99_good_ones_blocks_nothing_and_is_replayed(
    system: System, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    poisoned(monkeypatch, error)
    for number in range(100):
        system.arrives(ADA, ME, "Poison" if number == 40 else f"{number}")
    system.settle()
    assert len(system.conversation("ada")) == 99
    (item,) = system.services.quarantine.items(CRM)
    assert (item.code, item.mailbox) == (code, ME)
    assert item.gmail_message_id
    (decision,) = system.decisions(gmail_id=item.gmail_message_id)
    assert decision.outcome == "quarantined"

    assert system.services.quarantine.replay(CRM, item.id) == "quarantined"
    (still,) = system.services.quarantine.items(CRM)
    assert still.attempts > item.attempts
    assert still.first_at == item.first_at

    monkeypatch.setattr(recording, "compose", COMPOSE)
    assert system.services.quarantine.replay(CRM, item.id) == "recorded"
    assert system.services.quarantine.items(CRM) == ()
    messages = system.conversation("ada")
    assert len(messages) == 100
    assert [message.subject for message in messages][40] == "Poison"
    (decision,) = system.decisions(gmail_id=item.gmail_message_id)
    assert decision.outcome == "recorded"
    with pytest.raises(Problem):
        system.services.quarantine.replay(CRM, item.id)


def test_e3_rate_limits_and_outages_put_nothing_there(system: System) -> None:
    for number in range(10):
        system.arrives(ADA, ME, str(number))
    for status in (429, 500, 503):
        system.world.faults.add(
            "status", method="gmail.users.messages.get", status=status, count=7
        )
    system.settle()
    assert len(system.conversation("ada")) == 10
    assert system.services.quarantine.items(CRM) == ()


def test_e3_items_of_other_tenants_are_not_there(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, Malformed())
    system.arrives(ADA, ME, "Poison")
    system.settle()
    (item,) = system.services.quarantine.items(CRM)
    system.subaccount("other")
    foreign = Caller("crm", frozenset({SubaccountId("other")}))
    assert system.services.quarantine.items(foreign) == ()
    with pytest.raises(Problem):
        system.services.quarantine.replay(foreign, item.id)


def test_e3_a_replay_after_the_disconnect_reads_nothing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(monkeypatch, Malformed())
    system.arrives(ADA, ME, "Poison")
    system.settle()
    (item,) = system.services.quarantine.items(CRM)
    system.services.connections.disconnect("u")
    system.settle()
    monkeypatch.setattr(recording, "compose", COMPOSE)
    assert system.units(lambda: system.services.quarantine.replay(CRM, item.id)) == 0
    assert system.conversation("ada") == []


def test_e3_the_operator_sees_what_the_logging_mailbox_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system = BccSystem()
    poisoned(monkeypatch, Malformed())
    system.outlook(subject="Poison")
    system.settle()
    assert system.services.quarantine.items(CRM) == ()
    (item,) = system.services.quarantine.items(OPERATOR)
    monkeypatch.setattr(recording, "compose", COMPOSE)
    assert system.services.quarantine.replay(OPERATOR, item.id) == "recorded"


# --- dead letters ----------------------------------------------------------------


def _letter(data: bytes, subscription: str, **attributes: str) -> Any:
    return dead_letters.read(
        data,
        {
            "CloudPubSubDeadLetterSourceSubscription": subscription,
            "CloudPubSubDeadLetterSourceDeliveryCount": "10",
            **attributes,
        },
        "",
    )


def test_e3_a_dead_letter_is_kept_once_and_published_again(system: System) -> None:
    data = b'{"emailAddress": "rep@ours.example", "historyId": 7}'
    letter = _letter(data, "gmail-notifications-inbound", own="x")
    system.services.dead_letters.keep(letter, "m1")
    system.services.dead_letters.keep(letter, "m1")
    (item,) = system.services.quarantine.items(CRM)
    assert (item.code, item.mailbox, item.attempts) == ("dead_letter", ME, 10)
    assert system.services.quarantine.replay(CRM, item.id) == "published"
    (event,) = system.outside.topics.published("gmail-notifications")
    assert (event.data, dict(event.attributes)) == (data, {"own": "x"})
    assert system.services.quarantine.items(CRM) == ()


@pytest.mark.parametrize(
    ("subscription", "topic"),
    [
        ("projects/p/subscriptions/mailbox-work-work", "mailbox-work"),
        ("scheduled-jobs-schedule", "scheduled-jobs"),
        ("bcc-notifications-bcc", "bcc-notifications"),
        ("outbound-messages-outbound", "outbound-messages"),
    ],
)
def test_e3_a_dead_letter_knows_where_it_was_for(subscription: str, topic: str) -> None:
    assert _letter(b"no json", subscription).topic == topic


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"mailbox": "a/b"}', b"\xff"])
def test_e3_a_dead_letter_of_nobody_is_the_operators(
    system: System, data: bytes
) -> None:
    system.services.dead_letters.keep(_letter(data, "mailbox-work-work"), "m2")
    (item,) = system.services.quarantine.items(OPERATOR)
    assert item.mailbox is None
    assert system.services.quarantine.items(CRM) == ()


def test_e3_a_dead_letter_of_work_names_its_mailbox(system: System) -> None:
    mailbox = system.mailbox_id(ME)
    data = f'{{"work": "sync", "mailbox": "{mailbox}"}}'.encode()
    system.services.dead_letters.keep(_letter(data, "mailbox-work-work"), "m3")
    (item,) = system.services.quarantine.items(CRM)
    assert item.mailbox == ME


def test_e3_what_is_no_dead_letter_is_malformed() -> None:
    assert dead_letters.read(b"{}", {}, "") is None
    pushed_by = "projects/p/subscriptions/outbound-messages-dead-letter-dead_letter"
    found = dead_letters.read(b"{}", {}, pushed_by)
    assert found is not None
    assert found.topic == "outbound-messages"
    assert _letter(b"{}", "unknown-thing") is None
