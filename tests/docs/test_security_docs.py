"""The threat table speaks of tests that exist, and leaves no known threat out."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
BUILT_IN = SECURITY.partition("## What is built in")[2].partition("## What is not")[0]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in BUILT_IN.splitlines()
    if line.startswith("| ") and not re.match(r"\| (threat|---) ", line)
]
REFERENCE = re.compile(r"`([\w/]+\.py)::(test_\w+)`")

# What we set out to withstand, and the words by which the table names it.
KNOWN_THREATS = {
    "forged notifications": "forged push",
    "replayed notifications": "replayed push",
    "a payload that names another tenant": "tenant crossing",
    "consent forged, fixed or mixed up": "consent stolen",
    "open redirect": "open redirect",
    "header injection": "header injection",
    "parsers that disagree about the sender": "parser gaps",
    "HTML and script in mail": "script, tracker or frame",
    "mail to the drop address": "anyone writes to a BCC address",
    "a mail to thousands": "floods the contacts",
    "MIME bombs": "MIME bomb",
    "attachments: bombs and what a browser would run": "attachment",
    "server-side requests": "server-side requests",
    "secrets in logs and answers": "secrets or mail in logs",
    "over-broad grants": "over-broad grants",
    "secrets in the infrastructure's state": "secrets in Terraform's state",
    "mass mail from a stolen account": "mass-sends",
    "notification loop": "notification loop",
    "poison message": "poison message",
    "reading after the consent ended": "goes on after the consent ended",
    "supply chain": "dependency",
    "failures taken for what they are not": "a refusal read wrongly",
}


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file below tests/."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    )


def test_the_table_is_read() -> None:
    assert len(ROWS) > 30
    assert {len(row) for row in ROWS} == {3}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_every_row_names_tests_that_exist(row: list[str]) -> None:
    references = REFERENCE.findall(row[2])
    assert references
    assert REFERENCE.sub("", row[2]).strip(" ,") == "", "something else than tests"
    for file, name in references:
        assert name in names_in(file), f"{file}::{name}"


@pytest.mark.parametrize("words", KNOWN_THREATS.values(), ids=KNOWN_THREATS)
def test_every_known_threat_has_its_row(words: str) -> None:
    assert any(words in row[0] for row in ROWS)
