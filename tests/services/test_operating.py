"""What the operator and the CRM see: events, health, and answers in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gmail_sync import cli, commands
from infra.local.example_subscriber import Inbox
from shared.core.matching.bcc import LOGGING
from tests.support.bcc import LOG, ME, BccSystem


def test_e1_a_subscriber_that_restarts_handles_each_event_once(tmp_path: Path) -> None:
    system = BccSystem()
    system.outlook()
    system.settle()
    raw = [event.data for event in system.outside.topics.published("crm-events")]
    first = Inbox(tmp_path / "crm")
    assert [first.take(item) for item in raw] == [True] * len(raw)
    second = Inbox(tmp_path / "crm")
    assert [second.take(item) for item in [*raw, *raw]] == [False] * 2 * len(raw)
    assert ("message.recorded") in dict(second.timeline())


def test_e1_events_hold_no_word_of_the_mail() -> None:
    system = BccSystem()
    system.outlook(subject="CANARY-SUBJECT", text="CANARY-BODY")
    system.settle()
    assert "CANARY" not in repr(system.events())


# --- E2: in a sentence -----------------------------------------------------------


def _asking(items: list[dict[str, Any]]) -> Any:
    return lambda *_args, **_more: {"items": items}


def _decision(**fields: Any) -> dict[str, Any]:
    return {
        "mailbox": ME,
        "outcome": "ignored",
        "rule": "M12",
        "subaccounts": [],
        "decided_at": "2026-11-02T09:30:00Z",
        **fields,
    }


@pytest.mark.parametrize(
    ("decisions", "words"),
    [
        ([], "Nothing is known of it"),
        ([_decision()], "not recorded. The contact is on the never-log list."),
        ([_decision(rule="B5")], "only the user's own, authenticated mail"),
        ([_decision(rule="B7")], "more than 50 people"),
        ([_decision(rule="B1")], "no BCC address that is in use"),
        ([_decision(outcome="quarantined", rule="E3")], "kept aside"),
        (
            [
                _decision(
                    outcome="recorded",
                    rule="B2",
                    subaccounts=[{"subaccount": "s", "contact": "c", "message": "m"}],
                )
            ],
            "recorded in s (contact c, message m). Logged with the user's BCC address.",
        ),
    ],
)
def test_e2_the_command_answers_in_a_sentence(
    decisions: list[dict[str, Any]], words: str
) -> None:
    given = cli.arguments(["why", "--gmail-id", "g"])
    said = commands.run(_asking(decisions), given, lambda *_: None)
    assert words in said


def test_e4_the_command_follows_a_job_with_a_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    difference = _decision(
        gmail_message_id="g1", outcome="recorded", rule="M5", repaired=True
    )
    result = {"gmail": 9, "recorded": 8, "differences": [difference]}
    answers = iter(
        [
            {"id": "j"},
            {"status": "running", "progress": {"done": 3, "total": 9}, "result": None},
            {"status": "done", "progress": {"done": 9, "total": 9}, "result": result},
        ]
    )
    monkeypatch.setattr(commands.time, "sleep", lambda _: None)
    shown: list[tuple[int, int]] = []
    given = cli.arguments(["audit", "u", "--from", "a", "--to", "b", "--repair"])
    said = commands.run(
        lambda *_a, **_m: next(answers), given, lambda *done: shown.append(done)
    )
    assert shown == [(3, 9), (9, 9)]
    assert said.startswith(
        "9 in Gmail, 8 recorded.\ng1 missing, repaired: A contact wrote"
    )


# --- E6 --------------------------------------------------------------------------


def test_e6_health_says_what_needs_somebody(capsys: pytest.CaptureFixture[str]) -> None:
    system = BccSystem()
    assert set(system.services.health.report().values()) == {0}
    system.clock.advance(days=5, hours=12)
    assert system.services.health.report()["watch_expiring"] == 2
    system.world.change_password(LOG)
    system.renew()
    counts = system.services.health.report()
    assert counts["logging_mailbox_down"] == 1
    assert counts["watch_expiring"] == 0
    assert system.services.connections.view(LOGGING)["status"] == "reauth_required"
    lines = capsys.readouterr().out
    assert "logging_mailbox_down" in lines
    assert LOG not in lines
