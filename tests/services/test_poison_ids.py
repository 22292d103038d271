"""E3: what a stranger writes into an id or a date stops no mailbox."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.moments import MAX_MOMENT
from shared.errors import Permanent
from shared.repositories.facts import FactFinder
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"
STRANGER = "eve@evil.example"


@pytest.fixture
def system() -> System:
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    return system


def subjects(system: System) -> list[str]:
    return [message.subject for message in system.conversation("ada")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Message-ID": "<crm.__x__@evil.example>"},
        {"Message-ID": "<crm.____@evil.example>"},
        {"X-CRM-Message": "s/.."},
        {"X-CRM-Message": "s/."},
        {"X-CRM-Message": "s/__x__"},
        {"X-CRM-Message": "__s__/x"},
        {"X-CRM-Message": "../x"},
        {"In-Reply-To": "<crm.__x__@ours.example>"},
    ],
)
def test_e3_an_id_that_the_store_reserves_is_not_looked_for(
    system: System, headers: dict[str, str]
) -> None:
    for sender in (STRANGER, ADA):
        message = system.mail(sender, ME, "bad")
        for name, value in headers.items():
            del message[name]
            message[name] = value
        system.world.deliver_from_outside(message.as_bytes(), [ME], "pass")
        system.arrives(ADA, ME, "good")
    system.settle()
    assert subjects(system).count("good") == 2
    assert not [p for p in system.outside.documents.dump() if "quarantine/" in p]


def test_e3_a_question_that_cannot_be_asked_is_its_messages_own_fault(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FactFinder.learn

    def refuse(self: FactFinder, keys: Any) -> None:
        keys = list(keys)
        if any("evil.example" in repr(key) for key in keys):
            raise Permanent("The store refuses it.")
        real(self, keys)

    monkeypatch.setattr(FactFinder, "learn", refuse)
    for number in range(2):
        system.arrives(STRANGER, ME, "bad")
        system.arrives(ADA, ME, f"good {number}")
    system.settle()
    assert subjects(system) == ["good 0", "good 1"]


def test_e3_a_batch_that_fails_as_a_whole_goes_on_message_by_message(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = system.services.sync._recorder
    real = recorder._fetcher.read

    def fail(batch: Any, items: Any) -> None:
        if any(item.headers and item.headers.subject == "bad" for item in items):
            raise Permanent("A bug of ours.")
        real(batch, items)

    monkeypatch.setattr(recorder._fetcher, "read", fail)
    system.arrives(ADA, ME, "bad")
    system.arrives(ADA, ME, "good")
    for _ in range(8):
        system.clock.advance(hours=2)
        system.settle()
        system.sweep()
    assert subjects(system) == ["good"]
    (item,) = [
        data
        for p, data in system.outside.documents.dump().items()
        if "quarantine/" in p
    ]
    assert item["code"]


def test_a_date_behind_the_year_9999_can_be_shown(system: System) -> None:
    system.arrives(ADA, ME, "Imported")
    (stored,) = system.world.account(ME).mailbox.messages.values()
    stored.internal_date = 999_999_999_999_999
    system.settle()
    (message,) = system.conversation("ada")
    assert message.sent_at == MAX_MOMENT
