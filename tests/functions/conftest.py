from __future__ import annotations

from typing import Any

import pytest

from shared import bootstrap
from tests.support import api as support


@pytest.fixture(scope="session")
def wsgi() -> Any:
    return support.app("api")


@pytest.fixture
def gateways() -> support.Memory:
    return support.Memory()


@pytest.fixture
def api(
    gateways: support.Memory, wsgi: Any, monkeypatch: pytest.MonkeyPatch
) -> support.Api:
    """A caller for subaccounts a and b, which exist; contact c1 is in a."""
    caller = support.Api(gateways, wsgi)
    monkeypatch.setattr(bootstrap, "services", lambda: caller.services)
    caller.put("/v1/subaccounts/a", {"name": "A"})
    caller.put("/v1/subaccounts/b", {"name": "B"})
    caller.put(
        "/v1/subaccounts/a/contacts/c1",
        {"name": "Ann", "emails": ["Ann@Example.org"], "assigned_to": "u1"},
    )
    return caller
