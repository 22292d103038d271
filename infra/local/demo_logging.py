"""The demo's third act: mail from another client, logged by the secret BCC address.

The operator connects the logging mailbox once; then Mia writes from her phone with her
BCC address, and the person she wrote to becomes a contact. Over HTTP only.
"""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Protocol

import requests

from gmail_simulator.consent import consent
from infra.local import demo_story as story
from infra.local.emulators import wait_until
from infra.local.simulated_gmail import LOGGING_ACCOUNT

PROSPECT = ("Nora Novák", "nora@prospect.example")
STRANGER = "eve@elsewhere.example"

_SECONDS = 10.0
_WAIT_SECONDS = 60.0


class CallsTheApi(Protocol):
    """`demo_crm.Crm`, as far as it is needed."""

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Call the API; raises for a refusal."""


def play(crm: CallsTheApi, gmail_url: str, say: Callable[[str], None]) -> list[str]:
    """Play the act; says what happens, and returns what is not as it should be."""
    problems: list[str] = []
    base = f"/v1/subaccounts/{story.NORTH}"
    _connect_logging_mailbox(crm)
    address = crm.call("GET", f"{base}/users/{story.USER}")["bcc_address"]
    say("  The operator connects the logging mailbox; Mia has her secret address")

    _write(
        gmail_url, f"Mia Berger <{story.MAILBOX}>", address, "pass", "Our first talk"
    )
    conversation = _wait_for(crm, base, "Our first talk")
    if conversation is None:
        problems.append("the mail with the BCC address is not in the CRM")
    else:
        say(
            f"  Mia writes from her phone, BCC address in copy: {conversation['name']} "
            "is a contact now, and the mail is in the conversation"
        )
    before = len(crm.call("GET", f"{base}/conversations")["items"])
    _write(gmail_url, f"Mia Berger <{story.MAILBOX}>", address, "fail", "Pay me")
    decided = _decision(crm, base, "pay-me@phone.example")
    kept_out = decided is not None and decided["outcome"] == "ignored"
    if not kept_out or len(crm.call("GET", f"{base}/conversations")["items"]) != before:
        problems.append("a forger who knows the address got into the CRM")
    else:
        say("  A forger who knows the address stays out: the mail is not authenticated")
    return problems


def _connect_logging_mailbox(crm: CallsTheApi) -> None:
    path = "/v1/logging-mailbox/connection"
    url = crm.call("POST", path, json={})["authorization_url"]
    browser = requests.Session()
    browser.get(consent(browser, url, LOGGING_ACCOUNT[0]), timeout=_SECONDS)


def _write(gmail_url: str, sender: str, bcc: str, auth: str, subject: str) -> None:
    """Somebody sends a mail; the copy for the BCC address arrives, without Bcc."""
    mail = EmailMessage()
    mail["From"], mail["Subject"] = sender, subject
    mail["To"] = f"{PROSPECT[0]} <{PROSPECT[1]}>" if auth == "pass" else STRANGER
    name = subject.lower().replace(" ", "-")
    mail["Message-ID"] = f"<{name}@phone.example>"
    mail.set_content("Hello, it was good to meet you.")
    requests.post(
        f"{gmail_url}/_simulator/deliver",
        params={"rcpt": bcc, "auth": auth},
        data=mail.as_bytes(),
        timeout=_SECONDS,
    ).raise_for_status()


def _wait_for(crm: CallsTheApi, base: str, subject: str) -> dict[str, Any] | None:
    """The conversation with the prospect, once it holds the mail."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        items = crm.call("GET", f"{base}/conversations")["items"]
        found[:] = [item for item in items if item["name"] == PROSPECT[0]]
        if not found:
            return False
        path = f"{base}/conversations/{found[0]['contact']}/messages"
        return any(m["subject"] == subject for m in crm.call("GET", path)["items"])

    return found[0] if wait_until(there, _WAIT_SECONDS, every=0.1) else None


def _decision(crm: CallsTheApi, base: str, message_id: str) -> dict[str, Any] | None:
    found: list[dict[str, Any]] = []

    def decided() -> bool:
        params = {"rfc822_message_id": message_id}
        found[:] = crm.call("GET", f"{base}/decisions", params=params)["items"]
        return bool(found)

    wait_until(decided, _WAIT_SECONDS, every=0.1)
    return found[0] if found else None
