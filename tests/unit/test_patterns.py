"""Patterns of the core mean the same on every Python that we promise to run on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[2] / "shared" / "core"
MODULES = sorted(CORE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)
def test_no_group_is_possessive_or_atomic(module: Path) -> None:
    """Before Python 3.11.5 such a group can match what it must not.

    An address `alice.@example.org` was taken for one (python/cpython#106052).
    """
    assert not re.findall(r"\)[*+?]\+|\(\?>", module.read_text(encoding="utf-8"))
