"""The demo's second act: mail that the CRM sends.

A conversation begun in the CRM and gone on in Gmail, and a bulk mail beside it that
goes through a real SMTP server. Speaks to the system over HTTP only.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Protocol

import requests

from infra.local import demo_story as story
from infra.local.emulators import wait_until
from infra.local.smtp_sink import SmtpSink

BEGUN_WITH = "hugo"
BULK_TO = ("yuki", "ivan", "zoe", "bloom")
GONE = "gone@fern.example"
SUBJECT = "Your new shop window: Angebot für Mai"

_SECONDS = 10.0
# A delivery that failed comes again after ten seconds.
_WAIT_SECONDS = 60.0


class CallsTheApi(Protocol):
    """`demo_crm.Crm`, as far as it is needed."""

    def call(self, method: str, path: str, **more: Any) -> Any:
        """Call the API; raises for a refusal."""


def play(crm: CallsTheApi, gmail_url: str, say: Callable[[str], None]) -> list[str]:
    """Play the act; says what happens, and returns what is not as it should be."""
    with SmtpSink() as sink:
        act = _Act(crm, gmail_url, say, sink)
        act.begin_a_conversation()
        act.the_contact_answers()
        act.mia_answers_in_gmail()
        act.a_mail_comes_back()
        act.send_bulk()
        return act.problems


class _Act:
    def __init__(
        self,
        crm: CallsTheApi,
        gmail_url: str,
        say: Callable[[str], None],
        sink: SmtpSink,
    ) -> None:
        self._crm, self._gmail, self._say, self._sink = crm, gmail_url, say, sink
        self._base = f"/v1/subaccounts/{story.NORTH}"
        self._known = len(self._conversation(BEGUN_WITH))
        self._sent: dict[str, Any] = {}
        self._answer: dict[str, Any] = {}
        self.problems: list[str] = []

    def begin_a_conversation(self) -> None:
        """The CRM sends through Mia's Gmail."""
        before = self._sends_left()
        message = self._send(
            kind="individual",
            to=[{"contact": BEGUN_WITH}],
            subject=SUBJECT,
            html="<p>Hello Hugo, <b>here it is</b>. Schöne Grüße, Mia</p>",
        )["id"]
        self._sent = self._ended(message)
        self._say(
            f"  CRM → Gmail → {self._sent['to'][0]['address']}: "
            f"{self._sent['status']} as {self._sent['rfc822_message_id']}"
        )
        self._expect("the mail is sent", self._sent["status"] == "sent")
        self._expect("it is in Mia's mailbox", len(self._sent["mailboxes"]) == 1)
        self._expect("one of the day's sends is used", self._sends_left() == before - 1)

    def the_contact_answers(self) -> None:
        """Hugo answers; his mail arrives in Mia's Gmail."""
        mail = self._reply(self._sent, "Hugo Craft <hugo@craft.example>", "I like it!")
        mail["To"] = story.MAILBOX
        requests.post(
            f"{self._gmail}/_simulator/deliver",
            params={"rcpt": story.MAILBOX, "auth": "pass"},
            data=mail.as_bytes(),
            timeout=_SECONDS,
        ).raise_for_status()
        self._answer = self._newest(2)
        self._say(f"  Hugo answers: in the CRM under {self._thread(self._answer)}")
        self._expect("the answer is in the conversation", self._in_thread(self._answer))

    def mia_answers_in_gmail(self) -> None:
        """Mia goes on in Gmail, in the same thread."""
        mail = self._reply(self._answer, f"Mia Berger <{story.MAILBOX}>", "Deal.")
        mail["To"] = "hugo@craft.example"
        body = {
            "raw": base64.urlsafe_b64encode(mail.as_bytes()).decode(),
            "threadId": self._sent["mailboxes"][0]["gmail_thread_id"],
        }
        requests.post(
            f"{self._gmail}/gmail/v1/users/me/messages/send",
            json=body,
            headers={"Authorization": f"Bearer {self._token()}"},
            timeout=_SECONDS,
        ).raise_for_status()
        last = self._newest(3)
        self._say(f"  Mia answers in Gmail: in the CRM under {self._thread(last)}")
        self._expect("her mail is in the conversation", self._in_thread(last))
        self._expect("it is hers", last["direction"] == "outbound")

    def a_mail_comes_back(self) -> None:
        """Nobody has this address: Gmail tells Mia, and the message shows it (S12)."""
        requests.post(
            f"{self._gmail}/_simulator/accounts",
            json={"address": "office@fern.example"},
            timeout=_SECONDS,
        ).raise_for_status()
        contact = {"name": "Fern", "emails": [GONE], "assigned_to": story.USER}
        self._crm.call("PUT", f"{self._base}/contacts/fern", json=contact)
        message = self._send(
            kind="individual",
            to=[{"contact": "fern"}],
            subject="Are you still there?",
            text="Hello Fern, we have not heard from you.",
        )["id"]
        found = self._come_back(message)
        told = [(item["address"], item["code"]) for item in found["bounces"]]
        codes = ", ".join(str(code) for _, code in told) or "nothing"
        self._say(f"  CRM → Gmail → {GONE}: comes back with {codes}")
        self._expect("the bounce is on the message", told == [(GONE, "5.1.1")])
        self._expect("its status stays", found["status"] == "sent")
        self._expect("it is no mail", len(self._conversation("fern")) == 1)

    def send_bulk(self) -> None:
        """A bulk mail goes through the subaccount's own SMTP server."""
        settings = {**story.SUBACCOUNTS[story.NORTH]}
        self._crm.call(
            "PUT",
            self._base,
            json={**settings, "default_provider": self._sink.provider},
        )
        before = self._sends_left()
        ids = self._send(
            kind="bulk",
            contacts=list(BULK_TO),
            subject="Spring news",
            text="We have moved to a bigger studio.",
        )["ids"]
        ended = [self._ended(message_id) for message_id in ids]
        taken = self._sink.taken
        self._say(
            f"  CRM → SMTP server → {len(taken)} contacts, one mail each; "
            "Gmail's daily sends are untouched"
        )
        self._expect(
            "every bulk mail is sent", {item["status"] for item in ended} == {"sent"}
        )
        wanted = sorted(item["to"][0]["address"] for item in ended)
        self._expect(
            "each contact got one mail",
            sorted(mail.recipients[0] for mail in taken) == wanted,
        )
        ids_seen = {
            str(message_from_bytes(mail.mail, policy=policy.default)["Message-ID"])
            for mail in taken
        }
        self._expect(
            "the mails are those of the records",
            ids_seen == {item["rfc822_message_id"] for item in ended},
        )
        self._expect("no Gmail send was used", self._sends_left() == before)

    # --- inside ------------------------------------------------------------------

    def _send(self, **message: Any) -> Any:
        return self._crm.call(
            "POST",
            f"{self._base}/messages",
            json={"user": story.USER, **message},
            headers={"Idempotency-Key": str(uuid.uuid4())},
        )

    def _ended(self, message: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self._crm.call("GET", f"{self._base}/messages/{message}"))
            return bool(found["status"] != "queued")

        wait_until(ended, _WAIT_SECONDS, every=0.1)
        return found

    def _come_back(self, message: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def back() -> bool:
            found.update(self._crm.call("GET", f"{self._base}/messages/{message}"))
            return bool(found["bounces"])

        wait_until(back, _WAIT_SECONDS, every=0.1)
        return found

    def _conversation(self, contact: str) -> list[dict[str, Any]]:
        path = f"{self._base}/conversations/{contact}/messages"
        items: list[dict[str, Any]] = self._crm.call("GET", path)["items"]
        return items[::-1]

    def _newest(self, count: int) -> dict[str, Any]:
        """The last message once there are so many more than before."""

        def come() -> bool:
            return len(self._conversation(BEGUN_WITH)) >= self._known + count

        wait_until(come, _WAIT_SECONDS, every=0.1)
        return self._conversation(BEGUN_WITH)[-1]

    def _reply(self, to: dict[str, Any], sender: str, text: str) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = sender
        mail["Subject"] = f"Re: {SUBJECT}"
        mail["Message-ID"] = f"<{uuid.uuid4()}@demo.example>"
        mail["In-Reply-To"] = mail["References"] = to["rfc822_message_id"]
        mail.set_content(text)
        return mail

    def _token(self) -> str:
        answer = requests.post(
            f"{self._gmail}/_simulator/grants",
            json={"account": story.MAILBOX},
            timeout=_SECONDS,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def _sends_left(self) -> int:
        path = f"/v1/users/{story.USER}/connection"
        return int(self._crm.call("GET", path)["sends_left_today"])

    def _in_thread(self, message: dict[str, Any]) -> bool:
        return bool(message["thread_id"] == self._sent["thread_id"])

    def _thread(self, message: dict[str, Any]) -> str:
        return "the same thread" if self._in_thread(message) else "another thread"

    def _expect(self, what: str, holds: bool) -> None:  # noqa: FBT001
        if not holds:
            self.problems.append(f"Sending: not so: {what}")
