"""What the demo does to the system, over HTTP only: as the CRM, the user, the world."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from email import message_from_bytes, policy
from typing import Any

import requests

from gmail_simulator.consent import consent
from gmail_sync.tokens import mint
from infra.local import demo_story as story
from infra.local.demo_story import Mail
from infra.local.emulators import wait_until
from infra.local.local_settings import DEVELOPMENT_SIGNING_KEY

_SECONDS = 10.0
# A delivery that failed comes again after ten seconds.
_DECISION_SECONDS = 40.0
_REFERENCE = re.compile(rb"@@([a-z-]+)@@")


class LateError(RuntimeError):
    """Something that should have happened did not, in time."""


class Crm:
    """The CRM's backend: the HTTP API with its own key."""

    def __init__(self, url: str) -> None:
        """Mint a token for all subaccounts of the story."""
        self._url = url
        self._http = requests.Session()
        token = mint(
            DEVELOPMENT_SIGNING_KEY,
            sub="crm",
            subaccounts=list(story.SUBACCOUNTS),
            deployment=True,  # the story connects the logging mailbox
        )
        self._http.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Call the API; raises for a refusal, with what it says."""
        answer = self._http.request(
            method, f"{self._url}{path}", timeout=_SECONDS, **more
        )
        if not answer.ok:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def set_up(self) -> None:
        """Push subaccounts, users and contacts, as a CRM does when it is wired."""
        for name, subaccount in story.SUBACCOUNTS.items():
            self.call("PUT", f"/v1/subaccounts/{name}", json=subaccount)
        for (name, user), values in story.USERS.items():
            self.call("PUT", f"/v1/subaccounts/{name}/users/{user}", json=values)
        for (name, contact), values in story.CONTACTS.items():
            self.call("PUT", f"/v1/subaccounts/{name}/contacts/{contact}", json=values)

    def authorization_url(self) -> str:
        """The page that the user's browser is sent to."""
        path = f"/v1/users/{story.USER}/connection"
        url: str = self.call("POST", path, json={})["authorization_url"]
        return url

    def connection(self) -> dict[str, Any]:
        """The user's connection."""
        found: dict[str, Any] = self.call("GET", f"/v1/users/{story.USER}/connection")
        return found

    def decision(self, message_id: str, outcome: str, places: int) -> dict[str, Any]:
        """Wait for the decision on a mail; raises LateError.

        A mail is recorded in one subaccount after the other: `places` is in how many.
        """
        path = f"/v1/subaccounts/{story.NORTH}/decisions"
        found: list[dict[str, Any]] = []

        def decided() -> bool:
            answer = self.call("GET", path, params={"rfc822_message_id": message_id})
            found[:] = answer["items"]
            return any(
                item["outcome"] == outcome and len(item["subaccounts"]) >= places
                for item in found
            )

        wait_until(decided, _DECISION_SECONDS, every=0.05)
        if not found:
            raise LateError(f"No decision on {message_id} came.")
        return next((item for item in found if item["outcome"] == outcome), found[0])

    def conversations(self, subaccount: str) -> list[dict[str, Any]]:
        """All conversations that hold mail, newest first."""
        path = f"/v1/subaccounts/{subaccount}/conversations"
        items: list[dict[str, Any]] = self.call("GET", path)["items"]
        return items

    def messages(self, subaccount: str, contact: str) -> list[dict[str, Any]]:
        """One conversation's messages, oldest first."""
        path = f"/v1/subaccounts/{subaccount}/conversations/{contact}/messages"
        items: list[dict[str, Any]] = self.call("GET", path, params={"page_size": 100})[
            "items"
        ]
        return items[::-1]


class Outside:
    """The world around the system: the user's browser and Gmail, other people's mail.

    Knows the Message-ID that each mail of the story really has: Gmail gives its own to
    what the user sends.
    """

    def __init__(self, url: str) -> None:
        """Make the user's Google account at the simulator."""
        self._url = url
        self._http = requests.Session()
        self._ids: dict[str, str] = {}
        self._post(
            "/_simulator/accounts",
            json={"address": story.MAILBOX, "name": "Mia Berger"},
        )
        grant = self._post("/_simulator/grants", json={"account": story.MAILBOX})
        self._gmail_headers = {"Authorization": f"Bearer {grant['access_token']}"}

    def connect(self, authorization_url: str) -> requests.Response:
        """Go through the consent pages as the user's browser; returns the last page."""
        browser = requests.Session()
        callback = consent(browser, authorization_url, story.MAILBOX)
        return browser.get(callback, timeout=_SECONDS)

    def move(self, mail: Mail) -> str:
        """Let the mail happen; returns its Message-ID."""
        if mail.by == "rescue":
            message = self._in_gmail(mail.name)
            self._gmail(
                "POST",
                f"/messages/{message['id']}/modify",
                json={"addLabelIds": ["INBOX"], "removeLabelIds": ["SPAM"]},
            )
        elif mail.by == "user":
            self._ids[mail.name] = self._send(mail)
        else:
            raw = self._with_references(mail.raw)
            self._post(
                "/_simulator/deliver",
                params={
                    "rcpt": story.MAILBOX,
                    "auth": mail.auth,
                    "spam": str(int(mail.spam)),
                },
                data=raw,
            )
            self._ids[mail.name] = str(message_from_bytes(raw)["Message-ID"])
        return self._ids[mail.name]

    def _send(self, mail: Mail) -> str:
        body: dict[str, Any] = {
            "raw": base64.urlsafe_b64encode(self._with_references(mail.raw)).decode()
        }
        if mail.thread_of is not None:
            body["threadId"] = self._in_gmail(mail.thread_of)["threadId"]
        sent = self._gmail("POST", "/messages/send", json=body)
        message = self._gmail("GET", f"/messages/{sent['id']}")
        headers = {
            header["name"]: header["value"] for header in message["payload"]["headers"]
        }
        return str(headers["Message-ID"])

    def _with_references(self, raw: bytes) -> bytes:
        return _REFERENCE.sub(lambda m: self._ids[m[1].decode()].encode(), raw)

    def _in_gmail(self, name: str) -> dict[str, Any]:
        """Find a mail of the story in the user's Gmail."""
        query = f"rfc822msgid:{self._ids[name].strip('<>')} in:anywhere"
        params = {"q": query, "includeSpamTrash": "true"}
        found = self._gmail("GET", "/messages", params=params)["messages"]
        message: dict[str, Any] = found[0]
        return message

    def _gmail(self, method: str, path: str, **more: Any) -> Any:
        answer = self._http.request(
            method,
            f"{self._url}/gmail/v1/users/me{path}",
            headers=self._gmail_headers,
            timeout=_SECONDS,
            **more,
        )
        answer.raise_for_status()
        return answer.json()

    def _post(self, path: str, **more: Any) -> Any:
        answer = self._http.post(f"{self._url}{path}", timeout=_SECONDS, **more)
        answer.raise_for_status()
        return answer.json()


def parsed(mail: Mail) -> Mapping[str, str]:
    """Headers of a mail, decoded, to show them."""
    message = message_from_bytes(mail.raw, policy=policy.default)
    return {name: str(message[name] or "") for name in ("From", "To", "Subject")}


def events(pubsub: str, project: str, subscription: str) -> list[str]:
    """Types of the events published since the last call."""
    found: list[str] = []
    while True:
        answer = requests.post(
            f"{pubsub}/v1/projects/{project}/subscriptions/{subscription}:pull",
            json={"maxMessages": 100, "returnImmediately": True},
            timeout=_SECONDS,
        )
        received = answer.json().get("receivedMessages", [])
        if not received:
            return found
        found += [
            received_message["message"]["attributes"].get("ce-type", "?")
            for received_message in received
        ]
        requests.post(
            f"{pubsub}/v1/projects/{project}/subscriptions/{subscription}:acknowledge",
            json={
                "ackIds": [received_message["ackId"] for received_message in received]
            },
            timeout=_SECONDS,
        )
