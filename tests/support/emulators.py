"""The emulators for tests: started once per process, stopped at its end.

Where one is not installed the test is skipped with what to install; with `CI=true`
that is a failure, so that no green run hides it.
"""

from __future__ import annotations

import atexit
import os
import uuid
from functools import cache

import pytest

from infra.local import emulators


@cache
def _started(kind: emulators.Kind) -> emulators.Running:
    running = emulators.start(kind)
    atexit.register(running.stop)
    return running


def emulator(kind: emulators.Kind) -> str:
    """Host of the running emulator; starts it when it is first asked for."""
    if not emulators.available(kind):
        reason = f"EMULATOR NOT INSTALLED: {emulators.missing(kind)}"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return _started(kind).host


def unique_project() -> str:
    """A project id nobody else uses: it isolates a test in a shared emulator."""
    return f"test-{uuid.uuid4().hex[:20]}"
