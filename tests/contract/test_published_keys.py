"""The keys of push tokens, fetched over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from shared.errors import Transient
from shared.gateways import published_keys
from shared.gateways.published_keys import PublishedKeys

KEY = json.loads(
    RSAAlgorithm.to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    )
)


class Issuer:
    """A server of keys; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.body: Any = {"keys": [{**KEY, "kid": "k1"}, {"kty": "odd", "kid": "k9"}]}
        self.status = 200
        self.url = ""

    def __call__(self, environ: Any, start_response: Any) -> Any:
        self.asked += 1
        answer = Response(json.dumps(self.body), status=self.status)
        return answer(environ, start_response)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    server = make_server("127.0.0.1", 0, found)
    found.url = f"http://127.0.0.1:{server.port}/certs"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_are_fetched_once(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url)
    assert keys.key("k1") is not None
    assert keys.key("k1") is not None
    assert issuer.asked == 1


def test_made_up_key_ids_do_not_make_us_ask_again(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url)
    for number in range(50):
        assert keys.key(f"unknown-{number}") is None
    assert issuer.asked == 1


def test_a_new_key_is_found_after_a_while(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = PublishedKeys(issuer.url)
    assert keys.key("k2") is None
    issuer.body = {"keys": [{**KEY, "kid": "k2"}]}
    monkeypatch.setattr(published_keys, "_REFETCH_SECONDS", 0)
    assert keys.key("k2") is not None


def test_an_outage_of_the_issuer_leaves_known_keys_good(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = PublishedKeys(issuer.url)
    keys.key("k1")
    monkeypatch.setattr(published_keys, "_FRESH_SECONDS", 0)
    issuer.status = 500
    assert keys.key("k1") is not None
    with pytest.raises(Transient):
        keys.key("k2")


def test_made_up_key_ids_cost_little_while_the_publisher_is_down(
    issuer: Issuer,
) -> None:
    keys = PublishedKeys(issuer.url)
    assert keys.key("k1") is not None
    issuer.status = 500
    for number in range(50):
        with pytest.raises(Transient):
            keys.key(f"unknown-{number}")
        assert keys.key("k1") is not None
    assert issuer.asked == 2


def test_all_that_wait_for_keys_wait_for_one_request(issuer: Issuer) -> None:
    keys = PublishedKeys(issuer.url)
    threads = [threading.Thread(target=keys.key, args=("k1",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issuer.asked == 1


@pytest.mark.parametrize("body", [None, [], {}, {"keys": 5}, "text", 5])
def test_what_is_no_jwk_set_is_a_passing_fault(issuer: Issuer, body: Any) -> None:
    issuer.body = body
    with pytest.raises(Transient):
        PublishedKeys(issuer.url).key("k1")
