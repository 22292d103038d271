"""Words that the project does not use: what they meant has a plainer name."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What was written, and what to write.
WORDS = {
    r"this very machine": "loopback",
    r"\bmailroom\b": "send context",
    r"\b(?:job|quarantine)desk\b": "service",
    r"\btheatre\b": "environment",
    r"is not known here": "unknown field",
    r"is there already": "is a duplicate",
    r"it is our fault": "an unexpected error occurred",
    r"\bcan not\b": "cannot",
    r"\bteam member\b": "user",
    r"\bsending service\b": "provider",
    r"\bhealthz\b": "health",
}
NAMES = {"one"}
"""Variables that say nothing about what they hold."""

# Records of what was, or of what others have.
_HISTORY = re.compile(
    r"CHANGELOG|docs/decisions/|docs/cursed|test_language|results\.json"
)


def tracked(*endings: str) -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [
        ROOT / name
        for name in names.splitlines()
        if name.endswith(endings) and not _HISTORY.search(name)
    ]


def bound_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


@pytest.mark.parametrize("word", WORDS)
def test_plainer_words_are_used(word: str) -> None:
    pattern = re.compile(word, re.IGNORECASE if word.islower() else 0)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in tracked(".py", ".md", ".html", ".tf")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"write: {WORDS[word]}"


def test_variables_are_named_after_what_they_hold() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in tracked(".py")
        for name, line in bound_names(ast.parse(path.read_text()))
        if name in NAMES
    ]
    assert found == []


def test_a_constructors_docstring_says_more_than_its_arguments() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked(".py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name == "__init__"
        and re.fullmatch(r"Use (?:this|these)\b[^;.]*\.", ast.get_docstring(node) or "")
    ]
    assert found == []
