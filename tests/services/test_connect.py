"""Connecting a mailbox (C1-C3), and what attackers try at it, on the simulated Gmail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from gmail_simulator.consent import consent
from shared.core.ids import UserId
from shared.core.matching.bcc import LOGGING
from shared.errors import Problem, Transient
from shared.gateways.google_oauth import COMPOSE_SCOPE, READ_SCOPE
from tests.support.consenting import Consenting
from tests.support.system import System

ME = "rep@ours.example"
ADA = "ada@client.example"


@pytest.fixture
def system() -> System:
    system = System(return_to_allowed=("https://crm.example.com",))
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.world.add_account(ME)
    return system


class Flow(Consenting):
    """One consent, step by step, in one browser."""

    def __init__(self, system: System, user: str = "u", **more: Any) -> None:
        super().__init__(system.services, user, **more)
        self.system = system

    def answer(self, account: str = ME, **answer: Any) -> dict[str, str]:
        browser = self.system.outside.browser
        back = consent(browser, self.url, account, **answer)
        return dict(parse_qsl(urlsplit(back).query))

    def finish(self, query: dict[str, str]) -> Any:
        return self.back(query)


def tokens(system: System) -> list[str]:
    return [name for name in system.outside.secrets.names() if "gmail-token" in name]


# --- C1, C2 ------------------------------------------------------------------------


def test_c1_the_way_to_google_asks_for_what_is_needed_and_no_more(
    system: System,
) -> None:
    query = parse_qs(urlsplit(Flow(system).url).query)
    assert query["scope"][0].split() == [
        "openid",
        "https://www.googleapis.com/auth/userinfo.email",
        READ_SCOPE,
        COMPOSE_SCOPE,
    ]
    assert query["access_type"] == ["offline"]
    assert query["code_challenge_method"] == ["S256"]
    assert "select_account" in query["prompt"][0]
    assert len(query["state"][0]) >= 43  # 256 bits


def test_c1_the_connected_address_is_shown(system: System) -> None:
    assert system.connect("u", ME).address == ME
    view = system.services.connections.view(UserId("u"))
    assert (view["address"], view["status"], view["warnings"]) == (ME, "active", [])
    assert view["watch_expires_at"] == "2026-03-09T09:00:00.000Z"


@pytest.mark.parametrize("kept", [[READ_SCOPE], [COMPOSE_SCOPE], []])
def test_c1_a_missing_permission_connects_nothing_and_gives_all_back(
    system: System, kept: list[str]
) -> None:
    result = system.connect("u", ME, scopes=kept)
    assert result.code == "missing_permissions"
    assert set(result.missing) == {READ_SCOPE, COMPOSE_SCOPE} - set(kept)
    assert tokens(system) == []
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0
    with pytest.raises(Problem):
        system.services.connections.view(UserId("u"))
    assert system.events() == []


def test_c1_a_missing_permission_does_not_end_a_connection_on_the_same_grant(
    system: System,
) -> None:
    system.connect("u", ME)
    assert system.connect("u", ME, scopes=[READ_SCOPE]).code == "missing_permissions"
    system.user("v", "v@ours.example")
    assert system.connect("v", ME, scopes=[]).code == "missing_permissions"
    system.arrives(ADA, ME)
    system.settle()
    assert len(system.conversation("ada")) == 1


def test_c1_a_denied_consent_changes_nothing(system: System) -> None:
    assert system.connect("u", ME, deny=True).code == "denied"
    assert tokens(system) == []


def test_c1_an_account_without_gmail_gives_the_grant_back(system: System) -> None:
    system.world.faults.add(
        "status",
        method="gmail.users.getProfile",
        status=400,
        reason="failedPrecondition",
    )
    assert system.connect("u", ME).code == "no_mailbox"
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0


def test_c7_an_administrator_who_forbids_it_is_named(system: System) -> None:
    system.world.faults.add(
        "status", method="gmail.users.getProfile", status=403, reason="domainPolicy"
    )
    assert system.connect("u", ME).code == "blocked_by_admin"
    assert tokens(system) == []


def test_c2_mail_that_comes_while_the_watch_begins_is_brought_in(
    system: System,
) -> None:
    """No notification tells of it: the watch did not exist yet."""
    gmail = system.outside.google.gmail
    seen: list[str] = []

    def with_mail(token: str) -> Any:
        mailbox = gmail(token)
        watch = mailbox.watch

        def then_watch(topic: str) -> Any:
            if not seen:
                seen.append(system.arrives(ADA, ME, "Just now"))
            return watch(topic)

        mailbox.watch = then_watch
        return mailbox

    system.outside.google.gmail = with_mail
    system.connect("u", ME)
    system.pushes.clear()
    system.settle()
    assert [message.subject for message in system.conversation("ada")] == ["Just now"]


def test_c2_mail_from_before_stays_out(system: System) -> None:
    system.arrives(ADA, ME, "Before")
    system.clock.advance(seconds=5)
    system.connect("u", ME)
    system.settle()
    assert system.conversation("ada") == []


# --- C3 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "code", "warned"),
    [
        ("allow", "connected", False),
        ("warn", "connected", True),
        ("block", "consumer_address_blocked", False),
    ],
)
def test_c3_a_consumer_address(setting: str, code: str, warned: bool) -> None:
    system = System(consumer_addresses=setting)
    system.subaccount()
    system.user("u", "u@ours.example")
    result = system.connect("u", "rep@gmail.com")
    assert (result.code, result.warning is not None) == (code, warned)
    if code == "connected":
        view = system.services.connections.view(UserId("u"))
        codes = [warning["code"] for warning in view["warnings"]]
        assert codes == (["consumer_address"] if warned else [])
    else:
        account = system.world.account("rep@gmail.com")
        assert system.world.oauth.live_refresh_tokens(account) == 0


# --- C4 ----------------------------------------------------------------------------


@pytest.mark.parametrize("first", [UserId("u"), LOGGING])
def test_c4_a_mailbox_is_a_reps_or_the_logging_one_never_both(first: UserId) -> None:
    """Each has a topic of its own, and Gmail notifies only one."""
    system = System(bcc_address_format="log+{token}@logs.example")
    system.subaccount()
    system.user("u", ME)
    system.world.add_account(ME)
    second = LOGGING if first == "u" else UserId("u")
    assert system.connect(first, ME).code == "connected"
    before = system.state()
    assert system.connect(second, ME).code == "serves_otherwise"
    assert system.state() == before
    assert system.services.connections.view(first)["status"] == "active"
    system.services.connections.disconnect(first)
    assert system.connect(second, ME).code == "connected"


# --- attacks -----------------------------------------------------------------------


def test_a_state_is_used_once(system: System) -> None:
    flow = Flow(system)
    answer = flow.answer()
    assert flow.finish(answer).code == "connected"
    before = system.world.calls.count("oauth.token")
    assert flow.finish(answer).code == "flow_expired"
    assert system.world.calls.count("oauth.token") == before


def test_a_denied_state_is_spent_too(system: System) -> None:
    flow = Flow(system)
    assert flow.finish(flow.answer(deny=True)).code == "denied"
    state = parse_qs(urlsplit(flow.url).query)["state"][0]
    assert flow.finish({"state": state, "code": "any"}).code == "flow_expired"


@pytest.mark.parametrize("minutes", [10, 11, 600])
def test_a_state_is_good_for_less_than_ten_minutes(
    system: System, minutes: int
) -> None:
    flow = Flow(system)
    answer = flow.answer()
    system.clock.advance(minutes=minutes)
    assert flow.finish(answer).code == "flow_expired"
    assert system.world.calls.count("oauth.token") == 0


@pytest.mark.parametrize("state", [None, "", "made-up", "%00", "a" * 5000])
def test_a_missing_or_foreign_state_reaches_nobody(
    system: System, state: str | None
) -> None:
    flow = Flow(system)
    answer = flow.answer()
    answer.pop("state")
    if state is not None:
        answer["state"] = state
    assert flow.finish(answer).code == "flow_expired"
    assert system.world.calls.count("oauth.token") == 0


def test_a_flow_belongs_to_the_browser_that_began_it(system: System) -> None:
    """Neither the victim's answer in the attacker's flow, nor the other way round."""
    attackers, victims = Flow(system), Flow(system)
    assert victims.finish(attackers.answer()).code == "flow_expired"
    assert system.services.connections.finish(attackers.answer(), {}).code == (
        "flow_expired"
    )
    assert tokens(system) == []


def test_a_foreign_browser_does_not_spend_the_state(system: System) -> None:
    flow = Flow(system)
    answer = flow.answer()
    assert Flow(system).finish(answer).code == "flow_expired"
    assert flow.finish(answer).code == "connected"


def test_a_code_of_another_flow_does_not_fit_the_verifier(system: System) -> None:
    first, other = Flow(system), Flow(system)
    stolen = first.answer() | {"state": parse_qs(urlsplit(other.url).query)["state"][0]}
    assert other.finish(stolen).code == "failed"
    assert tokens(system) == []


def test_a_code_is_traded_once(system: System) -> None:
    flow = Flow(system)
    code = flow.answer()["code"]
    assert flow.finish({**flow.answer(), "code": code}).code == "connected"
    again = Flow(system)
    assert again.finish({**again.answer(), "code": code}).code == "failed"


def test_one_link_connects_once_however_often_it_is_opened(system: System) -> None:
    """In one browser it may be opened again until it was used."""
    flow = Flow(system)
    first = flow.answer()
    flow.page = flow.open()
    flow.url = flow.go()
    codes = [flow.finish(flow.answer()).code, flow.finish(first).code]
    assert codes == ["connected", "flow_expired"]
    for again in (flow.open, flow.go):
        with pytest.raises(Problem, match="too old"):
            again()


def test_nothing_of_a_flow_is_stored_readably(system: System) -> None:
    flow = Flow(system)
    state = parse_qs(urlsplit(flow.url).query)["state"][0]
    under_way = repr(system.outside.documents.dump())
    assert "oauth_states/" in under_way
    flow.finish(flow.answer())
    for stored in (under_way, repr(system.outside.documents.dump())):
        for secret in (state, *flow.cookies.values(), flow.flow):
            assert secret not in stored


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "https:evil.example",
        "https://crm.example.com.evil.example/",
        "https://crm.example.com@evil.example/",
        "https://user@crm.example.com/",
        "http://crm.example.com/",
        "https://crm.example.com:444/",
        "https://crm.example.com\\@evil.example/",
        "https://crm.example.com/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/settings",
        "",
    ],
)
def test_return_to_goes_to_no_other_origin(system: System, target: str) -> None:
    with pytest.raises(Problem) as refused:
        system.services.connections.begin(UserId("u"), target)
    assert refused.value.code == "return_to_not_allowed"


def test_return_to_an_allowed_origin(system: System) -> None:
    flow = Flow(system, return_to="https://crm.example.com/me?tab=email")
    assert (
        flow.finish(flow.answer()).return_to == "https://crm.example.com/me?tab=email"
    )


def test_a_user_who_was_removed_meanwhile_connects_nothing(system: System) -> None:
    flow = Flow(system)
    answer = flow.answer()
    system.services.directory.delete_member("s", UserId("u"))
    assert flow.finish(answer).code == "flow_expired"
    assert tokens(system) == []
    assert system.world.oauth.live_refresh_tokens(system.world.account(ME)) == 0


# --- faults ------------------------------------------------------------------------


@pytest.fixture(params=["gmail.users.getProfile", "gmail.users.watch", "oauth.token"])
def failing(request: pytest.FixtureRequest, system: System) -> Iterator[System]:
    system.world.faults.add("status", method=request.param, status=503)
    yield system
    system.world.faults.clear()


def test_a_consent_that_fails_leaves_no_token_behind(failing: System) -> None:
    with pytest.raises(Transient):
        failing.connect("u", ME)
    failing.world.faults.clear()
    failing.clock.advance(minutes=15)
    failing.sweep()
    assert tokens(failing) == []
    assert failing.connect("u", ME).code == "connected"


def test_a_retry_at_once_is_not_closed_by_what_the_first_try_left(
    system: System,
) -> None:
    system.world.faults.add("status", method="gmail.users.watch", status=503, count=1)
    with pytest.raises(Transient):
        system.connect("u", ME)
    assert system.connect("u", ME).code == "connected"
    system.clock.advance(hours=2)
    system.sweep()
    system.arrives(ADA, ME)
    system.settle()
    assert len(system.conversation("ada")) == 1
