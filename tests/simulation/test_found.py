"""What the simulation has found, each as the shortest story that shows it."""

from __future__ import annotations

from typing import Any

import pytest

from shared.gateways.gmail import GmailMailbox
from tests.support.crash import Crash
from tests.support.system import System

ME = "rep@ours.example"
ADA = "ada@client.example"


def test_a_dead_holder_takes_over_although_its_own_hint_has_become_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its work was saved when it died, but others had left theirs to it.

    The redelivery of its own notification was taken for old and dropped, and the lease
    of a dead holder kept everybody out until it expired.
    """
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    system.arrives(ADA, ME, "first")
    holders = system.pushes.popleft()
    system.arrives(ADA, ME, "second")
    real, looks = GmailMailbox.history, []

    def history(self: Any, *where: Any) -> Any:
        looks.append(where)
        if len(looks) > 1:
            raise Crash
        page = real(self, *where)
        assert system.deliver(system.pushes.popleft())  # left to the holder
        return page

    monkeypatch.setattr(GmailMailbox, "history", history)
    with pytest.raises(Crash):
        system.deliver(holders)
    monkeypatch.undo()
    system.restart()
    system.arrives(ADA, ME, "third")
    assert system.deliver(system.pushes.popleft())  # left to the holder as well
    system.clock.advance(seconds=10)
    system.pushes.append(holders)
    system.settle()
    subjects = [message.subject for message in system.conversation("ada")]
    assert subjects == ["first", "second", "third"]


def test_a_sweep_that_died_takes_over_although_the_mailbox_is_quiet_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A notification came to the dead sweep's mailbox and left its mail to it."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    system.settle()
    system.clock.advance(seconds=5)
    system.services.sweep.sweep_all(0)
    sweeps = next(item for item in system.work if b'"sync"' in item.event.data)
    system.work.clear()

    def history(*_: Any) -> Any:
        raise Crash

    with monkeypatch.context() as dead:
        dead.setattr(GmailMailbox, "history", history)
        with pytest.raises(Crash):
            system.do_work(sweeps)
    system.restart()
    system.arrives(ADA, ME, "left to the sweep")
    assert system.deliver(system.pushes.popleft())
    system.clock.advance(seconds=10)
    system.work.append(sweeps)
    system.settle()
    assert [message.subject for message in system.conversation("ada")] == [
        "left to the sweep"
    ]
