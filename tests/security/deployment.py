"""The whole product behind its real HTTP edges, on the simulated Gmail.

Pushes and calls go through functions-framework with real signed tokens; only what is
outside the product (Firestore, Pub/Sub, Secret Manager, Cloud Storage, SMTP) is in
memory.
"""

from __future__ import annotations

import base64
import functools
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.test import Client, TestResponse

from infra.local.push import ISSUER
from shared import bootstrap
from shared.core.matching.bcc import LOGGING
from shared.gateways import published_keys
from shared.ports import Event
from tests.support import api
from tests.support.bcc import FORMAT, LOG
from tests.support.sending import SendingSystem
from tests.support.system import Push

AUDIENCE = "https://sync.example.com/push"
ACCOUNT = "push@test-project.iam.gserviceaccount.com"


@functools.cache
def client(function: str) -> Client:
    """Call one entry point of `main.py`, loaded as the framework loads it."""
    return Client(api.app(function))


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class IssuerKeys:
    """Google's public keys, without fetching them."""

    def __init__(self, _url: object = None) -> None:
        document = RSAAlgorithm.to_jwk(_key().public_key(), as_dict=True)
        self._keys = {"k1": jwt.PyJWK(document, algorithm="RS256").key}

    def key(self, kid: str) -> Any:
        return self._keys.get(kid)


class Deployment(SendingSystem):
    """User u (Mia) with contacts c and b, her BCC address, and a logging mailbox."""

    def __init__(self, patch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.answers: list[TestResponse] = []
        super().__init__(
            validate=False,  # the simulator's own answers are not the point here
            push_audience=AUDIENCE,
            push_service_account=ACCOUNT,
            bcc_address_format=FORMAT,
            **settings,
        )
        patch.setattr(bootstrap, "services", lambda: self.services)
        patch.setattr(published_keys, "PublishedKeys", IssuerKeys)
        self.outside.secrets.write("api-signing-key", api.KEY)
        self.world.add_account(LOG)
        assert self.connect(LOGGING, LOG).code == "connected"
        self.settle()
        self.forget_events()

    # --- pushes ------------------------------------------------------------------

    def push_token(self, **changes: Any) -> str:
        """What Pub/Sub puts on its pushes; `...` leaves a claim out."""
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": ACCOUNT,
            "email": ACCOUNT,
            "email_verified": True,
            "iat": now,
            "exp": now + 3600,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not ...}
        return jwt.encode(claims, _key(), algorithm="RS256", headers={"kid": "k1"})

    def pushed(
        self, function: str, event: Event, delivery: str, token: str | None = None
    ) -> TestResponse:
        """Push to a function, as a subscription does; keeps the answer."""
        message = {
            "data": base64.b64encode(event.data).decode(),
            "attributes": dict(event.attributes),
            "messageId": delivery,
        }
        body = {"message": message, "subscription": event.subscription}
        bearer = self.push_token() if token is None else token
        answer = client(function).post(
            "/",
            data=json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
        )
        self.answers.append(answer)
        return answer

    def _acknowledged(self, function: str, push: Push) -> bool:
        push.attempts += 1
        return self.pushed(function, push.event, push.delivery).status_code == 204

    def deliver(self, push: Push) -> bool:
        return self._acknowledged("inbound", push)

    def do_work(self, push: Push) -> bool:
        return self._acknowledged("work", push)

    def push_out(self, push: Push) -> bool:
        return self._acknowledged("outbound", push)

    # --- calls -------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        **more: Any,
    ) -> TestResponse:
        """Call the API as the CRM's backend, or with another token; keeps the answer."""
        bearer = self.caller() if token is None else token
        headers = {"Authorization": f"Bearer {bearer}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        answer = client("api").open(path, method=method, headers=headers, **more)
        self.answers.append(answer)
        return answer

    def caller(self, sub: str = "crm", *subaccounts: str, **claims: Any) -> str:
        """A caller's token, for subaccount s unless told otherwise."""
        return api.token(list(subaccounts or "s"), sub, now=self.clock.now(), **claims)
