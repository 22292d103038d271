"""The web mailbox, as a browser without scripts uses it."""

from __future__ import annotations

import re
from typing import Any

from gmail_simulator import GmailWorld

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"
HOME = "http://gmail.test"
MAIL = f"{HOME}/mail/{ANN}"
HTML = b"From: a@b.test\r\nSubject: x\r\nContent-Type: text/html\r\n\r\n%s"


def test_accounts_are_listed_and_added(browser: Any, world: GmailWorld) -> None:
    assert ANN in browser.get(HOME).text
    form = {"name": "Eve", "address": "eve@acme.test"}
    page = browser.post(f"{HOME}/accounts", data=form)
    assert page.url == f"{HOME}/mail/eve@acme.test"
    assert world.account("eve@acme.test").name == "Eve"
    assert browser.post(f"{HOME}/accounts", data=form).status_code == 400


def test_folders_show_their_mail_and_reading_marks_it_read(
    browser: Any, world: GmailWorld, mail: Any
) -> None:
    found = world.deliver_from_outside(mail(subject="Offer <1>"), [ANN])[0]
    page = browser.get(MAIL).text
    assert "Offer &lt;1&gt;" in page
    assert "Offer" not in browser.get(MAIL, params={"folder": "sent"}).text
    read = browser.get(f"{MAIL}/thread/{found.thread_id}").text
    assert "Good morning" in read
    message = world.account(ANN).mailbox.get(found.message_id)
    assert "UNREAD" not in message.labels


def test_search_works_in_a_folder(browser: Any, world: GmailWorld, mail: Any) -> None:
    world.deliver_from_outside(mail(subject="Needle"), [ANN])
    world.deliver_from_outside(mail(subject="Hay"), [ANN])
    page = browser.get(MAIL, params={"q": "subject:needle"}).text
    assert "Needle" in page
    assert "Hay" not in page


def test_html_bodies_are_shown_in_a_sandbox(browser: Any, world: GmailWorld) -> None:
    raw = HTML % b'<script>alert(1)</script>" onload="x'
    found = world.deliver_from_outside(raw, [ANN])[0]
    answer = browser.get(f"{MAIL}/thread/{found.thread_id}")
    assert 'sandbox=""' in answer.text
    assert "<script>" not in answer.text
    assert '" onload' not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_compose_sends_with_an_attachment(browser: Any, world: GmailWorld) -> None:
    form = {"from": ANN, "to": f"{BOB}, {CARLA}", "subject": "Hällo", "text": "Hi"}
    files = {"file": ("price list.csv", b"a,b", "text/csv")}
    page = browser.post(f"{MAIL}/send", data=form, files=files)
    assert page.status_code == 200
    assert "price list.csv" in page.text
    received = world.account(BOB).mailbox.newest_first()[0]
    assert received.subject == "Hällo"
    assert [m.recipient for m in world.outside] == [CARLA]
    link = re.search(r'href="([^"]*/attachment/[^"]*)"', page.text)
    assert browser.get(HOME + link[1]).content == b"a,b"


def test_reply_all_goes_to_everybody_else_in_the_same_thread(
    browser: Any, world: GmailWorld, mail: Any
) -> None:
    raw = mail(to=f"{ANN}, {BOB}", message_id="<1@x>", cc="D <d@out.test>")
    found = world.deliver_from_outside(raw, [ANN])[0]
    query = {"message": found.message_id, "mode": "reply-all"}
    page = browser.get(f"{MAIL}/compose", params=query).text
    assert 'value="carla@customer.test"' in page
    assert "bob@acme.test, &#34;D&#34; &lt;d@out.test&gt;" in page
    form = query | {"from": ANN, "to": CARLA, "subject": "Re: Hello", "text": "Yes"}
    browser.post(f"{MAIL}/send", data=form)
    thread = world.account(ANN).mailbox.thread(found.thread_id)
    assert len(thread) == 2
    assert thread[1].header("In-Reply-To") == "<1@x>"


def test_a_forward_keeps_thread_references_and_attachments(
    browser: Any, world: GmailWorld, mail: Any
) -> None:
    raw = mail(message_id="<1@x>").replace(
        b"\r\n\r\n", b"\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\n"
    )
    found = world.deliver_from_outside(raw, [ANN])[0]
    query = {"message": found.message_id, "mode": "forward"}
    page = browser.get(f"{MAIL}/compose", params=query).text
    assert 'value="Fwd: Hello"' in page
    assert "a.txt" in page
    form = query | {"from": ANN, "to": BOB, "subject": "Fwd: Hello", "text": "See"}
    browser.post(f"{MAIL}/send", data=form)
    thread = world.account(ANN).mailbox.thread(found.thread_id)
    assert thread[1].header("References") == "<1@x>"
    assert b'filename="a.txt"' in thread[1].raw


def test_a_draft_is_kept_and_sent_later(browser: Any, world: GmailWorld) -> None:
    form = {"from": ANN, "to": BOB, "subject": "Later", "text": "x", "action": "draft"}
    page = browser.post(f"{MAIL}/send", data=form)
    assert "Later" in page.text
    draft = next(iter(world.account(ANN).mailbox.drafts))
    assert "Later" in browser.get(f"{MAIL}/compose", params={"draft": draft}).text
    browser.post(f"{MAIL}/send", data=form | {"draft": draft, "action": "send"})
    assert world.account(BOB).mailbox.newest_first()[0].subject == "Later"
    assert world.account(ANN).mailbox.drafts == {}


def test_buttons_move_mail(browser: Any, world: GmailWorld, mail: Any) -> None:
    found = world.deliver_from_outside(mail(), [ANN])[0]
    message = world.account(ANN).mailbox.get(found.message_id)
    for action, labels in {
        "spam": {"SPAM"},
        "not-spam": {"INBOX"},
        "trash": {"TRASH"},
        "restore": {"INBOX"},
        "archive": set(),
    }.items():
        browser.post(f"{MAIL}/message/{message.id}/{action}")
        assert message.labels & {"SPAM", "INBOX", "TRASH"} == labels


def test_somebody_outside_writes_and_answers(browser: Any, world: GmailWorld) -> None:
    form = {"from": f"Carla <{CARLA}>", "to": ANN, "subject": "Hi", "text": "x"}
    page = browser.post(f"{HOME}/outside", data=form | {"auth": "fail"})
    assert "Delivered to 1 mailbox." in page.text
    message = world.account(ANN).mailbox.newest_first()[0]
    assert "dmarc=fail" in message.header("Authentication-Results")
    browser.post(
        f"{MAIL}/send",
        data={"from": ANN, "to": CARLA, "subject": "Re: Hi", "text": "y"},
    )
    page = browser.get(f"{HOME}/outside", params={"reply": "0"}).text
    assert f'value="{CARLA}"' in page
    assert "@mail.gmail.com" in page


def test_the_original_is_shown_as_text(browser: Any, world: GmailWorld) -> None:
    found = world.deliver_from_outside(HTML % b"<b>x</b>", [ANN])[0]
    answer = browser.get(f"{MAIL}/message/{found.message_id}/original")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "Delivered-To" in answer.text


def test_wrong_addresses_get_a_page_that_says_so(browser: Any) -> None:
    for path in ("/nothing", "/mail/nobody@x.test", f"/mail/{ANN}/thread/zz"):
        answer = browser.get(HOME + path)
        assert answer.status_code in (400, 404)
        assert "That did not work" in answer.text
    bad = {"from": ANN, "to": "", "subject": "x", "text": "x"}
    assert browser.post(f"{MAIL}/send", data=bad).status_code == 400


def test_every_control_has_a_label(browser: Any, world: GmailWorld, mail: Any) -> None:
    found = world.deliver_from_outside(mail(), [ANN])[0]
    for path in ("", "/compose", f"/thread/{found.thread_id}"):
        page = browser.get(MAIL + path).text
        fields = re.findall(r"<(?:input|select|textarea)[^>]*>", page)
        for field in fields:
            if 'type="hidden"' in field or "aria-label" in field:
                continue
            identity = re.search(r'id="([^"]+)"', field)[1]
            assert f'<label for="{identity}">' in page
