"""Terraform's own checks, without credentials and without the network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.offline import TERRAFORM, Plan, run_check


def test_configuration_is_formatted_valid_and_passes_its_own_tests():
    done = run_check(
        "--steps", "fmt,validate,test", "--", "-var", "project_id=demo-project"
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_plan_holds_no_secret_value(planned: Plan):
    kinds = {
        resource["type"]
        for resource in planned.raw["planned_values"]["root_module"]["resources"]
    }

    assert "google_secret_manager_secret" in kinds
    assert "google_secret_manager_secret_version" not in kinds
    assert not any(
        resource["service_config"][0]["secret_environment_variables"]
        for resource in planned.all("google_cloudfunctions2_function").values()
    )


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (
            "https://connect-1.europe-west1.run.app/settings?token=eyJhbGciOi.e30.x",
            False,
        ),
        ("https://sync.example.com/settings?a=1&token=eyJhbGciOi.e30.x", False),
        ("https://sync.example.com/oauth/callback?state=s&code=c", False),
        ("https://sync.example.com/oauth/start?flow=f", False),
        ("https://sync.example.com/settings", True),
        ("https://sync.example.com/v1/subaccounts/a/decisions?address=x@y.zz", True),
    ],
)
def test_no_request_log_holds_a_token_of_its_url(planned: Plan, url: str, kept: bool):
    (exclusion,) = planned.all("google_logging_project_exclusion").values()
    pattern = re.search(r'requestUrl=~"([^"]+)"', exclusion["filter"])
    assert pattern
    assert (re.search(pattern[1], url) is None) == kept
    assert not exclusion["disabled"]
    for resource_type in ("cloud_run_revision", "http_load_balancer"):
        assert resource_type in exclusion["filter"]


def test_every_exception_of_the_policy_scanner_has_its_reason():
    for file in TERRAFORM.glob("*.tf"):
        for line in file.read_text().splitlines():
            if "checkov:skip" in line:
                assert re.search(r"#checkov:skip=CKV\w+:\S.{20,}", line), (file, line)


def test_policy_scanner_finds_nothing(tmp_path: Path):
    scanner = shutil.which("checkov") or os.environ.get("CHECKOV")
    if not scanner:
        pytest.skip("POLICIES NOT CHECKED: checkov is not installed (CHECKOV names it)")
    done = subprocess.run(
        [
            scanner,
            "--directory",
            str(TERRAFORM),
            "--framework",
            "terraform",
            "--skip-download",
            "--compact",
            "--quiet",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stdout
    assert "Failed checks: 0" in done.stdout


def test_nothing_that_runs_leaves_behind_is_in_the_repository():
    left = [
        item
        for item in TERRAFORM.rglob("*")
        if item.name == ".terraform.lock.hcl" or ".tfstate" in item.name
    ]

    assert left == [], f"{sys.platform}: of a run by hand; a lock belongs to a release"
