"""What the deployment would be."""

from __future__ import annotations

import pytest

from tests.infra.offline import Plan, plan


@pytest.fixture(scope="session")
def planned() -> Plan:
    return plan()
