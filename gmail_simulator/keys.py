"""The key that signs ID tokens; one per process, made when first needed."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

_KEY_ID = "gmail-simulator"
_BITS = 2048


def sign(claims: dict[str, Any]) -> str:
    """Sign claims as Google signs ID tokens."""
    return jwt.encode(claims, _key(), algorithm="RS256", headers={"kid": _KEY_ID})


def jwk_set() -> dict[str, Any]:
    """Return the public half, as `/certs` serves it."""
    key = json.loads(RSAAlgorithm.to_jwk(_key().public_key()))
    return {"keys": [key | {"kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=_BITS)
