"""Bugs that were found, each as the shortest story that shows it."""

from __future__ import annotations

import pytest

from shared.services.syncing.copies import Copies
from tests.support.crash import Crash
from tests.support.system import System

ME = "rep@ours.example"
MATE = "mate@ours.example"
ADA = "ada@client.example"


def test_m9_a_crash_after_the_record_does_not_lose_a_colleagues_earlier_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Found by the simulation: the record was there, so its copies were not looked for.

    The colleague's mailbox comes first and may not record the mail by itself (M3).
    """
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.user("v", MATE)
    system.contact("ada", ADA, assigned_to="u")
    system.connect("u", ME)
    system.connect("v", MATE)
    system.settle()
    system.arrives(ADA, f"{ME}, {MATE}")
    mine, colleagues = sorted(
        system.pushes, key=lambda push: MATE.encode() in push.event.data
    )
    system.pushes.clear()
    assert system.deliver(colleagues)

    def dies(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as dead:
        dead.setattr(Copies, "join_earlier", dies)
        with pytest.raises(Crash):
            system.deliver(mine)
    system.restart()
    system.clock.advance(seconds=10)
    system.pushes.append(mine)
    system.settle()
    (message,) = system.conversation("ada")
    assert {one.address for one in message.held_by} == {ME, MATE}
