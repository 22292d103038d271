"""The fixture `gmail_simulator`, for whoever has the package installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .running import Simulator


@pytest.fixture
def gmail_simulator() -> Iterator[Simulator]:
    """A Gmail of its own for each test, without accounts."""
    with Simulator() as simulator:
        yield simulator
