"""Google's OAuth: clients, consents, codes and tokens, without any HTTP.

One grant stands for everything an account has allowed a client. Revoking any of its
tokens ends the whole grant, as at Google.
"""

from __future__ import annotations

import base64
import hmac
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from . import keys
from .accounts import Account
from .errors import OAuthError
from .oauth_records import (
    DEFAULT_CLIENT_ID,
    DEFAULT_CLIENT_SECRET,
    GMAIL_FULL,
    SIGN_IN_SCOPES,
    Client,
    Code,
    Grant,
    Token,
    Tokens,
    check_verifier,
    client_file,
    full_scopes,
)
from .settings import Settings

__all__ = [
    "DEFAULT_CLIENT_ID",
    "DEFAULT_CLIENT_SECRET",
    "GMAIL_FULL",
    "SIGN_IN_SCOPES",
    "Client",
    "Grants",
    "Tokens",
    "client_file",
]

CODE_LIFE = timedelta(minutes=10)
MAX_REFRESH_TOKENS = 100
_REVOKED = "Token has been expired or revoked."
ISSUER = "https://accounts.google.com"


class Grants:
    """All clients and everything that was allowed to them."""

    def __init__(
        self, clock: Callable[[], datetime], rng: random.Random, settings: Settings
    ) -> None:
        """Know one client, whose redirect URIs are registered later."""
        self._clock, self._rng, self._settings = clock, rng, settings
        self.clients: dict[str, Client] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Token] = {}
        self._codes: dict[str, Code] = {}
        # account address -> the refusal that every refresh gets
        self._blocked: dict[str, OAuthError] = {}
        self.register(Client(DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET, ()))

    # --- clients ---------------------------------------------------------------

    def register(self, client: Client) -> Client:
        """Make a client known, or replace it."""
        self.clients[client.client_id] = client
        return client

    def authenticate(self, client_id: str, secret: str) -> Client:
        """Return the client that this secret belongs to."""
        client = self.clients.get(client_id)
        if client is None:
            raise OAuthError(
                "invalid_client", "The OAuth client was not found.", code=401
            )
        if not hmac.compare_digest(client.secret.encode(), secret.encode()):
            raise OAuthError(
                "invalid_client", "The provided client secret is invalid.", code=401
            )
        return client

    # --- consent ---------------------------------------------------------------

    def find(self, client_id: str, account: Account) -> Grant | None:
        """Return what an account has allowed a client so far."""
        return self._grants.get((client_id, account.subject))

    def issue_code(
        self,
        client: Client,
        account: Account,
        scopes: Iterable[str],
        query: dict[str, str],
    ) -> tuple[str, frozenset[str]]:
        """Record a consent; return the code and the scopes it stands for."""
        grant = self._grants.setdefault(
            (client.client_id, account.subject), Grant(client.client_id, account)
        )
        granted = full_scopes(scopes)
        wants_offline = query.get("access_type") == "offline"
        asks_again = "consent" in query.get("prompt", "").split()
        offline = wants_offline and (asks_again or not grant.refresh_tokens)
        grant.scopes |= granted
        if query.get("include_granted_scopes") == "true":
            granted = frozenset(grant.scopes)
        code = f"4/0{self._random(40)}"
        self._codes[code] = Code(
            client.client_id,
            query.get("redirect_uri", ""),
            account,
            granted,
            offline,
            query.get("code_challenge", ""),
            query.get("code_challenge_method", "plain"),
            query.get("nonce", ""),
            self._clock() + CODE_LIFE,
        )
        return code, granted

    # --- the token endpoint ----------------------------------------------------

    def exchange(
        self, client: Client, code_text: str, redirect_uri: str, verifier: str
    ) -> dict[str, Any]:
        """Turn a code into tokens; a code that comes twice ends the whole grant."""
        code = self._codes.get(code_text)
        if code is None or code.client_id != client.client_id:
            raise OAuthError("invalid_grant", "Malformed auth code.")
        if code.used:
            self.revoke_account(code.account, client.client_id)
            raise OAuthError("invalid_grant", "Code was already redeemed.")
        if code.expires <= self._clock():
            raise OAuthError("invalid_grant", "Code has expired.")
        if code.redirect_uri != redirect_uri:
            raise OAuthError("redirect_uri_mismatch", "Bad Request")
        check_verifier(code, verifier)
        code.used = True
        grant = self.find(client.client_id, code.account)
        if grant is None:
            raise OAuthError("invalid_grant", _REVOKED)
        answer = self._answer(grant, code.scopes, code.nonce)
        if code.offline:
            answer["refresh_token"] = self._new_refresh(grant, code.scopes)
        return answer

    def refresh(self, client: Client, refresh_token: str) -> dict[str, Any]:
        """Turn a refresh token into an access token."""
        token = self._refresh.get(refresh_token)
        if token is None or token.grant.client_id != client.client_id:
            raise OAuthError("invalid_grant", _REVOKED)
        if refusal := self._blocked.get(token.grant.account.subject):
            raise refusal
        return self._answer(token.grant, token.scopes, "")

    def grant(
        self,
        account: Account,
        scopes: Iterable[str] = (GMAIL_FULL,),
        client_id: str = DEFAULT_CLIENT_ID,
    ) -> Tokens:
        """Allow a client something without a browser; for tests and demos."""
        granted = full_scopes(scopes)
        grant = self._grants.setdefault(
            (client_id, account.subject), Grant(client_id, account)
        )
        grant.scopes |= granted
        return Tokens(
            self._new_access(grant, granted), self._new_refresh(grant, granted)
        )

    # --- using and losing tokens -----------------------------------------------

    def access(self, token_text: str) -> Token | None:
        """Return an access token's rights while it lives."""
        token = self._access.get(token_text)
        if token is None or token.expires is None or token.expires <= self._clock():
            return None
        return token

    def revoke(self, token_text: str) -> None:
        """End the grant that a token of either kind belongs to."""
        token = self._refresh.get(token_text) or self.access(token_text)
        if token is None:
            raise OAuthError("invalid_token", "Token expired or revoked")
        self._end(token.grant)

    def revoke_account(self, account: Account, client_id: str | None = None) -> None:
        """End grants of an account: those of one client, or all of them."""
        for grant in list(self._grants.values()):
            if grant.account is account and client_id in (None, grant.client_id):
                self._end(grant)

    def block(self, account: Account, description: str, subtype: str | None) -> None:
        """Refuse every refresh of an account with `invalid_grant`, until unblocked.

        The tokens stay: this is an administrator's policy or a session that ended.
        """
        self._blocked[account.subject] = OAuthError(
            "invalid_grant", description, subtype=subtype
        )
        for grant in self._grants.values():
            if grant.account is account:
                self._drop_access(grant)

    def unblock(self, account: Account) -> None:
        """Let an account's refresh tokens work again."""
        self._blocked.pop(account.subject, None)

    def expire_access_tokens(self, account: Account) -> None:
        """End the access tokens of an account; refresh tokens live on."""
        for grant in self._grants.values():
            if grant.account is account:
                self._drop_access(grant)

    def live_refresh_tokens(self, account: Account) -> int:
        """Count the refresh tokens of an account that still work."""
        return sum(token.grant.account is account for token in self._refresh.values())

    # --- making tokens ---------------------------------------------------------

    def _answer(
        self, grant: Grant, scopes: frozenset[str], nonce: str
    ) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "access_token": self._new_access(grant, scopes),
            "expires_in": self._settings.access_token_seconds,
            "scope": " ".join(sorted(scopes)),
            "token_type": "Bearer",
        }
        if "openid" in scopes:
            answer["id_token"] = keys.sign(self._claims(grant, scopes, nonce))
        return answer

    def _claims(
        self, grant: Grant, scopes: frozenset[str], nonce: str
    ) -> dict[str, Any]:
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "azp": grant.client_id,
            "aud": grant.client_id,
            "sub": grant.account.subject,
            "iat": now,
            "exp": now + 3_600,
        }
        if SIGN_IN_SCOPES["email"] in scopes:
            claims |= {"email": grant.account.address, "email_verified": True}
        if SIGN_IN_SCOPES["profile"] in scopes:
            claims["name"] = grant.account.name
        if grant.account.hosted_domain:
            claims["hd"] = grant.account.hosted_domain
        if nonce:
            claims["nonce"] = nonce
        return claims

    def _new_access(self, grant: Grant, scopes: frozenset[str]) -> str:
        life = timedelta(seconds=self._settings.access_token_seconds)
        text = f"ya29.{self._random(60)}"
        self._access[text] = Token(grant, scopes, self._clock() + life)
        grant.access_tokens.append(text)
        return text

    def _new_refresh(self, grant: Grant, scopes: frozenset[str]) -> str:
        text = f"1//0{self._random(60)}"
        self._refresh[text] = Token(grant, scopes)
        grant.refresh_tokens.append(text)
        if len(grant.refresh_tokens) > MAX_REFRESH_TOKENS:
            # Google silently ends the oldest one
            self._refresh.pop(grant.refresh_tokens.pop(0), None)
        return text

    def _end(self, grant: Grant) -> None:
        self._drop_access(grant)
        for text in grant.refresh_tokens:
            self._refresh.pop(text, None)
        self._grants.pop((grant.client_id, grant.account.subject), None)

    def _drop_access(self, grant: Grant) -> None:
        for text in grant.access_tokens:
            self._access.pop(text, None)
        grant.access_tokens.clear()

    def _random(self, length: int) -> str:
        data = self._rng.randbytes(length)
        return base64.urlsafe_b64encode(data).decode("ascii")[:length]
