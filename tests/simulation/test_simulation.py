"""Seeds of the simulation; SEEDS in the environment says how many (`make sim`)."""

from __future__ import annotations

import os

import pytest

from tests.simulation.run import CHUNK, play_chunk, replay

SEEDS = int(os.environ.get("SEEDS", "300"))


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_what_is_recorded_is_what_the_model_says(start: int) -> None:
    failures = play_chunk(range(start, min(start + CHUNK, SEEDS)))
    assert not failures, "\n".join(map(str, failures))


@pytest.mark.parametrize("seed", [3, 140])
def test_a_seed_tells_the_same_story_every_time(seed: int) -> None:
    assert replay(seed) == replay(seed)
