"""Another Google account than the one that was connected: by mistake, or made anew."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest

from gmail_simulator.consent import consent
from shared.core.ids import UserId, mailbox_id
from shared.core.matching.bcc import LOGGING
from shared.core.syncing import dead_letters
from shared.errors import Problem, Transient
from shared.services.operations.quarantine import DeadLetters
from tests.support.consenting import Consenting
from tests.support.system import System

ME, NEW, MATE = "rep@ours.example", "rep@studio.example", "mate@ours.example"
ADA, BOB = "ada@client.example", "bob@client.example"


@pytest.fixture
def system() -> System:
    system = System(bcc_address_format="log+{token}@logs.example")
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    for address in (ME, NEW, MATE):
        system.world.add_account(address)
    assert system.connect("u", ME).code == "connected"
    system.settle()
    return system


def lock_out(system: System, address: str = ME) -> None:
    system.world.change_password(address)
    system.clock.advance(hours=2)
    system.arrives(ADA, address, "Missed")
    system.settle()
    assert system.mailbox(address).status == "reauth_required"


def view(system: System, user: str = "u") -> tuple[str, str]:
    found = system.services.connections.view(UserId(user))
    return found["address"], found["status"]


def tokens(system: System) -> list[str]:
    return sorted(n for n in system.outside.secrets.names() if "gmail-token" in n)


def live(system: System, address: str) -> int:
    return system.world.oauth.live_refresh_tokens(system.world.account(address))


def come_back(
    system: System, account: str, user: str = "u", **begin: Any
) -> tuple[Consenting, Any]:
    flow = Consenting(system.services, user, **begin)
    back = consent(system.outside.browser, flow.url, account)
    return flow, flow.back(dict(parse_qsl(urlsplit(back).query)))


def subjects(system: System, contact: str = "ada") -> list[str]:
    return [message.subject for message in system.conversation(contact)]


def hint(flow: Consenting) -> list[str] | None:
    return parse_qs(urlsplit(flow.url).query).get("login_hint")


# --- what a consent is begun for ----------------------------------------------------


def test_c5_an_update_does_not_hint_at_the_old_account(system: System) -> None:
    assert hint(Consenting(system.services, "u")) is None
    assert hint(Consenting(system.services, "u", intent="update")) is None


def test_c7_a_reauthorisation_hints_at_the_account(system: System) -> None:
    lock_out(system)
    assert hint(Consenting(system.services, "u")) == [ME]
    assert hint(Consenting(system.services, "u", intent="update")) is None


def test_c1_a_first_or_new_connection_hints_at_nothing(system: System) -> None:
    system.user("v", MATE)
    assert hint(Consenting(system.services, "v", intent="reauthorise")) is None
    system.services.connections.disconnect(UserId("u"))
    assert hint(Consenting(system.services, "u", intent="reauthorise")) is None


def test_c5_an_update_moves_without_a_question(system: System) -> None:
    lock_out(system)
    _, result = come_back(system, NEW, intent="update")
    assert (result.code, result.how, result.former) == ("connected", "moved", ME)


@pytest.mark.parametrize("locked", [False, True])
def test_c1_c5_c7_the_result_says_what_happened(system: System, locked: bool) -> None:
    system.user("v", MATE)
    assert come_back(system, MATE, "v")[1].how == "began"
    if locked:
        lock_out(system)
    result = come_back(system, ME)[1]
    assert result.how == ("resumed" if locked else "renewed")
    assert (result.subject.name, result.subject.teams) == ("u", ("s",))
    system.settle()
    assert subjects(system) == (["Missed"] if locked else [])


# --- C10 ----------------------------------------------------------------------------


def test_c10_nothing_changes_before_the_user_has_answered(system: System) -> None:
    lock_out(system)
    before, events = system.state(), system.events()
    flow, result = come_back(system, NEW)
    assert result.code == "another_account"
    shown = flow.connections.question(result.question, flow.cookies)
    assert (shown.address, shown.new_address) == (ME, NEW)
    assert view(system) == (ME, "reauth_required")
    after = system.state()
    assert {path: after[path] for path in before} == before
    assert system.events() == events
    assert not system.world.account(NEW).watches


def test_c10_confirmed_it_moves_and_says_so(system: System) -> None:
    lock_out(system)
    system.arrives(ADA, NEW, "Before")
    system.clock.advance(seconds=5)
    flow, result = come_back(system, NEW)
    done = flow.answer(result.question, move=True)
    assert (done.code, done.how, done.address, done.former) == (
        *("connected", "moved"),
        *(NEW, ME),
    )
    assert view(system) == (NEW, "active")
    assert system.events()[-1]["type"] == "connection.updated"
    assert tokens(system) == [f"gmail-token-{mailbox_id(NEW)}"]
    system.arrives(ADA, NEW, "After")
    system.settle()
    assert subjects(system) == ["After"]
    system.clock.advance(hours=2)
    system.sweep()  # what was held is gone, and the grant lives on
    system.arrives(ADA, NEW, "Later")
    system.settle()
    assert subjects(system) == ["After", "Later"]


def test_c10_declined_the_new_grant_is_given_back(system: System) -> None:
    lock_out(system)
    before = system.state()
    flow, result = come_back(system, NEW)
    assert live(system, NEW) == 1
    assert flow.answer(result.question, move=False).code == "kept"
    assert live(system, NEW) == 0
    assert tokens(system) == [f"gmail-token-{mailbox_id(ME)}"]
    assert system.state() == before
    assert come_back(system, ME)[1].how == "resumed"
    system.settle()
    assert subjects(system) == ["Missed"]


def test_c10_an_answer_that_never_comes_gives_the_grant_back(system: System) -> None:
    lock_out(system)
    before = system.state()
    flow, result = come_back(system, NEW)
    system.clock.advance(minutes=10)
    with pytest.raises(Problem, match="too old"):
        flow.answer(result.question, move=True)
    system.clock.advance(seconds=1)
    system.sweep()
    assert live(system, NEW) == 0
    assert system.state() == before


def test_c10_the_grant_of_a_colleagues_connection_lives_on(system: System) -> None:
    """Google has one grant for each account: it is not ours alone to give back."""
    system.user("v", MATE)
    system.connect("v", NEW)
    lock_out(system)
    flow, result = come_back(system, NEW)
    assert flow.answer(result.question, move=False).code == "kept"
    _, again = come_back(system, NEW)
    assert again.code == "another_account"
    system.clock.advance(hours=1)
    system.sweep()
    assert view(system, "v") == (NEW, "active")
    system.arrives(ADA, NEW, "For a colleague")
    system.settle()
    system.contact("bob", BOB, assigned_to="v")
    system.arrives(BOB, NEW, "Read on")
    system.settle()
    assert subjects(system, "bob") == ["Read on"]


def test_c10_a_question_is_answered_once_by_its_own_browser(system: System) -> None:
    lock_out(system)
    flow, result = come_back(system, NEW)
    question, token = result.question, flow.connections.question
    form = token(question, flow.cookies).form_token
    answer = flow.connections.answer
    other = Consenting(system.services, "u")
    for cookies, sent in (({}, form), (other.cookies, form), (flow.cookies, "x")):
        with pytest.raises(Problem):
            answer(question, cookies, sent, move=True)
    for foreign in (other.flow, "made-up", ""):
        with pytest.raises(Problem):
            answer(foreign, {**flow.cookies, **other.cookies}, form, move=True)
    assert view(system) == (ME, "reauth_required")
    assert answer(question, flow.cookies, form, move=True).code == "connected"
    with pytest.raises(Problem, match="too old"):
        answer(question, flow.cookies, form, move=False)
    assert view(system) == (NEW, "active")


def test_c10_a_question_does_not_lead_to_google(system: System) -> None:
    lock_out(system)
    flow, result = come_back(system, NEW)
    form = flow.connections.question(result.question, flow.cookies).form_token
    with pytest.raises(Problem):
        flow.connections.leave(result.question, flow.cookies, form)
    with pytest.raises(Problem):
        flow.connections.question(Consenting(system.services, "u").flow, flow.cookies)


def test_c10_a_fault_at_the_answer_leaves_no_token_behind(system: System) -> None:
    lock_out(system)
    flow, result = come_back(system, NEW)
    system.world.faults.add("status", method="gmail.users.watch", status=503, count=9)
    with pytest.raises(Transient):
        flow.answer(result.question, move=True)
    system.world.faults.clear()
    system.clock.advance(minutes=25)
    system.sweep()
    assert live(system, NEW) == 0
    assert tokens(system) == [f"gmail-token-{mailbox_id(ME)}"]
    assert view(system) == (ME, "reauth_required")


def test_c10_no_token_is_stored_outside_secret_manager(system: System) -> None:
    lock_out(system)
    come_back(system, NEW)
    documents = repr(system.outside.documents.dump())
    kept = [
        token.decode()
        for name in system.outside.secrets.names()
        for token in system.outside.secrets.read_all(name)
    ]
    assert len(kept) == 2
    assert not any(token in documents for token in kept)


def test_c10_the_logging_mailbox_asks_too(system: System) -> None:
    system.connect(LOGGING, MATE)
    system.services.accounts.needs_reauth(mailbox_id(MATE))
    flow, result = come_back(system, NEW, LOGGING)
    assert result.code == "another_account"
    shown = flow.connections.question(result.question, flow.cookies)
    assert shown.subject.name is None
    assert flow.answer(result.question, move=True).how == "moved"
    assert system.services.connections.view(LOGGING)["address"] == NEW


# --- an account made anew under the same address ------------------------------------


def remade(system: System) -> None:
    """The user's account is deleted; somebody new gets one with its address."""
    lock_out(system)
    system.world.remake_account(ME)
    system.user("new", "new@profile.example")
    system.contact("bob", BOB, assigned_to="u")


def test_an_account_made_anew_revives_nobodys_connection(system: System) -> None:
    remade(system)
    old = system.mailbox(ME)
    assert come_back(system, ME, "new")[1].how == "began"
    assert view(system) == (ME, "reauth_required")
    assert view(system, "new") == (ME, "active")
    made = system.services.accounts._mailboxes.read(system.mailbox(ME).successor)
    assert made.google_sub != old.google_sub
    assert set(made.users) == {"new"}
    assert set(system.mailbox(ME).users) == {"u"}
    assert system.mailbox(ME).cursor == old.cursor
    system.arrives(BOB, ME, "Private to the new person")
    system.settle()
    assert subjects(system, "bob") == []
    system.contact("eve", "eve@client.example", assigned_to="new")
    system.arrives("eve@client.example", ME, "For the new person")
    system.settle()
    (message,) = system.conversation("eve")
    assert [copy.user for copy in message.held_by] == ["new"]
    system.clock.advance(days=1)
    system.sweep()
    system.renew()
    assert view(system) == (ME, "reauth_required")
    assert view(system, "new") == (ME, "active")


def test_an_account_whose_end_nobody_knew_of_is_found_out(system: System) -> None:
    """Nothing had told us that the old account is gone."""
    system.user("new", "new@profile.example")
    system.world.remake_account(ME)
    system.outside.google._access_tokens._slots.clear()
    assert view(system) == (ME, "active")
    assert system.connect("new", ME).code == "connected"
    system.settle()
    assert view(system) == (ME, "reauth_required")
    told = [
        event for event in system.events() if event["type"].endswith("reauth_required")
    ]
    assert [item["data"]["user"] for item in told] == ["u"]


def test_the_end_of_either_leaves_the_other(system: System) -> None:
    remade(system)
    system.connect("new", ME)
    system.services.connections.disconnect(UserId("u"))
    system.settle()
    assert view(system, "new") == (ME, "active")
    assert live(system, ME) == 1
    system.services.connections.disconnect(UserId("new"))
    assert live(system, ME) == 0
    assert tokens(system) == []
    assert come_back(system, ME, "new")[1].how == "began"
    assert set(system.mailbox(ME).users) == set()


def test_c10_the_old_user_is_asked_before_moving_to_the_new_account(
    system: System,
) -> None:
    """The address is the same, the account is not: it is another mailbox."""
    remade(system)
    system.connect("new", ME)
    flow, result = come_back(system, ME)
    assert result.code == "another_account"
    assert flow.answer(result.question, move=True).how == "moved"
    system.settle()
    assert subjects(system) == []  # what was missed went to another mailbox
    successor = system.mailbox(ME).successor
    made = system.services.accounts._mailboxes.read(successor)
    assert set(made.users) == {"u", "new"}


def test_c4_a_colleague_joins_the_account_that_has_the_address_now(
    system: System,
) -> None:
    remade(system)
    system.connect("new", ME)
    system.user("v", MATE)
    assert system.connect("v", ME).code == "connected"
    successor = system.mailbox(ME).successor
    made = system.services.accounts._mailboxes.read(successor)
    assert set(made.users) == {"v", "new"}
    assert view(system) == (ME, "reauth_required")


def test_an_account_that_is_made_anew_twice(system: System) -> None:
    remade(system)
    system.connect("new", ME)
    system.world.remake_account(ME)
    system.user("v", MATE)
    system.outside.google._access_tokens._slots.clear()
    assert system.connect("v", ME).code == "connected"
    system.clock.advance(hours=2)
    system.sweep()
    assert [view(system, user)[1] for user in ("u", "new", "v")] == [
        *("reauth_required", "reauth_required", "active")
    ]
    system.contact("eve", "eve@client.example", assigned_to="v")
    system.arrives("eve@client.example", ME, "For the newest")
    system.settle()
    assert subjects(system, "eve") == ["For the newest"]


def test_a_dead_letter_of_the_address_is_the_new_accounts(system: System) -> None:
    remade(system)
    system.connect("new", ME)
    letter = dead_letters.read(
        f'{{"emailAddress": "{ME}", "historyId": "9"}}'.encode(),
        {},
        "projects/p/subscriptions/gmail-notifications-push",
    )
    assert letter is not None
    DeadLetters(system.outside.documents, system.clock).keep(letter, "m1")
    (kept,) = [
        data
        for path, data in system.outside.documents.dump().items()
        if path.startswith("quarantine/")
    ]
    assert kept["users"] == ["new"]
