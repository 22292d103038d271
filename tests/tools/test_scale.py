"""What docs/scale.md says is what `python -m tools.scale` computes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.infra.offline import ROOT, TERRAFORM
from tools import costs, scale

PAGE = (ROOT / "docs" / "scale.md").read_text()
ONE = scale.Mailbox()


def bites(mailbox: scale.Mailbox = ONE) -> dict[str, int]:
    return {limit.name: limit.bites_at for limit in scale.limits(mailbox)}


def test_page_holds_what_the_command_prints():
    printed = subprocess.run(
        [sys.executable, "-m", "tools.scale"],
        capture_output=True, check=True, cwd=ROOT, text=True,
    ).stdout  # fmt: skip
    shown = PAGE.partition("<!-- scale -->\n")[2].partition("<!-- /scale -->")[0]

    assert shown.strip() == printed.strip()


def test_every_table_has_as_many_cells_in_each_row():
    for table in scale.document().split("\n\n"):
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_glance_is_no_cheaper_than_a_run_of_the_measured_idle_day():
    idle = costs.IDLE_MAILBOX_DAY

    assert scale.GLANCE.reads >= idle.reads / idle.calls
    assert scale.GLANCE.writes >= idle.writes / idle.calls
    assert scale.GLANCE.messages >= idle.messages / idle.calls


def test_renewal_takes_as_long_as_its_own_figures_say():
    figures = (ROOT / "docs" / "renewal-figures.md").read_text()
    rate = re.search(r"at most ([\d,]+) units a minute", figures)
    each = re.search(r"\| Gmail units \| [\d,]+ \| ([\d.]+) \|", figures)
    assert rate
    assert each
    mailboxes = float(rate[1].replace(",", "")) / float(each[1])

    seconds = 60 * scale.SHARDS / mailboxes
    assert pytest.approx(seconds, abs=0.01) == scale.RENEWAL_SECONDS


def test_slots_are_those_of_terraform():
    functions = (TERRAFORM / "functions.tf").read_text()
    most = re.search(r"max_instances, null\), (\d+)\)", functions)
    assert most
    for name in ("inbound", "outbound", "work"):
        block = functions.partition(f"    {name} = {{")[2].partition("    }")[0]
        calls = re.search(r"concurrency = (\d+)", block)
        assert calls
        assert int(most[1]) * int(calls[1]) == scale.SLOTS


def test_indexes_that_are_said_to_be_hot_are_not_switched_off():
    """Whoever exempts one of them has to take its row out of the table, or back in."""
    indexes = json.loads((TERRAFORM / "firestore.indexes.json").read_text())
    off = {
        (fieldoverride["collectionGroup"], fieldoverride["fieldPath"])
        for fieldoverride in indexes["fieldOverrides"]
        if not fieldoverride["indexes"]
    }

    assert off.isdisjoint({("outbox", "at"), ("sends", "look_at")})
    assert off >= {
        ("mailboxes", "quiet_since"),
        ("decisions", "decided_at"),
        ("decisions", "gmail_message_id"),
    }


def test_nothing_bites_a_thousand_mailboxes():
    assert min(bites().values()) > 10_000


def test_first_limit_comes_first():
    order = [limit.bites_at for limit in scale.limits(ONE)]

    assert order == sorted(order)


def test_more_mail_never_moves_a_limit_further_away():
    before = bites()
    for field in ("recorded", "ignored", "glances", "sent", "bcc", "peak_hour"):
        after = bites(replace(ONE, **{field: 2 * getattr(ONE, field)}))
        assert all(after[name] <= before[name] for name in before), field
        assert after != before, field


def test_a_silent_mailbox_costs_what_the_idle_day_says():
    silent = replace(ONE, recorded=0, ignored=0, glances=0, sent=0, bcc=0, log_kib=0)
    prices = costs.Prices()

    idle = 30 * costs.cost(costs.IDLE_MAILBOX_DAY, prices) + prices.secret_month
    assert sum(scale.bill(silent).values()) == pytest.approx(idle)


def test_more_mail_costs_more():
    twice = replace(ONE, recorded=2 * ONE.recorded)

    assert sum(scale.bill(twice).values()) > sum(scale.bill(ONE).values())


@pytest.mark.parametrize(
    ("operations", "minutes"), [(0, 0), (500, 0), (501, 5), (750, 5), (1125, 10)]
)
def test_load_grows_by_half_every_five_minutes(operations, minutes):
    assert scale.ramp_minutes(operations) == minutes
