"""users.messages, users.threads, labels and the payload, through the real client."""

from __future__ import annotations

import base64
import os
import random
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from gmail_simulator import GmailWorld, create_app
from gmail_simulator import parts as mime
from gmail_simulator.schema import SchemaMismatch, validate_resource

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"
SETTINGS_SCOPES = [
    "https://www.googleapis.com/auth/gmail.settings.basic",
    "https://www.googleapis.com/auth/gmail.settings.sharing",
]
NESTED = b"""From: carla@customer.test\r
To: ann@acme.test\r
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r
Message-ID: <nested@customer.test>\r
X-Twice: one\r
X-Twice: two\r
Content-Type: multipart/mixed; boundary=outer\r
\r
--outer\r
Content-Type: multipart/alternative; boundary=inner\r
\r
--inner\r
Content-Type: text/plain; charset=iso-8859-1\r
\r
Gr\xfc\xdfe <b>\r
--inner\r
Content-Type: text/html; charset=utf-8\r
Content-Transfer-Encoding: quoted-printable\r
\r
<p>Gr=C3=BC=C3=9Fe</p>\r
--inner--\r
--outer\r
Content-Type: application/pdf; name="offer.pdf"\r
Content-Disposition: attachment; filename*=utf-8''angebot%20%C3%A4.pdf\r
Content-Transfer-Encoding: base64\r
\r
JVBERi0xLjQ=\r
--outer\r
Content-Type: message/rfc822\r
\r
From: x@y.test\r
Subject: attached\r
\r
inside\r
--outer--\r
"""


def decoded(body: Any) -> Any:
    return base64.urlsafe_b64decode(body["data"])


def put(world: GmailWorld, raw: Any, **kwargs: Any) -> Any:
    return world.deliver_from_outside(raw, [ANN], **kwargs)[0].message_id


def refusal(request: Any) -> Any:
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value


def test_full_message_shows_the_part_tree_as_gmail_parses_it(
    users: Any, world: GmailWorld
) -> None:
    shown = users.messages().get(userId="me", id=put(world, NESTED)).execute()
    root = shown["payload"]
    alternative, pdf, attached = root["parts"]
    assert root["partId"] == ""
    assert root["body"] == {"size": 0}
    assert [p["partId"] for p in root["parts"]] == ["0", "1", "2"]
    plain, html = alternative["parts"]
    assert plain["partId"] == "0.0"
    assert decoded(plain["body"]).decode() == "Grüße <b>"
    assert decoded(html["body"]).decode() == "<p>Grüße</p>"
    assert pdf["filename"] == "angebot ä.pdf"
    assert set(pdf["body"]) == {"attachmentId", "size"}
    assert attached["mimeType"] == "message/rfc822"
    assert attached["body"]["attachmentId"]
    assert decoded(attached["parts"][0]["body"]) == b"inside"
    assert shown["snippet"] == "Grüße &lt;b&gt;"
    assert shown["labelIds"] == ["CATEGORY_PERSONAL", "INBOX", "UNREAD"]


def test_repeated_headers_are_all_listed_and_decoded(
    users: Any, world: GmailWorld
) -> None:
    shown = users.messages().get(userId="me", id=put(world, NESTED)).execute()
    headers = [(h["name"], h["value"]) for h in shown["payload"]["headers"]]
    assert ("X-Twice", "one") in headers
    assert ("X-Twice", "two") in headers
    assert ("Subject", "Grüße") in headers


def test_headers_can_be_left_encoded_and_texts_in_their_charset(
    users: Any, world: GmailWorld
) -> None:
    world.settings.headers_decoded = False
    world.settings.text_as_utf8 = False
    shown = users.messages().get(userId="me", id=put(world, NESTED)).execute()
    headers = {h["name"]: h["value"] for h in shown["payload"]["headers"]}
    assert headers["Subject"] == "=?utf-8?q?Gr=C3=BC=C3=9Fe?="
    assert (
        decoded(shown["payload"]["parts"][0]["parts"][0]["body"]) == b"Gr\xfc\xdfe <b>"
    )


def test_attachment_ids_change_between_calls_and_all_work(
    users: Any, world: GmailWorld
) -> None:
    message = put(world, NESTED)

    def attachment_id() -> Any:
        shown = users.messages().get(userId="me", id=message).execute()
        return shown["payload"]["parts"][1]["body"]["attachmentId"]

    first, second = attachment_id(), attachment_id()
    assert first != second
    for given in (first, second):
        found = (
            users.messages()
            .attachments()
            .get(userId="me", messageId=message, id=given)
            .execute()
        )
        assert decoded(found) == b"%PDF-1.4"


def test_metadata_shows_only_the_headers_asked_for(
    users: Any, world: GmailWorld
) -> None:
    shown = (
        users.messages()
        .get(
            userId="me",
            id=put(world, NESTED),
            format="metadata",
            metadataHeaders=["subject", "From"],
        )
        .execute()
    )
    assert [h["name"] for h in shown["payload"]["headers"]] == ["From", "Subject"]
    assert "parts" not in shown["payload"]
    assert "body" not in shown["payload"]


def test_raw_keeps_the_bytes_below_the_servers_headers(
    users: Any, world: GmailWorld
) -> None:
    shown = (
        users.messages().get(userId="me", id=put(world, NESTED), format="raw").execute()
    )
    raw = base64.urlsafe_b64decode(shown["raw"])
    assert raw.endswith(NESTED)
    assert raw.startswith(b"Delivered-To: ann@acme.test\r\n")


def test_minimal_has_no_payload(users: Any, world: GmailWorld) -> None:
    shown = (
        users.messages()
        .get(userId="me", id=put(world, NESTED), format="minimal")
        .execute()
    )
    assert "payload" not in shown
    assert shown["internalDate"] == "1795424400000"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("in:inbox", {"inbox", "old"}),
        ("is:unread", {"inbox", "old"}),
        ("label:sent", {"sent"}),
        ("in:spam", {"spam"}),
        ("in:anywhere", {"inbox", "old", "sent", "spam"}),
        ("-in:sent", {"inbox", "old"}),
        ("from:carla", {"inbox"}),
        ("to:nobody", {"sent"}),
        ("subject:(old)", {"old"}),
        ("has:attachment", {"inbox"}),
        ("rfc822msgid:<old@x.test>", {"old"}),
        ("rfc822msgid:old@x.test", {"old"}),
        ("after:1795420800", {"inbox", "sent"}),
        ("before:1795420800", {"old"}),
        ("after:2026/11/23", {"inbox", "sent"}),
        ("before:2026/11/23", {"old"}),
        ("newer_than:1d", {"inbox", "sent"}),
        ("older_than:1d", {"old"}),
        ("from:carla OR subject:old", {"inbox", "old"}),
        ("in:inbox after:1795420800 -from:bob", {"inbox"}),
        ("Grüße", {"inbox"}),
        ("nothing-like-that", set()),
    ],
)
def test_search_finds(
    users: Any, world: GmailWorld, clock: Any, mail: Any, query: Any, expected: Any
) -> None:
    clock.pass_time(days=-3)
    named = {put(world, mail("x@x.test", ANN, "old", message_id="<old@x.test>")): "old"}
    clock.pass_time(days=3)
    named[put(world, NESTED)] = "inbox"
    named[put(world, mail("y@y.test", ANN, "win"), spam=True)] = "spam"
    named[world.send_from_gmail(ANN, mail(ANN, "nobody@out.test", "sent")).id] = "sent"
    answer = users.messages().list(userId="me", q=query).execute()
    found = {named[m["id"]] for m in answer.get("messages", [])}
    assert found == expected
    assert answer["resultSizeEstimate"] == len(expected)


def test_list_pages_through_everything_once_while_mail_arrives(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    sent = {put(world, mail(subject=f"n{i}")) for i in range(12)}
    request, seen = users.messages().list(userId="me", maxResults=5), []
    while request is not None:
        answer = request.execute()
        seen += [m["id"] for m in answer["messages"]]
        put(world, mail(subject="late"))
        request = users.messages().list_next(request, answer)
    assert len(seen) == len(set(seen)) == 12
    assert set(seen) == sent


def test_list_by_labels_leaves_out_spam_unless_asked(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    put(world, mail(), spam=True)
    listing = users.messages().list
    assert "messages" not in listing(userId="me").execute()
    assert listing(userId="me", labelIds=["SPAM"]).execute()["messages"]
    assert listing(userId="me", includeSpamTrash=True).execute()["messages"]


def test_modify_trash_untrash_and_delete(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    message = put(world, mail())
    body = {"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]}
    changed = users.messages().modify(userId="me", id=message, body=body).execute()
    assert changed["labelIds"] == ["CATEGORY_PERSONAL", "INBOX", "STARRED"]
    trashed = users.messages().trash(userId="me", id=message).execute()
    assert "TRASH" in trashed["labelIds"]
    assert "INBOX" not in trashed["labelIds"]
    restored = users.messages().untrash(userId="me", id=message).execute()
    assert "TRASH" not in restored["labelIds"]
    users.messages().delete(userId="me", id=message).execute()
    assert refusal(users.messages().get(userId="me", id=message)).status_code == 404


def test_batch_modify_and_delete_skip_what_is_gone(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    ids = [put(world, mail(subject=f"{i}")) for i in range(3)]
    body = {"ids": [*ids, "00000000000000ff"], "addLabelIds": ["STARRED"]}
    users.messages().batchModify(userId="me", body=body).execute()
    starred = users.messages().list(userId="me", q="is:starred").execute()
    assert len(starred["messages"]) == 3
    users.messages().batchDelete(userId="me", body={"ids": ids}).execute()
    assert "messages" not in users.messages().list(userId="me").execute()


def test_insert_keeps_arrival_time_and_import_the_date_header(
    users: Any, world: GmailWorld
) -> None:
    raw = base64.urlsafe_b64encode(
        b"From: x@y.test\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n\r\nold"
    ).decode()
    body = {"raw": raw, "labelIds": ["INBOX"]}
    inserted = users.messages().insert(userId="me", body=body).execute()
    imported = users.messages().import_(userId="me", body=body).execute()
    dated = (
        users.messages()
        .insert(userId="me", body=body, internalDateSource="dateHeader")
        .execute()
    )

    def date(message: Any) -> Any:
        return (
            users.messages()
            .get(userId="me", id=message["id"])
            .execute()["internalDate"]
        )

    assert date(inserted) == "1795424400000"
    assert date(imported) == date(dated) == "1136214245000"
    assert imported["labelIds"] == ["INBOX"]


def test_threads_list_get_modify_and_trash(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    put(world, mail(message_id="<1@x>"))
    put(world, mail(subject="Re: Hello", message_id="<2@x>", references="<1@x>"))
    listed = users.threads().list(userId="me").execute()
    assert len(listed["threads"]) == 1
    thread = listed["threads"][0]["id"]
    found = users.threads().get(userId="me", id=thread, format="metadata").execute()
    assert len(found["messages"]) == 2
    body = {"removeLabelIds": ["UNREAD"]}
    users.threads().modify(userId="me", id=thread, body=body).execute()
    assert "messages" not in users.messages().list(userId="me", q="is:unread").execute()
    users.threads().trash(userId="me", id=thread).execute()
    assert "threads" not in users.threads().list(userId="me").execute()
    users.threads().untrash(userId="me", id=thread).execute()
    assert users.threads().list(userId="me").execute()["threads"]


def test_labels_of_ones_own(users: Any, world: GmailWorld, mail: Any) -> None:
    made = users.labels().create(userId="me", body={"name": "Deals"}).execute()
    names = [
        label["name"] for label in users.labels().list(userId="me").execute()["labels"]
    ]
    assert {"INBOX", "SENT", "Deals"} <= set(names)
    message = put(world, mail())
    body = {"addLabelIds": [made["id"]]}
    users.messages().modify(userId="me", id=message, body=body).execute()
    shown = users.labels().get(userId="me", id=made["id"]).execute()
    assert (shown["messagesTotal"], shown["messagesUnread"]) == (1, 1)
    found = users.messages().list(userId="me", q="label:deals").execute()
    assert found["messages"][0]["id"] == message
    users.labels().patch(userId="me", id=made["id"], body={"name": "Won"}).execute()
    users.labels().delete(userId="me", id=made["id"]).execute()
    kept = users.messages().get(userId="me", id=message).execute()
    assert made["id"] not in kept["labelIds"]


def test_send_as_lists_aliases_with_their_verification(service: Any) -> None:
    users = service(scopes=SETTINGS_SCOPES).users()
    body = {"sendAsEmail": "me@elsewhere.test", "displayName": "Me"}
    created = users.settings().sendAs().create(userId="me", body=body).execute()
    assert created["verificationStatus"] == "pending"
    listed = users.settings().sendAs().list(userId="me").execute()["sendAs"]
    status = {a["sendAsEmail"]: a.get("verificationStatus") for a in listed}
    assert status == {
        ANN: None,
        "sales@acme.test": "accepted",
        "me@elsewhere.test": "pending",
    }
    patched = (
        users.settings()
        .sendAs()
        .patch(userId="me", sendAsEmail=ANN, body={"displayName": "Ann A."})
        .execute()
    )
    assert patched["displayName"] == "Ann A."
    assert patched["isPrimary"] is True


@pytest.mark.parametrize(
    ("message_id", "status", "message"),
    [
        ("not-an-id!", 400, "Invalid id value"),
        ("00000000000000ff", 404, "Requested entity was not found."),
    ],
)
def test_wrong_ids_are_refused_in_gmails_words(
    users: Any, message_id: Any, status: Any, message: Any
) -> None:
    error = refusal(users.messages().get(userId="me", id=message_id))
    assert error.status_code == status
    assert error.reason == message


def test_another_persons_mailbox_is_refused(users: Any) -> None:
    assert refusal(users.getProfile(userId=BOB)).status_code == 403
    assert users.getProfile(userId=ANN).execute()["emailAddress"] == ANN


def test_a_token_without_the_scope_is_refused(service: Any) -> None:
    scope = ["https://www.googleapis.com/auth/gmail.readonly"]
    error = refusal(
        service(scopes=scope).users().messages().trash(userId="me", id="1f")
    )
    assert error.status_code == 403
    assert error.error_details[0]["reason"] == "insufficientPermissions"


def test_metadata_scope_reads_headers_and_nothing_else(
    service: Any, world: GmailWorld, mail: Any
) -> None:
    scope = ["https://www.googleapis.com/auth/gmail.metadata"]
    messages = service(scopes=scope).users().messages()
    message = put(world, mail())
    assert messages.get(userId="me", id=message, format="metadata").execute()
    assert refusal(messages.get(userId="me", id=message)).status_code == 403
    assert refusal(messages.list(userId="me", q="in:inbox")).status_code == 403


def test_no_token_or_an_expired_one_is_refused(
    users: Any, browser: Any, clock: Any
) -> None:
    answer = browser.get("http://gmail.test/gmail/v1/users/me/profile")
    assert answer.status_code == 401
    assert "invalid_token" in answer.headers["WWW-Authenticate"]
    assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    clock.pass_time(hours=2)
    with pytest.raises(Exception, match="credentials"):
        users.getProfile(userId="me").execute()


def test_fields_mask_answers_only_what_is_asked(users: Any, world: GmailWorld) -> None:
    message = put(world, NESTED)
    mask = "id,payload(mimeType,parts/parts(partId,body/size))"
    shown = users.messages().get(userId="me", id=message, fields=mask).execute()
    assert set(shown) == {"id", "payload"}
    assert set(shown["payload"]) == {"mimeType", "parts"}
    assert shown["payload"]["parts"][0]["parts"][0] == {
        "partId": "0.0",
        "body": {"size": 11},
    }
    bad = users.messages().get(userId="me", id=message, fields="id(")
    assert refusal(bad).status_code == 400


def test_unknown_parameters_and_fields_are_refused(
    users: Any, browser: Any, world: GmailWorld
) -> None:
    token = world.grant(ANN).access_token
    headers = {"Authorization": f"Bearer {token}"}
    base = "http://gmail.test/gmail/v1/users/me"
    answer = browser.get(f"{base}/messages?colour=red", headers=headers)
    assert answer.status_code == 400
    answer = browser.post(f"{base}/watch", json={"topic": "x"}, headers=headers)
    assert 'Unknown name "topic"' in answer.json()["error"]["message"]


def test_an_answer_that_does_not_fit_the_api_raises() -> None:
    validate_resource("Message", {"id": "1", "payload": {"parts": [{"partId": "0"}]}})
    with pytest.raises(SchemaMismatch):
        validate_resource("Message", {"id": "1", "colour": "red"})
    with pytest.raises(SchemaMismatch):
        validate_resource("Message", {"payload": {"parts": [{"parts": [{"x": 1}]}]}})
    with pytest.raises(SchemaMismatch):
        validate_resource("Profile", {"historyId": 12})


def nested(depth: Any) -> Any:
    text = b"Content-Type: text/plain\r\n\r\nbottom"
    for level in range(depth):
        edge = b"b%d" % level
        text = (
            b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n%s\r\n--%s--\r\n"
            % (edge, edge, text, edge)
        )
    return b"From: x@y.test\r\n" + text


BROKEN = {
    "nothing at all": b"",
    "only a newline": b"\r\n",
    "no headers": b"\r\njust text",
    "a thousand nested parts": nested(1_000),
    "an unknown charset": b"Content-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe",
    "a charset with a null": b'Content-Type: text/plain; charset="u\x00tf"\r\n\r\nx',
    "two From headers": b"From: a@b.test\r\nFrom: c@d.test\r\n\r\nx",
    "broken base64": b"Content-Transfer-Encoding: base64\r\n\r\n!!!A",
    "broken encoded words": b"Subject: =?utf-8?b?////?= =?x?q?=ZZ?= =?\r\n\r\nx",
    "a boundary that never comes": b"Content-Type: multipart/mixed; boundary=x\r\n\r\ny",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\ny",
    "a boundary of patterns": b'Content-Type: multipart/mixed; boundary="(+["\r\n\r\ny',
    "a header without a colon": b"Subject\r\nFrom: a@b.test\r\n\r\nx",
    "bytes in headers": b"Subject: \xff\xfe\x00\x01\r\n\r\nx",
    "a broken content type": b'Content-Type: ;;;/="\r\n\r\nx',
    "a broken filename": b"Content-Disposition: attachment; filename*=x'y'%ZZ\r\n\r\nx",
    "ten thousand recipients": b"To: "
    + b",\r\n ".join(b"r%d@x.test" % i for i in range(10_000))
    + b"\r\n\r\nx",
    "bad references": b"References: <<>><a <b>\r\nIn-Reply-To: \r\n\r\nx",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_malformed_mail_is_answered_in_every_format(
    users: Any, world: GmailWorld, raw: Any
) -> None:
    message = put(world, raw)
    for form in ("full", "metadata", "minimal", "raw"):
        shown = users.messages().get(userId="me", id=message, format=form).execute()
        assert shown["id"] == message
    assert users.messages().list(userId="me", q="has:attachment foo").execute()


def test_random_bytes_never_break_the_parser() -> None:
    rng = random.Random(3)
    words = [
        b"\r\n", b"\n", b"--x", b"--", b"Content-Type: ", b"multipart/mixed; boundary=x",
        b"message/rfc822", b"\r\n\r\n", b"=?", b"?=", b"\xff", b"From: a@b", b":", b" ",
        b"Content-Transfer-Encoding: base64",
    ]  # fmt: skip
    for _ in range(500):
        raw = b"".join(rng.choices(words, k=rng.randrange(40)))
        root = mime.parse(raw)
        mime.snippet(root)
        shown = mime.to_json(
            root, decode_headers=True, text_as_utf8=True, attachment_id=str
        )
        validate_resource("MessagePart", {**shown, "parts": []})


def test_a_received_mail_without_message_id_gets_one(
    users: Any, world: GmailWorld
) -> None:
    message = put(world, b"From: x@y.test\r\n\r\nx")
    shown = users.messages().get(userId="me", id=message).execute()
    headers = {h["name"]: h["value"] for h in shown["payload"]["headers"]}
    assert headers["Message-ID"].startswith("<CA")
    assert headers["Message-ID"].endswith("@mail.gmail.com>")


def test_same_seed_and_calls_make_the_same_world(
    world: GmailWorld, clock: Any, mail: Any
) -> None:
    def history() -> Any:
        twin = GmailWorld(clock, 3)
        twin.add_account(ANN)
        put(twin, mail())
        return [vars_of(r) for r in twin.account(ANN).mailbox.history]

    def vars_of(record: Any) -> Any:
        return (record.id, record.message_id, record.labels)

    assert history() == history()


def test_methods_that_are_not_simulated_say_so(users: Any) -> None:
    assert refusal(users.settings().getImap(userId="me")).status_code == 501


def test_validation_is_a_choice(world: GmailWorld) -> None:
    assert create_app(world) is not create_app(world, validate=True)


# a folder of real and broken mails, where there is one
CORPUS = (
    Path(os.environ.get("MAIL_CORPUS", Path(__file__).parents[1] / "data")) / "mail"
)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.eml")), ids=lambda p: p.stem)
def test_a_mail_of_the_corpus_is_answered(
    users: Any, world: GmailWorld, path: Any
) -> None:
    raw = path.read_bytes()
    message = put(world, raw)
    users.messages().get(userId="me", id=message).execute()
    shown = users.messages().get(userId="me", id=message, format="raw").execute()
    assert base64.urlsafe_b64decode(shown["raw"]).endswith(raw)
