"""What the product is made of: every locked package, its licence, its known faults.

python -m tools.supply_chain            the list, as a table
python -m tools.supply_chain --check    fail on a licence that is not on the list
python -m tools.supply_chain --audit    ask pip-audit too, where its data is reachable

pip-licenses reads the licences of the packages that are installed here; a lock for
every platform names some that only another one needs.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

ACCEPTED = (
    "3-Clause BSD License",
    "Apache Software License",
    "Apache-2.0",
    "Apache-2.0 OR BSD-2-Clause",
    "Apache-2.0 OR BSD-3-Clause",
    "BSD 3-Clause OR Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MIT License",
    "MIT OR Apache-2.0",
    "MIT-0",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
)
"""Licences, as packages word them, under which anybody may ship this with own code."""

_AUDIT_SECONDS = 100
_REQUIREMENT = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Locked:
    """A package as the lock file has it."""

    version: str
    hashes: int


def locked(file: Path) -> dict[str, Locked]:
    """Read a lock file: every package with its version and the number of hashes."""
    found: dict[str, Locked] = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", file.read_text(encoding="utf-8")):
        start = _REQUIREMENT.match(block)
        if start:
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}", block))
            found[_canonical(start[1])] = Locked(start[2], hashes)
    return found


def direct(file: Path) -> dict[str, str]:
    """Read what is asked for directly: name and version."""
    text = file.read_text(encoding="utf-8")
    return {_canonical(name): version for name, version in _REQUIREMENT.findall(text)}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licences(packages: Sequence[str], accepted: Sequence[str] | None) -> int:
    """Print the licences; returns 1 when one is not accepted, and names it."""
    allowed = [] if accepted is None else ["--allow-only", ";".join(accepted)]
    return subprocess.run(  # noqa: S603  (our own arguments)
        [sys.executable, "-m", "piplicenses", *allowed, "--packages", *packages],
        check=False,
    ).returncode


def audit(lock: Path) -> tuple[int, str]:
    """Ask pip-audit for known faults: exit code, and what it has really looked at.

    Not being able to ask is no failure, but it is said.
    """
    scanner = shutil.which("pip-audit")
    if scanner is None:
        return 0, "NOT AUDITED: pip-audit is not installed"
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off")
    try:
        done = subprocess.run(  # noqa: S603  (our own arguments)
            [scanner, *options, "--format", "json", "--requirement", str(lock)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_AUDIT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return 0, f"NOT AUDITED: pip-audit took more than {_AUDIT_SECONDS} seconds"
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = [*done.stderr.strip().splitlines(), "pip-audit said nothing"]
        return 0, f"NOT AUDITED: {why[-2] if len(why) > 1 else why[0]}"
    return _judged(packages, len(locked(lock)))


def _judged(packages: Sequence[dict[str, object]], total: int) -> tuple[int, str]:
    audited = [package for package in packages if "skip_reason" not in package]
    faulty = [
        f"{package['name']} {package['version']}: {fault['id']}"
        for package in audited
        for fault in package["vulns"]  # type: ignore[attr-defined]
    ]
    if not audited:
        return 0, f"NOT AUDITED: pip-audit looked at none of {total} packages"
    said = f"Audited {len(audited)} of {total} packages: {len(faulty)} known faults"
    return (1 if faulty else 0), "\n".join([*faulty, said])


def main() -> int:
    """Print the table; with --check and --audit judge it."""
    parser = argparse.ArgumentParser(prog="supply_chain")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--audit", action="store_true")
    given = parser.parse_args()
    code = licences(sorted(locked(LOCK)), ACCEPTED if given.check else None)
    if code or not given.audit:
        return code
    code, said = audit(LOCK)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
