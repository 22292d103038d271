"""The operator's commands and the example subscriber, against a running system.

On both backends, at a port that nobody was told.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from gmail_simulator.consent import consent
from gmail_sync.running import STATE
from infra.local.local_process import LocalProcess
from infra.local.state import ROOT
from tests.e2e.conftest import StartSystem


@pytest.fixture(scope="module", params=["embedded", "google"])
def system(request: pytest.FixtureRequest, start_system: StartSystem) -> LocalProcess:
    if request.param == "google":
        request.getfixturevalue("real_emulators")
    started = start_system(BACKEND=request.param, API_SIGNING_KEY="another-key" * 4)
    started.wait_ready()
    return started


def environment(system: LocalProcess) -> dict[str, str]:
    named = {name: value for name, value in os.environ.items() if "SYNC_" not in name}
    return named | {STATE: str(system.folder)}


def command(system: LocalProcess, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gmail_sync", *words],
        cwd=ROOT,
        env=environment(system),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_commands_find_the_system(system: LocalProcess) -> None:
    token = command(system, "token", "--subaccount", "s1")
    url = f"{system.url}/v1/subaccounts/s1"
    headers = {"Authorization": f"Bearer {token}"}
    requests.put(
        url, json={"name": "N"}, headers=headers, timeout=10
    ).raise_for_status()

    assert "Nothing is known" in command(system, "why", "--address", "a@b.example")
    assert command(system, "quarantine") == "The quarantine is empty."


def test_sending_is_paused_and_goes_on(system: LocalProcess) -> None:
    assert "is paused" in command(system, "pause-sending")
    assert "goes on" in command(system, "resume-sending")


def test_the_example_subscriber_prints_the_events(system: LocalProcess) -> None:
    token = command(system, "token", "--subaccount", "s1")
    http = requests.Session()
    http.headers["Authorization"] = f"Bearer {token}"
    subaccount = f"{system.url}/v1/subaccounts/s1"
    user = {"name": "You", "email": "you@agency.example"}
    http.put(subaccount, json={"name": "N"}, timeout=10).raise_for_status()
    http.put(f"{subaccount}/users/u1", json=user, timeout=10).raise_for_status()
    begun = http.post(f"{system.url}/v1/users/u1/connection", json={}, timeout=10)
    browser = requests.Session()
    page = begun.json()["authorization_url"]
    callback = consent(browser, page, "you@agency.example")
    assert browser.get(callback, timeout=10).ok

    subscriber = subprocess.Popen(
        [sys.executable, "-m", "infra.local.example_subscriber"],
        cwd=ROOT,
        env=environment(system),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert subscriber.stdout is not None
        line = subscriber.stdout.readline()
    finally:
        subscriber.kill()
        subscriber.communicate()
    assert line.startswith("connection.connected")


def test_the_state_file_is_its_owners_alone(system: LocalProcess) -> None:
    assert (system.folder / "addresses.json").stat().st_mode & 0o077 == 0


def test_what_a_system_leaves_is_not_taken_for_a_running_one(
    start_system: StartSystem,
) -> None:
    system = start_system(BACKEND="embedded")
    system.wait_ready()
    system.stop()

    assert not (system.folder / "addresses.json").exists()
