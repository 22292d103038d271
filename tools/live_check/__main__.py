"""Ask, print the report and write it to a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import SyncError
from tools.live_check import questions
from tools.live_check.mailbox import Unanswered


def main(arguments: Sequence[str] | None = None) -> int:
    """Say what came of it; 1 when a question stayed open."""
    parser = argparse.ArgumentParser(prog="live_check")
    parser.add_argument("--dry-run", action="store_true", help="ask the simulator")
    parser.add_argument("--project", help="the throw-away project")
    parser.add_argument("--region", default="europe-west1")
    parser.add_argument("--address", help="a mailbox that is connected there")
    parser.add_argument("--report", type=Path, default=Path("live-check.md"))
    given = parser.parse_args(arguments)
    if not given.dry_run and not (given.project and given.address):
        parser.error("--project and --address are needed, or --dry-run")
    try:
        findings = _rehearse() if given.dry_run else _ask(given)
    except (SyncError, Unanswered) as fault:
        sys.stderr.write(f"It could not begin: {fault}\n")
        return 2
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    where = "rehearsal, on the simulator" if given.dry_run else given.project
    text = questions.report(findings, f"{where}, {day}")
    given.report.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return int(any(finding.answer.startswith("Open:") for finding in findings))


def _rehearse() -> list[questions.Finding]:
    from tools.live_check.rehearsal import Rehearsal

    project = Rehearsal()
    return questions.ask(project.mailbox, project)


def _ask(given: argparse.Namespace) -> list[questions.Finding]:
    from tools.live_check.deployment import Deployment

    project = Deployment(given.project, given.region)
    mailbox = project.mailbox(given.address)
    with project.listening():
        return questions.ask(mailbox, project)


if __name__ == "__main__":
    sys.exit(main())
