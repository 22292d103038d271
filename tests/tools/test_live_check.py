"""`make live-check`, rehearsed on the simulator."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.live_check import questions
from tools.live_check.__main__ import main
from tools.live_check.rehearsal import ADDRESS, Rehearsal


def test_dry_run_answers_every_question_and_writes_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "report.md"

    assert main(["--dry-run", "--report", str(file)]) == 0

    text = file.read_text()
    assert text == capsys.readouterr().out
    assert text.count("\n## ") == len(questions.QUESTIONS) == 4
    assert "Open:" not in text
    assert ADDRESS not in text


@pytest.mark.parametrize(("rewritten", "answer"), [(True, "No: "), (False, "Yes.")])
def test_a_message_id_that_is_kept_or_not_is_told_apart(rewritten: bool, answer: str):
    project = Rehearsal(rewrite_message_id=rewritten)

    found = questions.message_id_kept(project.mailbox, project)

    assert found.answer.startswith(answer)
    assert dict(found.facts)["our X- header kept"] == "yes"


def test_two_sends_of_a_draft_are_told_from_one():
    project = Rehearsal()

    found = questions.concurrent_sends(project.mailbox, project)

    assert dict(found.facts)["rounds with two mails"] == "0"
    assert "taken" in dict(found.facts)["answers"]


def test_a_question_that_gmail_refuses_stays_open_and_the_next_is_asked():
    project = Rehearsal()
    project.world.revoke_access(ADDRESS)

    found = questions.ask(project.mailbox, project)

    assert [item.answer.startswith("Open:") for item in found] == [
        True,
        True,
        True,
        False,
    ]


def test_a_refused_push_tells_which_setting_to_change():
    class Refusing(Rehearsal):
        def probe_push(self, seconds: float) -> bool:
            return False

    project = Refusing()

    found = questions.ingress_accepts_push(project.mailbox, project)

    assert "push_ingress" in found.answer


def test_without_a_project_nothing_is_asked(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main([])

    assert "--dry-run" in capsys.readouterr().err
