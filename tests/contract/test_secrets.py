"""What every secret store promises; the real client speaks to the local server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.cloud.secretmanager_v1 import SecretManagerServiceClient

from infra.local import secret_manager
from shared.errors import DocumentMissing, Misconfigured, Permanent, Transient
from shared.gateways.memory import MemorySecrets
from shared.gateways.secret_manager import SecretManagerSecrets, _make_client
from shared.ports import Secrets

PROJECT = "demo"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    running = secret_manager.start(tmp_path / "secrets.json")
    yield running.host
    running.stop()


@pytest.fixture(params=["memory", "secret_manager"])
def make(request: pytest.FixtureRequest) -> Callable[[], Secrets]:
    """Make gateways to one and the same store."""
    if request.param == "memory":
        store = MemorySecrets()
        return lambda: store
    host = request.getfixturevalue("endpoint")
    return lambda: SecretManagerSecrets(PROJECT, endpoint=host)


@pytest.fixture
def secrets(make: Callable[[], Secrets]) -> Secrets:
    return make()


def test_a_secret_that_was_never_written_is_missing(secrets: Secrets) -> None:
    with pytest.raises(DocumentMissing):
        secrets.read("none")
    assert secrets.read_all("none") == []


def test_what_was_written_is_read_back(secrets: Secrets) -> None:
    secrets.write("s", b"\0\xffvalue")
    assert secrets.read("s") == b"\0\xffvalue"
    assert secrets.read_all("s") == [b"\0\xffvalue"]


def test_an_empty_value_is_a_value(secrets: Secrets) -> None:
    secrets.write("s", b"")
    assert secrets.read("s") == b""


def test_a_write_leaves_only_its_own_version(secrets: Secrets) -> None:
    for value in (b"1", b"2", b"3"):
        secrets.write("s", value)
    assert secrets.read("s") == b"3"
    assert secrets.read_all("s") == [b"3"]


def test_destroy_removes_everything_and_twice_is_no_error(secrets: Secrets) -> None:
    secrets.write("s", b"1")
    secrets.destroy("s")
    secrets.destroy("s")
    with pytest.raises(DocumentMissing):
        secrets.read("s")
    assert secrets.read_all("s") == []


def test_a_destroyed_secret_can_be_written_again(secrets: Secrets) -> None:
    secrets.write("s", b"1")
    secrets.destroy("s")
    secrets.write("s", b"2")
    assert secrets.read_all("s") == [b"2"]


def test_secrets_are_apart(secrets: Secrets) -> None:
    secrets.write("a", b"1")
    secrets.write("a-b_C", b"2")
    secrets.destroy("a")
    assert secrets.read("a-b_C") == b"2"


@pytest.mark.parametrize("name", ["", "a/b", "a.b", "x" * 256, "ü", "a b", "s\n"])
def test_names_that_secret_manager_refuses_are_permanent_errors(
    secrets: Secrets, name: str
) -> None:
    for call in (secrets.read, secrets.read_all, secrets.destroy):
        with pytest.raises(Permanent):
            call(name)
    with pytest.raises(Permanent):
        secrets.write(name, b"x")


def test_a_value_over_64_kib_is_refused(secrets: Secrets) -> None:
    secrets.write("s", b"x" * 65536)
    with pytest.raises(Permanent):
        secrets.write("s", b"x" * 65537)
    assert len(secrets.read("s")) == 65536


def test_a_name_of_255_characters_works(secrets: Secrets) -> None:
    secrets.write("x" * 255, b"1")
    assert secrets.read("x" * 255) == b"1"


def test_concurrent_writers_leave_a_readable_secret(
    make: Callable[[], Secrets],
) -> None:
    """A reader never finds the secret empty, whoever writes."""
    gateways = [make() for _ in range(4)]
    gateways[0].write("s", b"first")

    def write(number: int) -> None:
        gateways[number % 4].write("s", str(number).encode())

    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(write, number) for number in range(16)]
        reads = [pool.submit(gateways[0].read, "s") for _ in range(16)]
        for done in writes + reads:
            done.result()
    values = gateways[0].read_all("s")
    assert len(values) == 1
    assert int(values[0]) in range(16)


def test_no_value_is_in_a_repr(secrets: Secrets) -> None:
    secrets.write("s", b"canary")
    assert "canary" not in repr(secrets)


# --- the real client's own ------------------------------------------------------------


@pytest.fixture
def client(endpoint: str) -> SecretManagerServiceClient:
    return _make_client(endpoint)


def add(client: SecretManagerServiceClient, value: bytes) -> str:
    parent = f"projects/{PROJECT}/secrets/s"
    request = {"parent": parent, "payload": {"data": value}}
    return client.add_secret_version(request=request).name


def test_versions_added_by_an_operator_are_all_read_newest_first(
    endpoint: str, client: SecretManagerServiceClient
) -> None:
    secrets = SecretManagerSecrets(PROJECT, endpoint=endpoint)
    secrets.write("s", b"1")
    add(client, b"2")
    add(client, b"3")
    assert secrets.read_all("s") == [b"3", b"2", b"1"]
    assert secrets.read("s") == b"3"


def test_a_disabled_newest_version_leaves_the_next_one(
    endpoint: str, client: SecretManagerServiceClient
) -> None:
    secrets = SecretManagerSecrets(PROJECT, endpoint=endpoint)
    secrets.write("s", b"1")
    newest = add(client, b"2")
    client.disable_secret_version(name=newest)
    assert secrets.read("s") == b"1"
    assert secrets.read_all("s") == [b"1"]
    client.enable_secret_version(name=newest)
    assert secrets.read("s") == b"2"
    client.disable_secret_version(name=newest)
    secrets.write("s", b"3")
    states = client.list_secret_versions(parent=f"projects/{PROJECT}/secrets/s")
    assert [version.state.name for version in states] == [
        "ENABLED",
        "DESTROYED",
        "DESTROYED",
    ]


def test_a_secret_with_no_enabled_version_is_missing(
    endpoint: str, client: SecretManagerServiceClient
) -> None:
    secrets = SecretManagerSecrets(PROJECT, endpoint=endpoint)
    secrets.write("s", b"1")
    client.disable_secret_version(name=f"projects/{PROJECT}/secrets/s/versions/1")
    with pytest.raises(DocumentMissing):
        secrets.read("s")
    assert secrets.read_all("s") == []


def test_a_secret_without_versions_is_missing(
    endpoint: str, client: SecretManagerServiceClient
) -> None:
    client.create_secret(
        parent=f"projects/{PROJECT}",
        secret_id="s",
        secret={"replication": {"automatic": {}}},
    )
    secrets = SecretManagerSecrets(PROJECT, endpoint=endpoint)
    with pytest.raises(DocumentMissing):
        secrets.read("s")
    secrets.write("s", b"1")
    assert secrets.read("s") == b"1"


@pytest.mark.parametrize(
    "endpoint",
    ["secrets.example.com:443", "http://10.0.0.1:80", "localhost", "https://evil:1"],
)
def test_an_endpoint_off_this_machine_is_refused(endpoint: str) -> None:
    with pytest.raises(Misconfigured):
        SecretManagerSecrets(PROJECT, endpoint=endpoint)


def test_an_unreachable_service_is_transient(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "shared.gateways.secret_manager._OPTIONS", {"retry": None, "timeout": 2}
    )
    secrets = SecretManagerSecrets(PROJECT, endpoint="127.0.0.1:1")
    with pytest.raises(Transient):
        secrets.read("s")


def test_the_local_server_pages_its_lists(client: SecretManagerServiceClient) -> None:
    for name in "abc":
        client.create_secret(
            parent=f"projects/{PROJECT}",
            secret_id=name,
            secret={"replication": {"automatic": {}}},
        )
    request = {"parent": f"projects/{PROJECT}", "page_size": 2}
    names = [secret.name for secret in client.list_secrets(request=request)]
    assert names == [f"projects/{PROJECT}/secrets/{name}" for name in "abc"]


def test_the_local_server_keeps_secrets_through_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"

    def run() -> tuple[subprocess.Popen[str], SecretManagerSecrets]:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.secret_manager", "--file", str(file)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert process.stdout is not None
        host = process.stdout.readline().removeprefix("ready ").strip()
        process.stdout.close()
        return process, SecretManagerSecrets(PROJECT, endpoint=host)

    process, secrets = run()
    secrets.write("a", b"1")
    secrets.write("a", b"2")
    secrets.write("gone", b"x")
    secrets.destroy("gone")
    process.kill()
    process.wait()
    assert file.stat().st_mode & 0o077 == 0

    process, secrets = run()
    assert secrets.read_all("a") == [b"2"]
    with pytest.raises(DocumentMissing):
        secrets.read("gone")
    secrets.write("a", b"3")
    assert secrets.read("a") == b"3"
    process.terminate()
    assert process.wait(10) == 0


def test_a_local_server_answers_only_on_loopback(endpoint: str) -> None:
    assert endpoint.startswith("127.0.0.1:")
    with grpc.insecure_channel(endpoint) as channel:
        grpc.channel_ready_future(channel).result(5)
