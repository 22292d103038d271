"""The simulator at an address, as other programs and tests use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build

from gmail_simulator import Simulator
from gmail_simulator.pytest_plugin import gmail_simulator  # noqa: F401  # the fixture

ROOT = Path(__file__).parents[2]
ANN = "ann@acme.test"


def test_googles_client_talks_to_the_fixture(
    gmail_simulator: Simulator,  # noqa: F811  # pytest's way
) -> None:
    gmail_simulator.world.add_account(ANN, "Ann")
    credentials = Credentials(gmail_simulator.tokens(ANN).access_token)
    with build(
        "gmail",
        "v1",
        credentials=credentials,
        client_options={"api_endpoint": gmail_simulator.url},
    ) as service:
        profile = service.users().getProfile(userId="me").execute()
    assert profile["emailAddress"] == ANN


def test_it_is_gone_when_it_is_closed() -> None:
    with Simulator() as simulator:
        file = simulator.client_file(["http://localhost:9/cb"])
        assert file["web"]["token_uri"] == f"{simulator.url}/token"
        assert requests.get(f"{simulator.url}/_simulator/health", timeout=5).ok
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{simulator.url}/_simulator/health", timeout=5)


def test_the_command_serves_and_is_broken_over_http() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gmail_simulator", "--port", "0", "--account", ANN],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready, url = process.stdout.readline().split()
        assert ready == "ready"
        accounts = requests.get(f"{url}/_simulator/accounts", timeout=5).json()
        assert [account["address"] for account in accounts["items"]] == [ANN]
        fault = {"action": "status", "status": 429, "method": "oauth.token"}
        requests.post(f"{url}/_simulator/faults", json=fault, timeout=5)
        refused = requests.post(f"{url}/token", data={}, timeout=5)
        assert refused.status_code == 429
    finally:
        process.terminate()
        process.communicate(timeout=10)
