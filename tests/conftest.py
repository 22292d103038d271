"""Which tests run first."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = (
    *("infra", "tools", "simulation", "faults", "e2e", "browser", "security", "budget"),
)
"""Folders with few tests that take long: at the end, others would wait for them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, the others as they were (`make test` keeps this order)."""

    def turn(item: pytest.Item) -> int:
        if not item.path.is_relative_to(HERE):
            return len(LONG)
        folder = item.path.relative_to(HERE).parts[0]
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=turn)
