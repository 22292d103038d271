"""`make up`: what a person, and a program that starts it, may rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from gmail_sync.running import STATE
from gmail_sync.tokens import mint
from infra.local import wiring
from infra.local.local_process import LocalProcess
from infra.local.local_settings import DEVELOPMENT_SIGNING_KEY
from infra.local.state import ROOT
from tests.e2e.conftest import StartSystem

HEADERS = {
    "Authorization": "Bearer "
    + mint(DEVELOPMENT_SIGNING_KEY, sub="crm", subaccounts=["s1"])
}


@pytest.fixture(scope="module")
def system(real_emulators: None, start_system: StartSystem) -> LocalProcess:
    started = start_system()
    started.wait_ready()
    return started


@pytest.fixture(scope="module")
def addresses(system: LocalProcess) -> dict[str, str]:
    return system.wait_ready()


def test_ready_line_names_the_api_the_web_mailbox_and_the_way_to_end(
    system: LocalProcess, addresses: dict[str, str]
) -> None:
    ready = [item for item in system.log().splitlines() if item.startswith("ready")]

    assert len(ready) == 1
    assert system.url in ready[0]
    assert addresses["gmail"] in ready[0]
    assert "make down" in ready[0]


def test_it_answers_on_ipv4_and_on_localhost(system: LocalProcess) -> None:
    for host in ("127.0.0.1", "localhost"):
        url = system.url.replace("localhost", host)
        assert requests.get(f"{url}/health", timeout=10).json()["status"] == "ok"


def test_both_http_functions_answer_at_one_address(system: LocalProcess) -> None:
    api = requests.get(f"{system.url}/v1/nothing", timeout=10)
    page = requests.get(f"{system.url}/oauth/start?flow=unknown", timeout=10)

    assert api.headers["Content-Type"].startswith("application/problem+json")
    assert page.headers["Content-Type"].startswith("text/html")


def test_the_api_writes_and_reads_with_a_caller_token(system: LocalProcess) -> None:
    url = f"{system.url}/v1/subaccounts/s1"
    body = {"name": "First"}

    assert requests.put(url, json=body, headers=HEADERS, timeout=10).ok
    assert requests.get(url, headers=HEADERS, timeout=10).json()["name"] == "First"


def test_token_command_mints_a_token_that_the_api_takes(system: LocalProcess) -> None:
    command = [sys.executable, "-m", "gmail_sync", "token", "--subaccount", "s9"]
    environment = {**os.environ, STATE: str(system.folder)}
    token = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    answer = requests.get(
        f"{system.url}/v1/subaccounts/s9",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )

    assert answer.json()["code"] == "not_found"


def test_every_topic_of_the_contract_and_every_dead_letter_exists(
    addresses: dict[str, str],
) -> None:
    base = f"http://{addresses['pubsub_emulator_host']}/v1/projects/local-project"
    topics = requests.get(f"{base}/topics", timeout=10).json()["topics"]
    found = requests.get(f"{base}/subscriptions", timeout=10).json()["subscriptions"]
    subscriptions = {item["name"].rsplit("/", 1)[1]: item for item in found}

    assert {topic["name"].rsplit("/", 1)[1] for topic in topics} == {
        *wiring.TOPICS,
        *(consumer.dead_letter_topic for consumer in wiring.CONSUMERS),
    }
    for consumer in wiring.CONSUMERS:
        subscription = subscriptions[consumer.subscription]
        assert subscription["ackDeadlineSeconds"] == 180
        assert subscription["pushConfig"]["pushEndpoint"].endswith(
            f"/{consumer.function}"
        )
        dead = subscription["deadLetterPolicy"]["deadLetterTopic"].rsplit("/", 1)[1]
        assert dead in subscriptions


def test_second_start_says_what_to_do(
    system: LocalProcess, start_system: StartSystem
) -> None:
    second = start_system(system.folder / ".." / system.folder.name)

    assert second.process.wait(20) == 2
    assert "running already" in second.log()
    assert "make down" in second.log()
    assert not system.has_ended()


def test_busy_port_is_named(system: LocalProcess, start_system: StartSystem) -> None:
    second = start_system(PORT=system.url.rsplit(":", 1)[1])

    assert second.process.wait(20) == 2
    assert "PORT: port" in second.log()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"PORT": "http"}, "PORT: must be a number"),
        ({"GOOGLE_CLOUD_PROJECT": "Bad Name"}, "GOOGLE_CLOUD_PROJECT:"),
        ({"CONSUMER_ADDRESSES": "perhaps"}, "CONSUMER_ADDRESSES:"),
        ({"PUBLIC_URL": "http://crm.example.com"}, "PUBLIC_URL:"),
        ({"GMAIL_API_ENDPOINT": "http://localhost:1"}, "GOOGLE_OAUTH_CLIENT_FILE:"),
        ({"GOOGLE_OAUTH_CLIENT_FILE": "/nowhere.json"}, "GOOGLE_OAUTH_CLIENT_FILE:"),
        ({"FIRESTORE_EMULATOR_HOST": "127.0.0.1:1"}, "FIRESTORE_EMULATOR_HOST:"),
    ],
)
def test_bad_setting_stops_the_start_and_is_named(
    start_system: StartSystem, settings: dict[str, str], message: str
) -> None:
    system = start_system(**settings)

    assert system.process.wait(20) == 2
    assert message in system.log()


def test_down_without_a_system_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.down", "--state", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "Nothing is running.\n"


def test_addresses_file_is_for_tools(system: LocalProcess) -> None:
    assert (
        json.loads((system.folder / "addresses.json").read_text())["api"] == system.url
    )
