"""POST …/messages as the CRM calls it, through the real framework (S5-S7, S10)."""

from __future__ import annotations

import json
from email import message_from_bytes
from email.utils import parseaddr

import pytest
from urllib3.filepost import encode_multipart_formdata

from shared import bootstrap
from shared.core.ids import UserId
from shared.services.sending.send_records import MAX_ATTACHMENTS_BYTES
from tests.support import api as support
from tests.support.sending import BOB, CARLA, MIA, SendingSystem
from tests.support.system import EPOCH

PATH = "/v1/subaccounts/s/messages"


class Crm(support.Api):
    def __init__(self, system, wsgi):
        system.outside.secrets.write("api-signing-key", support.KEY)
        super().__init__(system.outside, wsgi)
        self.system, self.services = system, system.services
        self.token = support.token(["s"], now=EPOCH)
        self.keys = 0

    def send(self, body=None, *, key=..., **changes):
        self.keys += 1
        key = f"k{self.keys}" if key is ... else key
        headers = {} if key is None else {"Idempotency-Key": key}
        if body is None:
            body = {**MAIL, **changes}
            body = {name: value for name, value in body.items() if value is not ...}
        return self.call("POST", PATH, body, headers=headers)

    def send_form(self, message, *files, key="form"):
        fields = [("message", (None, json.dumps(message).encode(), "application/json"))]
        fields += [("attachment", (name, raw, kind)) for name, kind, raw in files]
        body, content_type = encode_multipart_formdata(fields)
        headers = {"Idempotency-Key": key}
        return self.call(
            "POST", PATH, data=body, headers=headers, content_type=content_type
        )


MAIL = {
    "kind": "individual",
    "user": "u",
    "to": [{"contact": "c"}],
    "subject": "Offer",
    "text": "Hello",
}


@pytest.fixture
def crm(wsgi, monkeypatch):
    crm = Crm(SendingSystem(), wsgi)
    monkeypatch.setattr(bootstrap, "services", lambda: crm.services)
    return crm


def nothing_happened(crm):
    return (
        not crm.system.outgoing
        and crm.system.outside.blobs.keys() == []
        and crm.system.conversation("c") == []
        and crm.system.left_today() == 500
    )


def test_one_mail_is_accepted_and_can_be_read(crm):
    answer = crm.send()
    assert answer.status_code == 202
    assert set(answer.json) == {"id", "status"}
    assert answer.json["status"] == "queued"
    shown = crm.get(f"{PATH}/{answer.json['id']}")
    assert (shown["status"], shown["kind"], shown["route"]) == (
        "queued",
        "individual",
        "crm",
    )
    crm.system.settle()
    shown = crm.get(f"{PATH}/{answer.json['id']}")
    assert shown["status"] == "sent"
    assert shown["mailboxes"][0]["gmail_thread_id"]
    assert shown["rfc822_message_id"].endswith("@mail.gmail.com>")


def test_s7_the_key_is_needed_and_answers_the_same(crm):
    for key in (None, "", "x" * 256, "é", "a\tb"):
        answer = crm.send(key=key) if key is None or key.isascii() else None
        if answer is not None:
            assert (answer.status_code, answer.json["code"]) == (
                400,
                "idempotency_key_required",
            )
    assert nothing_happened(crm)
    first = crm.send(key="k")
    assert crm.send(key="k").json == first.json
    other = crm.send(key="k", subject="Other")
    assert (other.status_code, other.json["code"]) == (422, "idempotency_key_reused")


BAD = [
    ({"to": []}, None),
    ({"to": ...}, None),
    ({"to": [{}]}, "/to/0"),
    ({"to": [{"contact": "c", "address": CARLA}]}, "/to/0"),
    ({"to": [{"address": "no address"}]}, "/to/0/address"),
    ({"to": [{"address": "a@b.test, c@d.test"}]}, "/to/0/address"),
    ({"to": [{"address": "a@b.test\r\nBcc: x@y.test"}]}, "/to/0/address"),
    ({"to": [{"contact": "c", "name": "x\r\nBcc: y@z.test"}]}, "/to/0/name"),
    ({"to": [{"contact": "../c"}]}, "/to/0/contact"),
    ({"to": [{"contact": "c"}] * 101}, "/to"),
    ({"cc": [{"address": "x"}]}, "/cc/0/address"),
    ({"subject": "a\nb"}, "/subject"),
    ({"subject": "a\u2028b"}, "/subject"),
    ({"subject": "x" * 999}, "/subject"),
    ({"subject": 5}, "/subject"),
    ({"text": "x" * 1_000_001}, "/text"),
    ({"kind": "spam"}, "/kind"),
    ({"kind": ...}, "/kind"),
    ({"user": "nobody"}, "/user"),
    ({"reply_to_message": "nothing"}, "/reply_to_message"),
    ({"from": "x"}, "/from"),
    ({"contacts": ["c"]}, None),
    ({"unknown": 1}, "/unknown"),
    ({"kind": "bulk"}, None),
    ({"kind": "bulk", "to": ..., "contacts": []}, None),
    ({"kind": "bulk", "to": ..., "contacts": ["c", "c"]}, "/contacts/1"),
]


@pytest.mark.parametrize(("changes", "pointer"), BAD)
def test_s10_nonsense_is_refused_with_its_place(crm, changes, pointer):
    answer = crm.send(**changes)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert answer.content_type == "application/problem+json"
    if pointer is not None:
        assert pointer in [error["pointer"] for error in answer.json["errors"]]
    assert nothing_happened(crm)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": [{"contact": "nobody"}]}, "unknown_contact"),
        ({"to": [{"address": "x@stranger.test"}]}, "unknown_contact"),
        ({"cc": [{"contact": "nobody"}]}, "unknown_contact"),
        ({"kind": "bulk", "to": ..., "contacts": ["c", "nobody"]}, "unknown_contact"),
        (
            {"kind": "bulk", "to": ..., "contacts": [f"c{n}" for n in range(1001)]},
            "too_many_contacts",
        ),
        ({"from": CARLA}, "from_not_allowed"),
    ],
)
def test_s10_what_is_not_there_or_not_allowed(crm, changes, code):
    answer = crm.send(**changes)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert nothing_happened(crm)


def test_s10_foreign_subaccounts_and_users_are_refused(crm):
    crm.token = support.token(["other"], now=EPOCH)
    assert crm.send().status_code == 403
    crm.token = support.token(["s"], "somebody", now=EPOCH)
    assert crm.send().status_code == 403
    crm.token = support.token(["s"], "u", now=EPOCH)
    assert crm.send().status_code == 202


def test_s2_bulk_answers_ids_in_order(crm):
    answer = crm.send(kind="bulk", to=..., contacts=["b", "c"])
    assert (answer.status_code, set(answer.json)) == (202, {"ids"})
    ids = answer.json["ids"]
    assert [crm.get(f"{PATH}/{message_id}")["contact"] for message_id in ids] == [
        "b",
        "c",
    ]
    crm.system.send_all()
    assert {crm.get(f"{PATH}/{message_id}")["status"] for message_id in ids} == {"sent"}


def test_s5_the_limit_says_when(crm):
    crm.system.services.caps.set_cap(crm.system.mailbox_id(MIA), 1)
    assert crm.send().status_code == 202
    crm.system.settle()
    answer = crm.send()
    assert (answer.status_code, answer.json["code"]) == (429, "daily_limit_reached")
    assert answer.json["retry_at"].endswith("Z")
    assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    assert crm.send(kind="bulk", to=..., contacts=["c"]).status_code == 202


def test_s5_the_cap_of_a_mailbox_is_set_by_the_crm_only(crm):
    path = "/v1/users/u/connection"
    assert crm.call("PATCH", path, {"daily_send_cap": 7}).json["sends_left_today"] == 7
    assert crm.send().status_code == 202
    crm.system.settle()
    assert crm.get(path)["sends_left_today"] == 6
    answer = crm.call("PATCH", path, {"daily_send_cap": None})
    assert answer.json["sends_left_today"] == 499
    for bad in (
        {"daily_send_cap": 0},
        {"daily_send_cap": 10_001},
        {"daily_send_cap": "7"},
        {},
    ):
        assert crm.call("PATCH", path, bad).status_code == 422
    crm.token = support.token(["s"], "u", now=EPOCH)
    assert crm.call("PATCH", path, {"daily_send_cap": 7}).status_code == 403


def test_s6_attachments_travel_and_can_be_downloaded(crm):
    html = '<p>Look</p><img src="cid:logo.png">'
    answer = crm.send_form(
        {**MAIL, "html": html, "to": [{"contact": "b"}]},
        ("Angebot größe.pdf", "application/pdf", b"%PDF"),
        ("logo.png", "image/png", b"PNG"),
    )
    assert answer.status_code == 202, answer.text
    message = f"{PATH}/{answer.json['id']}"
    shown = crm.get(message)
    assert [
        (attachment["filename"], attachment["size"])
        for attachment in shown["attachments"]
    ] == [
        ("Angebot größe.pdf", 4),
        ("logo.png", 3),
    ]
    assert crm.call("GET", f"{message}/attachments/0").data == b"%PDF"
    crm.system.settle()
    (arrived,) = crm.system.world.account(BOB).mailbox.messages.values()
    assert b"multipart/related" in arrived.raw
    assert (
        "größe" in crm.system.record(answer.json["id"]).envelope.attachments[0].filename
    )


def test_s7_form_and_json_with_the_same_content_are_the_same(crm):
    first = crm.send(key="form", body=MAIL)
    assert crm.send_form(MAIL).json == first.json
    other = crm.send_form(MAIL, ("a", "text/plain", b"a"))
    assert other.json["code"] == "idempotency_key_reused"
    sent = crm.send_form(MAIL, ("a", "text/plain", b"a"), key="f2")
    assert crm.send_form(MAIL, ("a", "text/plain", b"a"), key="f2").json == sent.json
    again = crm.send_form(MAIL, ("a", "text/plain", b"b"), key="f2")
    assert again.json["code"] == "idempotency_key_reused"


def test_s6_exactly_25_mib_pass_and_one_byte_more_does_not(crm):
    half = MAX_ATTACHMENTS_BYTES // 2
    files = [("a.bin", "application/octet-stream", b"\x00" * half)]
    over = crm.send_form(MAIL, *files, ("b.bin", "", b"\xff" * (half + 1)))
    assert (over.status_code, over.json["code"]) == (413, "payload_too_large")
    assert nothing_happened(crm)
    answer = crm.send_form(
        {**MAIL, "to": [{"contact": "b"}]}, *files, ("b.bin", "", b"\xff" * half)
    )
    assert answer.status_code == 202
    fault = crm.system.world.faults.add(
        "drop_before", method="upload.chunk", after=1, count=1
    )
    crm.system.settle()
    assert fault.struck == 1
    assert crm.get(f"{PATH}/{answer.json['id']}")["status"] == "sent"
    (arrived,) = crm.system.world.account(BOB).mailbox.messages.values()
    parts = [child for child in arrived.root.children if child.is_attachment]
    assert [len(part.data) for part in parts] == [half, half]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"no form",
        b"--x\r\n\r\n\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n{',
        b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n{\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n{}\r\n--x--',
        b'--x\r\nContent-Disposition: form-data; name="attachment"; filename="a"\r\n\r\nb\r\n--x--',
    ],
)
def test_s10_broken_forms_are_refused(crm, broken):
    answer = crm.call(
        "POST",
        PATH,
        data=broken,
        content_type="multipart/form-data; boundary=x",
        headers={"Idempotency-Key": "k"},
    )
    assert answer.status_code in {400, 422}
    assert answer.json["code"] in {"bad_request", "invalid_json", "invalid_request"}
    assert nothing_happened(crm)


@pytest.mark.parametrize(
    "name",
    [
        b'filename="a%0d%0aBcc: x@y.test\x85.pdf"',
        b"filename*=utf-8''a%0d%0aBcc%3a%20x@y.test%0d%0a%0d%0a.pdf",
        b"filename*=utf-8''a%00%e2%80%a8Bcc%3a%20x@y.test",
    ],
)
def test_s10_file_names_cannot_smuggle_headers(crm, name):
    raw = (
        b'--x\r\nContent-Disposition: form-data; name="message"\r\n\r\n'
        + json.dumps({**MAIL, "to": [{"contact": "b"}]}).encode()
        + b'\r\n--x\r\nContent-Disposition: form-data; name="attachment"; '
        + name
        + b'\r\nContent-Type: a/b; c="\x85d"\r\n\r\nb\r\n--x--'
    )
    answer = crm.call(
        "POST",
        PATH,
        data=raw,
        content_type="multipart/form-data; boundary=x",
        headers={"Idempotency-Key": "k"},
    )
    if answer.status_code == 202:
        crm.system.settle()
        assert crm.system.world.outside == []
        assert len(crm.system.world.account(BOB).mailbox.messages) == 1
    else:
        assert answer.status_code in {400, 422}


def test_the_openapi_document_describes_sending(crm):
    operation = crm.get("/openapi.json")["paths"][
        PATH.replace("/s/", "/{subaccount}/")
    ]["post"]
    assert "202" in operation["responses"]
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    assert operation["parameters"][-1]["name"] == "Idempotency-Key"
    assert "429" in operation["responses"]


@pytest.mark.parametrize("kind", ["individual", "workflow", "bulk"])
def test_a_paused_deployment_refuses_new_mail_and_says_so_in_healthz(crm, kind):
    many = {"kind": "bulk", "user": "u", "contacts": ["c"], "text": "Hello"}
    body = many if kind == "bulk" else {**MAIL, "kind": kind}
    crm.services.pausing.pause(None)
    refused = crm.send(body, key="k")
    assert refused.content_type == "application/problem+json"
    assert (refused.status_code, refused.json["code"]) == (409, "sending_paused")
    assert "Idempotency-Key" in refused.json["detail"]
    assert nothing_happened(crm)
    shown = crm.get("/health")
    assert (shown["status"], shown["issues"]) == ("degraded", {"sending_paused": 1})
    crm.system.clock.advance(seconds=1)
    crm.services.pausing.release(None)
    assert crm.get("/health")["status"] == "ok"
    assert crm.send(body, key="k").status_code == 202


def test_the_providers_daily_limit_is_told_as_the_mailboxs(wsgi, monkeypatch):
    crm = Crm(SendingSystem(daily_provider_cap=1), wsgi)
    monkeypatch.setattr(bootstrap, "services", lambda: crm.services)
    assert crm.send({**MAIL, "kind": "workflow"}).status_code == 202
    refused = crm.send({**MAIL, "kind": "workflow"})
    assert (refused.status_code, refused.json["code"]) == (429, "daily_limit_reached")
    assert refused.json["retry_at"] == "2026-03-03T09:00:00.000Z"
    assert refused.headers["Retry-After"] == str(24 * 3600)


# --- S4, S10, S14: what goes out ---------------------------------------------------


@pytest.mark.parametrize("blank", [..., None, "", " \r\n"])
@pytest.mark.parametrize("kind", ["individual", "workflow", "bulk"])
def test_s10_nothing_to_say_is_refused(crm, kind, blank):
    fields = {"kind": kind, "subject": blank, "text": blank, "html": blank}
    if blank == " \r\n":
        fields["subject"] = " "
    if kind == "bulk":
        fields |= {"to": ..., "contacts": ["c"]}
    answer = crm.send(**fields)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert answer.json["errors"] == [
        {"pointer": "", "detail": "needs a subject, text, html or an attachment"}
    ]
    assert nothing_happened(crm)


@pytest.mark.parametrize("said", [{"subject": "x"}, {"text": "x"}, {"html": "<p>x"}])
def test_s10_a_subject_or_a_body_is_enough(crm, said):
    mail = {"kind": "individual", "user": "u", "to": [{"contact": "c"}]}
    assert crm.send(mail | said).status_code == 202


def test_s10_an_attachment_alone_is_enough(crm):
    mail = {"kind": "individual", "user": "u", "to": [{"contact": "c"}]}
    assert crm.send_form(mail, ("a.txt", "text/plain", b"x")).status_code == 202


WEB = "https://crm.test/end?m={message}&c={contact}"


def headers_of_sent(crm):
    crm.system.send_all()
    return [message_from_bytes(sent.mail) for sent in crm.system.relay.taken]


def test_s14_bulk_mail_carries_its_own_way_to_end_it(crm):
    uris = [WEB, "mailto:end@crm.test"]
    answer = crm.send(kind="bulk", to=..., contacts=["c", "b"], list_unsubscribe=uris)
    assert answer.status_code == 202
    first, second = answer.json["ids"]
    sent = {mail["To"]: mail for mail in headers_of_sent(crm)}
    for address, message, contact in ((CARLA, first, "c"), (BOB, second, "b")):
        (mail,) = [mail for to, mail in sent.items() if address in to]
        own = (
            f"<https://crm.test/end?m={message}&c={contact}>,\r\n <mailto:end@crm.test>"
        )
        assert mail["List-Unsubscribe"] == own
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_s14_workflow_mail_too_and_other_mail_has_none(crm):
    workflow = {"kind": "workflow", "list_unsubscribe": ["mailto:end@crm.test"]}
    assert crm.send(**workflow).status_code == 202
    assert crm.send(kind="workflow").status_code == 202
    first, second = headers_of_sent(crm)
    assert first["List-Unsubscribe"] == "<mailto:end@crm.test>"
    assert {first["List-Unsubscribe-Post"], second["List-Unsubscribe"]} == {None}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "individual", "list_unsubscribe": [WEB]},
        {"kind": "workflow", "list_unsubscribe": ["http://crm.test/"]},
        {
            "kind": "workflow",
            "list_unsubscribe": ["mailto:end@crm.test\r\nBcc: e@x.test"],
        },
        {"kind": "workflow", "list_unsubscribe": [WEB, WEB, WEB]},
        {"kind": "workflow", "list_unsubscribe": WEB},
    ],
)
def test_s14_what_is_no_way_to_end_it_is_refused(crm, change):
    answer = crm.send(**change)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_request")
    assert nothing_happened(crm)


def test_s14_answers_to_provider_mail_go_to_the_connected_address(crm):
    profile = "mia.profile@ours.test"
    crm.system.user("u", profile)
    assert crm.send(kind="workflow").status_code == 202
    (mail,) = headers_of_sent(crm)
    assert parseaddr(mail["Reply-To"])[1] == MIA
    crm.services.connections.disconnect(UserId("u"))
    assert crm.send(kind="workflow").status_code == 202
    assert parseaddr(headers_of_sent(crm)[-1]["Reply-To"])[1] == profile


def test_s4_a_reply_carries_the_references_of_the_answered_mail(crm):
    system = crm.system
    mail = system.mail(
        CARLA,
        MIA,
        "Offer",
        headers={"References": "<r@x.test> <s@x.test>", "In-Reply-To": "<s@x.test>"},
    )
    system.world.deliver_from_outside(mail.as_bytes(), [MIA], "pass")
    system.settle()
    (received,) = system.conversation("c")
    assert crm.send(reply_to_message=received.id).status_code == 202
    system.send_all()
    sent = message_from_bytes(system.world.outside[-1].raw)
    assert sent["In-Reply-To"] == received.rfc822_message_id
    assert sent["References"].split() == [
        "<r@x.test>",
        "<s@x.test>",
        received.rfc822_message_id,
    ]


def bodies(raw):
    parts = message_from_bytes(raw).walk()
    texts = [p.get_payload(decode=True) for p in parts if not p.is_multipart()]
    return [text.decode().replace("\r\n", "\n") for text in texts]


def sign(crm, address, signature):
    alias = crm.system.world.account(MIA).send_as[address]
    alias.settings["signature"] = signature


def test_s14_a_signature_is_the_sending_addresses_own(crm):
    crm.system.world.add_alias(MIA, "sales@ours.test")
    sign(crm, MIA, "<b>Mia</b>")
    sign(crm, "sales@ours.test", "<b>Sales</b>")
    first = crm.send(signature=True, html="<p>Hello</p>")
    second = crm.send(**{"signature": True, "from": "sales@ours.test"})
    third = crm.send()
    crm.system.send_all()
    sent = [bodies(item.raw) for item in crm.system.world.outside]
    assert [sum("<b>Mia</b>" in body for body in mail) for mail in sent] == [1, 0, 0]
    assert ["-- \nSales" in mail[0] for mail in sent] == [False, True, False]
    assert not any("gmail_signature" in body for body in sent[2])
    shown = [
        crm.get(f"{PATH}/{answer.json['id']}") for answer in (first, second, third)
    ]
    assert "<b>Mia</b></div>" in shown[0]["html"]
    assert shown[1]["text"] == "Hello\n\n-- \nSales"
    assert shown[2]["text"] == "Hello"


def test_s14_the_same_call_is_answered_the_same_although_the_signature_changed(crm):
    sign(crm, MIA, "<b>Mia</b>")
    first = crm.send(signature=True, key="k")
    sign(crm, MIA, "<b>Dr Mia</b>")
    assert crm.send(signature=True, key="k").json["id"] == first.json["id"]
    again = crm.send(key="k")
    assert again.json["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("kind", ["bulk", "workflow"])
def test_s14_other_mail_has_no_signature(crm, kind):
    fields = {"kind": kind, "signature": True}
    if kind == "bulk":
        fields |= {"to": ..., "contacts": ["c"]}
    assert crm.send(**fields).status_code == 422


def test_c8_the_connection_shows_the_addresses_to_send_as(crm):
    sign(crm, MIA, "<b>Mia</b><script>alert(1)</script>")
    crm.system.world.add_alias(MIA, "sales@ours.test")
    shown = crm.get("/v1/users/u/connection")["send_as"]
    assert [(a["address"], a["default"], a["signature"]) for a in shown] == [
        (MIA, True, "<b>Mia</b>"),
        ("sales@ours.test", False, ""),
    ]
    crm.system.world.faults.add(
        "status", method="gmail.users.settings.sendAs.list", status=503
    )
    assert crm.get("/v1/users/u/connection")["send_as"] == []
