"""What the deployment would be."""

from __future__ import annotations

import os

import pytest

from tests.infra.offline import Plan, plan


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Made once a run: workers of one run share the folder above their own."""
    folder = tmp_path_factory.getbasetemp()
    worker = "PYTEST_XDIST_WORKER" in os.environ
    return plan(folder.parent if worker else folder)
