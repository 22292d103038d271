"""Each port's gateways: the one in memory and the real one against an emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from google.cloud.firestore import Client

from shared.gateways.firestore import FirestoreDocuments
from shared.gateways.memory import MemoryDocuments
from shared.ports import Documents
from tests.support.emulators import emulator, unique_project

MakeDocuments = Callable[[], Documents]

BOTH = ["memory", pytest.param("firestore", marks=pytest.mark.emulator)]


@pytest.fixture(params=BOTH)
def make_documents(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeDocuments]:
    """Make clients of one and the same empty store."""
    if request.param == "memory":
        store = MemoryDocuments()
        yield lambda: store
        return
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator("firestore"))
    project = unique_project()
    clients: list[Client] = []

    def make() -> Documents:
        client = Client(project=project)
        clients.append(client)
        return FirestoreDocuments(client_factory=lambda: client)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def documents(make_documents: MakeDocuments) -> Documents:
    return make_documents()
