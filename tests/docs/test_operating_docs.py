"""The runbook and the cursed knowledge speak of what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared import errors

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
CURSED = (ROOT / "docs/cursed-knowledge.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"`(tests/[^`]+)`", CURSED)))


@pytest.mark.parametrize("link", LINKS)
def test_every_trap_is_linked_to_a_test_that_exists(link: str) -> None:
    file, _, name = link.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {name}(" in text if name else "def test_" in text


def test_every_trap_has_a_test() -> None:
    rows = [item for item in CURSED.splitlines() if item.startswith("| ")][2:]
    assert len(rows) >= 20
    assert all("`tests/" in row for row in rows)


def test_every_alert_is_in_the_runbook() -> None:
    terraform = (ROOT / "infra/terraform/alerts.tf").read_text(encoding="utf-8")
    names = re.findall(r'\bname\s*=\s*"([A-Z][^"]+)"', terraform)
    assert len(names) > 5
    for name in names:
        assert f"### {name}" in RUNBOOK, name


def _permanent(tree: type[errors.Permanent]) -> set[str]:
    codes = {tree.code}
    for item in tree.__subclasses__():
        codes |= _permanent(item)
    return codes


def test_every_reason_of_the_quarantine_is_in_the_runbook() -> None:
    known = {code for code in _permanent(errors.Permanent) if code in ALL_CODES}
    for code in {*known, "internal_error", "dead_letter"}:
        assert f"| `{code}` |" in RUNBOOK, code


ALL_CODES = {"permanent", "malformed", "vanished", "history_expired", "misconfigured"}
