"""The two things that can be installed: the operator's commands and the simulator."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("project", "command", "package", "absent"),
    [
        (".", "gmail-sync = gmail_sync.cli:main", "gmail_sync", "infra/"),
        (
            "gmail_simulator",
            "gmail-simulator = gmail_simulator.__main__:main",
            "gmail_simulator",
            "tests/",
        ),
    ],
)
def test_a_wheel_has_what_its_command_needs_and_no_more(
    project: str, command: str, package: str, absent: str, tmp_path: Path
) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT / project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "installed")
        points = next(name for name in names if name.endswith("entry_points.txt"))
        assert command in packed.read(points).decode()
    assert [name for name in names if absent in name] == []
    helped = subprocess.run(
        [sys.executable, "-m", package, "--help"],
        cwd=tmp_path,
        env={"PATH": os.defpath, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert helped.returncode == 0, helped.stderr
    assert command.partition(" ")[0] in helped.stdout
    if package == "gmail_simulator":
        assert "gmail_simulator/templates/consent.html" in names
