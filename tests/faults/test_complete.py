"""The flows are all there are: a new route, page, job or kind of work needs one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from functions.http.table import ROUTES
from tests.faults import complete
from tests.faults.complete import entry_points, missing
from tests.faults.flows import FLOWS
from tests.faults.run import tell


@pytest.fixture(scope="module")
def told() -> set[str]:
    """Every entry point that a flow comes through."""
    return {entry.name for flow in FLOWS for entry in tell(flow).entries}


def test_a_flow_comes_through_every_entry_point(told: set[str]) -> None:
    assert not missing(told)


def test_every_entry_point_that_a_flow_names_exists(told: set[str]) -> None:
    """Else the names have come apart, and something could be missing unseen."""
    assert told <= set(entry_points())


@pytest.mark.parametrize(
    "new", ["api PUT /v1/new", "work prune", "schedule tidy", "outbound message"]
)
def test_an_entry_point_without_a_flow_is_named(
    told: set[str], new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = (*ROUTES, replace(ROUTES[0], path="/v1/new"))
    monkeypatch.setitem(complete.KINDS, "work", {*complete.KINDS["work"], "prune"})
    monkeypatch.setitem(complete.KINDS, "schedule", {"tidy"})
    (line,) = [
        line for line in missing(told - {"outbound message"}, routes) if new in line
    ]
    assert "add a function with @flow" in line
