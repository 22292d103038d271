"""Plays seeds and says what went wrong, with the command that shows it again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.simulation.story import Story

CHUNK = 20
"""Seeds that a test plays."""


@dataclass(frozen=True)
class Failure:
    """A seed that ended badly."""

    seed: int
    what: str

    def __str__(self) -> str:
        """Say what, and how to see it."""
        command = f".venv/bin/python -m tests.simulation --seed {self.seed} --verbose"
        return f"seed {self.seed}: {self.what}\n  replay: {command}"


def replay(seed: int) -> tuple[list[str], Failure | None]:
    """Play one seed; its story, and its failure if it has one."""
    story = Story(seed)
    try:
        story.play()
    except Exception as error:  # noqa: BLE001  (any end but the good one is a finding)
        return story.told, Failure(seed, f"{type(error).__name__}: {error}")
    return story.told, None


def play_chunk(seeds: Iterable[int]) -> list[Failure]:
    """The failures among these seeds."""
    return [failure for seed in seeds if (failure := replay(seed)[1])]


def first_failure(seeds: Iterable[int]) -> Failure | None:
    """The first seed that fails."""
    return next((failure for seed in seeds if (failure := replay(seed)[1])), None)
