"""Google's OAuth server: consent, codes, tokens.

What is asked for is the least that does the job, by the scopes that the API's own
description lists for each method: `gmail.readonly` reads history, messages, aliases
and keeps the watch; `gmail.compose` makes and sends drafts. `gmail.modify` would do
both, and could change, label and trash all of the user's mail besides; nothing here
needs that, and a stolen token should not be able to. `openid` and the address say whose
mailbox it is.

No token and no text of Google's is ever in a repr or a message of an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests

from shared.errors import (
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    RateLimited,
    Transient,
)
from shared.gateways.access_tokens import AccessTokens
from shared.gateways.endpoints import checked, origin
from shared.gateways.gmail import GMAIL_ENDPOINT, GmailMailbox
from shared.gateways.gmail_connections import HttpFactory, open_http
from shared.gateways.http_exchange import BoundedAdapter, exchange
from shared.gateways.id_tokens import verify
from shared.gateways.published_keys import PublishedKeys
from shared.ports import Clock, Gmail, Grant

EMAIL_SCOPE = "https://www.googleapis.com/auth/userinfo.email"
READ_SCOPE = "https://www.googleapis.com/auth/gmail.readonly"
COMPOSE_SCOPE = "https://www.googleapis.com/auth/gmail.compose"
SCOPES = ("openid", EMAIL_SCOPE, READ_SCOPE, COMPOSE_SCOPE)

_ISSUERS = frozenset(("https://accounts.google.com", "accounts.google.com"))
_MAX_BYTES = 256 * 1024
_OK, _TOO_MANY, _SERVER_FAULT = 200, 429, 500
_DEFAULT_LIFE = 3600

# Google's error codes (RFC 6749 §5.2 and "Using OAuth 2.0 for Web Server
# Applications", read 2026-11).
_DEPLOYMENT = frozenset(
    (
        "invalid_client",
        "unauthorized_client",
        "deleted_client",
        "disabled_client",
        "redirect_uri_mismatch",
    )
)
_CONSENT_ENDED = frozenset(
    (
        "invalid_grant",
        "admin_policy_enforced",
        "access_denied",
        "interaction_required",
        "consent_required",
    )
)
_PASSING = frozenset(("internal_failure", "server_error", "temporarily_unavailable"))
_DEAD_TOKEN = frozenset(("invalid_token", "invalid_grant"))


class GoogleOAuth:
    """Implements `ports.Google`; thread safe."""

    def __init__(
        self,
        client: Mapping[str, str],
        redirect_uri: str,
        *,
        gmail_endpoint: str = GMAIL_ENDPOINT,
        session: requests.Session | None = None,
        http_factory: HttpFactory = open_http,
        clock: Clock | None = None,
    ) -> None:
        """Act as the client of Google's client file (the part below `web`).

        Raises Misconfigured for plain http off this machine: tokens travel there.
        """
        self._client = {
            **client,
            **{
                name: checked(client[name], f"The OAuth client file's {name}")
                for name in ("auth_uri", "token_uri", "auth_provider_x509_cert_url")
            },
        }
        self._redirect_uri = checked(redirect_uri, "The redirect URI")
        self._gmail_endpoint = checked(gmail_endpoint, "GMAIL_API_ENDPOINT")
        self._session = session or _session()
        self._http_factory = http_factory
        self._now = clock.now if clock else lambda: datetime.now(UTC)
        keys = client["auth_provider_x509_cert_url"]
        self._keys = PublishedKeys(
            keys,
            lambda: self._session.get_adapter(keys),
            lambda: self._now().timestamp(),
        )
        # Another server than Google's signs in its own name.
        self._issuers = _ISSUERS | {
            origin(client["auth_uri"]),
            origin(client["token_uri"]),
        }
        self._access_tokens = AccessTokens(self._refresh, self._now)

    def __repr__(self) -> str:
        """Show no secret."""
        return "GoogleOAuth()"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The permissions that are asked for; all of them must be granted (C1)."""
        return SCOPES

    def authorization_url(
        self, *, state: str, code_challenge: str, login_hint: str | None
    ) -> str:
        """Where the user's browser goes to consent (PKCE S256, offline, chooser).

        `include_granted_scopes` is left out: the answer must be about this consent.
        """
        query = {
            "client_id": self._client["client_id"],
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "access_type": "offline",
            # Without a consent screen Google gives no second refresh token.
            "prompt": "consent select_account",
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        if login_hint:
            query["login_hint"] = login_hint
        uri = self._client["auth_uri"]
        return f"{uri}{'&' if '?' in uri else '?'}{urlencode(query)}"

    def exchange(self, *, code: str, code_verifier: str) -> Grant:
        """Trade the code for a grant.

        Raises Malformed for a bad code or ID token, Transient, Misconfigured.
        """
        # A code works once: what can fail in passing must fail before it is used.
        self._keys.warm()
        status, answer = self._token(
            grant_type="authorization_code",
            code=code,
            code_verifier=code_verifier,
            redirect_uri=self._redirect_uri,
        )
        if status != _OK:
            raise Malformed("Google does not accept this authorization code.")
        claims = verify(
            _text(answer, "id_token") or "",
            keys=self._keys,
            client_id=self._client["client_id"],
            issuers=self._issuers,
            now=self._now(),
        )
        scope = _text(answer, "scope")
        return Grant(
            refresh_token=_text(answer, "refresh_token"),
            # Without `scope` all that was asked for was granted (RFC 6749 §5.1).
            scopes=frozenset(SCOPES if scope is None else scope.split()),
            google_sub=claims["sub"],
            address=claims["email"],
        )

    def gmail(self, refresh_token: str) -> Gmail:
        """Gmail with this grant; access tokens are cached per instance."""
        given: str | None = None

        def access_token(refused: bool) -> str:  # noqa: FBT001 - as it is called
            nonlocal given
            given = self._access_tokens.get(
                refresh_token, refused=given if refused else None
            )
            return given

        return GmailMailbox(
            access_token,
            endpoint=self._gmail_endpoint,
            http_factory=self._http_factory,
        )

    def revoke(self, refresh_token: str) -> None:
        """Give the grant back; a dead one is no error."""
        self._access_tokens.forget(refresh_token)
        url = f"{origin(self._client['token_uri'])}/revoke"
        status, answer = self._post(url, {"token": refresh_token})
        if status != _OK and answer.get("error") not in _DEAD_TOKEN:
            raise Permanent(f"Google did not take the grant back (status {status}).")

    def _refresh(self, refresh_token: str) -> tuple[str, timedelta]:
        """Fetch an access token; raises NeedsReauth when the consent has ended."""
        status, answer = self._token(
            grant_type="refresh_token", refresh_token=refresh_token
        )
        if answer.get("error") in _CONSENT_ENDED:
            raise NeedsReauth
        if status != _OK:
            raise Permanent(f"Google gave no access token (status {status}).")
        token = _text(answer, "access_token")
        if token is None:
            raise Transient("Google's answer has no access token.")
        life = answer.get("expires_in")
        seconds = life if isinstance(life, int) and life >= 0 else _DEFAULT_LIFE
        return token, timedelta(seconds=min(seconds, _DEFAULT_LIFE))

    def _token(self, **form: str) -> tuple[int, Mapping[str, Any]]:
        """Ask the token endpoint; raises what is not about this user."""
        status, answer = self._post(
            self._client["token_uri"],
            {
                "client_id": self._client["client_id"],
                "client_secret": self._client["client_secret"],
                **form,
            },
        )
        if answer.get("error") in _DEPLOYMENT:
            # Never the user's fault: it must disconnect nobody.
            raise Misconfigured("Google does not accept this OAuth client.")
        return status, answer

    def _post(self, url: str, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
        try:
            answer, raw = exchange(
                self._session.get_adapter(url),
                "POST",
                url,
                body=dict(form),
                most_bytes=_MAX_BYTES,
            )
        except (OSError, requests.RequestException) as fault:
            # The fault's own text can hold the request.
            kind = type(fault).__name__
            raise Transient(f"Google cannot be reached ({kind}).") from None
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            body = None
        said = body if isinstance(body, Mapping) else {}
        status = answer.status
        if status == _TOO_MANY:
            raise RateLimited
        if status >= _SERVER_FAULT or said.get("error") in _PASSING:
            raise Transient(f"Google's OAuth server failed (status {status}).")
        if status == _OK and body is None and raw:
            raise Transient("Google's answer cannot be read.")
        return status, said


def _session() -> requests.Session:
    """Where each address finds its transport; nothing is sent through it itself."""
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, BoundedAdapter())
    return made


def _text(answer: Mapping[str, Any], name: str) -> str | None:
    value = answer.get(name)
    return value if isinstance(value, str) and value else None
