"""What every blob store promises."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server

from infra.local.emulators import free_port
from shared.errors import DocumentMissing, Permanent, Transient
from shared.gateways.cloud_storage import CloudStorageBlobs
from shared.gateways.folder_blobs import FolderBlobs
from shared.gateways.memory import MemoryBlobs
from shared.ports import Blobs

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def storage_endpoint() -> Iterator[str]:
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="blobs")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(params=["memory", "folder", "cloud_storage"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Blobs]:
    """Make gateways to one and the same store."""
    if request.param == "memory":
        store = MemoryBlobs()
        return lambda: store
    if request.param == "folder":
        return lambda: FolderBlobs(tmp_path / "blobs")
    endpoint = request.getfixturevalue("storage_endpoint")
    return lambda: CloudStorageBlobs("blobs", endpoint=endpoint)


@pytest.fixture
def blobs(make: Callable[[], Blobs], request: pytest.FixtureRequest) -> Blobs:
    return make()


@pytest.fixture
def at(request: pytest.FixtureRequest) -> str:
    """A prefix of this test's own: the emulator's bucket is shared."""
    return f"{abs(hash(request.node.nodeid)):x}/"


def test_what_was_put_is_read_back(blobs: Blobs, at: str) -> None:
    for data in (b"", b"x", bytes(range(256)) * 10):
        blobs.put(f"{at}k", data, "application/octet-stream")
        assert blobs.get(f"{at}k") == data


def test_a_missing_key_is_missing_for_get_and_before_the_first_piece(
    blobs: Blobs, at: str
) -> None:
    with pytest.raises(DocumentMissing):
        blobs.get(f"{at}none")
    with pytest.raises(DocumentMissing):
        blobs.stream(f"{at}none")


def test_a_stream_comes_in_pieces_of_at_most_a_mebibyte(blobs: Blobs, at: str) -> None:
    data = os.urandom(2 * MIB + 17)
    blobs.put(f"{at}k", data, "text/html")
    pieces = list(blobs.stream(f"{at}k"))
    assert max(map(len, pieces)) <= MIB
    assert b"".join(pieces) == data


def test_an_empty_blob_streams_nothing(blobs: Blobs, at: str) -> None:
    blobs.put(f"{at}k", b"", "text/plain")
    assert b"".join(blobs.stream(f"{at}k")) == b""


def test_put_replaces(blobs: Blobs, at: str) -> None:
    blobs.put(f"{at}k", b"long old value", "text/plain")
    blobs.put(f"{at}k", b"new", "text/plain")
    assert blobs.get(f"{at}k") == b"new"


def test_delete_prefix_removes_exactly_what_begins_with_it(
    blobs: Blobs, at: str
) -> None:
    keys = ["a", "a/b", "a/b/c", "a/bb", "ab", "b/a", "A/b"]
    for key in keys:
        blobs.put(at + key, key.encode(), "text/plain")
    blobs.delete_prefix(f"{at}a/b")
    for key in keys:
        if key.startswith("a/b"):
            with pytest.raises(DocumentMissing):
                blobs.get(at + key)
        else:
            assert blobs.get(at + key) == key.encode()
    blobs.delete_prefix(f"{at}a/b")


def test_a_key_removed_can_be_put_again(blobs: Blobs, at: str) -> None:
    blobs.put(f"{at}k", b"1", "text/plain")
    blobs.delete_prefix(f"{at}k")
    blobs.put(f"{at}k", b"2", "text/plain")
    assert blobs.get(f"{at}k") == b"2"


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "a.b~-_",
        "ü/日本",
        "..x",
        "a//b",
        "%2F",
        "x" * 600,
        "é" * 300,
        "a+b=c",
        "'\"",
    ],
)
def test_odd_keys_are_apart(blobs: Blobs, at: str, name: str) -> None:
    blobs.put(at + name, b"1", "text/plain")
    blobs.put(at + name + "x", b"2", "text/plain")
    assert blobs.get(at + name) == b"1"
    blobs.delete_prefix(at + name + "x")
    assert blobs.get(at + name) == b"1"
    blobs.delete_prefix(at + name)
    with pytest.raises(DocumentMissing):
        blobs.get(at + name)


@pytest.mark.parametrize("key", ["", ".", "..", "a\nb", "a\rb", "x" * 1025, "\ud800"])
def test_keys_that_cloud_storage_refuses_are_permanent_errors(
    blobs: Blobs, key: str
) -> None:
    with pytest.raises(Permanent):
        blobs.put(key, b"x", "text/plain")
    with pytest.raises(Permanent):
        blobs.get(key)
    with pytest.raises(Permanent):
        blobs.delete_prefix(key)


def test_a_second_gateway_sees_what_the_first_wrote(
    make: Callable[[], Blobs], at: str
) -> None:
    make().put(f"{at}k", b"x", "text/plain")
    assert make().get(f"{at}k") == b"x"


def test_a_folder_keeps_what_was_put_before_a_kill(tmp_path: Path) -> None:
    """The whole new blob or the whole old one, whenever the kill comes."""
    script = (
        "import sys, itertools\n"
        "from shared.gateways.folder_blobs import FolderBlobs\n"
        "blobs = FolderBlobs(sys.argv[1])\n"
        "for n in itertools.count():\n"
        "    blobs.put('k', bytes([n % 256]) * 200_000, 'text/plain')\n"
        "    print(n, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    for _ in range(5):
        acknowledged = int(process.stdout.readline())
    process.kill()
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    last = int(rest[-1]) if rest else acknowledged
    data = FolderBlobs(tmp_path).get("k")
    assert len(data) == 200_000
    assert len(set(data)) == 1
    assert data[0] in {last % 256, (last + 1) % 256}


def test_an_unreachable_service_is_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "shared.gateways.cloud_storage._OPTIONS", {"retry": None, "timeout": 2}
    )
    blobs = CloudStorageBlobs("blobs", endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Transient):
        blobs.get("k")
