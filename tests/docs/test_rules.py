"""Every rule that is cited exists, and every rule has its code and its tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools import rules_index

ROOT = Path(__file__).resolve().parents[2]
RULES = rules_index.rules()
EVIDENCE = rules_index.evidence()

# Rules that are written down and not built yet. Each leaves this list with its code.
NOT_BUILT = {"M15", "S13", "S15", "S16", "E7", "E8"}

# Documents that the project was begun from and that no reader of it has.
ABSENT_DOCUMENTS = re.compile(r"\b(SPEC|DESIGN|COMPONENTS)\b|\bTHREATS \d")
TEXT = {
    ".py",
    ".md",
    ".tf",
    ".hcl",
    ".html",
    ".toml",
    ".yml",
    ".yaml",
    ".sh",
    ".example",
}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.suffix in TEXT and path.is_file()]


def test_the_rules_are_read() -> None:
    assert len(RULES) > 60
    assert [number for number in RULES if number.startswith("W")] == [
        "W1",
        "W2",
        "W3",
        "W4",
    ]


def test_every_rule_number_that_is_cited_anywhere_exists() -> None:
    unknown = {
        path.relative_to(ROOT).as_posix(): missing
        for path in _tracked()
        if (missing := rules_index.cited(path.read_text("utf-8")) - RULES.keys())
    }
    assert unknown == {}


def test_every_link_to_a_rule_leads_to_an_anchor() -> None:
    links = re.compile(r"\((?:[\w/.-]*rules\.md)?#([cmtsbwe]\d{1,2})\)")
    for path in _tracked():
        if path.suffix == ".md":
            for anchor in links.findall(path.read_text("utf-8")):
                assert anchor.upper() in RULES, f"{path}: #{anchor}"


@pytest.mark.parametrize("number", RULES)
def test_a_rule_names_its_code_and_its_tests(number: str) -> None:
    built = bool(EVIDENCE[number].code and EVIDENCE[number].tests)
    assert built == (number not in NOT_BUILT)


def test_the_index_is_what_the_generator_writes() -> None:
    assert rules_index.PAGE.read_text("utf-8") == rules_index.page(), "make rules"


def test_no_file_cites_a_document_that_is_not_in_the_repository() -> None:
    citing = [
        f"{path.relative_to(ROOT)}:{line_number}"
        for path in _tracked()
        for line_number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if ABSENT_DOCUMENTS.search(line) and path != Path(__file__)
    ]
    assert citing == []
