"""New records of a batch go in one commit, and one by one when that is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from shared.core.ids import ContactId, SubaccountId
from shared.errors import Conflict, Permanent, Transient
from shared.ports import Create, Write
from tests.support.system import System

ME = "rep@ours.example"
ADA, BOB = "ada@client.example", "bob@other.example"


class Watched:
    """Documents that do something instead of the commits of several records."""

    def __init__(self, inner: Any, instead: Callable[[Callable[[], None]], None]):
        self.inner, self.instead, self.seen = inner, instead, 0
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def commit(self, writes: Sequence[Write]) -> Any:
        if (
            sum(
                isinstance(write, Create) and "/messages/" in write.path
                for write in writes
            )
            > 1
        ):
            self.seen += 1
            self.sizes.append(len(repr(writes).encode()))
            return self.instead(lambda: self.inner.commit(writes))
        return self.inner.commit(writes)


def system_with(
    instead: Callable[[System, Callable[[], None]], None],
) -> tuple[System, Watched]:
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.settle()
    watched = Watched(system.outside.documents, lambda commit: instead(system, commit))
    system.outside.documents = watched
    system.restart()
    return system, watched


def burst(system: System) -> None:
    """Three mails in one notification: Ada, Bob, Ada."""
    for sender in (ADA, BOB, ADA):
        system.arrives(sender, ME)
    system.pushes_merged()
    system.settle()


def recorded(system: System) -> list[str]:
    return [
        event["id"] for event in system.events() if event["type"] == "message.recorded"
    ]


@pytest.mark.parametrize("fault", [Permanent, Conflict, Transient])
def test_what_is_refused_together_is_recorded_one_by_one(
    fault: type[Exception],
) -> None:
    def refuse(_system: System, _commit: Callable[[], None]) -> None:
        raise fault

    system, watched = system_with(refuse)
    burst(system)
    assert watched.seen == 1
    assert len(system.conversation("ada")) == 2
    assert len(system.conversation("bob")) == 1
    assert len(set(recorded(system))) == len(recorded(system)) == 3


def test_m9_a_commit_whose_answer_is_lost_records_each_mail_once() -> None:
    def lose_the_answer(_system: System, commit: Callable[[], None]) -> None:
        commit()
        raise Transient

    system, watched = system_with(lose_the_answer)
    burst(system)
    assert watched.seen == 1
    assert len(system.conversation("ada")) == 2
    assert len(system.conversation("bob")) == 1
    assert len(set(recorded(system))) == len(recorded(system)) == 3


def test_a_contact_erased_in_between_takes_only_its_own_mail_away() -> None:
    def erase_bob(system: System, commit: Callable[[], None]) -> None:
        system.services.directory.delete_contact(SubaccountId("s"), ContactId("bob"))
        commit()

    system, watched = system_with(erase_bob)
    burst(system)
    assert watched.seen == 1
    assert len(system.conversation("ada")) == 2
    assert len(recorded(system)) == 2


def test_what_is_too_much_for_one_commit_goes_in_several() -> None:
    """The emulator takes 4 MiB, Firestore 10: then nothing would go together."""
    system, watched = system_with(lambda _system, commit: commit())
    for number in range(25):
        system.arrives(ADA, ME, f"Long {number}", text="ä" * 80_000)
    system.pushes_merged()
    system.settle()
    assert len(system.conversation("ada")) == 25
    assert watched.seen == 2  # twelve, twelve, and one alone
    assert max(watched.sizes) < 2_200_000
