"""A 25 MiB mail within four times its size, whatever is done with it (S6)."""

from __future__ import annotations

import pytest

from tools.bench import memory


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    return memory.measured()


def test_s6_25_mib_are_accepted_and_sent_within_four_times_their_size(figures):
    assert 1 < figures["accept"] < memory.LIMIT, figures
    assert 1 < figures["send"] < memory.LIMIT, figures


def test_25_mib_are_received_within_four_times_their_size(figures):
    assert 1 < figures["inbound"] < memory.LIMIT, figures


def test_25_mib_are_downloaded_piece_by_piece(figures):
    assert figures["download"] < 0.5, figures
