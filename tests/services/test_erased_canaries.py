"""An erased contact's mail is nowhere: every document, blob and event is searched."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import ContactId, UserId
from shared.core.matching import recording
from shared.services.sending.send_records import Upload
from tests.faults.leaks import NOTES
from tests.support.everything_stored import everything_stored, places_of
from tests.support.sending import MIA, S, SendingSystem

WORD = "canary"
THEM = f"{WORD}@customer.test"
CRM = Caller("crm", frozenset({S}))
FOREVER = 4_000_000_000_000
COMPOSE = recording.compose


def poisoned(*args: Any) -> Any:
    """A message that cannot be processed."""
    if args[0].subject.endswith("poison"):
        raise KeyError(f"{WORD} in the error's words")
    return COMPOSE(*args)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> SendingSystem:
    """Mail with the contact in every state that mail can be in."""
    monkeypatch.setattr(recording, "compose", poisoned)
    system = SendingSystem()
    system.contact("x", THEM)
    big = system.mail(f"{WORD} <{THEM}>", MIA, f"{WORD} big", text=f"{WORD} " * 40_000)
    big.add_attachment(WORD.encode(), "text", "plain", filename=f"{WORD}.txt")
    system.world.deliver_from_outside(big.as_bytes(), [MIA], "pass")
    system.sends(MIA, THEM, f"{WORD} by Gmail")
    system.arrives(THEM, MIA, f"{WORD} poison")
    system.arrives(MIA, f"{THEM}, {MIA}", f"{WORD} forged", auth="fail")
    upload = Upload(f"{WORD}.txt", "text/plain", WORD.encode())
    system.settle()
    assert system.services.quarantine.items(CRM)
    words: dict[str, Any] = {"subject": WORD, "text": f"{WORD} " * 40_000}
    system.post("x", uploads=(upload,), **words)
    system.post("x", kind="workflow", **words)
    system.bulk("x", "c")  # the other contact's mail stays
    system.settle()
    # What is under way when the contact is erased.
    system.post("x", uploads=(upload,), **words)
    system.post("x", kind="workflow", **words)
    system.bulk("x", key="later", uploads=(upload,), **words)
    system.services.jobs.backfill(S, ContactId("x"))
    system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=True)
    return system


def test_what_is_kept_for_operators_holds_no_word(system: SendingSystem) -> None:
    notes = [
        (place, text)
        for place, text in everything_stored(system.outside)
        if place.startswith((*NOTES, "sends/", "event"))
    ]
    assert {place.partition("/")[0] for place, _ in notes} >= {
        *("quarantine", "decisions", "jobs", "sends", "event"),
    }
    assert [place for place, text in notes if WORD in text.lower()] == []


@pytest.mark.parametrize("settled", [True, False], ids=["when done", "under way"])
def test_an_erased_contacts_mail_is_nowhere(
    system: SendingSystem, settled: bool
) -> None:
    assert places_of([WORD], system.outside)
    if settled:
        system.settle()
    system.services.directory.delete_contact(S, ContactId("x"))
    system.settle()
    system.clock.advance(hours=3)
    system.sweep(0)
    assert places_of([WORD], system.outside) == []


def test_old_mail_that_is_read_again_brings_nothing_back(system: SendingSystem) -> None:
    system.settle()
    system.services.directory.delete_contact(S, ContactId("x"))
    system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=True)
    (item,) = system.services.quarantine.items(CRM)
    system.services.quarantine.replay(CRM, item.id)
    system.settle()
    assert places_of([WORD], system.outside) == []
