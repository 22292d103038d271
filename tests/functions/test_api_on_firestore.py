"""The same calls over real HTTP, on Firestore's emulator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from google.cloud.firestore import Client
from werkzeug.serving import make_server

from shared import bootstrap
from shared.core.ids import address_key
from shared.core.records import Envelope, HeldBy
from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Create
from tests.support import api as support
from tests.support.emulators import emulator, unique_project

pytestmark = pytest.mark.emulator


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, wsgi: Any) -> Iterator[support.Api]:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator("firestore"))
    client = Client(project=unique_project())
    documents = FirestoreDocuments(client_factory=lambda: client)
    caller = support.Api(support.Memory(documents=documents), wsgi)
    monkeypatch.setattr(bootstrap, "services", lambda: caller.services)
    server = make_server("127.0.0.1", 0, wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    session = requests.Session()

    def call(method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {caller.token}", **more.pop("headers", {})}
        url = f"http://127.0.0.1:{server.port}{path}"
        answer = session.request(
            method, url, json=body, headers=headers, timeout=20, **more
        )
        is_json = answer.headers.get("Content-Type", "").endswith("json")
        answer.json = answer.json() if is_json else None  # type: ignore[method-assign]
        return answer

    monkeypatch.setattr(caller, "call", call)
    caller.put("/v1/subaccounts/a", {"name": "A"})
    yield caller
    session.close()
    server.shutdown()
    thread.join()
    server.server_close()
    client.close()


def test_a_contact_lives_and_is_erased(api: support.Api) -> None:
    contact = {"name": "Ann", "emails": ["Ann@Example.org", "ann@work.example"]}
    path = "/v1/subaccounts/a/contacts/c.1~x"
    first = api.put(path, contact)
    assert api.put(path, contact) == first
    for number in range(3):
        api.record(
            support.a_message(
                f"m{number}",
                c="c.1~x",
                sent_at=1000 + number // 2,
                envelope=Envelope(text="x" * 250_000),
            )
        )
    seen, more = [], ""
    while True:
        page = api.get(
            f"/v1/subaccounts/a/conversations/c.1~x/messages?page_size=1{more}"
        )
        seen += [item["id"] for item in page["items"]]
        if page["next_page_token"] is None:
            break
        more = f"&page_token={page['next_page_token']}"
    assert seen == ["m2", "m1", "m0"]
    (conversation,) = api.get("/v1/subaccounts/a/conversations")["items"]
    assert conversation["messages"] == 3
    assert api.call("DELETE", path).status_code == 204
    assert api.call("GET", path).status_code == 404
    assert api.get("/v1/subaccounts/a/conversations")["items"] == []
    (entry,) = api.gateways.documents.get(
        [f"subaccounts/a/addresses/{address_key('ann@example.org')}"]
    )
    assert set(entry.data) == {"erased_at"}
    assert api.gateways.blobs.keys() == []


def test_an_import_is_idempotent(api: support.Api) -> None:
    rows = [
        {"id": f"i{n}", "name": "N", "emails": [f"n{n}@example.org", "all@example.org"]}
        for n in range(250)
    ]
    for _ in range(2):
        answer = api.import_rows("/v1/subaccounts/a/contacts:import", rows)
        assert answer.json == {"imported": 250, "failed": []}
    (entry,) = api.gateways.documents.get(
        [f"subaccounts/a/addresses/{address_key('all@example.org')}"]
    )
    assert len(entry.data["contacts"]) == 250


def test_decisions_are_found(api: support.Api) -> None:
    user = {"name": "Uma", "email": "uma@example.com"}
    api.put("/v1/subaccounts/a/users/u1", user)
    api.put(
        "/v1/subaccounts/a/contacts/c1", {"name": "Ann", "emails": ["ann@example.org"]}
    )
    held = HeldBy("u1", "box", "uma@gmail.example", "g1", "t1")
    api.record(support.a_message(held_by=(held,)))
    api.gateways.documents.commit(
        [
            Create(
                "decisions/d1",
                {
                    "mailbox_id": "box",
                    "mailbox": "uma@gmail.example",
                    "users": ["u1"],
                    "gmail_message_id": "g2",
                    "rfc822_message_id": "<i@example.org>",
                    "outcome": "ignored",
                    "rule": "M7",
                    "decided_at": 5,
                    "expires_at": api.gateways.clock.now() + timedelta(days=30),
                },
            )
        ]
    )
    for query, outcome in (
        ("gmail_message_id=g1", "recorded"),
        ("address=ann@example.org", "recorded"),
        ("rfc822_message_id=m1@example.org", "recorded"),
        ("gmail_message_id=g2", "ignored"),
        ("rfc822_message_id=i@example.org", "ignored"),
    ):
        (found,) = api.get(f"/v1/subaccounts/a/decisions?{query}")["items"]
        assert found["outcome"] == outcome
    assert api.call("DELETE", "/v1/subaccounts/a/users/u1").status_code == 204
    assert api.get("/v1/subaccounts/a/decisions?gmail_message_id=g2")["items"] == []


def test_a_refused_big_body_is_answered(api: support.Api) -> None:
    answer = api.call(
        "PUT",
        "/v1/subaccounts/a",
        data=b"x" * (2 * 1024 * 1024),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 413
