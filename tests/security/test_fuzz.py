"""The parsers under a coverage-guided fuzzer for a moment; `make fuzz` takes longer.

What it ever found is in `test_found_by_fuzzing.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.fuzz.targets import TARGETS, check

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def fuzzer() -> None:
    try:
        import atheris  # noqa: F401
    except ImportError:
        reason = "ATHERIS NOT INSTALLED: it has wheels for Linux on x86-64 only."
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def fuzz(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.security.fuzz", *arguments]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_seed_holds() -> None:
    for name, target in TARGETS.items():
        for seed in target.seeds:
            check(name, seed)
            target.check(seed * 50)


def test_nothing_is_found_in_a_moment(tmp_path: Path) -> None:
    bounds = ("--seconds", "2", "--runs", "3000", "--seed", "1", "--jobs", "2")
    done = fuzz(*bounds, "--corpus", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    begun = dict(re.findall(r"(\w+) +#\d+\s+INITED cov: (\d+)", done.stdout))
    ended = dict(re.findall(r"(\w+) +#\d+\s+DONE\s+cov: (\d+)", done.stdout))
    assert begun.keys() == ended.keys() == TARGETS.keys()
    # Guided: it got further into the code than its seeds do.
    further = [name for name in TARGETS if int(ended[name]) > int(begun[name])]
    assert len(further) > len(TARGETS) / 2


def test_a_planted_bug_is_found_and_can_be_replayed(tmp_path: Path) -> None:
    """In a copy: a comment within a comment within a comment is too much."""
    for folder in ("shared", "functions", "infra/local", "tests/security"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    place = tmp_path / "shared/core/parsing/address_tokens.py"
    text = place.read_text(encoding="utf-8")
    planted = text.replace(
        "if depth > _MAX_COMMENT_DEPTH:", "if depth > 2:\n            raise KeyError"
    )
    assert planted != text
    place.write_text(planted, encoding="utf-8")
    bounds = ("--seconds", "20", "--runs", "200000", "--seed", "1")
    found = fuzz("address", *bounds, "--corpus", str(tmp_path / "kept"), root=tmp_path)
    assert found.returncode == 1
    assert "KeyError" in found.stdout
    replay = re.search(r"--replay (\S+)", found.stdout)
    assert replay
    assert "KeyError" in fuzz("address", "--replay", replay[1], root=tmp_path).stderr
    assert fuzz("address", "--replay", replay[1]).returncode == 0
