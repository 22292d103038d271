"""BCC addresses (B1-B7) through the real flow, on the simulated Gmail."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.matching.bcc import LOGGING, TOKEN_CHARS
from shared.errors import Problem
from tests.support.bcc import ADA, ALIAS, BOB, LOG, ME, PROFILE, BccSystem

S, U = SubaccountId("s"), UserId("u")


@pytest.fixture
def system() -> BccSystem:
    return BccSystem()


# --- B1: the address -------------------------------------------------------------


def test_b1_an_address_has_100_bits_and_is_stored_as_a_digest_only(
    system: BccSystem,
) -> None:
    address = system.drop()
    token = address.partition("+")[2].partition("@")[0]
    assert len(token) == TOKEN_CHARS
    assert 5 * TOKEN_CHARS >= 80
    assert token not in repr(system.outside.documents.dump())
    assert system.drop() == address


def test_b1_each_user_and_subaccount_has_an_own_address(system: BccSystem) -> None:
    system.subaccount("s2")
    system.user("u", PROFILE, s="s2")
    system.user("v", "v@ours.example")
    assert len({system.drop(), system.drop(s="s2"), system.drop("v")}) == 3


def test_b1_a_rotated_address_stops_working_and_never_makes_a_contact(
    system: BccSystem,
) -> None:
    old = system.drop()
    new = system.services.bcc.rotate(S, U)
    assert new != old
    assert system.drop() == new
    system.outlook(rcpt=old)
    system.sends(ME, f"{ADA}, {old}")
    system.settle()
    assert (system.recorded(), system.contacts()) == ([], {})
    system.outlook(rcpt=new)
    system.settle()
    assert len(system.said(ADA)) == 1


def test_b1_two_first_looks_at_once_show_one_address() -> None:
    system = BccSystem()
    with ThreadPoolExecutor(8) as pool:
        shown = set(pool.map(lambda _: system.drop(), range(16)))
    assert len(shown) == 1
    system.outlook()
    system.settle()
    assert len(system.recorded()) == 1


def test_b1_the_address_of_somebody_who_left_is_nobodys(system: BccSystem) -> None:
    address = system.drop()
    system.services.directory.delete_member(S, U)
    system.outlook(rcpt=address)
    system.settle()
    assert system.recorded() == []


def test_b1_a_lost_key_ends_what_cannot_be_shown(system: BccSystem) -> None:
    old = system.drop()
    system.outside.secrets.write("bcc-token-key", b"n" * 32)
    system.restart()
    assert system.drop() != old
    with pytest.raises(Problem):
        BccSystem(connected=False).services.bcc.rotate(S, UserId("nobody"))


# --- B2, B3: what is logged, and what comes of it --------------------------------


def test_b2_a_mail_from_another_client_makes_contact_conversation_and_event(
    system: BccSystem,
) -> None:
    system.outlook(to=f'"Lovelace, Ada" <{ADA}>, {BOB}', cc="cc@client.example")
    system.settle()
    contacts = system.contacts()
    assert set(contacts) == {ADA, BOB}
    assert (contacts[ADA]["name"], contacts[BOB]["name"]) == ("Lovelace, Ada", BOB)
    assert {contact["assigned_to"] for contact in contacts.values()} == {"u"}
    (message,) = system.said(ADA)
    assert (message.direction, message.user, message.route) == ("outbound", "u", "bcc")
    assert (message.status, message.rule) == ("sent", "B2")
    assert contacts[ADA]["messages"] == 1
    assert contacts[ADA]["last_message_at"] == message.sent_at
    assert system.said(BOB) == []
    created = system.published("contact.created")
    assert {item["data"]["contact"] for item in created} == {
        contact["id"] for contact in contacts.values()
    }
    assert len(system.published("message.recorded")) == 1


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("=?utf-8?q?Zo=C3=AB_M=C3=BCller?= <zoe@client.example>", "Zoë Müller"),
        ('"Doe, Jane \\"JD\\"" <zoe@client.example>', 'Doe, Jane "JD"'),
        ("zoe@client.example (Zoe)", "Zoe"),
        ("=?utf-8?b?5bGx55Sw5aSq6YOO?= <zoe@client.example>", "山田太郎"),
        ("zoe@client.example", "zoe@client.example"),
        ("=?utf-8?q?a=2Cb_=3Cx=40y=2Ez=3E?= <zoe@client.example>", "a,b <x@y.z>"),
    ],
)
def test_b2_a_contact_is_named_by_its_display_name(
    system: BccSystem, header: str, name: str
) -> None:
    system.world.settings.headers_decoded = False
    raw = f"From: {PROFILE}\r\nTo: {header}\r\nSubject: x\r\nMessage-ID: <n@x>\r\n\r\nx"
    system.world.deliver_from_outside(raw.encode(), [system.drop()])
    system.settle()
    assert system.contacts()["zoe@client.example"]["name"] == name


def test_b3_mail_of_a_logged_contact_syncs_from_then_on(system: BccSystem) -> None:
    system.arrives(ADA, ME, "Before")
    system.settle()
    system.outlook(subject="Logged")
    system.settle()
    system.arrives(ADA, ME, "After")
    system.settle()
    assert [message.subject for message in system.said(ADA)] == ["Logged", "After"]


def test_b3_an_existing_contact_of_a_colleague_becomes_established(
    system: BccSystem,
) -> None:
    system.contact("c", ADA, assigned_to="colleague")
    system.outlook(subject="Logged")
    system.settle()
    system.arrives(ADA, ME, "Later")
    system.settle()
    assert [message.subject for message in system.conversation("c")] == [
        "Logged",
        "Later",
    ]
    assert system.published("contact.created") == []
    assert system.contacts()[ADA]["assigned_to"] == "colleague"


def test_b2_a_reply_logged_by_bcc_stays_in_its_thread(system: BccSystem) -> None:
    first = system.outlook()
    second = system.outlook(to=f"{ADA}, {BOB}", reply_to=first, subject="Re: Hello")
    system.settle()
    root, reply = system.said(ADA)
    assert (root.thread, reply.rfc822_message_id) == (reply.thread, second)
    assert BOB in system.contacts()


@pytest.mark.parametrize("logging", ["established", "all_contacts", "threads"])
def test_b2_logs_whatever_the_setting(system: BccSystem, logging: Any) -> None:
    system.subaccount(logging=logging)
    first = system.outlook()
    system.settle()
    system.arrives(ADA, ME, "Re: Hello", reply_to=first)
    system.settle()
    assert len(system.said(ADA)) == 2


def test_b2_a_contact_id_that_the_crm_gave_another_address_is_not_used_again(
    system: BccSystem,
) -> None:
    system.outlook()
    system.settle()
    made = system.contacts()[ADA]["id"]
    system.contact(made, "new@client.example")
    system.outlook(subject="Again")
    system.settle()
    assert system.contacts()[ADA]["id"] != made
    assert [message.subject for message in system.said(ADA)] == ["Again"]


# --- B4: two routes, one record --------------------------------------------------


def _both_routes(system: BccSystem, sent: str = "") -> None:
    """The Sent copy and the logging mailbox's copy, not yet read."""
    headers = {"Bcc": f"{system.drop()}{sent}"}
    system.sends(ME, f"Ada <{ADA}>, {BOB}", "Both", headers=headers)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_b4_both_routes_make_one_record_in_either_order(order: Any) -> None:
    system = BccSystem()
    _both_routes(system, ", blind@client.example")
    pushes = list(system.pushes)
    assert len(pushes) == 2
    system.pushes.clear()
    for index in order:
        system.pushes.append(pushes[index])
        system.settle()
    (message,) = system.said(ADA)
    assert (message.route, message.rule, message.user) == ("bcc", "B2", "u")
    assert {copy.user for copy in message.held_by} == {"u", LOGGING}
    assert message.envelope is not None
    shown = [(recipient.name, recipient.address) for recipient in message.envelope.bcc]
    assert shown == [(None, "blind@client.example"), ("BCC address", "")]
    assert len(system.published("message.recorded")) == 1
    assert len(system.published("contact.created")) == 2
    assert system.contacts()[ADA]["messages"] == 1
    assert "blind@client.example" not in system.contacts()


def test_b4_the_result_is_the_same_whichever_route_comes_first() -> None:
    states = []
    for order in ((0, 1), (1, 0)):
        system = BccSystem()
        _both_routes(system)
        pushes = list(system.pushes)
        system.pushes.clear()
        for index in order:
            system.pushes.append(pushes[index])
            system.settle()
        states.append(
            {
                path: data
                for path, data in system.state().items()
                if path.startswith("subaccounts/") and "/bcc_addresses/" not in path
            }
        )
    assert states[0] == states[1]


@pytest.mark.parametrize("seed", range(12))
def test_b4_both_routes_at_the_same_moment_make_one_record(seed: int) -> None:
    system = BccSystem()
    for number in range(5):
        headers = {"Bcc": system.drop()}
        system.sends(ME, f"{ADA}, p{seed}@client.example", f"{number}", headers=headers)
    pushes = list(system.pushes)
    system.pushes.clear()
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(system.deliver, pushes))
    system.pushes.extend(p for p, ok in zip(pushes, done, strict=True) if not ok)
    system.settle()
    assert len(system.recorded()) == 5
    every = [p for p in system.outside.documents.dump() if "/contacts/" in p]
    assert len(every) == 2, "one contact an address"
    assert len(system.contacts()) == 2
    assert system.contacts()[ADA]["messages"] == 5
    assert len({e["id"] for e in system.published("contact.created")}) == 2
    assert len({e["id"] for e in system.published("message.recorded")}) == 5


def test_b4_the_sent_copy_alone_logs_when_there_is_no_logging_mailbox() -> None:
    system = BccSystem()
    address = system.drop()  # shown when there was one (C8)
    system.services.connections.disconnect(LOGGING)
    system.settle()
    system.sends(ME, f"Ada <{ADA}>", "Alone", headers={"Bcc": address})
    system.settle()
    assert len(system.said(ADA)) == 1


def test_b4_a_catch_all_logging_mailbox_finds_the_envelopes_recipient() -> None:
    system = BccSystem()
    catch_all = "{token}@catch.example"
    world = BccSystem.__mro__[1](bcc_address_format=catch_all)
    world.subaccount()
    world.user("u", PROFILE)
    world.world.add_account("all@catch.example", catch_all=True)
    world.connect(LOGGING, "all@catch.example")
    address = world.services.bcc.show(S, U)
    raw = system.mail(PROFILE, ADA).as_bytes()
    world.world.deliver_from_outside(raw, [address])
    world.settle()
    assert len(world.events()) == 3  # connected, contact, message


# --- B5: nobody else -------------------------------------------------------------


@pytest.mark.parametrize("sender", [ME, ALIAS, PROFILE, PROFILE.upper()])
def test_b5_every_address_of_the_user_may_log(system: BccSystem, sender: str) -> None:
    system.outlook(sender=sender)
    system.settle()
    assert len(system.recorded()) == 1


def test_b5_an_address_of_old_may_not(system: BccSystem) -> None:
    new = "moved@ours.example"
    system.connect("u", new)
    system.settle()
    system.outlook(sender=ME)
    system.settle()
    assert system.recorded() == []
    system.outlook(sender=new)
    system.settle()
    assert len(system.recorded()) == 1


def test_b5_a_refusal_has_a_decision_that_the_user_can_ask_for(
    system: BccSystem,
) -> None:
    refused = system.outlook(sender="eve@evil.example")
    system.settle()
    (decision,) = system.decisions(message_id=refused)
    assert (decision.outcome, decision.rule) == ("ignored", "B5")
    assert system.world.outside == []


def test_b5_a_colleague_may_not_log_with_my_address(system: BccSystem) -> None:
    system.user("v", "v@ours.example")
    system.outlook(sender="v@ours.example")
    system.settle()
    assert system.recorded() == []


# --- B6: the secret --------------------------------------------------------------


@pytest.mark.parametrize("field", ["To", "Cc", "Bcc"])
def test_b6_the_address_is_shown_without_its_secret(
    system: BccSystem, field: str
) -> None:
    address = system.drop()
    to = f"{ADA}, {address}" if field == "To" else ADA
    headers = {} if field == "To" else {field: f'"{address}" <{address}>'}
    system.sends(ME, to, headers=headers)
    system.settle()
    (message,) = system.said(ADA)
    assert message.envelope is not None
    where = message.envelope.bcc if field == "Bcc" else message.envelope.cc
    assert [(item.name, item.address) for item in where] == [("BCC address", "")]
    assert len(system.contacts()) == 1
    token = address.partition("+")[2].partition("@")[0]
    assert token not in repr(system.outside.documents.dump())
    assert token not in repr(system.events())


def test_b6_a_reply_all_that_reaches_it_is_a_normal_inbound_mail(
    system: BccSystem,
) -> None:
    address = system.drop()
    headers = {"Cc": f"{address}, {BOB}"}
    system.sends(ME, ADA, headers=headers)
    system.settle()
    (message,) = system.said(ADA)
    first = str(message.rfc822_message_id)
    everybody = f"{ME}, {address}"
    system.arrives(BOB, everybody, "Re: Hello", reply_to=first)
    system.settle()
    _, answer = system.said(ADA)
    assert (answer.direction, answer.route, answer.rule) == ("inbound", "gmail", "T2")
    assert {copy.user for copy in answer.held_by} == {"u", LOGGING}
    assert BOB not in system.contacts()


def test_b6_an_answer_reaches_the_crm_of_a_user_without_gmail() -> None:
    system = BccSystem(connected=False)
    first = system.outlook(cc=system.drop())
    system.settle()
    system.arrives(ADA, system.drop(), "Re: Hello", reply_to=first)
    forged = system.arrives(ADA, system.drop(), "F", reply_to=first, auth="fail")
    other = system.arrives("eve@x.example", system.drop(), "E", reply_to=first)
    system.settle()
    _, answer = system.said(ADA)
    assert (answer.direction, answer.route, answer.rule) == ("inbound", "bcc", "B6")
    for refused in (forged, other):
        assert [decision.rule for decision in system.decisions(message_id=refused)] == [
            "B5"
        ]
    assert len(system.contacts()) == 1


# --- B7, M11, M12 ----------------------------------------------------------------


def test_b7_internal_mail_is_not_logged(system: BccSystem) -> None:
    system.subaccount(internal_domains=("ours.example",))
    system.outlook(to="mate@ours.example, log@logs.example")
    system.settle()
    assert (system.recorded(), system.contacts()) == ([], {})


def test_b7_colleagues_and_listed_people_never_become_contacts(
    system: BccSystem,
) -> None:
    system.subaccount(
        internal_domains=("inside.example",), never_log=("secret.example",)
    )
    system.user("v", "v@ours.example")
    system.outlook(
        to=f"x@inside.example, v@ours.example, {ADA}, bob@secret.example, {ALIAS}"
    )
    system.settle()
    assert set(system.contacts()) == {ADA}


@pytest.mark.parametrize("whose", ["subaccount", "user"])
def test_b7_m12_a_mail_to_somebody_listed_is_not_logged(
    system: BccSystem, whose: str
) -> None:
    if whose == "user":
        system.user("u", PROFILE, never_log=[ADA])
    else:
        system.subaccount(never_log=(ADA,))
    refused = system.outlook(to=f"{ADA}, {BOB}")
    system.settle()
    assert [decision.rule for decision in system.decisions(message_id=refused)] == [
        "M12"
    ]
    assert (system.recorded(), system.contacts()) == ([], {})


@pytest.mark.parametrize(("people", "made"), [(50, 50), (51, 0), (10_000, 0)])
def test_b7_the_number_of_contacts_is_capped(people: int, made: int) -> None:
    system = BccSystem(connected=False)
    to = ", ".join(f"p{n}@client.example" for n in range(people))
    raw = f"From: {PROFILE}\r\nTo: {to}\r\nMessage-ID: <many@x>\r\n\r\nx"
    system.world.deliver_from_outside(raw.encode(), [system.drop()])
    system.settle()
    assert len(system.contacts()) == made
    assert len(system.recorded()) == (1 if made else 0)
    if not made:
        assert [d.rule for d in system.decisions(message_id="<many@x>")] == ["B7"]


def test_b7_a_mail_to_many_is_logged_for_an_existing_contact(
    system: BccSystem,
) -> None:
    system.contact("c", "p30@client.example")
    to = ", ".join(f"p{n}@client.example" for n in range(60))
    system.outlook(to=to)
    system.settle()
    assert len(system.conversation("c")) == 1
    assert len(system.contacts()) == 1


# --- the logging mailbox is a mailbox like any other -----------------------------


def test_b4_the_logging_mailbox_is_watched_swept_and_resynced(
    system: BccSystem,
) -> None:
    account = system.world.account(LOG)
    (watch,) = account.watches.values()
    assert watch.topic.endswith("/bcc-notifications")
    system.outlook(subject="lost notification")
    system.pushes.clear()
    system.sweep(0)
    assert len(system.recorded()) == 1
    system.clock.advance(days=2)
    system.outlook(subject="history gone")
    system.pushes.clear()
    system.world.expire_history(LOG)
    system.sweep(0)
    assert len(system.recorded()) == 2
    system.clock.advance(days=3)
    system.renew()
    (watch,) = account.watches.values()
    assert watch.topic.endswith("/bcc-notifications")
    left = watch.expires - system.clock.now()
    assert left.days >= 6


def test_b4_events_of_the_logging_mailbox_name_no_user(system: BccSystem) -> None:
    events = system.published("connection.connected")
    (event,) = [item for item in events if "logging" in item["subject"]]
    assert event["subject"] == "/v1/logging-mailbox/connection"
    assert event["data"] == {"address": LOG}


def test_the_tokens_of_a_hundred_users_are_all_different() -> None:
    system = BccSystem(connected=False)
    users = [f"u{n}" for n in range(50)]
    for user in users:
        system.user(user, f"{user}@ours.example")
    made = [system.drop(user) for user in users]
    made += [str(system.services.bcc.rotate(S, UserId(user))) for user in users]
    assert all(a != b for a, b in itertools.combinations(made, 2))


def test_b2_old_mail_that_is_read_again_does_not_bring_an_erased_contact_back(
    system: BccSystem,
) -> None:
    """Data protection: a resync after the erasure reads the logged mail once more."""
    system.outlook()
    system.settle()
    (contact,) = (item["id"] for item in system.contacts().values())
    system.clock.advance(seconds=5)
    system.services.directory.delete_contact(S, ContactId(contact))
    system.world.expire_history(LOG)
    system.sweep(0)
    assert system.contacts() == {}
    assert system.recorded() == []
    system.clock.advance(seconds=5)
    system.outlook()
    system.settle()
    assert len(system.contacts()) == 1, "new mail makes the contact anew"
