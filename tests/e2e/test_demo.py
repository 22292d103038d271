"""The demo is a test: it fails when a decision or a conversation is not what the rules say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from infra.local.demo import Demo
from infra.local.demo_screen import Screen
from infra.local.demo_story import STORY
from infra.local.state import ROOT
from tests.e2e.conftest import StartSystem


@pytest.mark.usefixtures("real_emulators")
def test_make_demo_ends_well_and_explains_every_mail() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed." in done.stdout
    assert all(mail.story in done.stdout for mail in STORY)


def test_the_story_is_the_same_without_emulators(start_system: StartSystem) -> None:
    """Embedded Firestore and Pub/Sub decide and record as Google's do."""
    demo = Demo(Screen())

    demo.run(start_system(BACKEND="embedded").wait_ready())

    assert demo.problems == []
