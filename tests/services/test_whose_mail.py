"""M2, M11, T2: whose mail it is, as Gmail and groups really show it."""

from __future__ import annotations

from gmail_simulator.accounts import SendAs
from tests.support.system import System

ME, COLE, GROUP = "rep@ours.example", "cole@ours.example", "sales@ours.example"
ADA, BOB = "ada@client.example", "bob@client.example"
NEW, HOME = "billing@brand-new.example", "ada@home.example"


def team() -> System:
    system = System()
    system.subaccount(internal_domains=("ours.example",))
    system.user("u", ME)
    system.contact("ada", ADA)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.settle()
    return system


def rules(system: System, message_id: str) -> list[tuple[str, str]]:
    found = system.decisions(message_id=message_id)
    return sorted((item.outcome, item.rule) for item in found)


def test_m2_an_alias_that_was_added_a_minute_ago() -> None:
    system = team()
    system.world.account(ME).send_as[NEW] = SendAs(NEW)
    message = system.mail(NEW, ADA, "Invoice")
    system.world.send_from_gmail(ME, message.as_bytes())
    system.settle()
    (record,) = system.conversation("ada")
    assert (record.direction, record.user, record.sender.address) == (
        "outbound",
        "u",
        NEW,
    )


def test_m11_a_colleagues_plus_address_in_copy_is_a_colleagues() -> None:
    system = team()
    system.subaccount()  # no internal domain
    system.user("v", COLE)
    first = system.arrives(ADA, ME, "Plan", headers={"Cc": "cole+crm@ours.example"})
    system.settle()
    alone = system.sends(ME, "cole+crm@ours.example", "Re: Plan", reply_to=first)
    system.settle()
    assert len(system.conversation("ada")) == 1
    assert rules(system, f"<{alone.rfc822_id}>") == [("ignored", "M11")]


def test_m11_a_colleague_known_by_a_plus_address_is_one_without_it() -> None:
    system = team()
    system.subaccount()
    system.user("v", "cole+crm@ours.example")
    for written in (COLE, "cole+crm@ours.example", "cole+more@ours.example"):
        sent = system.sends(ME, written, "Internal")
        system.settle()
        assert rules(system, f"<{sent.rfc822_id}>") == [("ignored", "M11")]
    from shared.core.ids import SubaccountId, UserId

    system.services.directory.delete_member(SubaccountId("s"), UserId("v"))
    sent = system.sends(ME, COLE, "External now")
    system.settle()
    assert rules(system, f"<{sent.rfc822_id}>") == [("ignored", "M7")]


def through_group(system: System, **headers: str) -> str:
    """Ann's mail as a Google Group of the team passes it on."""
    message = system.mail(
        f"'Ada Lee' via Sales <{GROUP}>",
        GROUP,
        "Question",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    system.world.deliver_from_outside(message.as_bytes(), [ME], "pass")
    system.settle()
    return str(message["Message-ID"])


def test_m2_mail_through_the_teams_group_is_its_senders() -> None:
    system = team()
    through_group(
        system,
        X_Original_From=f"Ada Lee <{ADA}>",
        X_Original_Sender=ADA,
        Reply_To=f"Ada Lee <{ADA}>",
        Cc=BOB,
    )
    assert system.conversation("bob") == []
    (record,) = system.conversation("ada")
    assert (record.direction, record.user) == ("inbound", None)
    assert (record.sender.name, record.sender.address) == ("Ada Lee", ADA)
    assert record.authenticity == "unknown"
    before = system.state()
    system.world.expire_history(ME)
    system.sweep(0)
    records = {k: v for k, v in system.state().items() if "/messages/" in k}
    assert records == {k: v for k, v in before.items() if "/messages/" in k}


def test_m9_a_direct_copy_and_one_through_the_group_are_one_email() -> None:
    system = team()
    direct = system.mail(ADA, GROUP, "Question", headers={"Cc": ME})
    passed_on = system.mail(
        f"'Ada' via Sales <{GROUP}>",
        GROUP,
        "Question",
        headers={"Cc": ME, "X-Original-Sender": ADA},
    )
    for name in ("Message-ID", "Date"):
        del passed_on[name]
        passed_on[name] = direct[name]
    for message in (passed_on, direct):
        system.world.deliver_from_outside(message.as_bytes(), [ME], "pass")
        system.settle()
    (record,) = system.conversation("ada")
    assert (record.authenticity, len(record.held_by)) == ("pass", 2)


def test_m2_whose_mail_it_is_cannot_be_told() -> None:
    system = team()
    name = through_group(system, Cc=BOB)
    assert rules(system, name) == [("ignored", "M2")]
    assert system.conversation("bob") == []


def test_t2_the_contact_answers_from_an_address_that_nobody_knows() -> None:
    system = team()
    sent = system.sends(ME, ADA, "Offer")
    system.settle()
    offer = f"<{sent.rfc822_id}>"
    system.arrives(HOME, ME, "Re: Offer", reply_to=offer, auth="fail")
    system.settle()
    records = system.conversation("ada")
    assert [record.sender.address for record in records] == [ME, HOME]
    assert (records[1].direction, records[1].authenticity) == ("inbound", "fail")
    contacts = [p for p in system.state() if p.startswith("subaccounts/s/contacts/")]
    assert len(contacts) == 2


def test_t2_who_answers_an_unrecorded_forward_stays_out() -> None:
    system = team()
    sent = system.sends(ME, ADA, "Offer")
    system.settle()
    offer = f"<{sent.rfc822_id}>"
    forward = system.sends(ME, "lawyer@law.example", "Fwd: Offer", reply_to=offer)
    system.settle()
    answer = system.mail("lawyer@law.example", ME, "Re: Fwd: Offer")
    answer["In-Reply-To"] = f"<{forward.rfc822_id}>"
    answer["References"] = f"{offer} <{forward.rfc822_id}>"
    system.world.deliver_from_outside(answer.as_bytes(), [ME], "pass")
    system.settle()
    assert len(system.conversation("ada")) == 1
    assert rules(system, str(answer["Message-ID"])) == [("ignored", "T2")]


def test_t2_a_direct_answer_in_one_batch_with_what_it_answers() -> None:
    """Found by the simulation: the answered mail is not written yet."""
    system = team()
    sent = system.sends(ME, ADA, "Offer")
    system.arrives(HOME, ME, "Re: Offer", reply_to=f"<{sent.rfc822_id}>")
    system.pushes_merged()
    system.settle()
    records = system.conversation("ada")
    assert [record.sender.address for record in records] == [ME, HOME]
