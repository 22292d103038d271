"""Audit (E4) and backfill (E5) as jobs in slices, on the simulated Gmail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.access import Caller
from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.matching.rules import Decision
from shared.errors import Problem
from shared.ports import Delete, Put
from tests.support.system import System

ME, MATE = "rep@ours.example", "mate@ours.example"
ADA, BOB, CLEO = "ada@client.example", "bob@client.example", "cleo@client.example"
CRM = Caller("crm", frozenset({SubaccountId("s")}))
FOREVER = 4_000_000_000_000


def audit(system: System, *, repair: bool = False, **span: Any) -> dict[str, Any]:
    begin, end = span.get("begin", 0), span.get("end", FOREVER)
    job = system.services.jobs.audit(CRM, UserId("u"), begin, end, repair=repair)
    system.settle()
    done, result = system.services.jobs.view(CRM, job.id)
    assert done.status == "done"
    assert done.done == done.total
    assert result is not None
    return result


def remove(system: System, subject: str) -> str:
    """Delete a record behind the product's back."""
    (message,) = [m for m in system.conversation("ada") if m.subject == subject]
    path = f"subaccounts/s/messages/{message.id}"
    system.outside.documents.commit([Delete(path)])
    return message.held_by[0].gmail_message_id


def skipped(system: System, monkeypatch: pytest.MonkeyPatch, subject: str) -> None:
    """An old bug ignores a mail."""

    def buggy(*_: Any) -> Any:
        return Decision("M7")
        yield

    with monkeypatch.context() as patch:
        patch.setattr("shared.services.syncing.decision_maker.decide", buggy)
        system.arrives(ADA, ME, subject)
        system.settle()


def test_e4_nothing_differs_after_a_normal_sync(system: System) -> None:
    system.arrives(ADA, ME)
    system.arrives(BOB, ME)
    system.sends(ME, ADA)
    system.settle()
    assert audit(system) == {"gmail": 3, "recorded": 2, "differences": []}


def test_e4_finds_names_and_repairs_what_is_missing(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.arrives(ADA, ME, "kept")
    system.arrives(ADA, ME, "removed")
    system.settle()
    skipped(system, monkeypatch, "skipped")
    removed = remove(system, "removed")
    result = audit(system)
    assert (result["gmail"], result["recorded"]) == (3, 1)
    found = {
        difference["gmail_message_id"]: difference
        for difference in result["differences"]
    }
    assert len(found) == 2
    assert removed in found
    # The thread of the removed one is still known by Gmail's thread id.
    assert found.pop(removed)["rule"] == "T2"
    (other,) = found.values()
    assert (other["outcome"], other["rule"]) == ("recorded", "M5")
    for difference in result["differences"]:
        assert not difference["repaired"]
        assert difference["subaccounts"][0]["contact"] == "ada"
    assert len(system.conversation("ada")) == 1

    repaired = audit(system, repair=True)["differences"]
    assert [item["repaired"] for item in repaired] == [True, True]
    subjects = [message.subject for message in system.conversation("ada")]
    assert sorted(subjects) == ["kept", "removed", "skipped"]
    contact = system.services.directory.contact(SubaccountId("s"), ContactId("ada"))
    assert contact is not None
    assert contact.messages == 3
    assert audit(system, repair=True) == {"gmail": 3, "recorded": 3, "differences": []}
    ids = [
        event["id"] for event in system.events() if event["type"] == "message.recorded"
    ]
    assert len(set(ids)) == 3


def test_e4_a_record_that_no_rule_permits_any_more_is_listed_and_stays(
    system: System,
) -> None:
    system.arrives(ADA, ME)
    system.settle()
    system.subaccount(never_log=(ADA,))
    (found,) = audit(system, repair=True)["differences"]
    assert (found["outcome"], found["rule"], found["repaired"]) == (
        "ignored",
        "M12",
        False,
    )
    assert len(system.conversation("ada")) == 1


def test_e4_reads_the_span_to_the_millisecond(system: System) -> None:
    moments = []
    for number in range(4):
        system.clock.advance(seconds=1)
        system.arrives(ADA, ME, str(number))
        moments.append(int(system.clock.now().timestamp() * 1000))
    system.settle()
    assert audit(system, begin=moments[1], end=moments[3])["gmail"] == 2


def test_e4_a_copy_that_another_mailbox_brought_is_no_difference(
    system: System,
) -> None:
    system.user("v", "v@ours.example")
    system.connect("v", "v@ours.example")
    system.contact("ada", ADA, assigned_to="v")
    system.arrives(ADA, f"{ME}, v@ours.example")
    system.settle()
    assert audit(system)["differences"] == []


def test_e4_long_audits_pass_on_to_the_next_slice(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        system.arrives(ADA, ME, str(number))
    system.settle()
    monkeypatch.setattr("shared.services.operations.jobs.RUN_SECONDS", -1)
    job = system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=False)
    for _ in range(3):
        push = system.work.popleft()
        assert system.do_work(push)
        assert system.services.jobs.view(CRM, job.id)[0].status == "queued"
    monkeypatch.setattr("shared.services.operations.jobs.RUN_SECONDS", 60)
    system.settle()
    done, result = system.services.jobs.view(CRM, job.id)
    assert (done.done, done.total, done.status) == (60, 60, "done")
    assert result is not None
    assert result["recorded"] == 60


def test_e4_two_deliveries_of_one_slice_find_the_same(system: System) -> None:
    system.arrives(ADA, ME)
    system.settle()
    remove(system, "Hello")
    job = system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=True)
    push = system.work[0]
    system.settle()
    system.do_work(push)
    _, result = system.services.jobs.view(CRM, job.id)
    assert result is not None
    assert len(result["differences"]) == 1
    assert len(system.conversation("ada")) == 1


def test_e4_a_mailbox_that_must_be_connected_again_fails_the_job(
    system: System,
) -> None:
    job = system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=False)
    system.world.change_password(ME)
    system.settle()
    done, result = system.services.jobs.view(CRM, job.id)
    assert (done.status, result) == ("failed", {"code": "reauth_required"})


def test_e4_e5_a_job_is_seen_by_whom_it_concerns_only(system: System) -> None:
    job = system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=False)
    foreign = Caller("crm", frozenset({SubaccountId("other")}))
    with pytest.raises(Problem):
        system.services.jobs.view(foreign, job.id)
    assert system.services.jobs.view(CRM, job.id)


# --- E5 --------------------------------------------------------------------------


def test_e5_brings_in_mail_since_the_connection_and_never_before(
    system: System,
) -> None:
    early = int(system.clock.now().timestamp() * 1000) - 86_400_000
    old = system.mail(BOB, ME, "too old").as_bytes()
    system.world.import_message(ME, old, {"INBOX"}, internal_date=early)
    for number in range(30):
        system.clock.advance(seconds=5)
        system.arrives(BOB, ME, f"from {number}")
    system.sends(ME, BOB, "to")
    system.arrives("eve@x.example", ME, "other")
    system.settle()
    system.contact("bob", BOB)
    job = system.services.jobs.backfill(SubaccountId("s"), ContactId("bob"))
    system.settle()
    done, result = system.services.jobs.view(CRM, job.id)
    assert (done.status, result) == ("done", {"gmail": 31, "recorded": 31})
    subjects = [message.subject for message in system.conversation("bob")]
    assert subjects == [*(f"from {n}" for n in range(30)), "to"]
    again = system.services.jobs.backfill(SubaccountId("s"), ContactId("bob"))
    system.settle()
    assert system.services.jobs.view(CRM, again.id)[0].status == "done"
    assert len(system.conversation("bob")) == 31


@pytest.mark.parametrize("when", ["before it is listed", "after", "when it is done"])
def test_e5_a_job_holds_no_address_and_outlives_an_erasure(
    system: System, when: str
) -> None:
    system.arrives(BOB, ME)
    system.settle()
    system.contact("bob", BOB)
    job = system.services.jobs.backfill(SubaccountId("s"), ContactId("bob"))
    if when == "when it is done":
        system.settle()
    elif when == "after":
        found, read = system.services.jobs._jobs.read(job.id)  # type: ignore[misc]
        listed, writes = system.services.jobs._step(found)
        system.services.jobs._jobs.save(listed, read, writes)
    system.services.directory.delete_contact(SubaccountId("s"), ContactId("bob"))
    system.settle()
    done, _ = system.services.jobs.view(CRM, job.id)
    assert done.status == "done"
    documents = system.outside.documents.dump()
    assert not [path for path, data in documents.items() if BOB in str(data)]
    assert not [path for path in documents if "/messages/" in path]


def test_e5_an_address_that_is_the_contacts_no_more_is_left_out(
    system: System,
) -> None:
    system.arrives(BOB, ME)
    system.arrives(CLEO, ME)
    system.settle()
    system.contact("bob", BOB, CLEO)
    system.services.jobs.backfill(SubaccountId("s"), ContactId("bob"))
    system.contact("bob", CLEO)
    system.settle()
    assert [message.sender.address for message in system.conversation("bob")] == [CLEO]


def test_e5_touches_no_other_subaccount(system: System) -> None:
    system.subaccount("s2")
    system.user("u", ME, s="s2")
    system.arrives(BOB, ME)
    system.settle()
    system.contact("bob", BOB)
    system.contact("bob2", BOB, s="s2")
    system.services.jobs.backfill(SubaccountId("s"), ContactId("bob"))
    system.settle()
    assert len(system.conversation("bob")) == 1
    assert system.conversation("bob2", "s2") == []


def test_e4_other_subaccounts_are_not_audited(system: System) -> None:
    """A caller of s learns nothing of s2, though the mailbox is in both."""
    system.subaccount("s2")
    system.user("u", ME, s="s2")
    system.contact("ada2", ADA, s="s2")
    system.arrives(ADA, ME)
    system.settle()
    (other,) = system.conversation("ada2", "s2")
    path = f"subaccounts/s2/messages/{other.id}"
    system.outside.documents.commit([Delete(path)])
    assert audit(system, repair=True)["differences"] == []
    assert system.conversation("ada2", "s2") == []


def test_e4_a_record_that_does_not_list_the_copy_is_mended(system: System) -> None:
    system.arrives(ADA, ME)
    system.settle()
    (message,) = system.conversation("ada")
    path = f"subaccounts/s/messages/{message.id}"
    data = dict(system.outside.documents.dump()[path], held_by={})
    system.outside.documents.commit([Put(path, data)])
    (found,) = audit(system, repair=True)["differences"]
    assert found["repaired"]
    (message,) = system.conversation("ada")
    assert [copy.address for copy in message.held_by] == [ME]


@pytest.mark.parametrize("assigned_to", ["u", "v"])
def test_e5_every_mailbox_that_holds_the_mail_is_listed(
    system: System, assigned_to: str
) -> None:
    """Found by the simulation: the one that may not record it was read first (M3, M9)."""
    system.user("v", MATE)
    system.connect("v", MATE)
    system.arrives(CLEO, f"{ME}, {MATE}")
    system.settle()
    system.contact("cleo", CLEO, assigned_to=assigned_to)
    system.services.jobs.backfill(SubaccountId("s"), ContactId("cleo"))
    system.settle()
    (message,) = system.conversation("cleo")
    assert {copy.address for copy in message.held_by} == {ME, MATE}


def test_e4_a_copy_that_was_read_before_there_was_the_contact_is_listed(
    system: System,
) -> None:
    """Found by the simulation: only a colleague may record the mail (M3, M9)."""
    system.user("v", MATE)
    system.connect("v", MATE)
    system.arrives(CLEO, f"{ME}, {MATE}")
    colleagues = next(
        push for push in system.pushes if MATE.encode() in push.event.data
    )
    system.pushes.remove(colleagues)
    system.settle()
    system.contact("cleo", CLEO, assigned_to="v")
    assert system.deliver(colleagues)
    (found,) = audit(system, repair=True)["differences"]
    assert (found["rule"], found["repaired"]) == ("M9", True)
    (message,) = system.conversation("cleo")
    assert {copy.address for copy in message.held_by} == {ME, MATE}
