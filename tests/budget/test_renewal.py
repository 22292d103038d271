"""The daily renewal stays cheap, however many mailboxes there are (W1)."""

from __future__ import annotations

import pytest

from shared.core.syncing.lease import FUNCTION_SECONDS
from tools.renewal_figures import Figures, measure, report


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure(5000)


def test_w1_each_of_5000_mailboxes_is_renewed_once(figures: Figures) -> None:
    assert figures.renewed == 5000
    assert figures.calls["oauth.token"] == figures.calls["secret.read"] == 5000
    assert figures.units == 5000 * 106


def test_w1_the_firestore_operations_of_a_renewal(figures: Figures) -> None:
    """One read, by the page, and one write, if nobody came between."""
    assert figures.calls["firestore.get"] == 0
    assert figures.calls["firestore.commit"] == figures.documents_written == 5000
    assert figures.documents_read <= 5000 * 1.25
    assert figures.calls["firestore.query"] < 5000 * 0.04


def test_w1_no_function_runs_out_of_time(figures: Figures) -> None:
    assert figures.longest_run < FUNCTION_SECONDS - 30


def test_w1_a_million_are_done_in_a_day(figures: Figures) -> None:
    assert figures.longest_chain * 200 < 20 * 3600
    assert "1,000,000" in report(figures)
