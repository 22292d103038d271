"""README and CONTRIBUTING list the folders that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = {"build", "dist", "__pycache__"}
"""Folders that tools make."""


def folders(place: Path) -> set[str]:
    return {
        path.name
        for path in place.iterdir()
        if path.is_dir() and path.name not in MADE and path.name[0] != "."
    }


def listed(document: str, heading: str) -> set[str]:
    text = (ROOT / document).read_text().partition(f"\n## {heading}\n")[2]
    rows = re.findall(r"^\| (`.+?) \|", text.partition("\n## ")[0], re.MULTILINE)
    return {name.rstrip("/") for row in rows for name in re.findall("`(.+?)`", row)}


def test_readmes_layout_lists_the_folders_that_there_are() -> None:
    names = listed("README.md", "Layout")

    assert {name.partition("/")[0] for name in names} == folders(ROOT) | {"main.py"}
    assert [name for name in names if not (ROOT / name).exists()] == []
    inside = {name for name in names if name.startswith("infra/")}
    assert inside == {f"infra/{name}" for name in folders(ROOT / "infra")}


def test_contributing_lists_the_folders_of_tests() -> None:
    names = {name for name in listed("CONTRIBUTING.md", "Tests") if "tests" in name}

    there = {f"tests/{name}" for name in folders(ROOT / "tests")}
    assert names == there | {"gmail_simulator/tests"}


def test_contributing_explains_every_target_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))

    assert listed("CONTRIBUTING.md", "The Makefile explained") == targets - {"help"}
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == targets
