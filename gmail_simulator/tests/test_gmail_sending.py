"""Sending, drafts, threads, and delivery between mailboxes and the outside."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from gmail_simulator import GmailWorld

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"


def body(raw: Any, **more: Any) -> Any:
    return {"raw": base64.urlsafe_b64encode(raw).decode()} | more


def send(users: Any, raw: Any, **more: Any) -> Any:
    return users.messages().send(userId="me", body=body(raw, **more)).execute()


def refusal(request: Any) -> Any:
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value


def headers_of(world: GmailWorld, address: Any, message_id: Any) -> Any:
    message = world.account(address).mailbox.get(message_id)
    return {f.name.replace("-Id", "-ID"): f.value for f in message.fields}


def inbox(world: GmailWorld, address: Any) -> Any:
    return [
        m for m in world.account(address).mailbox.newest_first() if "INBOX" in m.labels
    ]


def test_a_sent_mail_is_in_sent_and_in_the_recipients_inbox(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    sent = send(users, mail(ANN, f"{BOB}, {CARLA}"))
    assert sent["labelIds"] == ["SENT"]
    received = inbox(world, BOB)[0]
    assert received.labels == {"INBOX", "UNREAD", "CATEGORY_PERSONAL"}
    assert [m.recipient for m in world.outside] == [CARLA]
    assert received.id != sent["id"]


def test_message_id_is_rewritten_and_the_old_one_kept(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    sent = send(users, mail(ANN, BOB, message_id="<mine@acme.test>"))
    found = headers_of(world, ANN, sent["id"])
    assert found["Message-ID"].endswith("@mail.gmail.com>")
    assert found["X-Google-Original-Message-ID"] == "<mine@acme.test>"
    assert inbox(world, BOB)[0].rfc822_id == found["Message-ID"].strip("<>")
    world.settings.rewrite_message_id = False
    sent = send(users, mail(ANN, BOB, message_id="<mine@acme.test>"))
    assert headers_of(world, ANN, sent["id"])["Message-ID"] == "<mine@acme.test>"


def test_only_the_sent_copy_keeps_bcc(users: Any, world: GmailWorld, mail: Any) -> None:
    sent = send(users, mail(ANN, CARLA, bcc=BOB))
    assert headers_of(world, ANN, sent["id"])["Bcc"] == BOB
    assert b"Bcc" not in inbox(world, BOB)[0].raw
    assert b"Bcc" not in world.outside[0].raw
    assert headers_of(world, BOB, inbox(world, BOB)[0].id)["Delivered-To"] == BOB


def test_received_copies_carry_the_servers_verdict_on_top(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    send(users, mail(ANN, BOB))
    received = inbox(world, BOB)[0]
    verdict = received.header("Authentication-Results")
    assert verdict.startswith("mx.google.com;")
    assert "dkim=pass header.i=@acme.test" in verdict
    assert "dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=acme.test" in verdict


def test_a_mail_to_oneself_is_one_message_in_sent_and_inbox(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    sent = send(users, mail(ANN, "Ann+note@acme.test"))
    assert {"SENT", "INBOX"} <= set(sent["labelIds"])
    assert len(world.account(ANN).mailbox.messages) == 1


def test_plus_addresses_arrive_and_keep_their_token(
    world: GmailWorld, users: Any, mail: Any
) -> None:
    send(users, mail(ANN, CARLA, bcc="bob+t0ken@acme.test"))
    received = inbox(world, BOB)[0]
    assert received.header("Delivered-To") == "bob+t0ken@acme.test"


def test_a_catch_all_mailbox_gets_what_is_nobody_elses(
    world: GmailWorld, users: Any, mail: Any
) -> None:
    world.add_account("log@crm.test", catch_all=True)
    send(users, mail(ANN, CARLA, bcc="t0ken@crm.test"))
    received = inbox(world, "log@crm.test")[0]
    assert received.header("Delivered-To") == "log@crm.test"
    assert received.header("X-Original-To") == "t0ken@crm.test"


def test_two_addresses_of_one_mailbox_bring_one_copy(
    world: GmailWorld, users: Any, mail: Any
) -> None:
    send(users, mail(ANN, "bob@acme.test, bob+x@acme.test"))
    assert len(inbox(world, BOB)) == 1
    world.settings.dedupe_deliveries = False
    send(users, mail(ANN, "bob@acme.test, bob+x@acme.test"))
    assert len(inbox(world, BOB)) == 3


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("Ann <ANN@acme.test>", "Ann <ANN@acme.test>"),
        ("Sales <sales@acme.test>", "Sales <sales@acme.test>"),
        ("Boss <boss@acme.test>", '"Boss" <ann@acme.test>'),
        ("", '"Ann" <ann@acme.test>'),
    ],
)
def test_from_is_the_account_or_an_alias_of_it(
    users: Any, world: GmailWorld, mail: Any, sender: Any, expected: Any
) -> None:
    sent = send(users, mail(sender, BOB))
    assert headers_of(world, ANN, sent["id"])["From"] == expected


def test_an_alias_that_is_not_verified_is_rewritten(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    world.add_alias(ANN, "new@acme.test", verified=False)
    sent = send(users, mail("new@acme.test", BOB))
    found = headers_of(world, ANN, sent["id"])
    assert "ann@acme.test" in found["From"]
    assert found["X-Google-Original-From"] == "new@acme.test"


def test_date_is_added_if_missing(users: Any, world: GmailWorld, mail: Any) -> None:
    sent = send(users, mail(ANN, BOB))
    assert headers_of(world, ANN, sent["id"])["Date"].startswith(
        "Mon, 23 Nov 2026 09:00"
    )


@pytest.mark.parametrize(
    ("to", "message"),
    [("", "Recipient address required"), ("nobody", "Invalid To header")],
)
def test_a_mail_to_nobody_is_refused(
    users: Any, mail: Any, to: Any, message: Any
) -> None:
    error = refusal(users.messages().send(userId="me", body=body(mail(ANN, to))))
    assert (error.status_code, error.reason) == (400, message)


def test_a_reply_joins_by_its_references_and_the_same_subject(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    joined = world.deliver_from_outside(
        mail(subject="AW: RE: hello", references="<0@x> <1@x>"), [ANN]
    )[0]
    other = world.deliver_from_outside(mail(subject="New", in_reply_to="<1@x>"), [ANN])[
        0
    ]
    unrelated = world.deliver_from_outside(mail(), [ANN])[0]
    assert joined.thread_id == first.thread_id
    assert other.thread_id == other.message_id
    assert unrelated.thread_id == unrelated.message_id


def test_a_forward_with_references_stays_in_the_thread(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    raw = mail(ANN, BOB, "Fwd: Hello", references="<1@x>", in_reply_to="<1@x>")
    sent = send(users, raw, threadId=first.thread_id)
    assert sent["threadId"] == first.thread_id


@pytest.mark.parametrize(
    "headers",
    [{"subject": "Other", "in_reply_to": "<1@x>"}, {"subject": "Re: Hello"}],
    ids=["another subject", "no references"],
)
def test_send_with_a_thread_it_does_not_belong_to_begins_its_own(
    users: Any, world: GmailWorld, mail: Any, headers: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    sent = send(users, mail(ANN, CARLA, **headers), threadId=first.thread_id)
    assert sent["threadId"] == sent["id"]


def test_send_into_an_unknown_thread_is_404(users: Any, mail: Any) -> None:
    request = users.messages().send(
        userId="me", body=body(mail(ANN, BOB), threadId="00000000000000ff")
    )
    assert refusal(request).status_code == 404


def test_the_answer_joins_in_the_senders_mailbox_despite_rewriting(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    sent = send(users, mail(ANN, CARLA, message_id="<mine@x>"))
    travelled = headers_of(world, ANN, sent["id"])["Message-ID"]
    answer = world.deliver_from_outside(
        mail(subject="Re: Hello", in_reply_to=travelled), [ANN]
    )[0]
    assert answer.thread_id == sent["threadId"]


def test_a_draft_lives_until_it_is_sent(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    drafts = users.drafts()
    made = drafts.create(
        userId="me", body={"message": body(mail(ANN, BOB, "One"))}
    ).execute()
    assert made["message"]["labelIds"] == ["DRAFT"]
    updated = drafts.update(
        userId="me", id=made["id"], body={"message": body(mail(ANN, BOB, "Two"))}
    ).execute()
    assert updated["id"] == made["id"]
    assert updated["message"]["id"] != made["message"]["id"]
    shown = drafts.get(userId="me", id=made["id"], format="metadata").execute()
    assert shown["message"]["id"] == updated["message"]["id"]
    listed = drafts.list(userId="me").execute()
    assert listed["drafts"] == [
        {
            "id": made["id"],
            "message": {k: updated["message"][k] for k in ("id", "threadId")},
        }
    ]
    sent = drafts.send(userId="me", body={"id": made["id"]}).execute()
    assert sent["labelIds"] == ["SENT"]
    assert sent["id"] != updated["message"]["id"]
    assert sent["threadId"] == updated["message"]["threadId"]
    assert inbox(world, BOB)[0].subject == "Two"
    assert refusal(drafts.get(userId="me", id=made["id"])).status_code == 404
    again = drafts.send(userId="me", body={"id": made["id"]})
    assert refusal(again).status_code == 404
    assert len(inbox(world, BOB)) == 1


def test_a_draft_in_a_thread_is_sent_in_it(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    message = body(
        mail(ANN, CARLA, "Re: Hello", in_reply_to="<1@x>"), threadId=first.thread_id
    )
    made = users.drafts().create(userId="me", body={"message": message}).execute()
    sent = users.drafts().send(userId="me", body={"id": made["id"]}).execute()
    assert sent["threadId"] == first.thread_id


def test_a_deleted_draft_is_gone(users: Any, world: GmailWorld, mail: Any) -> None:
    message = body(mail(ANN, BOB))
    made = users.drafts().create(userId="me", body={"message": message}).execute()
    users.drafts().delete(userId="me", id=made["id"]).execute()
    assert world.account(ANN).mailbox.messages == {}


def test_the_daily_limit_refuses_and_frees_after_a_day(
    users: Any, world: GmailWorld, mail: Any, clock: Any
) -> None:
    world.account(ANN).daily_limit = 2
    for _ in range(2):
        send(users, mail(ANN, CARLA))
    request = users.messages().send(userId="me", body=body(mail(ANN, CARLA)))
    error = refusal(request)
    assert error.status_code == 429
    assert "(Mail sending)" in error.reason
    world.settings.send_limit_status = 403
    assert refusal(request).error_details[0]["reason"] == "dailyLimitExceeded"
    assert len(world.outside) == 2
    clock.pass_time(days=1)
    world.send_from_gmail(ANN, mail(ANN, CARLA))
    assert len(world.outside) == 3


def test_a_mail_over_the_size_limit_is_refused(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    world.settings.max_message_bytes = 1_000
    request = users.messages().send(
        userId="me", body=body(mail(ANN, CARLA, text="x" * 2_000))
    )
    assert refusal(request).status_code == 413
    assert world.outside == []


def test_outside_mail_keeps_its_bytes(world: GmailWorld) -> None:
    raw = b"From: x@y.test\nTo: ann@acme.test\n\nbare\nlines\r\nmixed"
    found = world.deliver_from_outside(raw, [ANN])[0]
    stored = world.account(ANN).mailbox.get(found.message_id).raw
    assert stored.endswith(raw)


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ("pass", "dmarc=pass"),
        ("fail", "dmarc=fail"),
        ("none", "spf=none"),
        (
            "mx.google.com; dkim=pass header.i=@evil.test",
            "dkim=pass header.i=@evil.test",
        ),
    ],
)
def test_the_verdict_on_outside_mail_is_chosen(
    world: GmailWorld, mail: Any, auth: Any, expected: Any
) -> None:
    found = world.deliver_from_outside(mail(), [ANN], auth)[0]
    message = world.account(ANN).mailbox.get(found.message_id)
    assert expected in message.header("Authentication-Results")


def test_the_spam_filter_of_the_world_is_asked(
    world: GmailWorld, users: Any, mail: Any
) -> None:
    world.is_spam = lambda account, raw: b"lottery" in raw
    send(users, mail(ANN, BOB, "lottery"))
    message = world.account(BOB).mailbox.newest_first()[0]
    assert message.labels == {"SPAM", "UNREAD"}


def test_dots_do_not_count_at_gmail_com(world: GmailWorld, mail: Any) -> None:
    world.add_account("jane.doe@gmail.com")
    found = world.deliver_from_outside(mail(), ["janedoe+x@googlemail.com"])
    assert found[0].account == "jane.doe@gmail.com"


def test_a_switched_off_mailbox_refuses_every_call(
    users: Any, world: GmailWorld
) -> None:
    world.account(ANN).mail_enabled = False
    error = refusal(users.getProfile(userId="me"))
    assert error.error_details[0]["reason"] == "failedPrecondition"


def test_mail_to_an_address_that_nobody_here_has_comes_back(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    world.settings.unknown_addresses_bounce = True
    nobody = "nobody@acme.test"
    sent = send(users, mail(ANN, f"{BOB}, {nobody}, {CARLA}"))
    (notice,) = inbox(world, ANN)
    found = {field.name: field.value for field in notice.fields}
    assert found["X-Failed-Recipients"] == nobody
    assert found["Return-Path"] == "<>"
    assert found["From"].endswith("<mailer-daemon@googlemail.com>")
    original = headers_of(world, ANN, sent["id"])["Message-ID"]
    assert found["In-Reply-To"] == original
    assert "dmarc=pass" in found["Authentication-Results"]
    shown = users.messages().get(userId="me", id=notice.id).execute()["payload"]
    kinds = [part["mimeType"] for part in shown["parts"]]
    assert shown["mimeType"] == "multipart/report"
    assert kinds == [
        "multipart/related",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert len(inbox(world, BOB)) == 1


def test_nothing_comes_back_unless_it_is_switched_on(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    send(users, mail(ANN, "nobody@acme.test"))
    assert inbox(world, ANN) == []
