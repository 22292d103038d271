"""Calls that tenant A makes with everything it could know of tenant B.

Made from the route table: a new route, field or query joins by itself. A parameter of a
new name needs a line in `TwoTenants._fill`, which says what B has of it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from functions.http.fields import ID_PATTERN
from functions.http.routing import Route
from functions.http.table import ROUTES
from shared.core.matching import recording
from shared.errors import Malformed
from shared.gateways.memory import MemoryBlobs, MemoryDocuments, MemorySecrets
from shared.ports import Event, Put
from tests.security.deployment import Deployment

A, B = "s", "t"
CANARY = "canaryofb"
VICTIM = "victim@elsewhere.example"  # B's contact, of whom A may know by itself
SPAN = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Call:
    """One call of A; `ids` fill the path in order."""

    route: Route
    ids: tuple[str, ...]
    body: Any = None
    query: dict[str, Any] = field(default_factory=dict)
    sub: str = "crm"

    def __str__(self) -> str:
        path = self.route.path
        for name, value in zip(self.route.parameters, self.ids, strict=True):
            path = path.replace(f"{{{name}}}", value)
        return path

    def make(self, deployment: Deployment) -> Any:
        """Make the call with a token for A alone."""
        more: dict[str, Any] = {"headers": dict.fromkeys(self.route.headers, "key-t")}
        if self.route.lines is not None:
            more["data"] = json.dumps(self.body)
            more["content_type"] = "application/x-ndjson"
        elif self.body is not None:
            more["json"] = self.body
        token = deployment.caller(self.sub, A)
        return deployment.call(
            self.route.method, str(self), query_string=self.query, token=token, **more
        )

    @property
    def adopts(self) -> bool:
        """The backend makes B's user a member of A: membership is the CRM's word."""
        puts_user = self.route.method == "PUT" and "/users/" in self.route.path
        return puts_user and self.sub == "crm" and self.ids == (A, "ub")


class TwoTenants:
    """A (user u) and B (user ub), each with mail, jobs and what was set aside.

    `ids` are those of both, by the name of the parameter they fit.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.ids: dict[str, list[str]] = {}
        self._fill(A, "u", "c", "mine@client.example", "mine")
        before = self._everything()
        self._fill(B, "ub", "cb", VICTIM, CANARY)
        self._of_b = {
            key for key, value in self._everything().items() if before.get(key) != value
        }
        self._outside = self._copy()
        self.at_first = self.of_b()

    def restore(self) -> None:
        """Make all as it was, but for what has gone through Gmail meanwhile."""
        documents, secrets, blobs = self._outside
        outside = self.deployment.outside
        outside.documents, outside.secrets = MemoryDocuments(), MemorySecrets(secrets)
        outside.blobs = MemoryBlobs()
        outside.documents.commit([Put(path, data) for path, data in documents.items()])
        for key, data in blobs.items():
            outside.blobs.put(key, data, "application/octet-stream")
        self.deployment.restart()
        self.at_first = self.of_b()

    def _copy(self) -> tuple[dict[str, Any], dict[str, list[bytes]], dict[str, bytes]]:
        held = self.deployment.outside.secrets
        files = self.deployment.outside.blobs
        return (
            self.deployment.outside.documents.dump(),
            {name: held.read_all(name) for name in held.names()},
            {key: files.get(key) for key in files.keys()},  # noqa: SIM118  (a port)
        )

    def of_b(self) -> dict[str, Any]:
        """Everything that B has anywhere: records, secrets, files, Gmail, events."""
        now = self._everything()
        new = {key for key in now if f"/{B}/" in key}
        return {key: now.get(key) for key in self._of_b | new}

    def _everything(self) -> dict[str, Any]:
        documents, secrets, blobs = self._copy()
        everything: dict[str, Any] = dict(documents)
        everything |= {f"secret {name}": values for name, values in secrets.items()}
        everything |= {f"blob {key}": data for key, data in blobs.items()}
        for account in self.deployment.world.accounts:
            held = sorted(account.mailbox.messages), sorted(account.mailbox.drafts)
            everything[f"Gmail {account.address}"] = held
        for event in self.deployment.events():
            everything[f"event {event['subject']} {event['id']}"] = event
        return everything

    def _fill(self, s: str, u: str, c: str, client: str, name: str) -> None:
        """Let the tenant do everything that leaves something to steal."""
        d, tenant, address = self.deployment, f"/subaccounts/{s}", f"{name}@box.example"
        token = d.caller("crm", s)

        def call(method: str, path: str, body: Any = None, **more: Any) -> Any:
            answer = d.call(method, f"/v1{path}", body, token=token, **more)
            assert answer.status_code < 300, answer.text
            return answer.json

        smtp = {"host": "relay.test", "port": 587, "from": "news@relay.test"}
        smtp |= {"username": name, "password": name}
        call("PUT", tenant, {"name": name, "default_provider": {"smtp": smtp}})
        call("PUT", f"{tenant}/users/{u}", {"name": name, "email": address})
        person = {"name": name, "emails": [client, f"{name}@elsewhere.example"]}
        call("PUT", f"{tenant}/contacts/{c}", {**person, "assigned_to": u})
        assert d.connect(u, address).code == "connected"
        mail = {"kind": "individual", "user": u, "to": [{"contact": c}]}
        mail |= {"subject": name, "text": name}
        key = {"headers": {"Idempotency-Key": f"key-{s}"}}
        call("POST", f"{tenant}/messages", mail, **key)
        d.arrives(client, address, name, text=name)
        d.arrives("stranger@nowhere.example", address, name)
        d.settle()
        audit = call("POST", f"/users/{u}/connection:audit", SPAN)["id"]
        backfill = call("POST", f"{tenant}/contacts/{c}:backfill")["id"]
        d.settle()
        self._set_aside(client, address, name)
        aside = call("GET", "/quarantine")["items"]
        assert len(aside) == 2
        said = d.conversation(c, s)
        in_gmail = [message.held_by[0].gmail_message_id for message in said]
        known = {
            "subaccount": [s],
            "user": [u],
            "contact": [c],
            "message": [message.id for message in said],
            "attachment": ["0"],
            "id": [audit, backfill, *(item["id"] for item in aside)],
            "gmail_message_id": [*in_gmail, aside[-1]["gmail_message_id"] or "g"],
            "rfc822_message_id": [message.rfc822_message_id for message in said],
        }
        for parameter, found in known.items():
            self.ids.setdefault(parameter, []).extend(map(str, found))

    def _set_aside(self, client: str, address: str, subject: str) -> None:
        """One message that cannot be processed, and one dead letter."""
        d = self.deployment

        def broken(*_: Any) -> Any:
            raise Malformed

        composing, recording.compose = recording.compose, broken
        try:
            d.arrives(client, address, subject)
            d.settle()
        finally:
            recording.compose = composing
        work = {"kind": "sync", "mailbox": d.mailbox_id(address)}
        source = "projects/p/subscriptions/mailbox-work-dead-letter"
        letter = Event(json.dumps(work).encode(), {}, source)
        assert d.pushed("dead_letter", letter, f"dead-{address}").status_code == 204


# --- calls ----------------------------------------------------------------------------

BODIES: dict[str, Any] = {
    "SubaccountIn": {"name": "A", "logging": "all_contacts"},
    "UserIn": {"name": "x", "email": "x@ours.example"},
    "ContactIn": {"name": "x", "emails": [VICTIM], "assigned_to": "ub"},
    "ContactRow": {"id": "cb", "name": "x", "emails": [VICTIM], "assigned_to": "ub"},
    "SendIn": {"kind": "individual", "user": "ub", "to": [{"address": VICTIM}]},
    "CapIn": {"daily_send_cap": 1},
    "AuditIn": SPAN,
}
"""A good body of each model that names B's where it can; others are empty."""


def _body_model(route: Route) -> type[BaseModel] | None:
    return route.body or route.lines or route.multipart


def _plain_body(route: Route) -> Any:
    model = _body_model(route)
    return None if model is None else BODIES.get(model.__name__, {})


def _queries(tenants: TwoTenants) -> list[dict[str, Any]]:
    return [
        {},
        {"page_size": 1},
        {"address": VICTIM},
        *(
            {name: message_id}
            for name in ("gmail_message_id", "rfc822_message_id")
            for message_id in tenants.ids[name]
        ),
    ]


def every_call(tenants: TwoTenants) -> Iterator[Call]:
    """Each route with each combination of ids and queries, by backend and user."""
    for route in ROUTES:
        for ids in itertools.product(
            *(tenants.ids[parameter] for parameter in route.parameters)
        ):
            for query in _queries(tenants) if route.query else [{}]:
                for sub in ("crm", "u"):
                    yield Call(route, ids, _plain_body(route), query, sub)


def calls(tenants: TwoTenants) -> st.SearchStrategy[Call]:
    """Any call of A."""

    def of(route: Route) -> st.SearchStrategy[Call]:
        model = _body_model(route)
        body = st.just(_plain_body(route))
        return st.builds(
            Call,
            st.just(route),
            st.tuples(
                *(
                    st.sampled_from(tenants.ids[parameter])
                    for parameter in route.parameters
                )
            ),
            body if model is None else body | _bodies(model, tenants),
            st.sampled_from(_queries(tenants) if route.query else [{}]),
            st.sampled_from(["crm", "u"]),
        )

    return st.sampled_from(ROUTES).flatmap(of)


def _bodies(model: type[BaseModel], tenants: TwoTenants) -> st.SearchStrategy[Any]:
    """Bodies of this model that name whatever there is."""
    schema = model.model_json_schema(by_alias=True)
    named = [value for values in tenants.ids.values() for value in values]
    return _values(schema, schema.get("$defs", {}), named)


def _values(schema: Any, defined: Any, named: list[str]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        schema = defined[schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*(_values(item, defined, named) for item in schema["anyOf"]))
    kind = schema["type"]
    if kind == "object":
        fields = {
            name: _values(item, defined, named)
            for name, item in schema.get("properties", {}).items()
        }
        needed = {name: fields.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=fields)
    if kind == "array":
        return st.lists(_values(schema["items"], defined, named), max_size=2)
    if kind == "string":
        return _texts(schema, named)
    simple = {"integer": st.just(25), "boolean": st.booleans(), "null": st.none()}
    return simple[kind]


def _texts(schema: Any, named: list[str]) -> st.SearchStrategy[str]:
    if schema.get("pattern") == ID_PATTERN:
        return st.sampled_from(named)
    formats = {"email": [VICTIM, "x@ours.example"], "date-time": list(SPAN.values())}
    other = ["x", VICTIM, "elsewhere.example", *named]
    return st.sampled_from(formats.get(schema.get("format", ""), other))
