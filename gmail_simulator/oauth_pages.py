"""Google's OAuth endpoints and its consent pages, over HTTP."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from . import keys
from .accounts import Account
from .errors import ApiError, ConnectionLost, OAuthError
from .faults import Fault
from .oauth_records import SIGN_IN_SCOPES, Client, full_scopes
from .pages import render
from .web import Request, Response, html_response, json_response, redirect
from .world import GmailWorld

AUTH_PATH = "/o/oauth2/v2/auth"
_IMPLIED = frozenset(SIGN_IN_SCOPES) | frozenset(SIGN_IN_SCOPES.values())
_EXPLAINED = {
    "https://mail.google.com/": "Read, compose, send and permanently delete all your "
    "email from Gmail",
    "https://www.googleapis.com/auth/gmail.readonly": "View your email messages and "
    "settings",
    "https://www.googleapis.com/auth/gmail.modify": "Read, compose and send emails "
    "from your Gmail account",
    "https://www.googleapis.com/auth/gmail.send": "Send email on your behalf",
    "https://www.googleapis.com/auth/gmail.compose": "Manage drafts and send emails",
    "https://www.googleapis.com/auth/gmail.metadata": "View your email message "
    "metadata such as labels and headers, but not the email body",
    "https://www.googleapis.com/auth/gmail.insert": "Add emails into your Gmail "
    "mailbox",
    "https://www.googleapis.com/auth/gmail.labels": "See and edit your email labels",
    "https://www.googleapis.com/auth/gmail.settings.basic": "See, edit, create or "
    "change your email settings and filters in Gmail",
}


class OAuthPages:
    """Answers the OAuth requests of one world."""

    def __init__(self, world: GmailWorld) -> None:
        """Serve the grants of this world."""
        self._world = world

    def handle(self, request: Request) -> Response | None:
        """Answer a request; None where the path is none of these."""
        match request.method, request.path:
            case "GET", "/o/oauth2/v2/auth" | "/o/oauth2/auth":
                return self._noted("oauth.auth", request, self._ask)
            case "POST", "/o/oauth2/v2/auth" | "/o/oauth2/auth":
                return self._noted("oauth.consent", request, self._decide)
            case "POST", "/token" | "/oauth2/v4/token":
                return self._noted("oauth.token", request, self._token)
            case "POST" | "GET", "/revoke" | "/o/oauth2/revoke":
                return self._noted("oauth.revoke", request, self._revoke)
            case "GET", "/certs" | "/oauth2/v3/certs":
                return self._noted("oauth.certs", request, self._certs)
            case "GET" | "POST", "/userinfo" | "/oauth2/v3/userinfo" | "/v1/userinfo":
                return self._noted("oauth.userinfo", request, self._userinfo)
        return None

    def _noted(
        self, name: str, request: Request, answer: Callable[[Request], Response]
    ) -> Response:
        """Answer one request, with the faults that strike it, and note it."""
        status = 0
        try:
            with self._world.transaction():
                faults = self._world.faults.for_call(name, "")
                _lose(faults, "drop_before")
                try:
                    _refuse(faults)
                    response = answer(request)
                except OAuthError as refusal:
                    response = json_response(refusal.body(), refusal.code)
                _lose(faults, "drop_after")
                status = int(response.status)
                return response
        finally:
            self._world.calls.note(name, "", status, self._world.clock())

    # --- the pages -------------------------------------------------------------

    def _ask(self, request: Request) -> Response:
        """Show who may answer, then what is asked."""
        query = {name: values[-1] for name, values in request.query.items()}
        client, trouble = self._client_of(query)
        if client is None:
            return html_response(render("error.html", trouble=trouble), 400)
        if query.get("response_type") != "code":
            trouble = "unsupported_response_type: only code is answered here."
            return html_response(render("error.html", trouble=trouble), 400)
        if not query.get("scope", "").split():
            trouble = "invalid_request: missing required parameter: scope"
            return html_response(render("error.html", trouble=trouble), 400)

        prompts = query.get("prompt", "").split()
        chosen = query.pop("account", "").strip().lower()
        hint = query.get("login_hint", "").lower()
        if not chosen and "select_account" not in prompts:
            chosen = hint
        account = self._account(chosen, create=bool(query.pop("create", "")))
        if account is None:
            if "none" in prompts:
                return _back(query, {"error": "interaction_required"})
            return html_response(
                render(
                    "choose.html",
                    client=client,
                    query=query,
                    accounts=self._world.accounts,
                    hint=hint,
                )
            )
        asked = query["scope"].split()
        grant = self._world.oauth.find(client.client_id, account)
        if grant and "consent" not in prompts and full_scopes(asked) <= grant.scopes:
            # all was allowed before; nobody is asked again
            return self._allow(client, account, asked, query)
        if "none" in prompts:
            return _back(query, {"error": "consent_required"})
        return html_response(
            render(
                "consent.html",
                client=client,
                account=account,
                query=query,
                scopes=[(s, _EXPLAINED.get(s, s)) for s in asked if s not in _IMPLIED],
            )
        )

    def _decide(self, request: Request) -> Response:
        """Take the person's answer and send the browser back."""
        form = request.form()
        query = {name: values[-1] for name, values in request.query.items()}
        client, trouble = self._client_of(query)
        account = self._account((form.get("account") or [""])[-1])
        if client is None or account is None:
            trouble = trouble or "invalid_request: no such account."
            return html_response(render("error.html", trouble=trouble), 400)
        if (form.get("decision") or [""])[-1] != "allow":
            return _back(query, {"error": "access_denied"})
        asked = query.get("scope", "").split()
        ticked = set(form.get("scope", []))
        granted = [s for s in asked if s in _IMPLIED or s in ticked]
        if not granted:
            return _back(query, {"error": "access_denied"})
        return self._allow(client, account, granted, query)

    def _allow(
        self, client: Client, account: Account, scopes: list[str], query: dict[str, str]
    ) -> Response:
        code, granted = self._world.oauth.issue_code(client, account, scopes, query)
        answer = {"code": code, "scope": " ".join(sorted(granted)), "authuser": "0"}
        if account.hosted_domain:
            answer["hd"] = account.hosted_domain
        answer["prompt"] = query.get("prompt") or "none"
        return _back(query, answer)

    def _client_of(self, query: dict[str, str]) -> tuple[Client | None, str]:
        """Return the client that asks; a redirect URI must be registered exactly."""
        client = self._world.oauth.clients.get(query.get("client_id", ""))
        if client is None:
            return None, "invalid_client: The OAuth client was not found."
        if query.get("redirect_uri") not in client.redirect_uris:
            return None, (
                "redirect_uri_mismatch: the address to return to is not registered "
                "for this client."
            )
        return client, ""

    def _account(self, address: str, *, create: bool = False) -> Account | None:
        if not address:
            return None
        try:
            return self._world.account(address)
        except ApiError:
            if create and "@" in address.strip("@"):
                return self._world.add_account(address, address.partition("@")[0])
            return None

    # --- the machines' endpoints -----------------------------------------------

    def _token(self, request: Request) -> Response:
        form = {name: values[-1] for name, values in request.form().items()}
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(encoded).decode()
            except (binascii.Error, UnicodeDecodeError):
                decoded = ""
            client_id, _, secret = decoded.partition(":")
        client = self._world.oauth.authenticate(client_id, secret)
        match form.get("grant_type"):
            case "authorization_code":
                answer = self._world.oauth.exchange(
                    client,
                    form.get("code", ""),
                    form.get("redirect_uri", ""),
                    form.get("code_verifier", ""),
                )
            case "refresh_token":
                answer = self._world.oauth.refresh(
                    client, form.get("refresh_token", "")
                )
            case other:
                raise OAuthError(
                    "unsupported_grant_type", f"Invalid grant_type: {other}"
                )
        return json_response(answer, headers={"Cache-Control": "no-store"})

    def _revoke(self, request: Request) -> Response:
        token = (request.form().get("token") or [request.one("token")])[-1]
        self._world.oauth.revoke(token)
        return json_response({})

    def _certs(self, _request: Request) -> Response:
        return json_response(
            keys.jwk_set(), headers={"Cache-Control": "public, max-age=3600"}
        )

    def _userinfo(self, request: Request) -> Response:
        text = request.headers.get("authorization", "").partition(" ")[2]
        token = self._world.oauth.access(text)
        if token is None:
            raise OAuthError("invalid_request", "Invalid Credentials", code=401)
        account = token.grant.account
        about: dict[str, Any] = {"sub": account.subject}
        if SIGN_IN_SCOPES["email"] in token.scopes:
            about |= {"email": account.address, "email_verified": True}
        if account.hosted_domain:
            about["hd"] = account.hosted_domain
        return json_response(about)


def _lose(faults: list[Fault], when: str) -> None:
    if any(fault.action == when for fault in faults):
        raise ConnectionLost("the connection was lost")


def _refuse(faults: list[Fault]) -> None:
    for fault in faults:
        if fault.action == "status":
            reason = fault.reason or "internal_failure"
            raise OAuthError(reason, code=fault.status)


def _back(query: dict[str, str], answer: dict[str, str]) -> Response:
    """Send the browser back to the client, with its state."""
    if "state" in query:
        answer = {"state": query["state"]} | answer
    uri = query["redirect_uri"]
    return redirect(f"{uri}{'&' if '?' in uri else '?'}{urlencode(answer)}")
