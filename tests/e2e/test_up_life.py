"""How a local system begins, ends and begins again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from gmail_simulator import client_file
from infra.local.state import ROOT
from shared.gateways.secret_manager import SecretManagerSecrets
from tests.e2e.conftest import StartSystem
from tests.support.emulators import emulator
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("real_emulators")


def test_secrets_survive_a_kill_and_no_emulator_does(
    start_system: StartSystem, tmp_path: Path
) -> None:
    first = start_system(tmp_path)
    before = first.wait_ready()
    SecretManagerSecrets(
        before["project"], endpoint=before["secret_manager_endpoint"]
    ).write("refresh-token", b"kept")
    java = [
        _process_on(before[f"{kind}_emulator_host"]) for kind in ("firestore", "pubsub")
    ]

    first.process.send_signal(signal.SIGKILL)
    first.process.wait(10)
    wait_for(lambda: not any(Path(f"/proc/{item}").exists() for item in java), 15)
    after = start_system(tmp_path, BACKEND="embedded").wait_ready()
    secrets = SecretManagerSecrets(
        after["project"], endpoint=after["secret_manager_endpoint"]
    )

    assert secrets.read("refresh-token") == b"kept"


def test_down_ends_the_system_which_ends_well(
    start_system: StartSystem, tmp_path: Path
) -> None:
    system = start_system(tmp_path, BACKEND="embedded")
    system.wait_ready()

    done = subprocess.run(
        [sys.executable, "-m", "infra.local.down", "--state", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )

    assert done.stdout.startswith("Ended")
    assert system.process.wait(1) == 0


def test_emulator_that_dies_ends_the_system_with_a_reason(
    start_system: StartSystem,
) -> None:
    system = start_system()
    addresses = system.wait_ready()

    os.kill(_process_on(addresses["firestore_emulator_host"]), signal.SIGKILL)

    assert system.process.wait(20) == 1
    assert "firestore emulator ended by itself" in system.log()


def test_exported_hosts_and_another_gmail_are_used_and_none_is_started(
    start_system: StartSystem, tmp_path: Path
) -> None:
    """An emulator may outlive the system: its subscriptions are pointed anew."""
    firestore, pubsub = emulator("firestore"), emulator("pubsub")
    other_gmail = "http://127.0.0.1:9"
    file = tmp_path / "client.json"
    file.write_text(
        json.dumps(client_file(other_gmail, ["http://localhost/oauth/callback"]))
    )
    settings = {
        "FIRESTORE_EMULATOR_HOST": firestore,
        "PUBSUB_EMULATOR_HOST": pubsub,
        "GMAIL_API_ENDPOINT": other_gmail,
        "GOOGLE_OAUTH_CLIENT_FILE": str(file),
        "GOOGLE_CLOUD_PROJECT": "exported-hosts",
    }
    subscription = (
        f"http://{pubsub}/v1/projects/exported-hosts/subscriptions/"
        "gmail-notifications-inbound"
    )
    endpoints = []
    for run in ("one", "two"):
        system = start_system(tmp_path / run, **settings)
        addresses = system.wait_ready()
        push = requests.get(subscription, timeout=10).json()["pushConfig"]
        endpoints.append(push["pushEndpoint"])
        assert "gmail" not in addresses
        assert addresses["firestore_emulator_host"] == firestore
        assert addresses["pubsub_emulator_host"] == pubsub
        assert system.stop() == 0

    assert endpoints[0] != endpoints[1]
    assert requests.get(f"http://{firestore}/", timeout=10).ok


def _process_on(host: str) -> int:
    """The emulator that was told to listen at this port."""
    wanted = f"--port={host.rsplit(':', 1)[1]}".encode()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if wanted in entry.read_bytes().split(b"\0"):
                return int(entry.parent.name)
        except OSError:
            continue
    raise AssertionError(f"nothing runs on {host}")
