"""The simulator behind a real socket, with the client library's own transport."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

import google_auth_httplib2
import httplib2
import pytest
import requests
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.http import MediaInMemoryUpload

from gmail_simulator import GmailWorld, discovery
from gmail_simulator.publishing import publisher
from gmail_simulator.serving import listen

ANN, CARLA = "ann@acme.test", "carla@customer.test"
pytestmark = pytest.mark.enable_socket


@pytest.fixture
def serve() -> Any:
    """Serve applications on free ports until the test ends."""
    running = []

    def start(app: Any) -> Any:
        server = listen(app)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def remote(serve: Any, app: Any, world: GmailWorld) -> Any:
    """Ann's `users()` over a socket, and the address of the server."""
    base = serve(app)
    # the client library writes into the document it is given
    described = copy.deepcopy(discovery.document()) | {"rootUrl": f"{base}/"}
    http = httplib2.Http(timeout=5)
    authorized = google_auth_httplib2.AuthorizedHttp(
        Credentials(world.grant(ANN).access_token), http=http
    )
    with build_from_document(described, http=authorized) as service:
        yield service
    http.close()


def test_the_real_client_works_over_a_socket(
    remote: Any, world: GmailWorld, mail: Any
) -> None:
    users = remote.users()
    media = MediaInMemoryUpload(mail(ANN, CARLA), "message/rfc822", resumable=True)
    sent = users.messages().send(userId="me", body={}, media_body=media).execute()
    assert world.outside[0].recipient == CARLA
    answers = []
    batch = remote.new_batch_http_request(lambda *answer: answers.append(answer))
    batch.add(users.messages().get(userId="me", id=sent["id"]))
    batch.execute()
    assert answers[0][1]["id"] == sent["id"]


def test_a_lost_connection_is_lost_on_the_wire(
    remote: Any, world: GmailWorld, mail: Any
) -> None:
    """httplib2 repeats a request by itself once; so the fault strikes often."""
    world.faults.add("drop_before", method="gmail.users.getProfile")
    with pytest.raises((OSError, httplib2.HttpLib2Error)):
        remote.users().getProfile(userId="me").execute()


def test_httplib2_itself_repeats_a_send_whose_answer_was_lost(
    remote: Any, world: GmailWorld, mail: Any
) -> None:
    """A trap of the real transport, and the reason why sends go by drafts."""
    world.faults.add("drop_after", method="gmail.users.messages.send", count=1)
    media = MediaInMemoryUpload(mail(ANN, CARLA), "message/rfc822")
    remote.users().messages().send(userId="me", media_body=media).execute()
    assert len(world.outside) == 2


def test_notifications_reach_pubsub_over_http(serve: Any) -> None:
    received = []

    def topic(environ: Any, start_response: Any) -> Any:
        length = int(environ["CONTENT_LENGTH"])
        received.append(
            (environ["PATH_INFO"], json.loads(environ["wsgi.input"].read(length)))
        )
        start_response("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    publish = publisher(serve(topic))
    publish("projects/p/topics/t", b"{}", {})
    assert received == [
        (
            "/v1/projects/p/topics/t:publish",
            {"messages": [{"data": "e30=", "attributes": {}}]},
        )
    ]


def test_a_publisher_without_pubsub_or_with_a_dead_one_raises_nothing() -> None:
    publisher(None)("t", b"{}", {})
    publisher("127.0.0.1:9")("projects/p/topics/t", b"{}", {})


def test_the_web_mailbox_is_served_too(serve: Any, app: Any) -> None:
    with requests.Session() as session:
        assert ANN in session.get(serve(app)).text
