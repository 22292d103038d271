"""The launcher of the emulators: what it starts it also ends."""

from __future__ import annotations

import pytest

from infra.local import emulators
from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Put
from tests.support import emulators as support


@pytest.mark.emulator
@pytest.mark.parametrize("kind", ["firestore", "pubsub"])
def test_an_emulator_answers_when_it_is_started_and_is_gone_when_stopped(
    kind: emulators.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    support.emulator(kind)  # skips where there is none
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    port = emulators.free_port()
    running = emulators.start(kind, port)
    assert running.host == f"127.0.0.1:{port}"
    assert running.process is not None
    assert emulators._answers(running.host)
    running.stop()
    running.stop()
    assert running.process.poll() is not None
    assert not emulators._answers(running.host)


@pytest.mark.parametrize("kind", ["firestore", "pubsub"])
def test_an_exported_emulator_is_used_as_it_is(
    kind: emulators.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{kind.upper()}_EMULATOR_HOST", "127.0.0.1:5")
    running = emulators.start(kind)
    assert (running.host, running.process) == ("127.0.0.1:5", None)
    assert emulators.available(kind)
    running.stop()


@pytest.mark.parametrize("kind", ["firestore", "pubsub"])
def test_a_missing_emulator_says_what_to_install(
    kind: emulators.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(f"{kind.upper()}_EMULATOR_HOST", raising=False)
    monkeypatch.setattr(emulators, "_sdk_root", lambda: None)
    assert not emulators.available(kind)
    with pytest.raises(emulators.EmulatorMissingError, match="install"):
        emulators.start(kind)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="EMULATOR NOT INSTALLED"):
        support.emulator(kind)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="EMULATOR NOT INSTALLED"):
        support.emulator(kind)


@pytest.mark.emulator
def test_a_project_is_emptied_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    host = support.emulator("firestore")
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", host)
    project = support.unique_project()
    documents = FirestoreDocuments(project)
    documents.commit([Put("c/d", {"x": 1}), Put("c/d/e/f", {})])
    emulators.empty_firestore(host, project)
    assert [item.exists for item in documents.get(["c/d", "c/d/e/f"])] == [False] * 2


def test_a_wait_ends_when_it_is_over() -> None:
    assert emulators.wait_until(lambda: True, 0)
    assert not emulators.wait_until(lambda: False, 0.05)
