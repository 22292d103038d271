"""BCC addresses, logging mailbox, quarantine and jobs through the HTTP API."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from werkzeug.test import Client

from shared import bootstrap
from shared.core.matching.bcc import LOGGING
from tests.support import api as support
from tests.support.bcc import ADA, LOG, ME, PROFILE, BccSystem
from tests.support.system import EPOCH


class Caller:
    def __init__(self, system: BccSystem, wsgi: Any) -> None:
        self.system = system
        self.client = Client(wsgi)

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        sub: str = "crm",
        subaccounts: Any = ("s",),
        *,
        deployment: bool = False,
    ) -> Any:
        token = support.token(list(subaccounts), sub, now=EPOCH, deployment=deployment)
        more = {} if body is None else {"json": body}
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.open(path, method=method, headers=headers, **more)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> BccSystem:
    system = BccSystem()
    system.outside.secrets.write("api-signing-key", support.KEY)
    monkeypatch.setattr(bootstrap, "services", lambda: system.services)
    return system


@pytest.fixture
def call(system: BccSystem, wsgi: Any) -> Caller:
    return Caller(system, wsgi)


# --- B1 --------------------------------------------------------------------------


def test_b1_the_address_is_shown_to_the_user_and_the_backend_only(
    system: BccSystem, call: Caller
) -> None:
    address = system.drop()
    path = "/v1/subaccounts/s/users/u"
    assert call("GET", path).json["bcc_address"] == address
    assert call("GET", path, sub="u").status_code == 403
    assert call("GET", path, sub="v").status_code == 403
    body = {"name": "Rep", "email": PROFILE}
    assert call("PUT", path, body).json["bcc_address"] == address
    view = call("GET", "/v1/users/u/connection").json
    assert view["bcc_addresses"] == {"s": address}


def test_b1_a_connection_shows_addresses_of_covered_subaccounts_only(
    system: BccSystem, call: Caller
) -> None:
    system.subaccount("s2")
    system.user("u", PROFILE, s="s2")
    path = "/v1/users/u/connection"
    assert set(call("GET", path).json["bcc_addresses"]) == {"s"}
    both = call("GET", path, subaccounts=("s", "s2")).json["bcc_addresses"]
    assert set(both) == {"s", "s2"}


def test_b6_no_contact_has_a_bcc_address(system: BccSystem, call: Caller) -> None:
    emails = [ADA, f"log+{'Q' * 20}@logs.example"]
    path = "/v1/subaccounts/s/contacts/c"
    refused = call("PUT", path, {"name": "C", "emails": emails})
    wrong = [{"pointer": "/emails/1", "detail": "is a BCC address"}]
    assert (refused.status_code, refused.json["errors"]) == (422, wrong)
    rows = "".join(
        json.dumps({"id": f"c{n}", "name": "C", "emails": [email]}) + "\n"
        for n, email in enumerate(emails)
    )
    done = call.client.post(
        "/v1/subaccounts/s/contacts:import",
        data=rows,
        content_type="application/x-ndjson",
        headers={"Authorization": f"Bearer {support.token(['s'], now=EPOCH)}"},
    ).json
    assert (done["imported"], [row["line"] for row in done["failed"]]) == (1, [2])
    assert done["failed"][0]["detail"] == "/emails/0 is a BCC address"
    assert list(system.contacts()) == [ADA]


def test_b1_rotating(system: BccSystem, call: Caller) -> None:
    path = "/v1/subaccounts/s/users/u/bcc-address:rotate"
    old = system.drop()
    new = call("POST", path).json["bcc_address"]
    assert new != old
    assert system.drop() == new
    assert call("POST", path, sub="u").status_code == 200
    assert call("POST", path, sub="v").status_code == 403
    assert call("POST", path, subaccounts=("x",)).status_code == 403
    assert call("POST", path.replace("/u/", "/nobody/")).status_code == 404


# --- B4: the logging mailbox -----------------------------------------------------


def test_b4_the_logging_mailbox_needs_the_right_to_the_deployment(
    system: BccSystem, call: Caller
) -> None:
    path = "/v1/logging-mailbox/connection"
    view = call("GET", path, deployment=True).json
    assert (view["address"], view["status"]) == (LOG, "active")
    assert view["watch_expires_at"]
    assert call("POST", path, {}, deployment=True).json["authorization_url"]
    for method in ("GET", "POST", "DELETE"):
        refused = call(method, path, sub="u", deployment=True)
        assert (refused.status_code, refused.json["code"]) == (403, "backend_only")
        for subaccounts in ((), ("s",), ("some-other-tenant",)):
            refused = call(method, path, subaccounts=subaccounts)
            assert refused.status_code == 403
            assert refused.json["code"] == "deployment_only"
    drop = system.drop()
    assert call("DELETE", path, deployment=True).status_code == 204
    assert call("GET", path, deployment=True).json["status"] == "disconnected"
    system.settle()
    system.outlook(rcpt=drop)
    system.settle()
    assert system.recorded() == []


def test_c8_a_bcc_address_is_shown_only_while_mail_to_it_is_logged(
    system: BccSystem, call: Caller
) -> None:
    """Whoever asks, and however: nobody shall write to an address that logs nothing."""
    user = "/v1/subaccounts/s/users/u"
    connection = "/v1/users/u/connection"
    missing = "logging_mailbox_missing"

    def shown(sub: str) -> tuple[Any, Any, Any, bool]:
        view = call("GET", connection, sub=sub).json
        return (
            call("GET", user).json["bcc_address"],
            call("POST", f"{user}/bcc-address:rotate", sub=sub).json["bcc_address"],
            view["bcc_addresses"],
            missing in {warning["code"] for warning in view["warnings"]},
        )

    for sub in ("crm", "u"):
        first, second, addresses, warned = shown(sub)
        assert first
        assert second
        assert first != second
        assert set(addresses) == {"s"}
        assert not warned
    system.services.accounts.needs_reauth(system.mailbox_id(LOG))
    assert system.services.connections.view(LOGGING)["status"] == "reauth_required"
    for sub in ("crm", "u"):
        assert shown(sub) == (None, None, {}, True)
    system.services.connections.disconnect(LOGGING)
    for sub in ("crm", "u"):
        assert shown(sub) == (None, None, {}, True)
    path = "/v1/logging-mailbox/connection"
    warnings = call("GET", path, deployment=True).json["warnings"]
    assert missing not in {warning["code"] for warning in warnings}
    assert system.connect(LOGGING, LOG).code == "connected"
    assert shown("u")[0]


def test_b1_rotating_ends_the_old_address_also_while_none_is_shown(
    system: BccSystem, call: Caller
) -> None:
    old = system.drop()
    system.services.connections.disconnect(LOGGING)
    rotate = "/v1/subaccounts/s/users/u/bcc-address:rotate"
    assert call("POST", rotate).json == {"bcc_address": None}
    system.connect(LOGGING, LOG)
    assert system.drop() != old
    system.outlook(rcpt=old)
    system.settle()
    assert system.recorded() == []


def test_b6_the_api_shows_a_bcc_address_without_its_secret(
    system: BccSystem, call: Caller
) -> None:
    system.sends(ME, ADA, headers={"Bcc": system.drop()})
    system.settle()
    contact = system.contacts()[ADA]["id"]
    path = f"/v1/subaccounts/s/conversations/{contact}/messages"
    (message,) = call("GET", path).json["items"]
    assert message["bcc"] == [{"name": "BCC address", "address": None}]
    assert [mailbox["user"] for mailbox in message["mailboxes"]] == ["u"]
    assert (message["route"], message["status"]) == ("bcc", "sent")


# --- E3, E4, E5 ------------------------------------------------------------------


def test_e3_the_quarantine_is_listed_in_pages_and_replayed(
    system: BccSystem, call: Caller, monkeypatch: pytest.MonkeyPatch, wsgi: Any
) -> None:
    client = Client(support.app("dead_letter"))
    monkeypatch.setattr(
        type(system.services), "push_authentication", _Everybody(), raising=False
    )
    for number in range(3):
        push = {
            "message": {
                "messageId": f"m{number}",
                "data": base64.b64encode(b'{"work": "sync"}').decode(),
                "attributes": {
                    "CloudPubSubDeadLetterSourceSubscription": "mailbox-work-work"
                },
            }
        }
        for _ in range(2):
            assert client.post("/", json=push).status_code == 204
    seen: list[str] = []
    token = ""
    while token is not None:
        query = f"?page_size=2{f'&page_token={token}' if token else ''}"
        page = call("GET", f"/v1/quarantine{query}", deployment=True).json
        seen += [item["id"] for item in page["items"]]
        token = page["next_page_token"]
    assert len(set(seen)) == len(seen) == 3
    path = f"/v1/quarantine/{seen[0]}:replay"
    assert call("POST", path, sub="u").status_code == 403
    assert call("POST", path, {}, deployment=True).json == {
        "id": seen[0],
        "outcome": "published",
    }
    assert call("POST", path, deployment=True).status_code == 404
    assert len(call("GET", "/v1/quarantine", deployment=True).json["items"]) == 2
    assert call("GET", "/v1/quarantine").json["items"] == []
    other = f"/v1/quarantine/{seen[1]}:replay"
    assert call("POST", other).status_code == 404


def test_e3_a_push_that_is_no_dead_letter_is_acknowledged(
    system: BccSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(system.services), "push_authentication", _Everybody(), raising=False
    )
    client = Client(support.app("dead_letter"))
    push = {"message": {"messageId": "m", "data": "", "attributes": {}}}
    assert client.post("/", json=push).status_code == 204
    assert system.services.quarantine.items(_crm()) == ()


def test_b4_a_notification_of_the_logging_mailbox_is_read(
    system: BccSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(system.services), "push_authentication", _Everybody(), raising=False
    )
    system.outlook()
    note = {"emailAddress": LOG, "historyId": 10**12}
    push = {
        "message": {
            "messageId": "m",
            "data": base64.b64encode(json.dumps(note).encode()).decode(),
        }
    }
    assert Client(support.app("bcc")).post("/", json=push).status_code == 204
    assert len(system.recorded()) == 1


def test_e4_an_audit_through_the_api(system: BccSystem, call: Caller) -> None:
    system.contact("ada", ADA)
    system.arrives(ADA, ME)
    system.settle()
    body = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}
    path = "/v1/users/u/connection:audit"
    answer = call("POST", path, body)
    assert answer.status_code == 202
    job = f"/v1/jobs/{answer.json['id']}"
    assert call("GET", job).json["status"] == "queued"
    system.settle()
    shown = call("GET", job).json
    assert (shown["kind"], shown["status"]) == ("audit", "done")
    assert shown["progress"] == {"done": 1, "total": 1}
    assert shown["result"]["recorded"] == 1
    assert shown["result"]["differences"] == []
    assert call("GET", job, subaccounts=("x",)).status_code == 404
    assert call("POST", path, body, sub="v").status_code == 403
    bad = {"from": body["to"], "to": body["from"]}
    assert call("POST", path, bad).status_code == 422


def test_e5_a_backfill_through_the_api(system: BccSystem, call: Caller) -> None:
    system.arrives(ADA, ME)
    system.settle()
    system.contact("ada", ADA)
    path = "/v1/subaccounts/s/contacts/ada:backfill"
    answer = call("POST", path)
    assert answer.status_code == 202
    system.settle()
    shown = call("GET", f"/v1/jobs/{answer.json['id']}").json
    assert shown["result"]["recorded"] == 1
    assert call("POST", path.replace("ada:", "nobody:")).status_code == 404
    assert call("GET", "/v1/jobs/none").status_code == 404


class _Everybody:
    def admit(self, _header: Any) -> None:
        return None


def _crm() -> Any:
    from shared.core.access import Caller as Known
    from shared.core.ids import SubaccountId

    return Known("crm", frozenset({SubaccountId("s")}))
