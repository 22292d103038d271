"""M9: a copy of the CRM's mail that has lost our header is its copy all the same."""

from __future__ import annotations

from email import message_from_bytes, policy
from typing import Any

import pytest

from shared.core.ids import SubaccountId, UserId
from shared.core.parsing import gmail_message
from tests.support.sending import BOB, CARLA, MIA, SendingSystem

MATE = "mate@agency.test"


def team() -> SendingSystem:
    system = SendingSystem()
    system.subaccount(
        "s",
        logging="all_contacts",
        internal_domains=("agency.test",),
        default_provider=system.services.directory.subaccount(
            SubaccountId("s")
        ).default_provider,
    )
    system.user("v", MATE)
    system.connect("v", MATE)
    system.settle()
    return system


def arrives_without_header(
    system: SendingSystem, raw: bytes, auth: str = "pass", **headers: str
) -> None:
    """A list passes it on to the colleague, and takes our header away."""
    mail = message_from_bytes(raw, policy=policy.default)
    for name in ("X-CRM-Message", *headers):
        del mail[name]
    for name, value in headers.items():
        mail[name] = value
    system.world.deliver_from_outside(mail.as_bytes(), [MATE], auth)
    system.settle()


def held(system: SendingSystem) -> list[list[str]]:
    return [
        sorted(copy.address for copy in record.held_by)
        for record in system.conversation("c")
    ]


def raw_sent(system: SendingSystem) -> bytes:
    sent: bytes = system.world.outside[-1].raw
    return sent


def test_m9_a_colleagues_copy_of_individual_mail() -> None:
    system = team()
    system.post()
    system.settle()
    arrives_without_header(system, raw_sent(system))
    assert held(system) == [[MATE, MIA]]


@pytest.mark.parametrize("bulk", [True, False])
def test_m9_a_colleagues_copy_of_provider_mail(*, bulk: bool) -> None:
    system = team()
    if bulk:
        system.bulk("c")
    else:
        system.post(kind="workflow")
    system.settle()
    (taken,) = system.relay.taken
    arrives_without_header(system, taken.mail)
    assert held(system) == [[MATE]]


def test_m9_a_server_that_drops_unknown_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gmail_message, "CRM_MESSAGE_HEADER", "X-Dropped")
    system = team()
    system.post()
    system.settle()
    assert held(system) == [[MIA]]
    system.world.expire_history(MIA)
    system.sweep(0)
    assert held(system) == [[MIA]]
    end = int(system.clock.now().timestamp() * 1000) + 10_000
    from shared.core.access import Caller

    crm = Caller("crm", frozenset({SubaccountId("s")}))
    job = system.services.jobs.audit(crm, UserId("u"), 0, end, repair=True)
    system.settle()
    result: Any = system.services.jobs.view(crm, job.id)[1]
    assert result["differences"] == []
    assert held(system) == [[MIA]]


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ("fail", {}),
        ("pass", {"From": "eve@stranger.test"}),
        ("pass", {"Subject": "Another offer"}),
        ("pass", {"From": BOB, "X-CRM-Message": "{mark}"}),
    ],
)
def test_m9_who_has_seen_our_ids_puts_nothing_into_a_record(
    auth: str, headers: dict[str, str]
) -> None:
    """A stranger and a contact write them all; what they say stays their own."""
    system = team()
    (message,) = system.post().ids
    system.settle()
    before = system.record(message)
    named = {k: v.format(mark=f"s/{message}") for k, v in headers.items()}
    arrives_without_header(system, raw_sent(system), auth, To=MATE, **named)
    assert system.record(message) == before
    assert CARLA in str(before.envelope)
