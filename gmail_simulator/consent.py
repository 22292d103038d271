"""Goes through the consent pages as a browser does, for tests and demos."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_STEPS = 10


class _Forms(HTMLParser):
    """Collects the forms of a page with their fields."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            method, action = found.get("method", "get"), found.get("action", "")
            self.forms.append({"method": method, "action": action, "fields": []})
        elif tag in ("input", "button") and self.forms and "name" in found:
            self.forms[-1]["fields"].append({"tag": tag} | found)


def consent(
    session: requests.Session,
    authorization_url: str,
    account: str,
    scopes: Iterable[str] | None = None,
    *,
    deny: bool = False,
) -> str:
    """Answer a consent; return the address the browser is sent to at the end.

    `scopes` are the check boxes that stay ticked; None leaves all of them. The final
    address is not fetched: it is the client's own, and the caller opens it.
    """
    ticked = None if scopes is None else set(scopes)
    simulator = ""
    response = session.get(authorization_url, allow_redirects=False)
    for _ in range(_MAX_STEPS):
        if response.status_code in _REDIRECTS:
            target = urljoin(response.url, response.headers["Location"])
            if simulator and not target.startswith(simulator):
                return target
            # the client's own pages may lead here first
            if "code=" in target or "error=" in target:
                return target
            response = session.get(target, allow_redirects=False)
            continue
        response.raise_for_status()
        page = _Forms()
        page.feed(response.text)
        if asks := _own_form(page):
            response = _agree(session, response.url, asks)
            continue
        here = urlsplit(response.url)
        simulator = f"{here.scheme}://{here.netloc}{here.path}"
        response = _answer(session, response, page, account, ticked, deny=deny)
    raise RuntimeError("the consent pages lead nowhere")


def _own_form(page: _Forms) -> dict[str, Any] | None:
    """The form of a client's own page, which asks before Google does."""
    for form in page.forms:
        names = {field["name"] for field in form["fields"]}
        if form["method"] == "post" and "decision" not in names:
            return form
    return None


def _agree(
    session: requests.Session, url: str, form: dict[str, Any]
) -> requests.Response:
    data = {
        field["name"]: field.get("value", "")
        for field in form["fields"]
        if field["tag"] == "input"
    }
    return session.post(urljoin(url, form["action"]), data=data, allow_redirects=False)


def _answer(
    session: requests.Session,
    response: requests.Response,
    page: _Forms,
    account: str,
    ticked: set[str] | None,
    *,
    deny: bool,
) -> requests.Response:
    for form in page.forms:
        names = {field["name"] for field in form["fields"]}
        if "decision" in names:
            data: list[tuple[str, str]] = [
                (field["name"], field.get("value", ""))
                for field in form["fields"]
                if field["tag"] == "input"
                and (
                    field.get("type") != "checkbox"
                    or ticked is None
                    or field["value"] in ticked
                )
            ]
            data.append(("decision", "deny" if deny else "allow"))
            return session.post(response.url, data=data, allow_redirects=False)
    for form in page.forms:
        buttons = [f for f in form["fields"] if f["tag"] == "button"]
        if any(f.get("value") == account for f in buttons):
            query = {
                f["name"]: f.get("value", "")
                for f in form["fields"]
                if f["tag"] == "input"
            }
            address = response.url.partition("?")[0]
            return session.get(
                address, params=query | {"account": account}, allow_redirects=False
            )
    raise RuntimeError(f"{account} cannot be chosen on this page")
