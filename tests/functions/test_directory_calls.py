"""What the CRM pushes in."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.ids import address_key
from shared.gateways.document_rules import MAX_DOCUMENT_BYTES, document_size
from shared.ports import Create
from tests.support.api import Api, Memory, token

SUBACCOUNT = {
    "name": "Agency",
    "logging": "all_contacts",
    "internal_domains": ["Example.COM"],
    "never_log": ["Boss@Example.org", "private.example"],
    "default_provider": {
        "smtp": {
            "host": "smtp.example.com",
            "port": 587,
            "security": "starttls",
            "username": "agency",
            "password": "s3cret-Pass",
            "from": "Agency@example.com",
        }
    },
}


def test_a_subaccount_is_read_back_without_its_password(
    api: Api, gateways: Memory
) -> None:
    answer = api.put("/v1/subaccounts/a", SUBACCOUNT)
    assert answer == api.get("/v1/subaccounts/a")
    assert answer == {
        "id": "a",
        "name": "Agency",
        "logging": "all_contacts",
        "internal_domains": ["example.com"],
        "never_log": ["boss@example.org", "private.example"],
        "default_provider": {
            "smtp": {
                "host": "smtp.example.com",
                "port": 587,
                "security": "starttls",
                "username": "agency",
                "from": "Agency@example.com",
            }
        },
    }
    (stored,) = gateways.documents.get(["subaccounts/a"])
    assert "s3cret-Pass" not in str(stored.data)


@pytest.mark.parametrize(
    "other",
    [
        {"host": "evil.example"},
        {"port": 2525},
        {"username": "somebody"},
        {"security": "tls"},
    ],
    ids=str,
)
def test_a_password_stays_for_its_own_account_only(
    api: Api, gateways: Memory, other: dict[str, Any]
) -> None:
    from shared.services.crm.directory import smtp_secret

    api.put("/v1/subaccounts/a", SUBACCOUNT)
    assert gateways.secrets.read(smtp_secret("a")) == b"s3cret-Pass"
    again = api.get("/v1/subaccounts/a")
    del again["id"]
    api.put("/v1/subaccounts/a", again)
    assert gateways.secrets.read(smtp_secret("a")) == b"s3cret-Pass"
    again["default_provider"]["smtp"] |= other
    refused = api.call("PUT", "/v1/subaccounts/a", again)
    assert (refused.status_code, refused.json["errors"]) == (
        422,
        [{"pointer": "/default_provider/smtp/password", "detail": "is required"}],
    )
    again["default_provider"]["smtp"]["username"] = None
    api.put("/v1/subaccounts/a", again)
    assert gateways.secrets.read_all(smtp_secret("a")) == []


@pytest.mark.parametrize(
    ("host", "security", "status"),
    [
        ("smtp.provider.example", "none", 422),
        ("smtp.provider.example", "starttls", 200),
        ("203.0.113.7", "none", 422),
        ("localhost", "none", 200),
        ("127.0.0.1", "none", 200),
        ("::1", "none", 200),
    ],
)
def test_a_password_that_would_go_out_in_the_open_is_refused(
    api: Api, host: str, security: str, status: int
) -> None:
    services: Any = api.services
    services.settings = services.settings.model_copy(update={"development": True})
    smtp = SUBACCOUNT["default_provider"]["smtp"] | {"host": host, "security": security}
    settings = SUBACCOUNT | {"default_provider": {"smtp": smtp}}
    answer = api.call("PUT", "/v1/subaccounts/a", settings)
    assert answer.status_code == status


def test_a_provider_that_goes_takes_its_password_along(
    api: Api, gateways: Memory
) -> None:
    from shared.services.crm.directory import smtp_secret

    api.put("/v1/subaccounts/a", SUBACCOUNT)
    api.put("/v1/subaccounts/a", {"name": "A"})
    assert gateways.secrets.read_all(smtp_secret("a")) == []


def test_a_user_is_read_back_and_is_internal(api: Api, gateways: Memory) -> None:
    user = {"name": "Uma", "email": "Uma@Agency.example", "never_log": ["x.example"]}
    answer = api.put("/v1/subaccounts/a/users/u1", user)
    assert answer == {"id": "u1", **user, "sync": True, "bcc_address": None}
    assert api.get("/v1/subaccounts/a/users/u1") == answer
    (entry,) = gateways.documents.get(
        [f"subaccounts/a/addresses/{address_key('uma@agency.example')}"]
    )
    assert entry.data["members"] == {"u1": True}
    assert api.services.directory.subaccounts_of("u1") == ("a",)


def test_c11_what_is_left_out_of_a_user_stays(api: Api) -> None:
    path = "/v1/subaccounts/a/users/u1"
    user = {"name": "Uma", "email": "uma@agency.example"}
    api.put(path, user)
    api.token = token(["a"], "u1")
    changed = api.call("PATCH", path, {"sync": False, "never_log": ["x.example"]})
    assert (changed.status_code, changed.json["sync"]) == (200, False)
    api.token = token(["a", "b"])
    again = api.put(path, {**user, "name": "Uma B."})
    assert (again["sync"], again["never_log"]) == (False, ["x.example"])
    assert api.call("PATCH", path, {}).json == again
    assert api.put(path, {**user, "sync": True, "never_log": []})["sync"] is True
    assert api.call("PATCH", path, {"sync": None}).status_code == 422
    assert api.call("PATCH", path.replace("u1", "u9"), {}).status_code == 404


def test_m12_patch_refuses_an_entry_that_could_match_nothing(api: Api) -> None:
    api.put("/v1/subaccounts/a", {"name": "A"})
    path = "/v1/subaccounts/a/users/u"
    api.put(path, {"name": "U", "email": "u@x.example", "never_log": ["y.example"]})
    answer = api.call("PATCH", path, {"never_log": ["ann+*@client.example"]})
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["pointer"] == "/never_log/0"
    assert "wildcard" in error["detail"]
    assert api.get(path)["never_log"] == ["y.example"]


def test_a_deleted_user_is_gone_and_deleting_again_is_no_error(api: Api) -> None:
    user = {"name": "Uma", "email": "uma@agency.example"}
    api.put("/v1/subaccounts/a/users/u1", user)
    api.put("/v1/subaccounts/b/users/u1", user)
    for _ in range(2):
        assert api.call("DELETE", "/v1/subaccounts/a/users/u1").status_code == 204
    assert api.call("GET", "/v1/subaccounts/a/users/u1").status_code == 404
    assert api.services.directory.subaccounts_of("u1") == ("b",)
    api.call("DELETE", "/v1/subaccounts/b/users/u1")
    assert api.services.directory.subaccounts_of("u1") == ()


def test_a_contact_is_read_back_as_it_was_written(api: Api) -> None:
    contact = {
        "name": "Bob",
        "emails": ["Bob@Example.org", "bob@work.example"],
        "assigned_to": "u1",
        "created_at": "2026-01-01T01:00:00+01:00",
    }
    answer = api.put("/v1/subaccounts/a/contacts/c2", contact)
    assert answer == {**contact, "id": "c2", "created_at": "2026-01-01T00:00:00Z"}
    assert api.get("/v1/subaccounts/a/contacts/c2") == answer


def test_created_at_is_now_at_first_and_stays(api: Api, gateways: Memory) -> None:
    contact = {"name": "Bob", "emails": ["bob@example.org"]}
    first = api.put("/v1/subaccounts/a/contacts/c2", contact)
    gateways.clock.pass_seconds(60)
    second = api.put("/v1/subaccounts/a/contacts/c2", {**contact, "name": "Rob"})
    assert first["created_at"] == second["created_at"] == "2026-11-02T09:30:00Z"


def test_an_address_that_is_taken_away_no_longer_finds_the_contact(
    api: Api, gateways: Memory
) -> None:
    body = {"name": "Ann", "emails": ["new@example.org"]}
    api.put("/v1/subaccounts/a/contacts/c1", body)
    old, new = gateways.documents.get(
        [
            f"subaccounts/a/addresses/{address_key(item)}"
            for item in ("ann@example.org", "new@example.org")
        ]
    )
    assert old.data.get("contacts", {}) == {}
    assert list(new.data["contacts"]) == ["c1"]


def test_the_same_address_twice_counts_once(api: Api) -> None:
    body = {"name": "Ann", "emails": ["ann@example.org", " ANN@example.org"]}
    answer = api.put("/v1/subaccounts/a/contacts/c1", body)
    assert answer["emails"] == ["ann@example.org"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/v1/subaccounts/a", {}, "/name"),
        ("/v1/subaccounts/a", {"name": "A\n"}, "/name"),
        ("/v1/subaccounts/a", {"name": "A", "nam": "B"}, "/nam"),
        ("/v1/subaccounts/a", {"name": 5}, "/name"),
        ("/v1/subaccounts/a", {"name": "x" * 257}, "/name"),
        ("/v1/subaccounts/a", {"name": "\ud800"}, "/name"),
        ("/v1/subaccounts/a", {"name": "A", "logging": "none"}, "/logging"),
        ("/v1/subaccounts/a", {"name": "A", "never_log": ["a b"]}, "/never_log/0"),
        ("/v1/subaccounts/a", {"name": "A", "never_log": ["*@x.com"]}, "/never_log/0"),
        (
            "/v1/subaccounts/a",
            {"name": "A", "internal_domains": ["ours.example", "gmail.com"]},
            "/internal_domains/1",
        ),
        (
            "/v1/subaccounts/a/users/u",
            {"name": "U", "email": "u@x.com", "never_log": ["x.com", "com"]},
            "/never_log/1",
        ),
        (
            "/v1/subaccounts/a",
            {"name": "A", "internal_domains": ["a@b.example"]},
            "/internal_domains/0",
        ),
        ("/v1/subaccounts/a/users/u", {"name": "U"}, "/email"),
        ("/v1/subaccounts/a/users/u", {"name": "U", "email": "no"}, "/email"),
        ("/v1/subaccounts/a/contacts/c", {"name": "C", "emails": []}, "/emails"),
        (
            "/v1/subaccounts/a/contacts/c",
            {"name": "C", "emails": ["a@example.org", "a@b@c"]},
            "/emails/1",
        ),
        (
            "/v1/subaccounts/a/contacts/c",
            {
                "name": "C",
                "emails": ["a@example.org"],
                "created_at": "2026-01-01T00:00:00",
            },
            "/created_at",
        ),
        (
            "/v1/subaccounts/a/contacts/c",
            {"name": "C", "emails": ["a@example.org"], "created_at": 5},
            "/created_at",
        ),
        (
            "/v1/subaccounts/a/contacts/c",
            {"name": "C", "emails": ["a@example.org"], "assigned_to": "a/b"},
            "/assigned_to",
        ),
    ],
)
def test_a_bad_field_is_named(api: Api, path: str, body: Any, pointer: Any) -> None:
    import json

    answer = api.call(
        "PUT", path, data=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["code"] == "invalid_request"
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize(
    "smtp",
    [
        {"host": "a b"},
        {"host": "smtp.example.com\r\nX: y"},
        {"port": 0},
        {"port": 65536},
        {"port": "25"},
        {"port": True},
        {"security": "ssl"},
        {"username": "a\r\nb"},
        {"from": "nobody"},
        {"password": ""},
        {"password": 5},
        {"host": ""},
        {"host": "smtp..provider.example"},
        {"host": "169.254.169.254"},
        {"host": "fd20:ce::254"},
        {"host": "fe80::1"},
        {"host": "::ffff:169.254.169.254"},
        {"host": "0.0.0.0"},
        {"host": ".provider.example"},
        {"host": f"{'a' * 64}.example"},
        {"host": f"{'ü' * 60}.example"},
        {"host": ".".join(["a" * 60] * 5)},
        {"host": "-a.example"},
        {"host": "smtp_1.example"},
        {"host": " smtp.example.com"},
        {"host": "smtp.example.com:25"},
        {"host": "https://smtp.example.com"},
        {"host": "smtp.example.com\u0000"},
        {"host": "\ud800.example"},
        {"host": "127.1"},
        {"host": "2130706433"},
        {"host": "0x7f.0.0.1"},
        {"host": "1.2.3.4.5"},
        {"host": "[::1]"},
        {"host": "fe80::1%eth0"},
        {"username": " me"},
        {"username": "m\u0000e"},
        {"username": "\ud800"},
        {"username": "u" * 321},
        {"password": "s3cret\u0000"},
        {"password": "s3cret\n"},
        {"password": "s3cret "},
        {"password": "\u3000s3cret"},
        {"password": "s3cret\u0085x"},
        {"password": "s3cret\ud800"},
        {"password": "s3cret" * 200},
        {"password": "   "},
    ],
)
def test_a_bad_provider_is_refused_without_echoing_it(api: Api, smtp: Any) -> None:
    body = {**SUBACCOUNT["default_provider"]["smtp"], **smtp}
    answer = api.call(
        "PUT", "/v1/subaccounts/a", {"name": "A", "default_provider": {"smtp": body}}
    )
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["pointer"] == f"/default_provider/smtp/{next(iter(smtp))}"
    assert "s3cret" not in answer.text


@pytest.mark.parametrize(
    "smtp",
    [
        {"host": "smtp.bücher.example"},
        {"host": "smtp.example.com."},
        {"host": "relay"},
        {"host": "9.9.9.7"},
        {"host": "2620:fe::7"},
        {"host": f"{'a' * 63}.example"},
        {"username": "jörg@agency.example"},
        {"password": "Grüße-2026"},
        {"password": "abcd efgh ijkl mnop"},
        {"password": "\U0001f468\u200d\U0001f469"},
    ],
)
def test_what_a_provider_can_use_is_kept_as_it_was_given(api: Api, smtp: Any) -> None:
    body = {**SUBACCOUNT["default_provider"]["smtp"], **smtp}
    answer = api.call(
        "PUT", "/v1/subaccounts/a", {"name": "A", "default_provider": {"smtp": body}}
    )
    assert answer.status_code == 200, answer.text
    shown = answer.json["default_provider"]["smtp"]
    assert shown == {name: body[name] for name in body if name != "password"}


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("smtp..x", "must not have an empty label"),
        ("a" * 64 + ".x", "must not have a label over 63 characters"),
        ("127.1", "must be written as four decimal numbers, or be a name"),
        ("a b", "must not have blanks or control characters"),
        ("a_b", "must be a host name or an IP address"),
    ],
)
def test_a_refused_host_is_told_why(api: Api, host: str, detail: str) -> None:
    body = {**SUBACCOUNT["default_provider"]["smtp"], "host": host}
    answer = api.call(
        "PUT", "/v1/subaccounts/a", {"name": "A", "default_provider": {"smtp": body}}
    )
    assert [error["detail"] for error in answer.json["errors"]] == [detail]


def test_things_of_an_unknown_subaccount_are_not_found(
    api: Api, gateways: Memory
) -> None:
    api.token = token(["nowhere"])
    for path, body in (
        ("users/u", {"name": "U", "email": "u@example.org"}),
        ("contacts/c", {"name": "C", "emails": ["c@example.org"]}),
    ):
        answer = api.call("PUT", f"/v1/subaccounts/nowhere/{path}", body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 129, "__x__", "%00"])
def test_a_malformed_id_is_refused(api: Api, name: str) -> None:
    answer = api.call("GET", f"/v1/subaccounts/a/contacts/{name}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["parameter"] == "contact"


def test_an_import_takes_good_rows_and_names_bad_ones(api: Api) -> None:
    rows = [
        {"id": "i1", "name": "One", "emails": ["one@example.org"]},
        b"{not json",
        b"",
        {"id": "i2", "name": "Two", "emails": []},
        {"id": "i 3", "name": "Three", "emails": ["three@example.org"]},
        b"x" * 70_000,
        b'{"id": "i4", "id": "i5", "name": "N", "emails": ["n@example.org"]}',
        b"[1]",
        b"\xff",
        {
            "id": "i6",
            "name": "Six",
            "emails": ["six@example.org"],
            "assigned_to": None,
            "created_at": "2026-01-01T00:00:00Z",
        },
    ]
    path = "/v1/subaccounts/a/contacts:import"
    for _ in range(2):
        answer = api.import_rows(path, rows)
        assert answer.status_code == 200, answer.text
        assert answer.json["imported"] == 2
        failed = {item["line"]: item["code"] for item in answer.json["failed"]}
        assert failed == {
            2: "invalid_json",
            4: "invalid_request",
            5: "invalid_request",
            6: "invalid_request",
            7: "invalid_json",
            8: "invalid_json",
            9: "invalid_json",
        }
    assert (
        api.get("/v1/subaccounts/a/contacts/i6")["created_at"] == "2026-01-01T00:00:00Z"
    )


def test_of_two_rows_with_one_id_the_last_wins(api: Api) -> None:
    rows = [
        {"id": "i1", "name": str(number), "emails": [f"n{number}@example.org"]}
        for number in range(3)
    ]
    answer = api.import_rows("/v1/subaccounts/a/contacts:import", rows)
    assert answer.json == {"imported": 3, "failed": []}
    assert api.get("/v1/subaccounts/a/contacts/i1")["emails"] == ["n2@example.org"]


def test_many_contacts_are_imported_in_batches(api: Api) -> None:
    rows = [
        {
            "id": f"i{n}",
            "name": "N",
            "emails": [f"n{n}@example.org", "shared@example.org"],
        }
        for n in range(1001)
    ]
    answer = api.import_rows("/v1/subaccounts/a/contacts:import", rows)
    assert answer.json == {"imported": 1001, "failed": []}
    assert api.get("/v1/subaccounts/a/contacts/i1000")["name"] == "N"


# --- limits ----------------------------------------------------------------------


def _fill_address(gateways: Memory, address: str) -> None:
    """As many contacts as one address can have."""
    path = f"subaccounts/a/addresses/{address_key(address)}"
    room = MAX_DOCUMENT_BYTES - document_size(path, {"contacts": {}, "filler": ""})
    gateways.documents.commit([Create(path, {"contacts": {}, "filler": "x" * room})])


def test_a_contact_too_many_at_one_address_is_refused_with_a_code(
    api: Api, gateways: Memory
) -> None:
    _fill_address(gateways, "shared@client.example")
    contact = {"name": "Ann", "emails": ["shared@client.example"]}
    refused = api.call("PUT", "/v1/subaccounts/a/contacts/c9", contact)
    assert (refused.status_code, refused.json["code"]) == (422, "limit_reached")
    assert "shared" not in refused.text
    assert api.call("GET", "/v1/subaccounts/a/contacts/c9").status_code == 404


def test_an_import_goes_on_behind_a_contact_too_many(
    api: Api, gateways: Memory
) -> None:
    _fill_address(gateways, "shared@client.example")
    rows = [
        {"id": "c1", "name": "Ann", "emails": ["ann@client.example"]},
        {"id": "c2", "name": "Bob", "emails": ["shared@client.example"]},
        {"id": "c3", "name": "Cat", "emails": ["cat@client.example"]},
    ]
    done = api.import_rows("/v1/subaccounts/a/contacts:import", rows)
    assert done.status_code == 200
    assert done.json["imported"] == 2
    assert done.json["failed"] == [
        {
            "line": 2,
            "code": "limit_reached",
            "detail": "One of the addresses has too many contacts already.",
        }
    ]


def test_the_response_to_an_import_is_bounded(api: Api) -> None:
    nonsense = {f"k{number}": "x" * 300 for number in range(30)}
    rows: list[Any] = [{"id": "c1", "name": "Ann", "emails": ["ann@client.example"]}]
    done = api.import_rows(
        "/v1/subaccounts/a/contacts:import", rows + [nonsense] * 1500
    )
    assert done.json["imported"] == 1
    assert done.json["failed_count"] == 1500
    assert [row["line"] for row in done.json["failed"]] == list(range(2, 1002))
    assert len(done.data) < 1_000_000


@pytest.mark.parametrize(
    "entry",
    ["*@client.example", "ann+*@client.example", "*.client.example", "client", "@com"],
)
@pytest.mark.parametrize("path", ["/v1/subaccounts/a", "/v1/subaccounts/a/users/u1"])
def test_m12_a_never_log_entry_that_matches_nothing_is_refused(
    api: Api, path: str, entry: str
) -> None:
    body = {"name": "A", "never_log": [entry]}
    if "users" in path:
        body["email"] = "uma@agency.example"
    refused = api.call("PUT", path, body)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")
    assert refused.json["errors"][0]["pointer"] == "/never_log/0"


@pytest.mark.parametrize(
    "domain",
    ["*.agency.example", "agency", "gmail.com", "googlemail.com", "a@b.example"],
)
def test_m11_an_internal_domain_that_cannot_be_meant_is_refused(
    api: Api, domain: str
) -> None:
    body = {"name": "A", "internal_domains": [domain]}
    refused = api.call("PUT", "/v1/subaccounts/a", body)
    assert (refused.status_code, refused.json["code"]) == (422, "invalid_request")


@pytest.mark.parametrize(
    "entry",
    ["ann@client.example", "client.example", "@client.example", "Ann+x@gmail.com"],
)
def test_m12_what_can_match_is_taken(api: Api, entry: str) -> None:
    api.put("/v1/subaccounts/a", {"name": "A", "never_log": [entry]})


@pytest.mark.parametrize(
    ("host", "private", "status"),
    [
        ("10.0.0.7", False, 422),
        ("10.0.0.7", True, 200),
        ("::ffff:10.0.0.7", False, 422),
        ("fd12::7", False, 422),
        ("192.0.2.7", False, 422),
        ("169.254.169.254", True, 422),
        ("9.9.9.7", False, 200),
        ("mail.internal", False, 200),
    ],
)
def test_a_private_address_is_refused_where_it_is_set(
    api: Api, host: str, private: bool, status: int
) -> None:
    services: Any = api.services
    changed = {"smtp_private_networks": private}
    services.settings = services.settings.model_copy(update=changed)
    smtp = SUBACCOUNT["default_provider"]["smtp"] | {"host": host}
    settings = SUBACCOUNT | {"default_provider": {"smtp": smtp}}
    answer = api.call("PUT", "/v1/subaccounts/a", settings)
    assert answer.status_code == status
    if status == 422:
        (error,) = answer.json["errors"]
        assert error["pointer"] == "/default_provider/smtp/host"
