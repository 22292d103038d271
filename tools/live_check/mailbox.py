"""A mailbox by plain HTTP, so that what Gmail answers is seen as it is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import requests

_SECONDS = 30
_OK = 200


class Unanswered(Exception):
    """Gmail refused a call that the question needs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one call."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_ok(self) -> bool:
        """Whether Gmail took it."""
        return self.status == _OK

    @property
    def reason(self) -> str:
        """Gmail's own word for a refusal."""
        error = self.body.get("error")
        if not isinstance(error, Mapping):
            return str(self.status)
        errors = error.get("errors") or [{}]
        return f"{self.status} {errors[0].get('reason', error.get('status', ''))}"


class Mailbox:
    """One mailbox; thread safe, because every call has a session of its own."""

    def __init__(
        self,
        address: str,
        endpoint: str,
        access_token: Callable[[], str],
        session: Callable[[], requests.Session] = requests.Session,
    ) -> None:
        """Call the API at this origin."""
        self.address = address
        self._root = f"{endpoint.rstrip('/')}/gmail/v1/users/me"
        self._access_token = access_token
        self._session = session

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call once; nothing is repeated."""
        with self._session() as session:
            answer = session.request(
                method,
                f"{self._root}/{path}",
                params=query,
                data=None if body is None else json.dumps(body),
                headers={
                    "Authorization": f"Bearer {self._access_token()}",
                    "Content-Type": "application/json",
                },
                timeout=_SECONDS,
                allow_redirects=False,
            )
        return Answer(answer.status_code, answer.json() if answer.content else {})

    def must(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call, and give up on the question when Gmail refuses."""
        answer = self.call(method, path, body, **query)
        if not answer.is_ok:
            raise Unanswered(f"{method} {path.partition('/')[0]}: {answer.reason}")
        return answer

    def draft(self, message_id: str, mark: str) -> str:
        """Make a draft of a mail to oneself; gives its id."""
        mail = EmailMessage()
        mail["From"] = mail["To"] = self.address
        mail["Subject"] = f"Live check {mark}"
        mail["Message-ID"] = message_id
        mail["X-Live-Check"] = mark
        mail.set_content("A test mail of the two-way sync. It can be deleted.")
        raw = base64.urlsafe_b64encode(mail.as_bytes()).decode()
        made = self.must("POST", "drafts", {"message": {"raw": raw}})
        return str(made.body["id"])

    def send(self, draft: str) -> Answer:
        """Send a draft, once."""
        return self.call("POST", "drafts/send", {"id": draft})

    def headers(self, message: str) -> dict[str, str]:
        """A message's headers, names in lower case."""
        found = self.must("GET", f"messages/{message}", format="metadata")
        return {
            str(header["name"]).lower(): str(header["value"])
            for header in found.body["payload"]["headers"]
        }

    def history_id(self) -> int:
        """The newest history id."""
        return int(self.must("GET", "profile").body["historyId"])

    def added_since(self, history_id: int) -> list[str]:
        """Messages that the history since then says were added."""
        found: list[str] = []
        page: dict[str, str] = {}
        while True:
            answer = self.must(
                "GET", "history", startHistoryId=str(history_id), **page
            ).body
            for record in answer.get("history", ()):
                found += [
                    str(m["message"]["id"]) for m in record.get("messagesAdded", ())
                ]
            if "nextPageToken" not in answer:
                return found
            page = {"pageToken": str(answer["nextPageToken"])}
