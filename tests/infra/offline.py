"""Terraform without the providers' binaries and without credentials.

A folder with two programs, `setup CACHE` and `check CACHE FOLDER`, does it: named by
TERRAFORM_OFFLINE, else beside the repository. Where it or terraform is missing, tests
of the plan are skipped, and say so.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infra" / "terraform"
VARIABLES = "../../tests/infra/deployment.tfvars"
_SECONDS = 300


@dataclass(frozen=True)
class Plan:
    """What `terraform plan` would make of an empty project."""

    raw: dict[str, Any]

    def all(self, kind: str, name: str | None = None) -> dict[str, dict[str, Any]]:
        """Values of the planned resources of a type, by address."""
        return {
            resource["address"]: resource["values"]
            for resource in self.raw["planned_values"]["root_module"]["resources"]
            if resource["type"] == kind
            and resource["mode"] == "managed"
            and (name is None or resource["name"] == name)
        }

    def output(self, name: str) -> Any:
        return self.raw["planned_values"]["outputs"][name]["value"]


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `check` on the project's Terraform."""
    tool = _tool()
    cache = _cache(tool)
    # Only what Terraform reads is looked at, so a half-written file elsewhere is no harm.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("main.py", "requirements.lock"):
            shutil.copy2(ROOT / name, root / name)
        for name in ("functions", "shared", "infra/terraform", "tests/infra"):
            shutil.copytree(
                ROOT / name,
                root / name,
                ignore=shutil.ignore_patterns(
                    "__pycache__", ".terraform*", "*.tfstate*"
                ),
            )
        return subprocess.run(
            [
                sys.executable,
                str(tool / "check"),
                str(cache),
                str(root / "infra" / "terraform"),
                "--root",
                str(root),
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def plan(folder: Path) -> Plan:
    """The plan of a deployment with everything set; one for all who use `folder`."""
    file = folder / "plan.json"
    with (folder / "plan.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            made = folder / "plan.new"
            done = run_check(
                "--steps",
                "plan",
                "--plan-json",
                str(made),
                "--",
                f"-var-file={VARIABLES}",
            )
            assert done.returncode == 0, done.stdout + done.stderr
            made.rename(file)
    return Plan(json.loads(file.read_text()))


def _tool() -> Path:
    given = os.environ.get("TERRAFORM_OFFLINE")
    folder = Path(given) if given else ROOT.parent / "shared" / "terraform-offline"
    if shutil.which("terraform") is None:
        pytest.skip("TERRAFORM NOT CHECKED: terraform is not installed")
    if not (folder / "check").exists():
        pytest.skip(
            "TERRAFORM NOT CHECKED: TERRAFORM_OFFLINE names no folder with `check`"
        )
    return folder


def _cache(tool: Path) -> Path:
    """The providers' schemas, made once for all processes and runs."""
    given = os.environ.get("TERRAFORM_OFFLINE_CACHE")
    cache = Path(
        given or Path(tempfile.gettempdir(), f"terraform-offline-{os.getuid()}")
    )
    cache.mkdir(parents=True, exist_ok=True)
    with Path(cache, "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "terraformrc").exists():
            made = subprocess.run(
                [sys.executable, str(tool / "setup"), str(cache)],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
            if made.returncode != 0:
                pytest.skip(
                    "TERRAFORM NOT CHECKED: its schemas cannot be had here: "
                    + made.stderr[-300:]
                )
    return cache
