"""Pushes: who may, and which answer stops or repeats them."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from jwt.algorithms import RSAAlgorithm
from werkzeug.test import Client

from functions import push
from shared import bootstrap
from shared.errors import (
    AlreadyExists,
    Conflict,
    GmailNotFound,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    Transient,
    Unauthenticated,
)
from shared.services.auth.push_authentication import PushAuthentication
from tests.support.api import START, Memory, settings

NOW = int(START.timestamp())
AUDIENCE = "https://sync.example.com/push"
ACCOUNT = "push@test-project.iam.gserviceaccount.com"
PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = PRIVATE.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


class Keys:
    """The issuer's keys; counts how often one is asked for."""

    def __init__(self) -> None:
        document = json.loads(RSAAlgorithm.to_jwk(PRIVATE.public_key()))
        self.known = {"k1": jwt.PyJWK({**document, "kid": "k1"}, algorithm="RS256")}
        self.broken = False

    def key(self, kid: Any) -> Any:
        if self.broken:
            raise Transient
        return self.known.get(kid)


def claims(**changes: Any) -> Any:
    body = {
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "sub": "1234",
        "email": ACCOUNT,
        "email_verified": True,
        "iat": NOW,
        "exp": NOW + 3600,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not ...}


def signed(
    key: Any = PRIVATE, kid: Any = "k1", algorithm: Any = "RS256", **changes: Any
) -> Any:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def by_hand(header: Any, body: Any, signature: Any = b"") -> Any:
    def part(raw: Any) -> Any:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    return ".".join(
        (
            part(json.dumps(header).encode()),
            part(json.dumps(body).encode()),
            part(signature),
        )
    )


def hs256_with_the_public_key() -> Any:
    import hashlib
    import hmac

    head = by_hand({"alg": "HS256", "kid": "k1"}, claims()).rpartition(".")[0]
    signature = hmac.new(PUBLIC_PEM, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Send a push; `pushed.seen` is what was handled."""

    class Pushed:
        def __init__(self) -> None:
            self.seen, self.kept, self.error = [], [], None
            self.keys = Keys()
            gateways = Memory()
            services = bootstrap.Services(gateways)
            services.__dict__["push_authentication"] = PushAuthentication(
                self.keys, gateways.clock, audience=AUDIENCE, account=ACCOUNT
            )
            self.services = services
            flask = Flask("pushes")
            flask.add_url_rule("/", view_func=self.view, methods=["POST"])
            self.client = Client(flask)

        def view(self) -> Any:
            from flask import request

            return push.run_push(
                request._get_current_object(),
                decode=self.decode,
                handle=self.handle,
                on_permanent=lambda decoded, error: self.kept.append(decoded),
            )

        def decode(self, event: Any) -> Any:
            if event.data == b"bad":
                raise Malformed
            return event.data

        def handle(self, decoded: Any, delivery: Any) -> None:
            self.seen.append((decoded, delivery))
            if self.error:
                raise self.error

        def __call__(
            self, body: Any = None, token: Any = None, authorization: Any = None
        ) -> Any:
            if authorization is None:
                authorization = f"Bearer {signed() if token is None else token}"
            headers = {"Authorization": authorization} if authorization else {}
            return self.client.post(
                "/", data=wrapped() if body is None else body, headers=headers
            )

    found = Pushed()
    monkeypatch.setattr(bootstrap, "services", lambda: found.services)
    return found


def wrapped(data: Any = b"hello", **message: Any) -> Any:
    body = {"data": base64.b64encode(data).decode(), "messageId": "17", **message}
    return json.dumps({"message": body, "subscription": "projects/p/subscriptions/s"})


def test_a_good_push_is_handled_and_answered_with_nothing(pushed: Any) -> None:
    answer = pushed()
    assert (answer.status_code, answer.data) == (204, b"")
    assert pushed.seen == [(b"hello", "17")]


@pytest.mark.parametrize(
    "issuer", ["accounts.google.com", "https://accounts.google.com"]
)
def test_both_names_of_the_issuer_count(pushed: Any, issuer: Any) -> None:
    assert pushed(token=signed(iss=issuer)).status_code == 204


BAD = {
    "garbage": "abc",
    "expired": signed(exp=NOW - 11),
    "no exp": signed(exp=...),
    "exp is text": by_hand({"alg": "RS256", "kid": "k1"}, claims(exp="x")),
    "wrong audience": signed(aud="https://other.example.com"),
    "audience with a slash more": signed(aud=AUDIENCE + "/"),
    "one of several audiences": signed(aud=[AUDIENCE, "other"]),
    "no audience": signed(aud=...),
    "wrong issuer": signed(iss="https://evil.example"),
    "no issuer": signed(iss=...),
    "wrong account": signed(email="other@test-project.iam.gserviceaccount.com"),
    "no account": signed(email=...),
    "account not verified": signed(email_verified=False),
    "account verified as text": signed(email_verified="true"),
    "another key": signed(OTHER),
    "unknown key": signed(kid="k2"),
    "no key id": signed(kid=None),
    "alg none": by_hand({"alg": "none", "kid": "k1"}, claims()),
    "HS256 with the public key": hs256_with_the_public_key(),
    "another algorithm": signed(algorithm="RS512"),
    "very long": "a" * 10_000,
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_forbidden_and_nothing_is_done(pushed: Any, name: str) -> None:
    answer = pushed(token=BAD[name])
    assert (answer.status_code, answer.data) == (403, b"")
    assert pushed.seen == []


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic " + signed(), signed()])
def test_no_bearer_token_is_forbidden(pushed: Any, authorization: Any) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = pushed.client.post("/", data=wrapped(), headers=headers)
    assert answer.status_code == 403
    assert pushed.seen == []


def test_keys_that_cannot_be_had_hold_the_push(pushed: Any) -> None:
    pushed.keys.broken = True
    assert pushed().status_code == 503
    assert pushed.seen == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{}",
        b'{"message": null}',
        b'{"message": []}',
        b'{"message": {"data": "!!"}}',
        b'{"message": {"data": 5, "messageId": "1"}}',
        b'{"message": {"data": "", "messageId": 5}}',
        b'{"message": {"data": "", "messageId": "1", "attributes": []  ,"attributes": "x"}}',
        b"\xff\xfe",
        b"[" * 100_000,
        wrapped(b"bad"),
    ],
    ids=range(15),
)
def test_a_malformed_push_is_acknowledged_and_does_nothing(
    pushed: Any, body: Any
) -> None:
    answer = pushed(body)
    assert (answer.status_code, answer.data) == (204, b"")
    assert pushed.seen == []


@pytest.mark.parametrize(
    ("error", "status", "kept"),
    [
        (Transient(), 503, 0),
        (RateLimited(), 503, 0),
        (Conflict(), 503, 0),
        (Permanent(), 204, 1),
        (Malformed(), 204, 1),
        (GmailNotFound(), 204, 1),
        (NeedsReauth(), 204, 0),
        (Unauthenticated(), 403, 0),
        (Misconfigured(), 500, 0),
        (AlreadyExists(), 500, 0),
        (ValueError("canary@example.org"), 500, 0),
        (RecursionError(), 500, 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_kind_of_an_error_decides_the_answer(
    pushed: Any,
    capsys: pytest.CaptureFixture[str],
    error: Any,
    status: int,
    kept: Any,
) -> None:
    pushed.error = error
    answer = pushed()
    assert (answer.status_code, answer.data) == (status, b"")
    assert len(pushed.kept) == kept
    logged = capsys.readouterr()
    assert "canary" not in logged.out + logged.err


@pytest.mark.parametrize("missing", ["push_audience", "push_service_account"])
def test_without_settings_no_push_is_taken(
    monkeypatch: pytest.MonkeyPatch, missing: Any
) -> None:
    services = bootstrap.Services(Memory(settings=settings(**{missing: None})))
    with pytest.raises(Misconfigured, match="PUSH_AUDIENCE and PUSH_SERVICE_ACCOUNT"):
        _ = services.push_authentication
