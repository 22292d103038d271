"""Every figure that we promise names a command that exists, and is what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import costs

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/figures.md").read_text(encoding="utf-8")
ROWS = {
    cells[0]: cells[1:]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what", "| ---"))
    for cells in [[cell.strip() for cell in line.strip("| ").split(" | ")]]
}
COMMANDS = sorted(set(re.findall(r"`((?:pytest|make|python -m) [^`]+)`", PAGE)))


def found(what: str) -> str:
    """The figure of the row that begins so."""
    (row,) = (cells for name, cells in ROWS.items() if name.startswith(what))
    return row[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(command: str) -> None:
    match command.split():
        case ["make", target, *_]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert f"\n{target}: " in makefile
        case ["python", "-m", module, *_]:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()
        case ["pytest", path, *more]:
            files = [ROOT / path] if path.endswith(".py") else (ROOT / path).glob("*")
            text = "".join(file.read_text() for file in files if file.suffix == ".py")
            word = more[1] if more else ""
            assert re.search(rf"def test_\w*{word}", text)


def test_every_row_has_a_target_a_figure_and_a_command() -> None:
    assert len(ROWS) >= 15
    for name, (wanted, figure, shown) in ROWS.items():
        assert re.search(r"\d|all|equal", wanted), name
        assert re.search(r"\d|all|equal", figure), name
        assert "`" in shown, name


def test_counts_are_those_that_tests_hold() -> None:
    recorded, ignored = costs.MATCHED_MAIL, costs.UNMATCHED_MAIL
    assert found("Gmail units of a notification") == (
        f"{recorded.units}, {ignored.units}"
    )


def test_the_mutation_score_is_that_of_the_report() -> None:
    score = re.search(r"\| \*\*all\*\* .* ([\d.]+) % \|", MUTATION)
    assert score
    assert found("mutation score") == f"{score[1]} %"


MUTATION = (ROOT / "docs/mutation.md").read_text(encoding="utf-8")
