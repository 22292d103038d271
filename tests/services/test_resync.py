"""Expired history (W3) and very many changes (W4), on the simulated Gmail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.syncing.lease import WORK_BUDGET_SECONDS
from tests.support.system import System

ME, ADA = "rep@ours.example", "ada@client.example"


def subjects(system: System) -> list[str]:
    return [message.subject for message in system.conversation("ada")]


def every(system: System, count: int, **apart: float) -> None:
    """So many mails, and no notification of them."""
    for number in range(count):
        system.clock.advance(**apart)
        system.arrives(ADA, ME, f"Mail {number}")
    system.pushes.clear()


def numbered(count: int) -> list[str]:
    return [f"Mail {number}" for number in range(count)]


def took(system: System, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make each batch take long, by the system's clock."""
    recorder = system.services.sync._recorder
    record = recorder.record

    def slowly(*args: Any, **more: Any) -> Any:
        system.clock.advance(seconds=seconds)
        return record(*args, **more)

    monkeypatch.setattr(recorder, "record", slowly)


def test_w3_everything_since_the_last_success_is_brought_in(system: System) -> None:
    system.arrives(ADA, ME, "Known")
    system.settle()
    every(system, 40, hours=4)
    system.world.expire_history(ME)
    system.sweep()
    assert subjects(system) == ["Known", *numbered(40)]


def test_w3_the_normal_path_goes_on_from_there(system: System) -> None:
    every(system, 3, hours=4)
    system.world.expire_history(ME)
    system.sweep()
    before = system.world.calls.count("gmail.users.messages.list")
    system.arrives(ADA, ME, "Afterwards")
    system.settle()
    assert subjects(system)[-1] == "Afterwards"
    assert system.world.calls.count("gmail.users.messages.list") == before
    assert system.mailbox(ME).resync is None


def test_w3_mail_that_comes_while_it_runs_is_not_lost(system: System) -> None:
    every(system, 30, hours=1)
    system.world.expire_history(ME)
    recorder = system.services.sync._recorder
    record = recorder.record
    seen: list[str] = []

    def and_one_more(*args: Any, **more: Any) -> Any:
        if not seen:
            seen.append(system.arrives(ADA, ME, "Meanwhile"))
            system.pushes.clear()
        return record(*args, **more)

    recorder.record = and_one_more
    system.sweep()
    assert sorted(subjects(system)) == sorted([*numbered(30), "Meanwhile"])


def test_w3_never_from_before_the_connection(system: System) -> None:
    system.arrives(ADA, ME, "Early")
    system.settle()
    system.services.connections.disconnect("u")
    system.arrives(ADA, ME, "In the gap")
    system.clock.advance(minutes=1)
    system.connect("u", ME)
    every(system, 2, minutes=1)
    system.world.expire_history(ME)
    system.clock.advance(hours=2)
    system.sweep()
    assert subjects(system) == ["Early", *numbered(2)]


def test_w3_sent_and_archived_mail_comes_in_spam_and_drafts_do_not(
    system: System,
) -> None:
    system.sends(ME, ADA, "Sent")
    system.arrives(ADA, ME, "Archived")
    account = system.world.account(ME)
    archived = account.mailbox.newest_first()[0]
    account.mailbox.change_labels(archived, add=(), remove=("INBOX",))
    system.arrives(ADA, ME, "Spam", spam=True)
    system.pushes.clear()
    system.world.expire_history(ME)
    system.clock.advance(hours=2)
    system.sweep()
    assert subjects(system) == ["Sent", "Archived"]


def test_w3_threads_of_strangers_hold_because_the_oldest_comes_first(
    system: System,
) -> None:
    """A guest's answer joins only when what it answers was recorded before it."""
    for number in range(30):
        first = system.arrives(ADA, f"{ME}, guest@client.example", f"Plan {number}")
        system.clock.advance(hours=2)
        system.arrives("guest@client.example", ME, f"Re: Plan {number}", reply_to=first)
    system.pushes.clear()
    system.world.expire_history(ME)
    system.sweep()
    assert len(subjects(system)) == 60


def test_w3_windows_are_cut_until_one_page_holds_them(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.gateways.gmail._PAGE", 7)
    every(system, 60, hours=1)
    system.world.expire_history(ME)
    read: list[int] = []
    listed = type(system.outside.google.gmail("t")).list_messages

    def counted(self: Any, query: str, token: str | None = None) -> Any:
        page = listed(self, query, token)
        read.append(len(page.gmail_message_ids))
        assert token is None
        return page

    monkeypatch.setattr("shared.gateways.gmail.GmailMailbox.list_messages", counted)
    system.sweep()
    assert subjects(system) == numbered(60)
    assert max(read) <= 7
    assert len(read) < 40


def test_w3_a_second_with_more_than_a_page_is_read_whole(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.gateways.gmail._PAGE", 7)
    system.clock.advance(hours=3)
    every(system, 30, seconds=0)
    system.clock.advance(hours=3)
    system.world.expire_history(ME)
    system.sweep()
    assert sorted(subjects(system)) == sorted(numbered(30))


@pytest.mark.parametrize("expired", [True, False], ids=["resync", "history"])
def test_w4_slices_go_on_by_themselves(
    system: System, monkeypatch: pytest.MonkeyPatch, *, expired: bool
) -> None:
    every(system, 200, minutes=1)
    if expired:
        system.world.expire_history(ME)
    system.clock.advance(hours=2)
    took(system, monkeypatch, seconds=40)
    began: list[float] = []
    ended: list[float] = []
    work = system.services.sync._work

    def timed(*args: Any) -> None:
        began.append(system.clock.now().timestamp())
        work(*args)
        ended.append(system.clock.now().timestamp())

    monkeypatch.setattr(system.services.sync, "_work", timed)
    system.sweep()
    assert subjects(system) == numbered(200)
    assert len(began) > 2
    longest = max(end - begin for begin, end in zip(began, ended, strict=True))
    assert longest <= WORK_BUDGET_SECONDS + 40
    headers = system.world.calls.count("gmail.users.messages.get")
    assert headers == 400  # nothing was read twice


def test_w4_the_rate_limit_costs_time_and_no_delivery_is_used_up(
    system: System,
) -> None:
    """6,000 units a minute are 150 mails; each slice that came forward starts anew."""
    system.world.settings.units_per_minute = 6000
    every(system, 400, seconds=1)
    system.clock.advance(hours=2)
    system.services.sweep.sweep_all()
    most = 0
    while system.work:
        push = system.work.popleft()
        if not system.do_work(push):
            system.clock.advance(seconds=min(600, 10 * 2 ** (push.attempts - 1)))
            system.work.append(push)
            most = max(most, push.attempts)
    assert subjects(system) == numbered(400)
    assert most < 10  # then it would be a dead letter


@pytest.mark.parametrize("expired", [True, False], ids=["resync", "history"])
def test_w4_a_passing_fault_in_the_middle_costs_no_mail(
    system: System, *, expired: bool
) -> None:
    every(system, 60, hours=1)
    if expired:
        system.world.expire_history(ME)
    system.world.faults.add(
        "status", method="gmail.users.messages.get", status=503, after=31, count=40
    )
    system.sweep()
    assert subjects(system) == numbered(60)


def test_w3_a_history_that_expires_again_is_planned_again(system: System) -> None:
    every(system, 30, hours=1)
    system.world.expire_history(ME)
    push = _one_slice(system, stop_after=1)
    assert system.mailbox(ME).resync is not None
    system.clock.advance(days=8)
    every(system, 3, hours=1)
    system.world.expire_history(ME)
    system.work.append(push)
    system.settle()
    system.sweep(0)
    assert sorted(set(subjects(system))) == sorted(set(numbered(30)))
    assert len(subjects(system)) == 33


def test_w3_the_page_says_that_it_is_catching_up(system: System) -> None:
    every(system, 60, hours=1)
    system.world.expire_history(ME)
    _one_slice(system, stop_after=1)
    view = system.services.connections.view("u")
    assert "catching_up" in [warning["code"] for warning in view["warnings"]]


def _one_slice(system: System, stop_after: int) -> Any:
    """Work until so many batches are done; returns the work that goes on."""
    recorder = system.services.sync._recorder
    record: Callable[..., Any] = recorder.record
    done: list[int] = []

    def then_late(*args: Any, **more: Any) -> Any:
        outcome = record(*args, **more)
        done.append(1)
        if len(done) == stop_after:
            system.clock.advance(seconds=WORK_BUDGET_SECONDS + 1)
        return outcome

    recorder.record = then_late
    system.services.sweep.sweep_all()
    while len(done) < stop_after:
        assert system.do_work(system.work.popleft())
    recorder.record = record
    return system.work.pop()
