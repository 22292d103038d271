"""The README's commands do what it says, on a running system."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import requests

from gmail_simulator.consent import consent
from gmail_sync.running import STATE
from infra.local.local_process import LocalProcess
from infra.local.simulated_gmail import FIRST_ACCOUNT
from infra.local.state import ROOT
from tests.e2e.conftest import StartSystem
from tests.support.waiting import wait_for

MAIL = (
    b"From: Ann Lee <ann@lee.example>\r\nTo: you@agency.example\r\n"
    b"Subject: Hello\r\nMessage-ID: <hello@lee.example>\r\n\r\nHi there\r\n"
)


@pytest.fixture(scope="module")
def system(start_system: StartSystem) -> LocalProcess:
    return start_system(BACKEND="embedded")


def shell_steps(url: str) -> list[str]:
    """The steps of the block that wires a CRM, told apart by their numbers."""
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    block = next(item for item in blocks if "API=" in item)
    return re.split(r"# \d\. .*\n", block.replace("http://localhost:8080", url))


def run(system: LocalProcess, script: str) -> list[dict[str, object]]:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={**os.environ, STATE: str(system.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def test_the_crm_is_wired_as_the_readme_says(system: LocalProcess) -> None:
    addresses = system.wait_ready()
    common, push, connect, read = shell_steps(system.url)

    pushed = run(system, common + push)
    begun = run(system, common + connect)
    browser = requests.Session()
    callback = consent(browser, str(begun[0]["authorization_url"]), FIRST_ACCOUNT[0])
    assert browser.get(callback, timeout=10).ok
    requests.post(
        f"{addresses['gmail']}/_simulator/deliver",
        params={"rcpt": FIRST_ACCOUNT[0]},
        data=MAIL,
        timeout=10,
    ).raise_for_status()
    answers = wait_for(
        lambda: found if (found := run(system, common + read))[1]["items"] else None, 30
    )

    connection, conversations, messages, decisions = answers
    assert [item["name"] for item in pushed] == ["North Agency", "You", "Ann Lee"]
    assert connection["status"] == "active"
    assert conversations["items"][0]["contact"] == "c1"
    assert messages["items"][0]["text"].strip() == "Hi there"
    assert decisions["items"][0]["rule"] == "M5"
