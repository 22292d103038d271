"""One mail through Gmail and through the provider (S1-S5, S8-S11, T3)."""

from __future__ import annotations

import pytest

from shared.core.ids import MessageId
from shared.errors import Permanent, Problem, Transient
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.send_records import Upload
from tests.support.sending import BOB, CARLA, MIA, SendingSystem


@pytest.fixture
def system():
    return SendingSystem()


def test_s1_individual_mail_goes_through_gmail_and_is_one_record(system):
    (message,) = system.post().ids
    assert system.record(message).status == "queued"
    system.settle()
    record = system.record(message)
    (sent,) = system.outside_mail()
    assert record.status == "sent"
    assert (record.route, record.kind, record.rule) == ("crm", "individual", "S1")
    assert sent["Subject"] == "Offer"
    assert str(sent["From"]) == f"u <{MIA}>"
    assert str(sent["To"]) == f"c <{CARLA}>"
    # Gmail has replaced our Message-ID: the real one is what is shown.
    assert record.rfc822_message_id == sent["Message-ID"]
    (held,) = record.held_by
    copy = system.world.account(MIA).mailbox.get(held.gmail_message_id)
    assert "SENT" in copy.labels
    assert record.sent_at == copy.internal_date
    assert [item.id for item in system.conversation("c")] == [message]
    assert [kind for kind, _ in system.new_events()] == ["message.sent"]
    assert (system.drafts(), system.under_way()) == (0, 0)


def test_s7_the_sent_copy_that_comes_back_joins_the_record(system):
    (message,) = system.post().ids
    system.send_all()
    system.settle()
    assert len(system.conversation("c")) == 1
    contact = system.services.directory.contact("s", "c")
    assert contact.messages == 1
    assert system.record(message).status == "sent"


def test_t3_the_answer_joins_the_conversation_and_the_thread(system):
    (message,) = system.post().ids
    system.settle()
    record = system.record(message)
    system.arrives(CARLA, MIA, "Re: Offer", reply_to=record.rfc822_message_id)
    system.settle()
    first, answer = system.conversation("c")
    assert answer.direction == "inbound"
    assert (answer.thread, answer.exclusive) == (first.thread, True)


def test_m3_who_got_individual_mail_is_established(system):
    system.contact("x", "x@other.test", assigned_to=None)
    system.arrives("x@other.test", MIA, "Before")
    system.settle()
    assert system.conversation("x") == []
    system.post("x")
    system.settle()
    system.arrives("x@other.test", MIA, "After")
    system.settle()
    assert [message.subject for message in system.conversation("x")] == [
        "Offer",
        "After",
    ]


def test_s4_a_reply_threads_by_headers_and_in_gmail(system):
    system.arrives(CARLA, MIA, "Question")
    system.settle()
    (question,) = system.conversation("c")
    (message,) = system.post(answers=question.id, subject=None).ids
    system.settle()
    record = system.record(message)
    (sent,) = system.outside_mail()
    assert sent["Subject"] == "Re: Question"
    assert sent["In-Reply-To"] == sent["References"] == question.rfc822_message_id
    assert record.thread == question.thread
    assert record.held_by[0].gmail_thread_id == question.held_by[0].gmail_thread_id
    assert record.in_reply_to == question.rfc822_message_id


def test_s4_a_reply_goes_out_although_the_user_has_deleted_the_thread_in_gmail(system):
    """Found by the simulation: Gmail does not know the thread any more (404)."""
    system.arrives(CARLA, MIA, "Question")
    system.settle()
    (question,) = system.conversation("c")
    mailbox = system.world.account(MIA).mailbox
    with system.world.transaction():
        mailbox.delete(mailbox.messages[question.held_by[0].gmail_message_id])
    (message,) = system.post(answers=question.id, subject=None).ids
    system.settle()
    record = system.record(message)
    (sent,) = system.outside_mail()
    assert sent["In-Reply-To"] == question.rfc822_message_id
    assert (record.status, record.thread) == ("sent", question.thread)


def test_s4_references_name_the_whole_chain(system):
    system.arrives(CARLA, MIA, "Question")
    system.settle()
    (question,) = system.conversation("c")
    (first,) = system.post(answers=question.id, subject=None).ids
    system.settle()
    system.post(answers=first, subject=None)
    system.settle()
    sent = system.outside_mail()[-1]
    own = system.record(first).rfc822_message_id
    assert str(sent["References"]).split() == [question.rfc822_message_id, own]


def test_s4_a_reply_to_mail_under_way_waits_for_it(system):
    (first,) = system.post().ids
    (second,) = system.post(answers=first, subject=None).ids
    system.outgoing.rotate(-1)
    assert not system.push_out(system.outgoing.popleft())
    assert system.record(second).status == "queued"
    system.clock.advance(seconds=20)
    system.services.sending.resume(int(system.clock.now().timestamp() * 1000))
    system.send_all()
    sent = system.outside_mail()
    assert sent[1]["In-Reply-To"] == sent[0]["Message-ID"]


def test_c5_an_old_thread_goes_on_from_the_new_address(system):
    system.arrives(CARLA, MIA, "Question")
    system.settle()
    (question,) = system.conversation("c")
    system.connect("u", "mia@new.test")
    (message,) = system.post(answers=question.id, subject=None).ids
    system.settle()
    (sent,) = system.outside_mail()
    assert "mia@new.test" in sent["From"]
    assert sent["In-Reply-To"] == question.rfc822_message_id
    assert system.record(message).thread == question.thread


def test_s9_the_first_contact_in_to_owns_the_conversation(system):
    asked = (
        RequestedRecipient("/to/0", address="stranger@x.test", name="Stranger"),
        RequestedRecipient("/to/1", address=BOB),
        RequestedRecipient("/to/2", address=CARLA),
    )
    (message,) = system.post(None, to=asked).ids
    system.settle()
    assert system.record(message).contact == "b"
    assert [item.id for item in system.conversation("b")] == [message]


def test_s10_a_mail_to_nobody_we_know_is_refused(system):
    with pytest.raises(Problem) as caught:
        system.post(None, to=(RequestedRecipient("/to/0", address="stranger@x.test"),))
    assert (caught.value.status, caught.value.code) == (422, "unknown_contact")
    with pytest.raises(Problem) as caught:
        system.post("nobody")
    assert caught.value.errors == ({"pointer": "/to/0", "detail": "no such contact"},)
    assert not system.outgoing
    assert system.outside.blobs.keys() == []
    assert system.left_today() == 500


def test_s3_only_verified_aliases_may_be_asked_for(system):
    system.world.add_alias(MIA, "sales@agency.test")
    system.world.add_alias(MIA, "new@agency.test", verified=False)
    system.post(sender="sales@agency.test")
    system.settle()
    assert "sales@agency.test" in system.outside_mail()[0]["From"]
    for bad in ("new@agency.test", CARLA):
        with pytest.raises(Problem) as caught:
            system.post(sender=bad)
        assert caught.value.code == "from_not_allowed"
    with pytest.raises(Problem):
        system.post(sender=MIA, kind="workflow")


def test_s1_without_a_connection_the_provider_sends():
    system = SendingSystem(connected=False)
    (message,) = system.post().ids
    system.send_all()
    (relayed,) = system.relay.taken
    assert (relayed.sender, relayed.recipients) == ("news@agency.test", (CARLA,))
    record = system.record(message)
    assert (record.status, record.rule) == ("sent", "S2")
    assert record.rfc822_message_id.encode() in relayed.mail
    system.subaccount("s")
    with pytest.raises(Problem) as caught:
        system.post()
    assert (caught.value.status, caught.value.code) == (409, "no_sender")


def test_c7_a_dead_grant_is_an_error_at_once(system):
    system.world.revoke_access(MIA)
    (message,) = system.post().ids
    system.settle()
    record = system.record(message)
    assert (record.status, record.reason["code"]) == ("failed", "reauth_required")
    assert system.left_today() == 500
    with pytest.raises(Problem) as caught:
        system.post()
    assert (caught.value.status, caught.value.code) == (409, "reauth_required")
    kinds = [kind for kind, _ in system.new_events()]
    assert sorted(kinds) == ["connection.reauth_required", "message.failed"]


def test_s2_bulk_and_workflow_ignore_the_connection(system):
    accepted = system.bulk("c", "b")
    (workflow,) = system.post(kind="workflow").ids
    system.send_all()
    recipients = sorted(item.recipients for item in system.relay.taken)
    assert recipients == [(BOB,), (CARLA,), (CARLA,)]
    assert [system.record(message_id).contact for message_id in accepted.ids] == [
        "c",
        "b",
    ]
    assert {system.record(item).status for item in (*accepted.ids, workflow)} == {
        "sent"
    }
    assert system.left_today() == 500
    assert system.world.outside == []
    assert system.under_way() == 0


def test_s2_bulk_reaches_a_thousand_once_each(system):
    for number in range(1000):
        system.contact(f"n{number}", f"n{number}@many.test")
    ids = [f"n{number}" for number in range(1000)]
    upload = Upload("a.pdf", "application/pdf", b"PDF")
    accepted = system.bulk(*ids, uploads=(upload,))
    again = system.bulk(*ids, uploads=(upload,))
    assert again == accepted
    system.send_all()
    assert len(system.relay.taken) == 1000
    assert len({item.recipients for item in system.relay.taken}) == 1000
    assert len(set(accepted.ids)) == 1000
    assert system.under_way() == 0
    kept = system.outside.blobs.keys()
    assert not [path for path in kept if "batches" in path]
    assert len({item for _, item in system.new_events()}) == 1000


def test_s7_the_same_key_gives_the_first_result(system):
    first = system.post(key="k")
    assert system.post(key="k") == first
    system.settle()
    again = system.post(key="k")
    assert (again.ids, again.status) == (first.ids, "sent")
    assert len(system.world.outside) == 1
    for other in ({"text": "Other"}, {"uploads": (Upload("a", "text/plain", b"x"),)}):
        with pytest.raises(Problem) as caught:
            system.post(key="k", **other)
        assert (caught.value.status, caught.value.code) == (
            422,
            "idempotency_key_reused",
        )
    assert len(system.conversation("c")) == 1


def test_s5_the_cap_is_a_rolling_day_and_says_when(system):
    system.services.caps.set_cap(system.mailbox_id(MIA), 3)
    for _ in range(3):
        system.post()
        system.settle()
        system.clock.advance(hours=1)
    began = system.record(system.conversation("c")[0].id).sent_at
    with pytest.raises(Problem) as caught:
        system.post()
    problem = caught.value
    assert (problem.status, problem.code) == (429, "daily_limit_reached")
    assert problem.extra["retry_at"] == "2026-03-03T09:00:00.000Z"
    wait = int(problem.headers["Retry-After"])
    now = int(system.clock.now().timestamp())
    assert now + wait == began // 1000 + 24 * 3600
    system.clock.advance(seconds=wait - 1)
    with pytest.raises(Problem):
        system.post()
    system.clock.advance(seconds=1)
    assert system.left_today() == 1
    system.post()


def test_s5_only_what_gmail_took_counts(system):
    system.world.faults.add(
        "status", method="gmail.users.drafts.send", status=400, count=1
    )
    (message,) = system.post().ids
    assert system.left_today() == 499
    system.settle()
    record = system.record(message)
    assert (record.status, record.reason["code"]) == ("failed", "rejected")
    assert system.left_today() == 500
    assert system.drafts() == 0


@pytest.mark.parametrize("status", [429, 403])
def test_s5_gmails_own_limit_is_reported_the_same_way(system, status):
    system.world.account(MIA).daily_limit = 1
    system.world.settings.send_limit_status = status
    system.post()
    system.settle()
    (message,) = system.post().ids
    system.settle()
    record = system.record(message)
    assert (record.status, record.reason["code"]) == ("failed", "daily_limit_reached")
    assert system.left_today() == 0
    with pytest.raises(Problem) as caught:
        system.post()
    assert caught.value.code == "daily_limit_reached"
    assert system.drafts() == 0


SAID = "550 5.7.1 <eve@hidden.test>: policy\r\nsays no"


@pytest.mark.parametrize(
    ("error", "code"), [(Permanent, "rejected"), (Transient, "temporarily_unavailable")]
)
def test_s8_the_reason_quotes_the_provider_and_no_hidden_recipient(error, code):
    system = SendingSystem(send_patience_minutes=10)

    def refuse(_recipients):
        fault = error("The provider refused a recipient (550 5.7.1).")
        fault.said = SAID
        raise fault

    system.relay.before = refuse
    bcc = (RequestedRecipient("/bcc/0", address="eve@hidden.test"),)
    (message,) = system.post(kind="workflow", bcc=bcc).ids
    system.send_all(pause=60)
    reason = system.record(message).reason
    assert reason == {
        "code": code,
        "detail": "The provider refused a recipient (550 5.7.1). "
        'It said: "550 5.7.1 … policy says no"',
    }


@pytest.mark.parametrize("method", ["create", "send"])
def test_s8_the_reason_quotes_gmail(system, method):
    system.world.faults.add(
        "status", method=f"gmail.users.drafts.{method}", status=400, count=1
    )
    (message,) = system.post().ids
    system.settle()
    reason = system.record(message).reason
    assert reason["detail"] == (
        'Gmail refused the request (status 400). It said: "Invalid request"'
    )


RETRIED = [
    {"action": "status", "status": 429, "retry_after": 90},
    {"action": "status", "status": 429},
    {"action": "status", "status": 403, "reason": "userRateLimitExceeded"},
    {"action": "status", "status": 503},
    {"action": "drop_before"},
]


@pytest.mark.parametrize("fault", RETRIED)
@pytest.mark.parametrize(
    "method", ["gmail.users.drafts.create", "gmail.users.drafts.send"]
)
def test_s11_rate_limits_and_outages_are_waited_out(system, fault, method):
    system.world.faults.add(method=method, count=4, **fault)
    (message,) = system.post().ids
    system.settle()
    assert system.record(message).status == "sent"
    assert len(system.world.outside) == 1
    assert [kind for kind, _ in system.new_events()] == ["message.sent"]
    assert (system.drafts(), system.left_today()) == (0, 499)


def test_s11_retry_after_is_heeded(system):
    system.world.faults.add(
        "status",
        method="gmail.users.drafts.create",
        status=429,
        retry_after=300,
        count=1,
    )
    system.post()
    push = system.outgoing.popleft()
    assert not system.push_out(push)
    system.clock.advance(seconds=299)
    calls = system.world.calls.count("gmail.users.drafts.create")
    assert not system.push_out(push)
    assert system.world.calls.count("gmail.users.drafts.create") == calls
    system.clock.advance(seconds=1)
    assert system.push_out(push)


@pytest.mark.parametrize(
    "method", ["gmail.users.drafts.create", "gmail.users.drafts.send"]
)
def test_s11_after_the_configured_time_it_fails_with_the_reason(method):
    system = SendingSystem(send_patience_minutes=10)
    system.world.faults.add("status", method=method, status=503)
    (message,) = system.post().ids
    system.send_all(pause=60)
    record = system.record(message)
    assert (record.status, record.reason["code"]) == (
        "failed",
        "temporarily_unavailable",
    )
    assert [kind for kind, _ in system.new_events()] == ["message.failed"]
    assert (system.drafts(), system.left_today(), system.under_way()) == (0, 500, 0)
    assert system.world.outside == []


def test_s11_waiting_long_is_never_a_dead_letter():
    system = SendingSystem(send_patience_minutes=600)
    fault = system.world.faults.add(
        "status", method="gmail.users.drafts.create", status=503
    )
    (message,) = system.post().ids
    for _ in range(40):
        push = system.outgoing.popleft()
        if not system.push_out(push):
            system.outgoing.append(push)
        assert push.attempts < 10
        system.clock.advance(minutes=5)
    system.world.faults.remove(fault)
    system.send_all()
    assert system.record(message).status == "sent"


def test_s7_a_fate_that_cannot_be_found_says_so(system):
    system.world.faults.add("drop_after", method="gmail.users.drafts.send", count=1)
    system.world.faults.add("status", method="gmail.users.threads.get", status=404)
    (message,) = system.post().ids
    push = system.outgoing.popleft()
    # The owner deletes the Sent copy for good at once.
    system.world.faults.add(
        "status", method="gmail.users.messages.list", status=503, count=1
    )
    assert not system.push_out(push)
    mailbox = system.world.account(MIA).mailbox
    for item in list(mailbox.messages.values()):
        mailbox.delete(item)
    system.outgoing.append(push)
    system.send_all(pause=120)
    record = system.record(message)
    assert (record.status, record.reason["code"]) == ("failed", "fate_unknown")
    assert len(system.world.outside) == 1
    assert [kind for kind, _ in system.new_events()] == ["message.failed"]


def test_s7_a_sent_copy_that_turns_up_late_settles_an_unknown_fate(system):
    """It was gone for as long as we looked, and came back."""
    system.world.faults.add("drop_after", method="gmail.users.drafts.send", count=1)
    (message,) = system.post().ids
    push = system.outgoing.popleft()
    system.world.faults.add("status", method="gmail.users.threads.get", status=404)
    system.world.faults.add("status", method="gmail.users.messages.list", count=1)
    assert not system.push_out(push)
    mailbox = system.world.account(MIA).mailbox
    (copy,) = mailbox.messages.values()
    mailbox.delete(copy)
    system.outgoing.append(push)
    system.send_all(pause=120)
    assert system.record(message).reason["code"] == "fate_unknown"
    system.world.import_message(MIA, copy.raw, {"SENT"})
    system.settle()
    record = system.record(message)
    assert (record.status, record.reason) == ("sent", None)
    assert len(record.held_by) == 1
    kinds = [kind for kind, _ in system.new_events()]
    assert kinds == ["message.failed", "message.sent"]


def test_a_contact_erased_meanwhile_gets_no_mail(system):
    system.post()
    system.services.directory.delete_contact("s", "c")
    system.settle()
    assert system.world.outside == []
    assert (system.drafts(), system.under_way(), system.left_today()) == (0, 0, 500)
    kept = system.outside.blobs.keys()
    assert not [path for path in kept if "messages" in path]


def test_c6_mail_waiting_when_the_user_leaves_is_not_sent(system):
    (message,) = system.post().ids
    system.connect("u", "mia@new.test")
    system.settle()
    record = system.record(message)
    assert (record.status, record.reason["code"]) == ("failed", "disconnected")
    assert system.world.outside == []


def test_s2_a_provider_that_refuses_or_fails(system):
    def refuse(_):
        raise Transient

    system.relay.before = refuse
    (message,) = system.post(kind="workflow").ids
    assert not system.push_out(system.outgoing[0])
    system.relay.before = lambda _: None
    system.send_all()
    assert system.record(message).status == "sent"
    assert len(system.relay.taken) == 1


def test_unknown_reply_targets_are_refused(system):
    with pytest.raises(Problem) as caught:
        system.post(answers=MessageId("nothing"))
    assert caught.value.errors[0]["pointer"] == "/reply_to_message"


def test_a_fault_of_the_deployment_makes_mail_wait(system):
    fault = system.world.faults.add(
        "status",
        method="gmail.users.drafts.create",
        status=403,
        reason="accessNotConfigured",
    )
    (message,) = system.post().ids
    assert not system.push_out(system.outgoing[0])
    system.world.faults.remove(fault)
    system.send_all()
    assert system.record(message).status == "sent"


def test_an_erased_contact_of_a_bulk_mail_leaves_nothing(system):
    upload = Upload("a.pdf", "application/pdf", b"PDF")
    system.bulk("c", "b", uploads=(upload,))
    system.services.directory.delete_contact("s", "c")
    system.send_all()
    assert [item.recipients for item in system.relay.taken] == [(BOB,)]
    (kept,) = system.conversation("b")
    blobs = system.outside.blobs.keys()
    assert all(kept.id in blob for blob in blobs)
    assert system.under_way() == 0


def test_a_contact_with_an_erased_ones_id_gets_none_of_its_bulk_mail(system):
    """Found by the simulation: what was erased came back, and went out to Carla."""
    system.bulk("c", "b")
    system.services.directory.delete_contact("s", "c")
    system.contact("c", "dora@customer.test")
    system.send_all()
    assert [item.recipients for item in system.relay.taken] == [(BOB,)]
    assert system.conversation("c") == []
    assert system.under_way() == 0
