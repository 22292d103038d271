"""Licences are judged, and an audit says what it has looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import supply_chain


@pytest.fixture
def scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a pip-audit in place that prints this."""

    def install(stdout: str = "", stderr: str = "", code: int = 0) -> None:
        (tmp_path / "out").write_text(stdout)
        (tmp_path / "err").write_text(stderr)
        script = tmp_path / "pip-audit"
        script.write_text(
            f"#!/bin/sh\ncat {tmp_path}/out\ncat {tmp_path}/err >&2\nexit {code}\n"
        )
        script.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return install


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "lock"
    file.write_text("a==1\nb==2\n")
    return file


def package(name: str, *faults: str) -> dict[str, object]:
    return {"name": name, "version": "1", "vulns": [{"id": fault} for fault in faults]}


SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("printed", "code", "words"),
    [
        ([package("a"), package("b")], 0, "Audited 2 of 2 packages: 0 known faults"),
        ([package("a"), SKIPPED], 0, "Audited 1 of 2 packages: 0 known faults"),
        ([package("a", "CVE-1")], 1, "a 1: CVE-1\nAudited 1 of 2 packages: 1 known"),
        ([SKIPPED, SKIPPED], 0, "NOT AUDITED: pip-audit looked at none of 2"),
        ([], 0, "NOT AUDITED: pip-audit looked at none of 2"),
    ],
)
def test_an_audit_says_how_much_it_has_looked_at(scanner, lock, printed, code, words):
    scanner(json.dumps({"dependencies": printed, "fixes": []}), code=code)
    found, said = supply_chain.audit(lock)
    assert found == code
    assert said.startswith(words)


@pytest.mark.parametrize("stdout", ["", "[]", "null", "{}", "No known faults"])
def test_an_audit_that_could_not_ask_is_said_to_have_audited_nothing(
    scanner, lock, stdout
):
    scanner(stdout, "ERROR: connection refused\n", code=1)
    code, said = supply_chain.audit(lock)
    assert (code, said) == (0, "NOT AUDITED: ERROR: connection refused")


def test_without_pip_audit_nothing_is_audited(lock, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert supply_chain.audit(lock)[1].startswith("NOT AUDITED: pip-audit is not")


def test_every_licence_of_the_product_is_accepted(capfd):
    packages = sorted(supply_chain.locked(supply_chain.LOCK))
    assert supply_chain.licences(packages, supply_chain.ACCEPTED) == 0
    assert "MIT" in capfd.readouterr().out


def test_another_licence_is_refused_and_named(capfd):
    assert supply_chain.licences(["requests"], ["MIT"]) == 1
    assert "requests" in capfd.readouterr().err
