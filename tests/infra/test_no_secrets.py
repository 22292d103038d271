"""Nothing that looks like a secret is committed, or waits to be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SECRET = re.compile(
    rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY"
    rb"|\bAIza[0-9A-Za-z_-]{35}"  # Google API key
    rb"|\bGOCSPX-[0-9A-Za-z_-]{20,}"  # Google OAuth client secret
    rb"|\bya29\.[0-9A-Za-z_-]{30,}"  # Google access token
    rb"|\b1//0[0-9A-Za-z_-]{30,}"  # Google refresh token
    rb"|\bgh[opsur]_[0-9A-Za-z]{36}"  # GitHub tokens
    rb"|\bgithub_pat_[0-9A-Za-z_]{50,}"
    rb"|\bxox[abeoprs]-[0-9A-Za-z-]{10,}"  # Slack
    rb"|\bAKIA[0-9A-Z]{16}\b"  # AWS
    rb"|\bSG\.[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{20,}"  # SendGrid
    rb"|\bpypi-[0-9A-Za-z_-]{50,}"
)


def committed() -> list[Path]:
    """Every file of the repository, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
    return [path for path in paths if path.is_file()]


def test_no_file_holds_what_looks_like_a_secret():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()[:12]!r}…"
        for path in committed()
        for match in SECRET.finditer(path.read_bytes())
    ]
    assert found == []


# Put together here, so that this file is not found itself.
@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "-----BEGIN " + "PRIVATE KEY-----",
        '"private_key": "-----BEGIN ' + 'PRIVATE KEY-----\\n"',
        "key=AI" + "za" + "x" * 35,
        "GOCSPX" + "-" + "a1" * 12,
        "ya29" + "." + "a0" * 30,
        "1//0" + "gA" * 20,
        "ghp" + "_" + "a" * 36,
        "xoxb" + "-1234567890-abc",
        "AKIA" + "A" * 16,
    ],
)
def test_what_a_secret_looks_like_is_known(text):
    assert SECRET.search(text.encode())


def test_the_search_looks_at_the_repositorys_files():
    assert {ROOT / "SECURITY.md", Path(__file__)} <= set(committed())
