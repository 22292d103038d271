"""What OAuth is made of: clients, grants, codes, tokens, and the client file."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .accounts import Account
from .errors import OAuthError

DEFAULT_CLIENT_ID = "000000000000-simulator.apps.googleusercontent.com"
DEFAULT_CLIENT_SECRET = "simulator-client-secret"
GMAIL_FULL = "https://mail.google.com/"
SIGN_IN_SCOPES = {
    "openid": "openid",
    "email": "https://www.googleapis.com/auth/userinfo.email",
    "profile": "https://www.googleapis.com/auth/userinfo.profile",
}


@dataclass
class Client:
    """An OAuth client of the "web application" kind."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]
    name: str = "The CRM's email sync"

    @property
    def project(self) -> str:
        """The number of the developer project, which begins a client id."""
        return self.client_id.partition("-")[0]


@dataclass(eq=False)
class Grant:
    """What one account has allowed one client."""

    client_id: str
    account: Account
    scopes: set[str] = field(default_factory=set)
    refresh_tokens: list[str] = field(default_factory=list)
    access_tokens: list[str] = field(default_factory=list)


@dataclass
class Token:
    """A token's rights; `expires` is for access tokens only."""

    grant: Grant
    scopes: frozenset[str]
    expires: datetime | None = None


@dataclass
class Code:
    """An authorization code on its way back through the browser."""

    client_id: str
    redirect_uri: str
    account: Account
    scopes: frozenset[str]
    offline: bool
    challenge: str
    challenge_method: str
    nonce: str
    expires: datetime
    used: bool = False


@dataclass(frozen=True)
class Tokens:
    """A pair of tokens, made without a browser."""

    access_token: str
    refresh_token: str


def full_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Spell scopes as Google answers them: `email` becomes its long form."""
    return frozenset(SIGN_IN_SCOPES.get(scope, scope) for scope in scopes)


def client_file(
    base_url: str,
    redirect_uris: Iterable[str],
    client_id: str = DEFAULT_CLIENT_ID,
    client_secret: str = DEFAULT_CLIENT_SECRET,
) -> dict[str, Any]:
    """Return the OAuth client file that points a program at a simulator."""
    base = base_url.rstrip("/")
    web = {
        "client_id": client_id,
        "project_id": "gmail-simulator",
        "client_secret": client_secret,
        "auth_uri": f"{base}/o/oauth2/v2/auth",
        "token_uri": f"{base}/token",
        "auth_provider_x509_cert_url": f"{base}/certs",
        "redirect_uris": list(redirect_uris),
    }
    return {"web": web}


def check_verifier(code: Code, verifier: str) -> None:
    """Refuse a PKCE verifier that does not belong to the challenge of a code."""
    if not code.challenge:
        return
    if not verifier:
        raise OAuthError("invalid_grant", "Missing code verifier.")
    derived = verifier
    if code.challenge_method == "S256":
        digest = hashlib.sha256(verifier.encode()).digest()
        derived = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if not hmac.compare_digest(derived.encode(), code.challenge.encode()):
        raise OAuthError("invalid_grant", "Invalid code verifier.")
