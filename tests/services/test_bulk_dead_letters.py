"""E3: a bulk call whose mails could not be made is not lost with its delivery."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.syncing import dead_letters
from shared.errors import Transient
from tests.support.sending import SendingSystem

OPERATOR = Caller("crm", frozenset(), deployment=True)
LARGE = "Read this. " * 30_000  # its mails are made by deliveries, not by the call


@pytest.fixture
def system() -> SendingSystem:
    return SendingSystem()


def test_e3_a_bulk_call_goes_on_when_its_dead_letter_is_replayed(
    system: SendingSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = system.bulk("c", "b", text=LARGE)
    (push,) = system.outgoing
    system.outgoing.clear()
    with monkeypatch.context() as patch:

        def down(*_: Any) -> Any:
            raise Transient("The blob store is down.")

        patch.setattr(system.outside.blobs, "get", down)
        for _ in range(10):
            assert not system.push_out(push)
            system.clock.advance(seconds=600)
    assert not [
        path for path in system.outside.documents.dump() if "/messages/" in path
    ]
    letter = dead_letters.read(push.event.data, {}, "outbound-messages-outbound")
    assert letter is not None
    system.services.dead_letters.keep(letter, "m1")
    (item,) = system.services.quarantine.items(OPERATOR)
    assert item.code == "dead_letter"
    assert system.services.quarantine.replay(OPERATOR, item.id) == "published"
    system.send_all()
    assert {system.record(message).status for message in accepted.ids} == {"sent"}
    assert len(system.relay.taken) == 2
    assert system.services.quarantine.items(OPERATOR) == ()
