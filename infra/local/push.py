"""Between the Pub/Sub emulator and the functions: adds what the cloud adds.

The emulator sends neither the OIDC token nor `deliveryAttempt`; with them the
functions verify real signatures here as they do in the cloud.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from typing import Any

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.wrappers import Request, Response

from infra.local.wiring import ACK_DEADLINE_SECONDS, CERTS_PATH

ISSUER = "https://accounts.google.com"

_TOKEN_SECONDS = 3600
_RENEW_SECONDS = 300
_KEY_ID = "local"
_REMEMBERED_MESSAGES = 10_000


class PushShim:
    """A WSGI app: takes pushes at `/<function>` and hands them on with a token.

    The function's status goes back as it is, so retries and dead letters are the
    emulator's. The public key is served as a JWK set at `/certs`.
    """

    def __init__(self, functions_url: str, *, audience: str, account: str) -> None:
        """Make a key for this run."""
        self._functions_url = functions_url
        self._audience = audience
        self._account = account
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._token = ""
        self._token_until = 0.0
        self._attempts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """Answer one request."""
        request = Request(environ)
        if request.path == CERTS_PATH:
            response = Response(
                json.dumps(self._jwk_set()), mimetype="application/json"
            )
        else:
            response = self._forward(request)
        return response(environ, start_response)

    def _forward(self, request: Request) -> Response:
        push: dict[str, Any] = json.loads(request.get_data())
        push["deliveryAttempt"] = self._attempt(push)
        try:
            answer = requests.post(
                f"{self._functions_url}{request.path}",
                json=push,
                headers={"Authorization": f"Bearer {self.token()}"},
                timeout=ACK_DEADLINE_SECONDS,
            )
        except requests.RequestException:
            return Response(status=503)
        return Response(answer.content, status=answer.status_code)

    def _attempt(self, push: dict[str, Any]) -> int:
        """Count the deliveries of this message to this subscription."""
        key = (str(push.get("subscription")), str(push["message"].get("messageId")))
        with self._lock:
            count = self._attempts.pop(key, 0) + 1
            self._attempts[key] = count
            if len(self._attempts) > _REMEMBERED_MESSAGES:
                self._attempts.popitem(last=False)
        return count

    def token(self) -> str:
        """An OIDC token as Pub/Sub sends it, made anew before it expires."""
        with self._lock:
            now = time.time()
            if now > self._token_until - _RENEW_SECONDS:
                self._token_until = now + _TOKEN_SECONDS
                self._token = jwt.encode(
                    {
                        "iss": ISSUER,
                        "aud": self._audience,
                        "sub": self._account,
                        "email": self._account,
                        "email_verified": True,
                        "iat": int(now),
                        "exp": int(self._token_until),
                    },
                    self._key,
                    algorithm="RS256",
                    headers={"kid": _KEY_ID},
                )
            return self._token

    def _jwk_set(self) -> dict[str, Any]:
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}
