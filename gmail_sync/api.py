"""Calls of the system's API, and what it refuses, said to a person."""

from __future__ import annotations

from typing import Any, Protocol

import requests

from gmail_sync.running import CommandError

SECONDS = 30


class Ask(Protocol):
    """One call of the API; raises CommandError with what the API says."""

    def __call__(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        """The parsed body of the response."""


def caller(api: str, token: str | None = None) -> Ask:
    """Calls of this API with a caller's token."""
    session = requests.Session()
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token}"

    def ask(
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        try:
            response = session.request(
                method, f"{api}{path}", json=body, params=query, timeout=SECONDS
            )
        except requests.RequestException as error:
            raise CommandError(
                f"{api} does not answer ({type(error).__name__})."
            ) from None
        try:
            document = response.json()
        except ValueError:
            raise CommandError(
                f"{response.status_code}: {api} is not this API: it answers with "
                f"{response.headers.get('Content-Type', 'nothing that is named')}."
            ) from None
        if not response.ok:
            raise CommandError(refusal(response.status_code, document))
        return document

    return ask


def refusal(status: int, problem: Any) -> str:
    """A problem document in lines: what is wrong, then each error with its place."""
    found = problem if isinstance(problem, dict) else {}
    lines = [f"{status} {found.get('code', '')}: {found.get('detail', 'refused')}"]
    for error in found.get("errors", ()):
        place = error.get("pointer") or error.get("parameter")
        lines.append("  " + ": ".join(filter(None, [place, error.get("detail")])))
    return "\n".join(lines)
