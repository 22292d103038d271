"""Watches that never lapse (W1), on the simulated Gmail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.ids import UserId
from shared.core.syncing.watches import SHARDS
from shared.services.syncing import watches
from tests.support.system import System

ADA = "ada@client.example"
TOPIC = "projects/test-project/topics/gmail-notifications"


def rep(number: int) -> str:
    return f"rep{number}@ours.example"


@pytest.fixture
def system() -> System:
    system = System()
    system.subaccount()
    for number in range(6):
        system.user(f"u{number}", rep(number))
        system.connect(f"u{number}", rep(number))
    system.settle()
    system.clock.advance(days=1)
    return system


def left(system: System, number: int) -> float:
    """Days until this watch ends."""
    expires = system.mailbox(rep(number)).watch_expires_at
    return float(expires / 1000 - system.clock.now().timestamp()) / 86400


def warnings(system: System, number: int) -> list[str]:
    view = system.services.connections.view(UserId(f"u{number}"))
    return [warning["code"] for warning in view["warnings"]]


def test_w1_the_daily_job_renews_every_active_mailbox(system: System) -> None:
    before = [system.mailbox(rep(number)).cursor for number in range(6)]
    system.renew()
    assert [left(system, number) for number in range(6)] == [7.0] * 6
    assert [system.mailbox(rep(number)).cursor for number in range(6)] == before
    assert system.world.calls.count("gmail.users.watch") == 12


def test_w1_a_renewal_never_touches_the_cursor(system: System) -> None:
    """The watch answers the newest id; mail before it is not read yet."""
    system.contact("ada", ADA, assigned_to="u0")
    system.arrives(ADA, rep(0), "Not read yet")
    system.pushes.clear()
    before = system.mailbox(rep(0)).cursor
    system.renew()
    assert system.mailbox(rep(0)).cursor == before
    system.sweep(0)
    assert len(system.conversation("ada")) == 1


def test_w1_one_failing_mailbox_stops_no_other(system: System) -> None:
    system.world.faults.add(
        "status", method="gmail.users.watch", account=rep(2), status=503
    )
    system.world.faults.add(
        "status", method="gmail.users.watch", account=rep(4), status=400, reason="bad"
    )
    system.services.watches.renew_all()
    for _ in range(100):
        if system.work:
            system.do_work(system.work.popleft())
    assert [left(system, n) for n in (0, 1, 3, 5)] == [7.0] * 4
    assert [left(system, n) for n in (2, 4)] == [6.0] * 2
    assert [system.mailbox(rep(n)).renewal_failures for n in (0, 2, 4)] == [0, 2, 1]


def test_w1_what_failed_is_tried_again_by_itself(system: System) -> None:
    system.world.faults.add(
        "status", method="gmail.users.watch", account=rep(2), status=503, count=3
    )
    system.renew()
    assert left(system, 2) > 6.9
    assert system.mailbox(rep(2)).renewal_failures == 0


def test_w1_an_outage_of_gmail_holds_the_chain_instead_of_every_mailbox(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services.syncing.watches.SHARDS", 1)
    monkeypatch.setattr("shared.repositories.mailboxes.shard_of", lambda _mailbox: 0)
    for number in range(6):  # all into one shard
        path = f"mailboxes/{system.mailbox_id(rep(number))}"
        data = dict(system.outside.documents.get([path])[0].data)
        system.outside.documents.commit([_put(path, data | {"shard": 0})])
    fault = system.world.faults.add("status", method="gmail.users.watch", status=503)
    system.services.watches.renew_all()
    link = system.work.popleft()
    assert not system.do_work(link)
    assert fault.struck == watches.OUTAGE
    system.world.faults.clear()
    assert system.do_work(link)
    assert min(left(system, number) for number in range(6)) > 6.9


def test_w1_a_long_chain_is_passed_on_in_time(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services.syncing.watches.PAGE", 1)
    _slow(system, monkeypatch, seconds=watches.RUN_SECONDS + 1)
    system.renew()
    assert min(left(system, number) for number in range(6)) > 6.9
    assert system.world.calls.count("gmail.users.watch") == 12


def test_w1_a_job_that_is_delivered_twice_renews_once(system: System) -> None:
    system.services.watches.renew_all()
    links = list(system.work)
    for link in [*links, *links]:
        assert system.do_work(link)
    assert system.world.calls.count("gmail.users.watch") == 12


def test_w1_the_job_starts_no_chain_for_an_empty_shard(system: System) -> None:
    system.services.watches.renew_all()
    assert 0 < len(system.work) <= 6 < SHARDS


def test_w1_disconnected_mailboxes_and_dead_ones_are_left_alone(
    system: System,
) -> None:
    system.services.connections.disconnect(UserId("u1"))
    before = len(system.world.calls)
    system.renew()
    assert system.world.calls.count("gmail.users.watch", rep(1)) == 1
    assert (
        len(system.world.calls) - before == 4 * 5
    )  # token, profile (C9), watch, aliases


def test_w1_a_watch_on_another_topic_is_stopped_first(system: System) -> None:
    account = system.world.account(rep(3))
    client = next(iter(account.watches))
    account.watches[client].topic = "projects/other-project/topics/theirs"
    system.renew()
    assert left(system, 3) == 7.0
    assert account.watches[client].topic == TOPIC


def test_w1_new_aliases_are_known_after_the_renewal(system: System) -> None:
    system.contact("ada", ADA, assigned_to="u0")
    system.world.add_alias(rep(0), "sales@ours.example")
    system.renew()
    assert "sales@ours.example" in system.mailbox(rep(0)).own_addresses
    member = system.services.directory.member("s", UserId("u0"))
    assert "sales@ours.example" in member.internal_addresses
    system.world.send_from_gmail(
        rep(0), system.mail("sales@ours.example", ADA, "From the alias").as_bytes()
    )
    system.settle()
    assert [message.direction for message in system.conversation("ada")] == ["outbound"]


def test_w1_a_watch_that_ends_within_48_hours_is_seen_and_rescued(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also when the daily job does not run at all."""
    system.clock.advance(days=4, hours=-1)
    system.sweep()
    assert warnings(system, 0) == []
    system.clock.advance(hours=2)
    assert warnings(system, 0) == ["watch_expiring"]
    system.sweep()
    assert (
        '"watches_unhealthy", "count": 6, "hours_left": 47' in capsys.readouterr().out
    )
    assert left(system, 0) == 7.0
    assert warnings(system, 0) == []


def test_w1_a_renewal_that_keeps_failing_raises_the_alert_days_before_the_end(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    system.world.faults.add(
        "status", method="gmail.users.watch", account=rep(2), status=400, reason="bad"
    )
    days = 0
    while "watches_unhealthy" not in capsys.readouterr().out:
        system.clock.advance(days=1)
        system.renew()
        system.sweep()
        days += 1
    assert left(system, 2) >= 1
    assert warnings(system, 2) == ["watch_expiring"]
    assert warnings(system, 0) == []
    assert system.mailbox(rep(2)).renewal_failures >= days


def test_w1_an_idle_mailbox_costs_no_more_than_173_units_a_day(
    system: System,
) -> None:
    system.settle()
    before = system.world.calls.units(rep(0))
    for quarter in range(96):
        if quarter == 0:
            system.renew()
        system.clock.advance(minutes=15)
        system.sweep()
    assert 100 < system.world.calls.units(rep(0)) - before <= 173


def test_w1_a_user_who_leaves_while_the_watch_is_renewed_stays_away(
    system: System,
) -> None:
    gmail = system.outside.google.gmail

    def leaves(token: str) -> Any:
        mailbox = gmail(token)
        send_as = mailbox.send_as

        def then() -> Any:
            system.services.connections.disconnect(UserId("u0"))
            return send_as()

        mailbox.send_as = then
        return mailbox

    mailbox = system.mailbox(rep(0))
    system.outside.google.gmail = leaves
    system.services.watches.renew(mailbox.id, 10**15)
    assert system.mailbox(rep(0)).status == "disconnected"
    assert system.services.connections.view(UserId("u0"))["status"] == "disconnected"


def _put(path: str, data: dict[str, Any]) -> Any:
    from shared.ports import Put

    return Put(path, data)


def _slow(system: System, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Make each watch take long, by the system's clock."""
    gmail = system.outside.google.gmail

    def slowly(token: str) -> Any:
        mailbox = gmail(token)
        watch = mailbox.watch

        def then(topic: str) -> Any:
            system.clock.advance(seconds=seconds)
            return watch(topic)

        mailbox.watch = then
        return mailbox

    monkeypatch.setattr(system.outside.google, "gmail", slowly)
