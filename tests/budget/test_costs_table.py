"""The operations of `tools.costs`, from which docs/deploy.md is computed, as measured."""

from __future__ import annotations

from tests.budget.test_inbound_costs import ADA, ME, cost, nothing
from tests.support.sending import SendingSystem
from tests.support.system import System
from tools import costs
from tools.metered import MeteredDocuments, Usage


def found(operations: costs.Operations) -> tuple[int, int, int, int]:
    return operations.units, operations.reads, operations.writes, operations.deletes


def measured(units: int, usage: Usage) -> tuple[int, int, int, int]:
    return units, usage.reads, usage.writes, usage.deletes


def test_a_recorded_mail_costs_what_the_table_says() -> None:
    units, usage = cost(nothing, lambda s: s.arrives(ADA, ME))
    assert measured(units, usage) == found(costs.MATCHED_MAIL)


def test_an_ignored_mail_costs_what_the_table_says() -> None:
    units, usage = cost(nothing, lambda s: s.arrives("eve@stranger.example", ME))
    assert measured(units, usage) == found(costs.UNMATCHED_MAIL)


def test_a_sent_mail_with_its_sent_copy_costs_what_the_table_says() -> None:
    system = SendingSystem()
    system.settle()
    meter = MeteredDocuments(system.outside.documents)
    system.outside.documents = meter
    system.restart()
    before, units = meter.usage, system.world.calls.units()
    system.post()
    system.send_all()
    system.pushes_merged()
    system.settle()
    spent = system.world.calls.units() - units
    assert measured(spent, meter.usage - before) == found(costs.SENT_MAIL)


def idle_day(*, connected: bool) -> tuple[int, Usage]:
    """A day of sweeps and one renewal, with one mailbox or none."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    if connected:
        system.connect("u", ME)
        system.settle()
    meter = MeteredDocuments(system.outside.documents)
    system.outside.documents = meter
    system.restart()
    units = system.world.calls.units()
    for _ in range(96):
        system.clock.advance(minutes=15)
        system.sweep()
        system.services.health.report()
    system.renew()
    return system.world.calls.units() - units, meter.usage


def test_an_idle_day_costs_what_the_table_says() -> None:
    _, clock = idle_day(connected=False)
    units, both = idle_day(connected=True)
    assert clock.reads == costs.SCHEDULE_DAY.reads
    assert clock.writes == costs.SCHEDULE_DAY.writes
    # A sweep an hour, but for the hours after the connection and the renewal.
    assert units <= costs.IDLE_MAILBOX_DAY.units <= 173
    mailbox = both - clock
    assert mailbox.reads == costs.IDLE_MAILBOX_DAY.reads
    assert mailbox.writes == costs.IDLE_MAILBOX_DAY.writes
