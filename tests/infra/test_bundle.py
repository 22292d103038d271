"""What is deployed, unpacked in an environment that has nothing else.

The allow-list is read from `bundle.tf`; where Terraform can plan, both are compared.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra import source
from tests.infra.offline import ROOT, TERRAFORM, Plan
from tools import supply_chain

ENVIRONMENT = {
    "BLOB_BUCKET": "demo-project-blobs",
    "GOOGLE_CLOUD_PROJECT": "demo-project",
    "PUBLIC_URL": "https://connect-123456789012.europe-west1.run.app",
    "PUSH_AUDIENCE": "https://inbound-123456789012.europe-west1.run.app",
    "PUSH_SERVICE_ACCOUNT": "pubsub-push@demo-project.iam.gserviceaccount.com",
}
LISTENING_SECONDS = 30


def allowed() -> dict[str, Path]:
    """Names in the bundle, and where they come from."""
    text = (TERRAFORM / "bundle.tf").read_text()
    found = {"main.py": ROOT / "main.py"}
    for folder, endings in re.findall(
        r'fileset\(local\.root, "(\w+)/\*\*/\*\.\{([a-z,]+)\}"\)', text
    ):
        for ending in endings.split(","):
            for path in (ROOT / folder).rglob(f"*.{ending}"):
                found[path.relative_to(ROOT).as_posix()] = path
    found["requirements.txt"] = ROOT / "requirements.lock"
    return found


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked bundle."""
    folder = tmp_path_factory.mktemp("bundle")
    archive = folder / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, path in allowed().items():
            packed.write(path, name)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder / "workspace")
    return folder / "workspace"


@pytest.fixture(scope="module")
def python(bundle: Path) -> Path:
    """An interpreter that has what the bundle's list names, and nothing else."""
    folder = bundle.parent / "venv"
    interpreter = folder / "bin" / "python"
    what = ["--quiet", "--require-hashes", "--requirement", bundle / "requirements.txt"]
    uv = Path(sys.executable).parent / "uv"
    venv.create(folder, with_pip=False)
    done = None
    if uv.exists():
        # uv does not read pip's settings; the one that matters is the index.
        index = _run(sys.executable, "-m", "pip", "config", "get", "global.index-url")
        found = index.stdout.strip() if index.returncode == 0 else ""
        done = _run(
            *(uv, "pip", "install", "--system-certs", "--compile-bytecode"),
            *("--python", interpreter, *what),
            **({"UV_DEFAULT_INDEX": found} if found else {}),
        )
    if done is None or done.returncode != 0:
        venv.create(folder, with_pip=True)
        done = _run(interpreter, "-m", "pip", "install", *what)
    assert done.returncode == 0, done.stderr[-2000:]
    return interpreter


def _run(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **more},
    )


def test_terraform_packs_the_same_files(planned: Plan):
    packed = {
        item["filename"]
        for resource in planned.raw["prior_state"]["values"]["root_module"]["resources"]
        if resource["address"] == "data.archive_file.bundle"
        for item in resource["values"]["source"]
    }

    assert packed == set(allowed())


def test_every_file_of_the_product_is_packed():
    """A new kind of file must not be forgotten by the allow-list."""
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in ("functions", "shared")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert there - set(allowed()) == set()


def test_nothing_of_tests_simulators_or_secrets_is_packed(bundle: Path):
    for path in bundle.rglob("*"):
        name = path.relative_to(bundle).as_posix()
        assert not name.startswith(("tests", "infra", "docs", ".")), name
        assert not re.search(r"simulator|demo|\.env|\.pem|\.key|client\.json", name)
    texts = "\n".join(item.read_text() for item in bundle.rglob("*.py"))
    assert "-----BEGIN" not in texts
    assert not re.search(r"GOCSPX-\w|ya29\.\w", texts)


def test_product_in_the_bundle_imports_nothing_that_is_left_out(bundle: Path):
    for path in bundle.rglob("*.py"):
        assert not re.search(
            r"^\s*(?:from|import) (?:infra|tests)\b", path.read_text(), re.MULTILINE
        ), path


def test_every_requirement_is_pinned_with_hashes():
    locked = supply_chain.locked(ROOT / "requirements.lock")
    direct = supply_chain.direct(ROOT / "requirements.txt")

    assert direct
    assert len(locked) > len(direct)
    assert (
        direct.items() <= {name: item.version for name, item in locked.items()}.items()
    )
    assert [name for name, item in locked.items() if not item.hashes] == []


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return int(free.getsockname()[1])


def _serve(
    target: str, port: int, python: Path, bundle: Path
) -> subprocess.Popen[bytes]:
    # As the platform does it: the framework's own server, and no more environment.
    return subprocess.Popen(
        [python, "-m", "functions_framework", "--target", target, "--port", str(port)],
        cwd=bundle,
        env={"PATH": os.defpath, "HOME": str(bundle.parent), **ENVIRONMENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.fixture
def call(
    request: pytest.FixtureRequest, port: int, python: Path, bundle: Path
) -> Iterator[tuple[str, int]]:
    """Serve an entry point; gives its name and the status of a first call."""
    target: str = request.param
    path = {"api": "/health", "connect": "/oauth/start?flow=none"}.get(target, "/")
    data = None if target in {"api", "connect"} else b"{}"
    server = _serve(target, port, python, bundle)
    try:
        yield target, _first_answer(server, f"http://localhost:{port}{path}", data)
    finally:
        server.terminate()
        server.communicate(timeout=20)


def _first_answer(server: subprocess.Popen[bytes], url: str, data: bytes | None) -> int:
    until = time.monotonic() + LISTENING_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            pytest.fail(server.communicate()[1].decode()[-2000:])
        try:
            with urllib.request.urlopen(url, data, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code
        except urllib.error.URLError:
            time.sleep(0.1)
    pytest.fail("it does not listen")


EXPECTED = {"api": 200}
"""Pushes without a token are refused, by the code and before anything else."""


@pytest.mark.parametrize(
    "call", sorted(source.entry_points() - {"connect"}), indirect=True
)
def test_every_entry_point_is_served_from_the_bundle_alone(call: tuple[str, int]):
    target, status = call

    assert status == EXPECTED.get(target, 403)


def test_every_entry_point_loads_with_the_bundle_alone(python: Path, bundle: Path):
    """Also what is imported only when it is first called, `connect` among it."""
    modules = [f"functions.{name}" for name in sorted(source.entry_points())]
    code = "; ".join(f"import {name}" for name in modules)
    done = subprocess.run(
        [python, "-c", code],
        cwd=bundle,
        env={"PATH": os.defpath, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert sys.version_info >= (3, 11)
