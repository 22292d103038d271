"""No word of a mail, no address and no secret is logged, told or noted, whatever fails.

Every flow runs again and again; each time another gateway call fails, in another way,
with the canaries in the error's own message. All output of the process and all answers
are searched. Only what a caller may read may be answered, and no answer of a push holds
anything. So is what is kept for operators, and the reasons that callers are given.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from google.api_core import exceptions as google
from werkzeug.test import Client

from gmail_simulator.consent import consent
from shared import errors, logs
from shared.bootstrap import Services
from shared.core.ids import UserId
from tests.faults.leaks import NOTES
from tests.security.deployment import Deployment
from tests.support import api
from tests.support.crash import Crashing, CrashPlan
from tests.support.sending import MIA, PORTS, PROVIDER, S

WORD = "canary"
SECRET = "CaNaRy-s3cret-word"
THEM = f"{WORD}.person@customer.test"
TEXT = f"{WORD} text of a mail"

# What is thrown, with everything in it that must not come out.
TALE = f"{TEXT} to {THEM} by {MIA}: Bearer ya29.{SECRET} password={SECRET}"


def _said(error: errors.SyncError) -> errors.SyncError:
    """What a gateway makes of a refusal: our own words, and theirs apart."""
    error.said = TALE
    return error


FAULTS: list[Callable[[], Exception]] = [
    lambda: errors.Transient(TALE),
    lambda: errors.RateLimited(TALE, retry_after=1),
    lambda: errors.Conflict(TALE),
    lambda: errors.Permanent(TALE),
    errors.Malformed,  # its message is meant for callers, and made of fixed words
    lambda: errors.GmailNotFound(TALE),
    lambda: errors.NeedsReauth(TALE),
    lambda: errors.Misconfigured(TALE),
    lambda: errors.AlreadyExists(TALE),
    lambda: errors.DocumentMissing(TALE),
    lambda: errors.HistoryExpired(TALE),
    lambda: errors.FateUnknown(TALE),
    lambda: errors.Unauthenticated(TALE),
    lambda: _said(errors.Permanent()),
    lambda: _said(errors.Transient()),
    lambda: _said(errors.FateUnknown()),
    lambda: google.InvalidArgument(TALE),
    lambda: google.ServiceUnavailable(TALE),
    lambda: requests.ConnectionError(TALE),
    lambda: ValueError(TALE),
    lambda: UnicodeDecodeError("utf-8", TALE.encode(), 0, 1, TALE),
    lambda: RecursionError(TALE),
    lambda: MemoryError(TALE),
]


class FaultPlan(CrashPlan):
    """Let one call fail, once; the process lives on."""

    def __init__(self, number: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self._number, self._error = number, error

    def begin(self, name: str) -> int:
        number = super().begin(name)
        if number == self._number and self._error is not None:
            raise self._error
        return number


class Canaries(Deployment):
    """A deployment in which everything private has a canary in it."""

    def prepare(self) -> None:
        """Let there be a contact, mail with an attachment, and a password."""
        self.drop = self.services.bcc.show(S, UserId("u")) or ""
        smtp = PROVIDER["smtp"] | {"password": SECRET}
        settings = {"name": TEXT, "default_provider": {"smtp": smtp}}
        assert self.call("PUT", "/v1/subaccounts/s", settings).status_code == 200
        self.ready()
        first = self.mail(THEM, MIA, TEXT, text=TEXT)
        first.add_attachment(TEXT.encode(), "text", "plain", filename=f"{WORD}.txt")
        self.world.deliver_from_outside(first.as_bytes(), [MIA])
        self.settle()
        self.answers.clear()

    def ready(self) -> None:
        """Mend what the last fault has broken, in a process without faults."""
        self.restart()
        for queue in (self.pushes, self.work, self.outgoing):
            queue.clear()
        self.contact("x", THEM)
        if self.mailbox(MIA).status != "active":
            self.clock.advance(hours=2)
            self.services.closing.close(self.mailbox_id(MIA))
            assert self.connect("u", MIA).code == "connected"
            self.pushes.clear()
        self.answers.clear()

    def work_off(self) -> None:
        """Deliver what waits; a fault makes it come again once."""
        for _ in range(2):
            for queue, deliver in (
                (self.pushes, self.deliver),
                (self.work, self.do_work),
                (self.outgoing, self.push_out),
            ):
                for push in list(queue):
                    if deliver(push):
                        queue.remove(push)
            self.clock.advance(seconds=15)


# --- flows ----------------------------------------------------------------------------


def inbound(d: Canaries) -> None:
    for sender in (THEM, "stranger@x.test"):
        mail = d.mail(sender, MIA, TEXT, text=TEXT)
        mail.add_attachment(TEXT.encode(), "text", "plain", filename=f"{WORD}.txt")
        d.world.deliver_from_outside(mail.as_bytes(), [MIA])
    d.work_off()


def outbound(d: Canaries) -> None:
    for kind in ("individual", "workflow"):
        mail = {
            "kind": kind,
            "user": "u",
            "to": [{"address": THEM, "name": TEXT}],
            "subject": TEXT,
            "text": TEXT,
        }
        key = {"Idempotency-Key": f"{kind} {d.clock.now().timestamp()}"}
        d.call("POST", "/v1/subaccounts/s/messages", mail, headers=key)
    d.work_off()


def bcc(d: Canaries) -> None:
    mail = d.mail(MIA, f"{WORD}.new@customer.test", TEXT, text=TEXT)
    d.world.deliver_from_outside(mail.as_bytes(), [d.drop])
    for push in list(d.pushes):
        d.pushed("bcc", push.event, push.delivery)
    d.pushes.clear()


def connecting(d: Canaries) -> None:
    begun = d.call("POST", "/v1/users/u/connection", {}).json
    link = begun.get("authorization_url", "http://localhost/oauth/start")
    browser = Client(api.app("connect"))
    start = browser.get(urlsplit(link)._replace(scheme="", netloc="").geturl())
    d.answers.append(start)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', start.text))
    onward = browser.post("/oauth/start", data=fields)
    d.answers.append(onward)
    if onward.status_code == 303:
        back = consent(d.outside.browser, onward.location, MIA)
        query = dict(parse_qsl(urlsplit(back).query))
        d.answers.append(browser.get("/oauth/callback", query_string=query))
    for path in (
        f"/oauth/callback?state={SECRET}&code={SECRET}",
        f"/settings?token={SECRET}",
        f"/settings?token={d.caller('u')}",
    ):
        d.answers.append(browser.get(path))


def disconnecting(d: Canaries) -> None:
    d.call("DELETE", "/v1/users/u/connection")
    d.work_off()


def auditing(d: Canaries) -> None:
    span = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    d.call("POST", "/v1/users/u/connection:audit", {**span, "repair": True})
    d.call("POST", "/v1/subaccounts/s/contacts/x:backfill")
    d.work_off()
    d.call("GET", "/v1/quarantine")


def wrong_calls(d: Canaries) -> None:
    """What callers do wrong is not told back in their words."""
    person = {"name": TEXT, "emails": [f"{WORD} no address"], "x": SECRET}
    d.call("PUT", "/v1/subaccounts/s/contacts/y", person)
    smtp = {"smtp": {"password": SECRET, "host": f"{WORD} host"}}
    d.call("PUT", "/v1/subaccounts/s", {"name": TEXT, "default_provider": smtp})
    d.call("GET", f"/v1/subaccounts/s/messages/{SECRET}")
    d.call("GET", "/v1/subaccounts/s", token=f"{SECRET}.{SECRET}.{SECRET}")
    d.call("GET", f"/v1/nowhere/{SECRET}?token={SECRET}")
    key = {"Idempotency-Key": SECRET}
    d.call("POST", "/v1/subaccounts/s/messages", {"subject": TEXT}, headers=key)
    d.call("DELETE", "/v1/subaccounts/s/contacts/x")


FLOWS = (inbound, outbound, bcc, connecting, disconnecting, auditing, wrong_calls)


MAX_TOLD_CHARS = 600
TRIED: set[str] = set()
"""Methods of gateways that have failed in every way."""


# --- the search -----------------------------------------------------------------------


def hidden_in(text: str) -> list[str]:
    """The canaries in a text, also as base64 would write them."""
    coded = [base64.b64encode(item.encode()).decode()[:20] for item in (SECRET, TEXT)]
    forms = [WORD, SECRET, MIA, "customer.test", *coded]
    return [form for form in forms if form.lower() in text.lower()]


def told(d: Canaries) -> str:
    """All answers but the good ones, which may say what their reader may know."""
    return "\n".join(
        f"{answer.headers} {answer.text}"
        for answer in d.answers
        if answer.status_code >= 400
    )


def noted(d: Canaries) -> list[str]:
    """The canaries in what is kept beside the mail itself, and in reasons."""
    documents = d.outside.documents.dump()
    notes = {
        path: repr(data) for path, data in documents.items() if path.startswith(NOTES)
    }
    found = [f"{word} in {path}" for path in notes for word in _beyond_ids(notes[path])]
    for path, data in documents.items():
        told = repr([data.get("reason"), data.get("failure")])
        # The other side's words about a mail may be quoted, its secrets never.
        found += [f"{word} in {path}" for word in (SECRET, "ya29") if word in told]
        if len(told) > MAX_TOLD_CHARS:
            found.append(f"a reason without end in {path}")
    return found


def _beyond_ids(note: str) -> list[str]:
    """The mailbox that it is about is named in a note."""
    return [word for word in hidden_in(note) if word != MIA]


def run(d: Canaries, flow: Callable[[Canaries], None], plan: CrashPlan) -> None:
    d.ready()
    ports = {name: Crashing(getattr(d.outside, name), plan) for name in PORTS}
    at = d.outside
    d.services = Services(
        SimpleNamespace(clock=at.clock, settings=at.settings, **ports)
    )
    flow(d)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_no_canary_is_logged_or_told_whatever_fails(
    flow: Callable[[Canaries], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    d = Canaries(monkeypatch)
    d.prepare()
    counting = FaultPlan()
    run(d, flow, counting)
    calls = list(counting.calls)
    kinds = itertools.cycle(FAULTS)
    # Every call fails once, and every method in every way, in one of the flows.
    tries = [(number, next(kinds)) for number in range(1, len(calls) + 1)]
    methods = {*calls} - TRIED
    TRIED.update(methods)
    tries += [
        (calls.index(method) + 1, fault) for method in methods for fault in FAULTS
    ]
    lines = 0
    before: set[str] = set()
    for number, fault in tries:
        capfd.readouterr()
        run(d, flow, FaultPlan(number, fault()))
        output = "".join(capfd.readouterr())
        where = f"{calls[number - 1]} {fault().__class__.__name__}"
        assert hidden_in(output) == [], where
        assert hidden_in(told(d)) == [], where
        # A message of our own is made of fixed words, which this one is not.
        own_words = isinstance(fault(), errors.SyncError) and not fault().said
        now = {*noted(d)}
        assert own_words or now <= before, where
        before |= now
        lines += output.count("\n")
    assert lines > len(tries)  # else nothing was looked at


def test_a_canary_would_be_seen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    d = Canaries(monkeypatch)
    d.prepare()
    capfd.readouterr()
    monkeypatch.setattr(logs, "_safe", lambda value: value)
    monkeypatch.setattr(logs, "describe", lambda error: {"code": str(error)})
    run(d, inbound, FaultPlan(3, ValueError(TALE)))
    assert WORD in hidden_in("".join(capfd.readouterr()))
    d.answers.append(d.call("GET", f"/v1/subaccounts/s/users/{SECRET}"))
    d.answers[-1].status_code, d.answers[-1].data = 404, TALE.encode()
    assert hidden_in(told(d))
