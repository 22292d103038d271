"""Pushes at the real edge: forged ones do nothing at all, replayed ones next to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared.ports import Event
from tests.security.deployment import ACCOUNT, AUDIENCE, Deployment
from tests.support.bcc import LOG
from tests.support.sending import CARLA, MIA
from tools.metered import MeteredDocuments, Usage

REPLAYS = 1000
PUSHED = ("inbound", "bcc", "schedule", "work", "outbound", "dead_letter")


def hint(address: str = MIA, history_id: int = 10**9) -> Event:
    payload = {"emailAddress": address, "historyId": history_id}
    return Event(json.dumps(payload).encode(), {})


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def altered(token: str, **changes: Any) -> str:
    """The token with other claims under the signature of the old ones."""
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    return ".".join((head, segment(claims | changes), signature))


FORGED: dict[str, Callable[[Deployment], str]] = {
    "no token": lambda _: "",
    "garbage": lambda _: "a.b.c",
    "unsigned": lambda d: f"{segment({'alg': 'none'})}.{d.push_token().split('.')[1]}.",
    "claims changed": lambda d: altered(d.push_token(), email="x@evil.example"),
    "kept beyond its hour": lambda d: d.push_token(
        iat=int(d.clock.now().timestamp()) - 7200,
        exp=int(d.clock.now().timestamp()) - 3600,
    ),
    "for another audience": lambda d: d.push_token(aud="https://other.example.com"),
    "of another function": lambda d: d.push_token(aud=f"{AUDIENCE}/other"),
    "of another account": lambda d: d.push_token(email=f"evil-{ACCOUNT}"),
    "of an account not verified": lambda d: d.push_token(email_verified=False),
    "of another issuer": lambda d: d.push_token(iss="https://evil.example"),
    "without expiry": lambda d: d.push_token(exp=...),
    "a caller's token": lambda d: d.caller(),
}


class Counted:
    """What a deployment has asked of Gmail and Firestore since it was made."""

    def __init__(self, deployment: Deployment) -> None:
        self.meter = MeteredDocuments(deployment.outside.documents)
        self.calls = deployment.world.calls
        self.before = len(self.calls)
        deployment.outside.documents = self.meter
        deployment.restart()

    @property
    def gmail(self) -> int:
        return len(self.calls) - self.before

    @property
    def units(self) -> int:
        return sum(call.units for call in self.calls[self.before :])


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    return Deployment(monkeypatch)


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_push_is_403_and_asks_gmail_and_firestore_nothing(
    deployment: Deployment, forge: Callable[[Deployment], str]
) -> None:
    deployment.arrives(CARLA, MIA)  # there would be something to read
    token = forge(deployment)
    counted = Counted(deployment)
    for function in PUSHED:
        answer = deployment.pushed(function, hint(), "forged", token)
        assert (answer.status_code, answer.data) == (403, b"")
    assert counted.gmail == 0
    assert counted.meter.usage == Usage()


def test_a_replayed_push_costs_one_look_however_often_it_comes(
    deployment: Deployment,
) -> None:
    deployment.arrives(CARLA, MIA)
    (push,) = deployment.pushes
    deployment.settle()
    counted = Counted(deployment)
    token = deployment.push_token()
    for number in range(REPLAYS):
        delivery = push.delivery if number % 2 else f"replay-{number}"
        answer = deployment.pushed("inbound", push.event, delivery, token)
        assert (answer.status_code, answer.data) == (204, b"")
    assert counted.units <= 2  # one history.list
    assert counted.meter.usage.writes <= 2  # its lease, taken and given back
    assert counted.meter.usage.reads <= REPLAYS + 10
    assert len(deployment.conversation("c")) == 1


def test_a_replay_after_newer_mail_costs_gmail_nothing(deployment: Deployment) -> None:
    deployment.arrives(CARLA, MIA, "First")
    (old,) = deployment.pushes
    deployment.settle()
    deployment.arrives(CARLA, MIA, "Second")
    deployment.settle()
    counted = Counted(deployment)
    for number in range(20):
        deployment.pushed("inbound", old.event, f"replay-{number}")
    assert (counted.gmail, counted.meter.usage.writes) == (0, 0)


@pytest.mark.parametrize("address", ["nobody@elsewhere.example", "not an address", ""])
def test_a_push_for_an_unknown_mailbox_asks_gmail_nothing(
    deployment: Deployment, address: str
) -> None:
    counted = Counted(deployment)
    answer = deployment.pushed("inbound", hint(address), "unknown")
    assert answer.status_code == 204
    # That the address is looked for is noted, once a day (C9).
    assert (counted.gmail, counted.meter.usage.writes <= 1) == (0, True)
    again = Counted(deployment)
    assert deployment.pushed("inbound", hint(address), "again").status_code == 204
    assert (again.gmail, again.meter.usage.writes) == (0, 0)


def test_a_push_that_names_another_mailbox_reads_only_what_is_its_own(
    deployment: Deployment,
) -> None:
    """The payload is a hint: it chooses whom to look after, never what is recorded."""
    deployment.arrives(CARLA, MIA)
    deployment.pushes.clear()
    deployment.pushed("inbound", hint(LOG), "m1")
    assert deployment.conversation("c") == []
    deployment.pushed("inbound", hint(MIA.upper(), 1), "m2")  # an old id: nothing
    assert deployment.conversation("c") == []
    deployment.pushed("inbound", hint(MIA), "m3")
    assert len(deployment.conversation("c")) == 1
