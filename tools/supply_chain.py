"""What the product is made of: every locked package, its licence, its known faults.

python -m tools.supply_chain            the list, as a table
python -m tools.supply_chain --check    fail on a licence that is not on the list
python -m tools.supply_chain --audit    ask pip-audit too, where its data is reachable
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

ACCEPTED = frozenset(
    {
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",
        "PSF-2.0",
        "Unlicense",
    }
)
"""Licences under which anybody may run and ship this with their own code."""

_SPDX = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD",
    "bsd": "BSD",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
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


def licences(names: Mapping[str, Locked]) -> dict[str, str]:
    """Licence of each installed package; one that is not installed here says so."""
    found: dict[str, str] = {}
    for name in sorted(names):
        try:
            found[name] = _licence(metadata.metadata(name))
        except metadata.PackageNotFoundError:
            # A lock for every platform names what only another one needs.
            found[name] = "not for this platform"
    return found


def is_accepted(licence: str) -> bool:
    """Whether one may ship it: one choice of an `OR`, every part of an `AND`."""
    if licence == "not for this platform":
        return True
    words = licence.replace("(", " ").replace(")", " ")
    return any(
        all(part.strip() in ACCEPTED for part in choice.split(" AND "))
        for choice in words.split(" OR ")
    )


def _licence(about: metadata.PackageMetadata) -> str:
    if "License-Expression" in about:
        return about["License-Expression"]
    for classifier in about.get_all("Classifier") or []:
        if classifier.startswith("License :: OSI Approved :: "):
            return _spdx(classifier.rsplit(" :: ", 1)[-1])
    if "License" in about:
        return _spdx(about["License"].strip().splitlines()[0])
    return "unknown"


def _spdx(text: str) -> str:
    return _SPDX.get(text.lower(), text)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _audit() -> int:
    """Ask for known faults; not being able to is said, and is no fault."""
    scanner = shutil.which("pip-audit")
    if scanner is None:
        _say("NOT AUDITED: pip-audit is not installed")
        return 0
    done = subprocess.run(  # noqa: S603  (our own arguments)
        [
            scanner,
            "--require-hashes",
            "--disable-pip",
            "--requirement",
            str(LOCK),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "Found" not in done.stdout + done.stderr:
        _say("NOT AUDITED: pip-audit cannot reach its database")
        return 0
    _say(done.stdout or done.stderr)
    return done.returncode


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Print the table; with --check and --audit judge it."""
    parser = argparse.ArgumentParser(prog="supply_chain")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--audit", action="store_true")
    given = parser.parse_args()
    names = locked(LOCK)
    found = licences(names)
    for name, licence in found.items():
        _say(f"{name:36} {names[name].version:16} {licence}")
    bad = [name for name, licence in found.items() if not is_accepted(licence)]
    if given.check and bad:
        _say(f"Not on the list of licences: {', '.join(bad)}")
        return 1
    return _audit() if given.audit else 0


if __name__ == "__main__":
    sys.exit(main())
