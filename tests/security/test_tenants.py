"""No sequence of calls with a token for A reads or changes anything of B.

The calls are made from the route table (`crossing.py`), and all work they start is done
before B is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.http.table import ROUTES
from tests.security.crossing import CANARY, A, B, Call, TwoTenants, calls, every_call
from tests.security.deployment import Deployment


@pytest.fixture(scope="module")
def tenants() -> Iterator[TwoTenants]:
    with pytest.MonkeyPatch.context() as patch:
        yield TwoTenants(Deployment(patch))


def make(tenants: TwoTenants, call: Call) -> Any:
    answer = call.make(tenants.deployment)
    assert CANARY not in answer.text.lower(), call
    assert answer.status_code < 500, call
    return answer


def test_b_has_something_of_everything(tenants: TwoTenants) -> None:
    """Else the tests below would show nothing."""
    keys = " ".join(tenants.at_first)
    for kind in ("users/ub", "mailboxes/", "connections/ub", "jobs/", "decisions/"):
        assert kind in keys
    for kind in ("quarantine/", "secret gmail-token", "secret smtp", "event"):
        assert kind in keys
    assert CANARY in repr(tenants.at_first)
    needed = {name for route in ROUTES for name in route.parameters}
    assert needed <= tenants.ids.keys(), "say in crossing.py what B has of these"


def test_no_call_with_any_id_of_b_shows_or_changes_anything(
    tenants: TwoTenants,
) -> None:
    made = 0
    tenants.restore()
    for call in every_call(tenants):
        if not call.adopts:
            make(tenants, call)
            made += 1
    tenants.deployment.settle()
    assert tenants.of_b() == tenants.at_first
    assert made > 400


def test_no_sequence_of_calls_shows_or_changes_anything(tenants: TwoTenants) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(calls(tenants), min_size=5, max_size=30))
    def attack(sequence: list[Call]) -> None:
        tenants.restore()
        for call in sequence:
            if not call.adopts:
                make(tenants, call)
        tenants.deployment.settle()
        assert tenants.of_b() == tenants.at_first

    attack()


def test_a_users_token_makes_nobody_of_another_tenant_a_member(
    tenants: TwoTenants,
) -> None:
    """Else it would own B's connection, and B's mail would be recorded in A."""
    tenants.restore()
    d = tenants.deployment
    path, body = f"/v1/subaccounts/{A}/users/ub", {"name": "x", "email": "x@y.example"}
    refused = {
        (response.status_code, response.json["code"])
        for caller in (d.caller("u", A), d.caller("ub", A, B), d.caller("new", A))
        for user in ("ub", "new", "u")
        for response in [
            d.call("PUT", path.replace("/ub", f"/{user}"), body, token=caller)
        ]
    }
    assert refused == {(403, "backend_only")}
