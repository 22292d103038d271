"""One notification brings a mailbox up to date, on the simulated Gmail."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from shared.core.ids import HistoryId
from shared.errors import Permanent
from shared.services.syncing.sync import MailboxChanged
from tests.support.system import Push, System

ME = "rep@ours.example"
ADA = "ada@client.example"
BOB = "bob@client.example"
EVE = "eve@stranger.example"


@pytest.fixture
def system() -> Iterator[System]:
    """A rep with a connected mailbox and two contacts."""
    system = System()
    system.subaccount()
    system.user("u", ME)
    system.contact("ada", ADA)
    system.contact("bob", BOB)
    system.connect("u", ME)
    system.settle()
    yield system
    system.settle()


def subjects(system: System, c: str, s: str = "s") -> list[str]:
    return [message.subject for message in system.conversation(c, s)]


# --- the main job ----------------------------------------------------------------


def test_a_contact_writes_and_the_user_answers_from_gmail(system: System) -> None:
    first = system.arrives(f"Ada <{ADA}>", ME, "Question")
    system.sends(ME, ADA, "Re: Question", reply_to=first)
    system.settle()
    asked, answered = system.conversation("ada")
    assert (asked.direction, asked.status, asked.sender.name) == (
        "inbound",
        "received",
        "Ada",
    )
    assert (answered.direction, answered.status, answered.user) == (
        "outbound",
        "sent",
        "u",
    )
    assert asked.thread == answered.thread
    assert [event["type"] for event in system.events()[1:]] == ["message.recorded"] * 2


def test_t2_a_thread_within_one_batch_is_followed(system: System) -> None:
    """Answers of a stranger in copy join, although nothing was written before them."""
    first = system.arrives(ADA, f"{ME}, guest@client.example", "Plan")
    system.arrives("guest@client.example", ME, "Re: Plan", reply_to=first)
    system.sends(ME, "guest@client.example", "Re: Plan", reply_to=first)
    system.settle()
    assert subjects(system, "ada") == ["Plan", "Re: Plan", "Re: Plan"]


def test_a_guest_of_a_thread_that_is_not_read_yet_is_known_within_the_batch(
    system: System,
) -> None:
    """Participants added in a batch were lost when the thread was read after them."""
    first = system.arrives(ADA, ME, "Plan")
    system.settle()
    system.arrives(ADA, f"{ME}, guest@client.example", "Re: Plan", reply_to=first)
    system.sends(ME, "guest@client.example", "Re: Plan", reply_to=first)
    system.settle()
    assert len(subjects(system, "ada")) == 3


def test_m10_a_forward_goes_to_the_new_contacts_conversation(system: System) -> None:
    first = system.arrives(ADA, ME, "Offer")
    system.settle()
    system.sends(ME, BOB, "Fwd: Offer", reply_to=first)
    system.sends(ME, EVE, "Fwd: Offer", reply_to=first)
    system.settle()
    assert subjects(system, "ada") == ["Offer"]
    assert subjects(system, "bob") == ["Fwd: Offer"]


def test_m1_spam_is_considered_when_it_is_taken_out(system: System) -> None:
    system.arrives(ADA, ME, "Not spam", spam=True)
    system.settle()
    assert subjects(system, "ada") == []
    mailbox = system.world.account(ME).mailbox
    message = next(iter(mailbox.messages.values()))
    with system.world.transaction():
        mailbox.change_labels(message, add={"INBOX"}, remove={"SPAM"})
    system.settle()
    assert subjects(system, "ada") == ["Not spam"]


def test_m1_a_message_that_vanished_is_skipped(system: System) -> None:
    system.arrives(ADA, ME, "Gone")
    system.arrives(ADA, ME, "Here")
    mailbox = system.world.account(ME).mailbox
    with system.world.transaction():
        mailbox.delete(next(iter(mailbox.messages.values())))
    system.settle()
    assert subjects(system, "ada") == ["Here"]


def test_c2_old_mail_that_is_imported_later_is_not_recorded(system: System) -> None:
    old = system.mail(ADA, ME, "Old").as_bytes()
    before = int(system.clock.now().timestamp() * 1000) - 86_400_000
    system.world.import_message(ME, old, {"INBOX"}, internal_date=before)
    system.settle()
    assert subjects(system, "ada") == []


def test_m9_one_record_for_two_team_mailboxes(system: System) -> None:
    mate = "mate@ours.example"
    system.user("v", mate)
    system.connect("v", mate)
    system.arrives(ADA, f"{ME}, {mate}", "Both")
    system.settle()
    (message,) = system.conversation("ada")
    assert {copy.address for copy in message.held_by} == {ME, mate}
    recorded = [
        event for event in system.events() if event["type"] == "message.recorded"
    ]
    assert len(recorded) == 1


def test_c4_a_mailbox_of_two_users_is_read_once(system: System) -> None:
    system.user("v", "v@ours.example")
    system.connect("v", ME)
    assert system.units(lambda: (system.arrives(ADA, ME), system.settle())) == 42
    (message,) = system.conversation("ada")
    assert {copy.user for copy in message.held_by} == {"u", "v"}


@pytest.mark.parametrize("colleague_first", [True, False])
def test_m9_a_second_copy_adds_the_bcc_that_only_the_sender_sees(
    system: System, colleague_first: bool
) -> None:
    mate = "mate@ours.example"
    system.user("v", mate)
    system.connect("v", mate)
    system.settle()
    system.sends(ME, f"{ADA}, {mate}", "Secret", headers={"Bcc": BOB})
    if colleague_first:
        system.pushes = type(system.pushes)(
            sorted(system.pushes, key=lambda p: ME.encode() not in p.event.data)
        )
    else:
        system.pushes = type(system.pushes)(
            sorted(system.pushes, key=lambda p: ME.encode() in p.event.data)
        )
    system.settle()
    (message,) = system.conversation("ada")
    assert message.envelope is not None
    assert [recipient.address for recipient in message.envelope.bcc] == [BOB]
    assert message.authenticity == "unknown"
    assert BOB in message.addresses


def test_attachments_and_bodies_over_200_kb_are_in_the_blob_store(
    system: System,
) -> None:
    message = system.mail(ADA, ME, "Big", text="x" * 250_000)
    message.add_attachment(
        b"\x00PDF", maintype="application", subtype="pdf", filename="Übersicht.pdf"
    )
    system.world.deliver_from_outside(message.as_bytes(), [ME])
    system.settle()
    (recorded,) = system.conversation("ada")
    assert recorded.envelope is not None
    assert len(recorded.envelope.text or "") == 250_001
    (attachment,) = recorded.envelope.attachments
    assert (attachment.filename, attachment.stored) == ("Übersicht.pdf", True)
    assert recorded.blobs is not None
    assert recorded.blobs.startswith(f"subaccounts/s/messages/{recorded.id}/")
    key = f"{recorded.blobs}attachments/{attachment.id}"
    assert system.outside.blobs.get(key) == b"\x00PDF"


def test_html_is_sanitised_and_the_original_kept(system: System) -> None:
    message = system.mail(ADA, ME, "Html")
    message.add_alternative("<p onclick=x>Hi<script>1</script></p>", subtype="html")
    system.world.deliver_from_outside(message.as_bytes(), [ME])
    system.settle()
    (recorded,) = system.conversation("ada")
    assert recorded.envelope is not None
    assert recorded.envelope.html == "<p>Hi</p>\n"
    assert "<script>" in (recorded.envelope.html_original or "")


# --- hints -----------------------------------------------------------------------


def test_a_hint_older_than_the_cursor_costs_nothing(system: System) -> None:
    system.arrives(ADA, ME)
    (old,) = system.pushes
    system.settle()
    system.sends(ME, ADA)
    system.settle()
    again = Push(old.event, "another")
    assert system.units(lambda: system.deliver(again)) == 0


def test_a_hint_equal_to_the_cursor_is_still_inspected(system: System) -> None:
    cursor = system.mailbox(ME).cursor
    push = Push(_hint(ME, cursor), "equal")
    assert system.units(lambda: system.deliver(push)) == 2


@pytest.mark.parametrize("address", ["nobody@ours.example", "not an address", ""])
def test_an_unknown_mailbox_is_acknowledged_and_does_nothing(
    system: System, address: str
) -> None:
    push = Push(_hint(address, HistoryId("99999999999")), "unknown")
    assert system.units(lambda: system.deliver(push)) == 0
    assert push.attempts == 1


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"{}", b'{"emailAddress":1,"historyId":2}',
     b'{"emailAddress":"a@b","historyId":"x"}', b'{"emailAddress":"a@b"}',
     b'{"emailAddress":"a@b","historyId":-1}', b"[" * 100_000],
)  # fmt: skip
def test_a_malformed_hint_is_permanent(system: System, data: bytes) -> None:
    from shared.ports import Event
    from shared.services.syncing.sync import MailboxChanged

    with pytest.raises(Permanent):
        MailboxChanged.from_push(Event(data))


@pytest.mark.parametrize("reports", ["current", "visible"])
def test_history_that_lags_behind_the_push_is_looked_at_again(
    system: System, reports: str
) -> None:
    system.world.faults.add("history_lag", count=2, reports=reports, seconds=3600)
    system.arrives(ADA, ME)
    system.settle()
    assert len(system.conversation("ada")) == 1


def test_an_empty_answer_to_a_newer_hint_keeps_the_cursor_and_ends(
    system: System,
) -> None:
    cursor = system.mailbox(ME).cursor
    system.pushes.append(Push(_hint(ME, HistoryId(str(int(cursor) + 5))), "future"))
    system.settle()
    assert system.mailbox(ME).cursor == cursor


def test_history_ids_beyond_64_bits_are_numbers_too() -> None:
    from shared.core.syncing.history import is_older, newest

    small, big = HistoryId("9"), HistoryId("36893488147419103232")
    assert is_older(small, big)
    assert newest(big, small, None) == big


def test_a_read_mark_or_a_deletion_moves_the_cursor_and_costs_two_units(
    system: System,
) -> None:
    system.arrives(ADA, ME)
    system.settle()
    mailbox = system.world.account(ME).mailbox
    message = next(iter(mailbox.messages.values()))

    def read() -> None:
        with system.world.transaction():
            mailbox.change_labels(message, add=set(), remove={"UNREAD"})
        system.settle()

    assert system.units(read) == 2


def test_drafts_are_never_read(system: System) -> None:
    account = system.world.account(ME)
    raw = system.mail(ME, ADA, "Draft").as_bytes()

    def save() -> None:
        system.world.store_draft(account, raw)
        system.settle()

    assert system.units(save) == 2
    assert system.conversation("ada") == []


def test_a_draft_that_is_sent_is_recorded_once(system: System) -> None:
    account = system.world.account(ME)
    draft = system.world.store_draft(account, system.mail(ME, ADA, "Sent").as_bytes())
    system.settle()
    system.world.send_draft(account, draft)
    system.settle()
    assert subjects(system, "ada") == ["Sent"]


# --- bad mail blocks nothing -----------------------------------------------------


def nested(depth: int) -> bytes:
    lines = [f"From: {ADA}", f"To: {ME}", "Subject: Nested", "Message-ID: <nested@x>"]
    for level in range(depth):
        lines += [
            f'Content-Type: multipart/mixed; boundary="b{level}"',
            "",
            f"--b{level}",
        ]
    return "\r\n".join([*lines, "Content-Type: text/plain", "", "deep"]).encode()


BAD = {
    "1000 nested parts": nested(1000),
    "two From headers": f"From: {ADA}\r\nFrom: {EVE}\r\nTo: {ME}\r\n\r\nx".encode(),
    "broken charset": (
        f"From: {ADA}\r\nTo: {ME}\r\nSubject: =?x-nothing?Q?=FF=FE?=\r\n"
        "Content-Type: text/plain; charset=x-nothing\r\n\r\n"
    ).encode()
    + b"\xff\xfe\x00\x80",
    "no Message-ID": f"From: {ADA}\r\nTo: {ME}\r\nSubject: Bare\r\n\r\nx".encode(),
    "10000 recipients": (
        f"From: {ADA}\r\nSubject: Many\r\nMessage-ID: <many@x>\r\nTo: "
        + ",\r\n ".join(f"Person {n} <p{n}@many.example>" for n in range(10_000))
        + "\r\n\r\nx"
    ).encode(),
    "no header at all": b"\r\n\r\n",
    "only bytes": bytes(range(256)) * 10,
}


@pytest.mark.parametrize("name", BAD)
def test_e3_a_malformed_mail_blocks_nothing_behind_it(
    system: System, name: str
) -> None:
    system.world.deliver_from_outside(BAD[name], [ME], sender=ADA)
    system.arrives(ADA, ME, "Behind")
    system.settle()
    assert "Behind" in subjects(system, "ada")
    expected = {"two From headers", "no header at all", "only bytes"}
    assert len(subjects(system, "ada")) == (1 if name in expected else 2)


def test_a_mail_to_10000_people_is_found_under_the_contact_at_the_end(
    system: System,
) -> None:
    to = ",".join(f"p{n}@many.example" for n in range(9_999))
    message = EmailMessage()
    message["From"], message["Subject"] = ME, "Many"
    message["To"] = ME
    raw = message.as_bytes().replace(
        f"To: {ME}".encode(), f"To: {to},\r\n {ADA}".encode(), 1
    )
    system.world.send_from_gmail(ME, raw)
    system.settle()
    assert subjects(system, "ada") == ["Many"]


def test_e3_a_message_that_always_trips_is_set_aside_and_the_rest_goes_on(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.services.syncing import batch as contents

    real = contents.safe_html

    def trips(html: str) -> str:
        if "poison" in html:
            raise ValueError("a bug")
        return real(html)

    monkeypatch.setattr(contents, "safe_html", trips)
    for name in ("before", "poison", "after"):
        message = system.mail(ADA, ME, name)
        message.add_alternative(f"<p>{name}</p>", subtype="html")
        system.world.deliver_from_outside(message.as_bytes(), [ME])
    system.settle()
    assert subjects(system, "ada") == ["before", "after"]
    (item,) = system.outside.documents.query(_all("quarantine"))
    assert item.data["code"] == "internal_error"
    assert "poison" not in str(item.data)


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ("status", {"status": 429}),
        ("status", {"status": 429, "retry_after": 30}),
        ("status", {"status": 403, "reason": "rateLimitExceeded"}),
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("drop_before", {}),
        ("drop_after", {}),
    ],
)
@pytest.mark.parametrize(
    "method", ["gmail.users.messages.get", "gmail.users.history.list", "*"]
)
def test_bursts_of_rate_limits_and_outages_lose_nothing_and_quarantine_nothing(
    system: System, action: str, fault: dict[str, object], method: str
) -> None:
    system.world.faults.add(action, method=method, count=7, **fault)  # type: ignore[arg-type]
    for n in range(5):
        system.arrives(ADA, ME, f"mail {n}")
    system.settle()
    assert subjects(system, "ada") == [f"mail {n}" for n in range(5)]
    assert system.outside.documents.query(_all("quarantine")) == []


def test_w4_progress_is_kept_when_every_batch_meets_a_fault(system: System) -> None:
    """A fault in the middle moves the cursor up to it, so the work always ends."""
    for n in range(60):
        system.arrives(ADA, ME, f"mail {n}")
    system.world.faults.add(
        "status", method="gmail.users.messages.get", probability=0.2, status=503
    )
    system.settle(limit=2000)
    assert subjects(system, "ada") == [f"mail {n}" for n in range(60)]


def test_w3_an_expired_history_is_read_anew_once_each(system: System) -> None:
    system.arrives(ADA, ME, "first")
    system.settle()
    system.pushes.clear()
    for n in range(3):
        system.arrives(ADA, ME, f"missed {n}")
    system.world.expire_history(ME)
    system.arrives(ADA, ME, "last")
    system.settle()
    assert subjects(system, "ada") == [
        "first",
        "missed 0",
        "missed 1",
        "missed 2",
        "last",
    ]


def test_m12_a_never_log_entry_counts_from_the_next_batch(system: System) -> None:
    """A run can last 100 seconds: settings that change meanwhile are seen."""
    batches: list[object] = []
    for n in range(60):
        system.arrives(ADA, ME, f"mail {n}")
    record = system.services.sync._recorder.record

    def then_listed(*args: object, **more: object) -> object:
        outcome = record(*args, **more)
        if not batches:
            system.subaccount(never_log=(ADA,))
        batches.append(outcome)
        return outcome

    system.services.sync._recorder.record = then_listed
    system.settle()
    assert len(system.conversation("ada")) == 25


# --- leases ----------------------------------------------------------------------


def test_a_second_delivery_leaves_its_work_to_the_holder(system: System) -> None:
    """The holder runs again, because the mailbox got dirty meanwhile."""
    arrived: list[str] = []
    real = system.outside.blobs.put

    def put(*args: object) -> None:
        real(*args)
        if not arrived:
            arrived.append(system.arrives(BOB, ME, "meanwhile"))
            assert system.deliver(system.pushes.pop())

    system.outside.blobs.put = put
    message = system.mail(ADA, ME, "with attachment")
    message.add_attachment(b"x", maintype="a", subtype="b", filename="f")
    system.world.deliver_from_outside(message.as_bytes(), [ME])
    system.settle()
    assert subjects(system, "bob") == ["meanwhile"]


def test_c7_a_dead_token_asks_for_reauth_once_and_is_not_tried_in_vain(
    system: System,
) -> None:
    system.world.change_password(ME)
    system.clock.advance(hours=2)
    for n in range(3):
        system.arrives(ADA, ME, f"mail {n}")
    calls = system.world.calls.count("oauth.token")
    system.settle()
    assert system.services.connections.view("u")["status"] == "reauth_required"
    told = [e for e in system.events() if e["type"] == "connection.reauth_required"]
    assert len(told) == 1
    assert system.world.calls.count("oauth.token") - calls <= 2


def _hint(address: str, history_id: HistoryId):
    import json

    from shared.ports import Event

    payload = {"emailAddress": address, "historyId": history_id}
    return Event(json.dumps(payload).encode())


def _all(collection: str):
    from shared.ports import Query

    return Query(collection)


def test_an_ignored_notification_says_for_which_mailbox(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live check finds the line by it."""
    system.services.sync.notified(
        MailboxChanged("nobody@ours.example", HistoryId("7")), "d"
    )
    (line,) = [
        x
        for x in capsys.readouterr().out.splitlines()
        if 'ignored"' in x and "notification" in x
    ]
    assert f'"mailbox": "{system.mailbox_id("nobody@ours.example")}"' in line
