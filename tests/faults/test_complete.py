"""The flows are all there are: a new route, page, job or kind of work needs one."""

from __future__ import annotations

from dataclasses import replace
from typing import get_type_hints

import pytest

from functions.http.table import ROUTES
from shared.bootstrap import GatewaySet
from shared.ports import (
    Blobs,
    Documents,
    Gmail,
    GmailSending,
    Google,
    Relay,
    Secrets,
    Topics,
)
from tests.faults import complete
from tests.faults.complete import entry_points, missing
from tests.faults.flows import FLOWS
from tests.faults.run import Told, tell
from tests.support.sending import PORTS as WRAPPED

ONLY_AFTER_A_FAULT = {"find_sent"}
"""How Gmail is asked for a mail whose draft is gone: where nothing fails, nobody asks."""
PORTS = (Documents, Blobs, Secrets, Topics, Relay, Google, Gmail, GmailSending)


@pytest.fixture(scope="module")
def runs() -> list[Told]:
    return [tell(flow) for flow in FLOWS]


@pytest.fixture(scope="module")
def told(runs: list[Told]) -> set[str]:
    """Every entry point that a flow comes through."""
    return {entry.name for run in runs for entry in run.entries}


def test_every_port_of_the_composition_root_can_fail() -> None:
    """Gmail's ports are made by Google's, and wrapped where they are made."""
    ports = {
        name: get_type_hints(var.fget)["return"]
        for name, var in vars(GatewaySet).items()
        if isinstance(var, property) and name not in {"settings", "clock"}
    }
    assert set(ports) == set(WRAPPED)
    assert {*ports.values(), Gmail, GmailSending} == set(PORTS)


def test_every_gateway_call_is_in_a_flow(runs: list[Told]) -> None:
    made = {call.partition(".")[2] for run in runs for call in run.calls}
    public = {
        name
        for port in PORTS
        for name, method in vars(port).items()
        if callable(method) and not name.startswith("_")
    }
    assert public - made == ONLY_AFTER_A_FAULT | {"gmail"}  # makes the port


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
