"""What was recorded, as the CRM reads it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from itsdangerous import URLSafeSerializer

from functions.http.reading_calls import content_disposition
from shared.core.mail import Address
from shared.core.records import Attachment, Bounce, Envelope, HeldBy
from shared.ports import Create
from shared.repositories import messages, paths
from tests.functions.test_openapi import check_answer
from tests.support.api import Api, Memory, a_message, token

MESSAGES = "/v1/subaccounts/a/conversations/c1/messages"
UMA = HeldBy("u1", "box1", "uma@gmail.example", "g1", "gt1")


def test_a_message_has_the_shape_of_the_contract(api: Api) -> None:
    envelope = Envelope(
        to=(Address("Uma", "uma@gmail.example"),),
        cc=(Address("BCC address", ""),),
        text="Hello there",
        html="<p>Hello</p>",
        html_original="<p onclick=x>Hello</p>",
        attachments=(Attachment("2", "a.pdf", "application/pdf", 3, stored=True),),
    )
    api.record(a_message(held_by=(UMA,), envelope=envelope, in_reply_to="<x@y>"))
    assert api.get("/v1/subaccounts/a/messages/m1") == {
        "id": "m1",
        "subaccount": "a",
        "contact": "c1",
        "user": None,
        "thread_id": "t-m1",
        "direction": "inbound",
        "kind": None,
        "route": "gmail",
        "status": "received",
        "reason": None,
        "from": {"name": "Ann", "address": "ann@example.org"},
        "to": [{"name": "Uma", "address": "uma@gmail.example"}],
        "cc": [{"name": "BCC address", "address": None}],
        "bcc": [],
        "subject": "Hello",
        "text": "Hello there",
        "html": "<p>Hello</p>",
        "snippet": "Hello there",
        "sent_at": "2026-11-02T06:13:20Z",
        "rfc822_message_id": "<m1@example.org>",
        "in_reply_to": "<x@y>",
        "mailboxes": [
            {
                "user": "u1",
                "address": "uma@gmail.example",
                "gmail_message_id": "g1",
                "gmail_thread_id": "gt1",
            }
        ],
        "attachments": [
            {
                "id": "2",
                "filename": "a.pdf",
                "content_type": "application/pdf",
                "size": 3,
                "stored": True,
                "content_id": None,
                "inline": False,
            }
        ],
        "truncated": False,
        "bounces": [],
        "automated": False,
        "authenticity": "unknown",
    }


def test_a_big_body_goes_to_the_blob_store_and_comes_back(
    api: Api, gateways: Memory
) -> None:
    envelope = Envelope(text="é" * 150_000)
    api.record(a_message(envelope=envelope))
    (stored,) = gateways.documents.get(["subaccounts/a/messages/m1"])
    assert "envelope" not in stored.data
    assert api.get("/v1/subaccounts/a/messages/m1")["text"] == envelope.text


def test_a_message_survives_its_document(api: Api) -> None:
    message = a_message(
        held_by=(UMA,),
        envelope=Envelope(
            bcc=(Address(None, "x@example.org"),),
            attachments=(Attachment("1", None, "image/png", 1, False, "cid", True),),
            truncated=True,
        ),
        reason={"code": "rejected", "detail": "no"},
        user="u1",
        kind="bulk",
        exclusive=True,
        bounces=(
            Bounce("a@example.org", "4.4.7", None, permanent=False, at=1),
            Bounce("a@example.org", "5.1.1", "no such user", permanent=True, at=2),
        ),
    )
    api.record(message)
    documents, blobs = api.gateways.documents, api.gateways.blobs
    assert messages.load(documents, blobs, "a", "m1") == message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("message/rfc822", "attachment-1.eml"),
        ("text/calendar", "attachment-1.ics"),
        ("image/png", "attachment-1"),
    ],
)
def test_m16_a_download_without_a_name_has_that_of_its_kind(
    api: Api, kind: str, name: str
) -> None:
    part = Attachment("1", None, kind, 1, stored=True)
    message = a_message(envelope=Envelope(attachments=(part,)))
    api.record(message)
    api.gateways.blobs.put(messages.attachment_key(message, "1"), b"x", kind)
    answer = api.call("GET", "/v1/subaccounts/a/messages/m1/attachments/1")
    assert f'filename="{name}"' in answer.headers["Content-Disposition"]
    shown = api.get("/v1/subaccounts/a/messages/m1")["attachments"]
    assert [item["filename"] for item in shown] == [None]


def test_a_conversation_is_newest_first_and_pages_over_ties(api: Api) -> None:
    for number in range(7):
        api.record(
            a_message(f"m{number}", sent_at=1000 + number // 3, envelope=Envelope())
        )
    seen, page_token = [], ""
    while True:
        page = api.get(f"{MESSAGES}?page_size=2{page_token}")
        seen += [item["id"] for item in page["items"]]
        if page["next_page_token"] is None:
            break
        page_token = f"&page_token={page['next_page_token']}"
    assert seen == ["m6", "m5", "m4", "m3", "m2", "m1", "m0"]


def test_a_page_of_big_messages_ends_early_and_goes_on(api: Api) -> None:
    for number in range(12):
        envelope = Envelope(text="x" * 1024 * 1024)
        api.record(a_message(f"m{number:02}", sent_at=1000 + number, envelope=envelope))
    seen, more = [], ""
    while True:
        page = api.get(f"{MESSAGES}?page_size=100{more}")
        seen += [item["id"] for item in page["items"]]
        assert len(page["items"]) <= 8
        if page["next_page_token"] is None:
            break
        more = f"&page_token={page['next_page_token']}"
    assert seen == [f"m{number:02}" for number in reversed(range(12))]


def test_a_contact_without_mail_has_an_empty_list_and_no_conversation(api: Api) -> None:
    assert api.get(MESSAGES) == {"items": [], "next_page_token": None}
    assert api.get("/v1/subaccounts/a/conversations")["items"] == []


def test_conversations_are_newest_first(api: Api) -> None:
    api.put(
        "/v1/subaccounts/a/contacts/c2", {"name": "Bob", "emails": ["b@example.org"]}
    )
    api.record(a_message("m1", c="c1", sent_at=1000))
    api.record(a_message("m2", c="c2", sent_at=3000))
    api.record(a_message("m3", c="c1", sent_at=2000))
    first = api.get("/v1/subaccounts/a/conversations?page_size=1")
    assert first["items"] == [
        {
            "contact": "c2",
            "name": "Bob",
            "last_message_at": "1970-01-01T00:00:03Z",
            "messages": 1,
        }
    ]
    more = first["next_page_token"]
    second = api.get(f"/v1/subaccounts/a/conversations?page_size=1&page_token={more}")
    assert [(item["contact"], item["messages"]) for item in second["items"]] == [
        ("c1", 2)
    ]
    assert second["next_page_token"] is None


def test_replacing_a_contact_keeps_the_conversation(api: Api) -> None:
    api.record(a_message())
    api.put(
        "/v1/subaccounts/a/contacts/c1", {"name": "Anna", "emails": ["a@example.org"]}
    )
    (conversation,) = api.get("/v1/subaccounts/a/conversations")["items"]
    assert (conversation["name"], conversation["messages"]) == ("Anna", 1)


@pytest.mark.parametrize(
    "query",
    [
        "page_size=0",
        "page_size=101",
        "page_size=-1",
        "page_size=1.5",
        "page_size=ten",
        "page_size=1_0",
        "page_size=99999999999999999999",
        "page_size=1&page_size=2",
        "page_size=",
        "size=3",
    ],
)
def test_a_bad_query_is_refused(api: Api, query: str) -> None:
    answer = api.call("GET", f"{MESSAGES}?{query}")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "position",
    [
        [10**30, "x"],
        [-(10**30), "x"],
        [2**63, "x"],
        [1, "a/b"],
        [1, "__x__"],
        [1, "x" * 1500],
        [1, "\ud800"],
        [1, "."],
        [1, "\x00"],
        [],
        {},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/subaccounts/a/conversations?",
        "/v1/quarantine?",
        "/v1/subaccounts/a/decisions?address=x@y.example&",
    ],
)
def test_a_made_up_page_token_is_refused(api: Api, path: str, position: Any) -> None:
    """Whoever knows the form of a token still has no key to sign it with."""
    text = json.dumps(position, separators=(",", ":")).encode()
    body = base64.urlsafe_b64encode(text).decode().rstrip("=")
    unsigned = body.encode("ascii")
    for forged in (
        body,
        f"{body}.",
        f"{body}.AAAA",
        f".{body}.AAAA",
        URLSafeSerializer(b"guessed", salt=b"page-token/quarantine").dumps(1),
        base64.urlsafe_b64encode(hashlib.sha256(unsigned).digest()).decode() + body,
    ):
        refused = api.call("GET", f"{path}page_token={forged[:2000]}")
        assert refused.status_code == 422
        assert refused.json["code"] == "invalid_page_token"


def test_a_changed_or_foreign_page_token_is_refused(api: Api) -> None:
    for number in range(3):
        api.record(a_message(f"m{number}", sent_at=1000 + number))
    good = api.get(f"{MESSAGES}?page_size=1")["next_page_token"]
    bad = ["x", "%00", "Ä", good[:-2], good[::-1], good + "A", "A" * 1999]
    for item in bad:
        answer = api.call("GET", f"{MESSAGES}?page_token={item}")
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_page_token")
    answer = api.call("GET", f"/v1/subaccounts/a/conversations?page_token={good}")
    assert answer.json["code"] == "invalid_page_token"


def test_unknown_things_are_not_found(api: Api) -> None:
    for path in (
        "conversations/nobody/messages",
        "messages/none",
        "messages/none/attachments/1",
        "contacts/none",
        "users/none",
    ):
        answer = api.call("GET", f"/v1/subaccounts/a/{path}")
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


# --- attachments ------------------------------------------------------------------


def with_attachment(api: Api, **fields: Any) -> Any:
    expected = {
        "id": "2",
        "filename": "rechnung ä.pdf",
        "content_type": "image/png",
        "size": 3,
        "stored": True,
        **fields,
    }
    message = a_message(envelope=Envelope(attachments=(Attachment(**expected),)))
    api.record(message)
    key = messages.attachment_key(message, "2")
    api.gateways.blobs.put(key, b"\0\1\2", "image/png")
    return api.call("GET", "/v1/subaccounts/a/messages/m1/attachments/2")


def test_an_attachment_is_a_download_that_nothing_shows(api: Api) -> None:
    answer = with_attachment(api)
    assert answer.status_code == 200
    assert answer.data == b"\0\1\2"
    assert answer.content_type == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"rechnung _.pdf\"; filename*=UTF-8''rechnung%20%C3%A4.pdf"
    )


@pytest.mark.parametrize(
    "declared",
    [
        "text/html",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/javascript",
        "application/pdf",
        "nonsense",
        "text/plain\r\nX-Evil: 1",
        "",
        "text/plain; charset=x",
    ],
)
def test_an_active_or_odd_type_is_only_bytes(api: Api, declared: Any) -> None:
    assert with_attachment(api, content_type=declared).content_type == (
        "application/octet-stream"
    )


def test_an_attachment_that_was_not_kept_says_so(api: Api) -> None:
    answer = with_attachment(api, stored=False)
    assert (answer.status_code, answer.json["code"]) == (404, "attachment_not_stored")


def test_an_attachment_whose_bytes_are_gone_is_not_found(api: Api) -> None:
    with_attachment(api)
    api.gateways.blobs.delete_prefix("subaccounts/a/")
    answer = api.call("GET", "/v1/subaccounts/a/messages/m1/attachments/2")
    assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("filename", "plain"),
    [
        (None, "fallback"),
        ("", "fallback"),
        ("..", "fallback"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a"; filename="b', "a_; filename=_b"),
        ("a\r\nX-Evil: 1", "a__X-Evil_ 1"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        (".htaccess", "htaccess"),
        ("C:\\x.txt", "C__x.txt"),
        ("\ud800.txt", "_.txt"),
        ("日本.txt", "__.txt"),
        ("x" * 300 + ".docx", "x" * 145 + ".docx"),
    ],
)
def test_file_names_are_made_safe(filename: Any, plain: Any) -> None:
    header = content_disposition(filename, "fallback")
    assert header.startswith(f"attachment; filename=\"{plain}\"; filename*=UTF-8''")
    assert header.isascii()
    assert not {"\r", "\n"} & set(header)


# --- decisions --------------------------------------------------------------------


def decisions(api: Api, query: str) -> Any:
    return api.get(f"/v1/subaccounts/a/decisions?{query}")["items"]


def ignore(
    gateways: Memory,
    gmail: Any = "g9",
    users: Any = ("u1",),
    box: Any = "box1",
    rfc822: Any = "<i@example.org>",
    **more: Any,
) -> None:
    data = {
        "mailbox_id": box,
        "mailbox": "uma@gmail.example",
        "users": list(users),
        "gmail_message_id": gmail,
        "rfc822_message_id": rfc822,
        "outcome": "ignored",
        "rule": "M7",
        "decided_at": 5000,
        "expires_at": gateways.clock.now() + timedelta(days=30),
        **more,
    }
    gateways.documents.commit([Create(paths.decision(box, gmail), data)])


@pytest.fixture
def team(api: Api) -> Any:
    """u1 is in a and b, u2 in a, u3 only in b."""
    for s, u in (("a", "u1"), ("b", "u1"), ("a", "u2"), ("b", "u3")):
        api.put(
            f"/v1/subaccounts/{s}/users/{u}", {"name": u, "email": f"{u}@example.com"}
        )
    return api


@pytest.mark.parametrize(
    "query",
    [
        "gmail_message_id=g1",
        "rfc822_message_id=m1@example.org",
        "rfc822_message_id=%3Cm1@example.org%3E",
        "address=ANN@Example.org",
    ],
)
def test_a_recorded_message_is_explained_by_any_of_its_ids(
    team: Api, query: str
) -> None:
    team.put(
        "/v1/subaccounts/b/contacts/cb", {"name": "Ann", "emails": ["ann@example.org"]}
    )
    team.record(a_message(held_by=(UMA,)))
    team.record(a_message("m1", "b", "cb", held_by=(UMA,)))
    expected = {
        "gmail_message_id": "g1",
        "rfc822_message_id": "<m1@example.org>",
        "mailbox": "uma@gmail.example",
        "outcome": "recorded",
        "rule": "M5",
        "subaccounts": [
            {"subaccount": "a", "contact": "c1", "message": "m1"},
            {"subaccount": "b", "contact": "cb", "message": "m1"},
        ],
        "decided_at": "2026-11-02T06:13:21Z",
    }
    assert decisions(team, query) == [expected]
    team.token = token(["a"])
    assert decisions(team, query) == [
        {**expected, "subaccounts": expected["subaccounts"][:1]}
    ]


def test_each_mailbox_has_its_own_decision_and_a_shared_one_counts_once(
    team: Api,
) -> None:
    held = (
        UMA,
        HeldBy("u2", "box1", "uma@gmail.example", "g1", "gt1"),
        HeldBy("u2", "box2", "ute@gmail.example", "g2", "gt2"),
    )
    team.record(a_message(held_by=held))
    found = decisions(team, "rfc822_message_id=m1@example.org")
    assert sorted(item["gmail_message_id"] for item in found) == ["g1", "g2"]
    (only,) = decisions(team, "gmail_message_id=g2")
    assert only["mailbox"] == "ute@gmail.example"


@pytest.mark.parametrize(
    "query",
    [
        "rfc822_message_id=m1@example.org",
        "gmail_message_id=g1",
        "address=ann@example.org",
    ],
)
def test_e2_a_user_is_shown_the_decisions_of_the_own_mailbox_only(
    team: Api, query: str
) -> None:
    ute = HeldBy("u2", "box2", "ute@gmail.example", "g1", "gt2")
    team.record(a_message(held_by=(UMA, ute)))
    team.record(a_message("m2", held_by=(ute,), rfc822_message_id="<m1@example.org>"))
    for sub, mailboxes in (
        ("u1", {"uma@gmail.example"}),
        ("u2", {"ute@gmail.example"}),
        ("u3", set()),
    ):
        team.token = token(["a"], sub)
        found = decisions(team, query)
        assert {decision["mailbox"] for decision in found} == mailboxes


def test_e2_a_user_finds_own_mail_behind_much_of_colleagues(team: Api) -> None:
    ute = HeldBy("u2", "box2", "ute@gmail.example", "g1", "gt2")
    for number in range(9):
        at = 1_793_600_000_000 + number
        team.record(a_message(f"m{number}", held_by=(ute,), sent_at=at))
    team.record(a_message("own", held_by=(UMA,), sent_at=1))
    team.token = token(["a"], "u1")
    path = "/v1/subaccounts/a/decisions?address=ann@example.org&page_size=1"
    seen, page_token = [], None
    for _ in range(5):
        more = f"&page_token={page_token}" if page_token else ""
        page = team.get(path + more)
        seen += page["items"]
        page_token = page["next_page_token"]
        if page_token is None:
            break
    assert [decision["mailbox"] for decision in seen] == ["uma@gmail.example"]


def test_ignored_mail_is_found_by_its_ids_by_whom_it_concerns(
    team: Api, gateways: Memory
) -> None:
    ignore(gateways)
    for query in ("gmail_message_id=g9", "rfc822_message_id=i@example.org"):
        for sub, seen in (("crm", 1), ("u1", 1), ("u2", 0)):
            team.token = token(["a"], sub)
            found = decisions(team, query)
            assert len(found) == seen
            if seen:
                assert found[0]["outcome"] == "ignored"
                assert found[0]["subaccounts"] == []


def test_ignored_mail_of_foreign_mailboxes_is_not_shown(
    team: Api, gateways: Memory
) -> None:
    ignore(gateways, users=("u3",))
    assert decisions(team, "gmail_message_id=g9") == []


def test_a_decision_past_its_time_is_not_shown(team: Api, gateways: Memory) -> None:
    ignore(gateways, expires_at=gateways.clock.now())
    assert decisions(team, "gmail_message_id=g9") == []


def test_a_record_wins_over_an_older_decision(team: Api, gateways: Memory) -> None:
    ignore(gateways, gmail="g1", rfc822="<m1@example.org>")
    team.record(a_message(held_by=(UMA,)))
    (only,) = decisions(team, "gmail_message_id=g1")
    assert only["outcome"] == "recorded"


def test_mail_without_a_mailbox_is_explained_too(team: Api) -> None:
    team.record(a_message(route="crm", rule="S2"))
    (only,) = decisions(team, "rfc822_message_id=m1@example.org")
    assert (only["gmail_message_id"], only["mailbox"]) == (None, None)


def test_decisions_come_in_pages(team: Api, gateways: Memory) -> None:
    for number in range(5):
        ignore(gateways, gmail=f"g{number}", decided_at=1000 + number)
    for number in range(5):
        held = HeldBy("u1", "box1", "uma@gmail.example", f"h{number}", "t")
        team.record(a_message(f"m{number}", held_by=(held,), sent_at=number))
    for query in ("rfc822_message_id=i@example.org", "address=ann@example.org"):
        seen, more = [], ""
        while True:
            answer = team.get(f"/v1/subaccounts/a/decisions?page_size=2&{query}{more}")
            assert len(answer["items"]) <= 2
            seen += [item["gmail_message_id"] for item in answer["items"]]
            if answer["next_page_token"] is None:
                break
            more = f"&page_token={answer['next_page_token']}"
        assert len(set(seen)) == len(seen) == 5
        assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "query",
    ["", "gmail_message_id=1&address=a@example.org", "address=no", "gmail_message_id="],
)
def test_exactly_one_question_is_asked(team: Api, query: str) -> None:
    answer = team.call("GET", f"/v1/subaccounts/a/decisions?{query}")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")


def test_real_answers_fit_the_document(team: Api, gateways: Memory) -> None:
    document = team.get("/openapi.json")
    team.record(a_message(held_by=(UMA,)))
    ignore(gateways)
    s = "/v1/subaccounts/{subaccount}"
    calls = [
        ("GET", s, {}, None),
        ("PUT", s, {}, {"name": "A"}),
        ("PUT", s, {}, {}),
        ("GET", s + "/users/{user}", {"user": "u1"}, None),
        ("GET", s + "/contacts/{contact}", {"contact": "c1"}, None),
        ("GET", s + "/contacts/{contact}", {"contact": "none"}, None),
        ("GET", s + "/conversations", {}, None),
        ("GET", s + "/conversations/{contact}/messages", {"contact": "c1"}, None),
        ("GET", s + "/messages/{message}", {"message": "m1"}, None),
        ("GET", s + "/decisions", {}, None),
        ("DELETE", s + "/contacts/{contact}", {"contact": "c1"}, None),
        ("DELETE", s + "/users/{user}", {"user": "u2"}, None),
    ]
    for method, template, ids, body in calls:
        path = template.replace("{subaccount}", "a")
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        query = "?gmail_message_id=g9" if path.endswith("decisions") else ""
        check_answer(document, method, template, team.call(method, path + query, body))
