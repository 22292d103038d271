"""The whole system as a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from infra.local import emulators
from infra.local.local_process import LocalProcess


class StartSystem(Protocol):
    def __call__(self, folder: Path | None = None, **settings: str) -> LocalProcess: ...


@pytest.fixture(scope="session")
def real_emulators() -> None:
    """Google's emulators can be started here; in CI they must."""
    for kind in ("firestore", "pubsub"):
        reason = emulators.missing(kind)
        if reason and os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        if reason:
            pytest.skip(reason)


@pytest.fixture(scope="module")
def start_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSystem]:
    """Start systems that end with the module."""
    started: list[LocalProcess] = []

    def start(folder: Path | None = None, **settings: str) -> LocalProcess:
        folder = folder or tmp_path_factory.mktemp("state")
        started.append(LocalProcess(folder, settings))
        return started[-1]

    yield start
    for item in started:
        if not item.has_ended():
            item.stop()
