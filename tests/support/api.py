"""The HTTP API on in-memory gateways, called as the framework calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from functions_framework import create_app
from werkzeug.test import Client, TestResponse

from shared import bootstrap, config
from shared.core import records
from shared.core.ids import MessageId, SubaccountId
from shared.gateways.memory import (
    MemoryBlobs,
    MemoryDocuments,
    MemorySecrets,
    MemoryTopics,
)
from shared.ports import Blobs, Documents
from shared.repositories import messages, paths

ROOT = Path(__file__).resolve().parents[2]
KEY = b"k" * 32
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@dataclass
class FixedClock:
    """A clock that stands still until it is set."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def pass_seconds(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def settings(**overrides: Any) -> config.Settings:
    return config.load(
        **{
            "google_cloud_project": "test-project",
            "public_url": "https://sync.example.com",
            "backend": "embedded",
            "push_audience": "https://sync.example.com/push",
            "push_service_account": "push@test-project.iam.gserviceaccount.com",
            "return_to_allowed": ("https://crm.example.com",),
            **overrides,
        }
    )


@dataclass
class Memory:
    """In-memory gateways, with the signing key in place."""

    settings: config.Settings = field(default_factory=settings)
    clock: FixedClock = field(default_factory=FixedClock)
    documents: Documents = field(default_factory=MemoryDocuments)
    blobs: Any = field(default_factory=MemoryBlobs)
    secrets: Any = field(default_factory=MemorySecrets)
    topics: Any = field(default_factory=MemoryTopics)
    google: Any = None

    def __post_init__(self) -> None:
        self.secrets.write("api-signing-key", KEY)


def app(target: str) -> Any:
    """The WSGI app of one entry point, as functions-framework builds it."""
    return create_app(target, str(ROOT / "main.py"), "http")


def token(
    subaccounts: list[str] | None = None,
    sub: str = "crm",
    *,
    key: bytes = KEY,
    now: datetime = START,
    **claims: Any,
) -> str:
    body = {
        "iss": "crm",
        "aud": "gmail-sync",
        "sub": sub,
        "subaccounts": ["a"] if subaccounts is None else subaccounts,
        "exp": int(now.timestamp()) + 600,
        **claims,
    }
    body = {name: value for name, value in body.items() if value is not ...}
    return jwt.encode(body, key, algorithm="HS256")


class Api:
    """A caller of the API. `services` is what answers."""

    def __init__(self, gateways: Any, wsgi: Any) -> None:
        self.gateways = gateways
        self.services = bootstrap.Services(gateways)
        self.client = Client(wsgi)
        self.token: str | None = token(["a", "b"])

    def call(
        self, method: str, path: str, body: Any = None, **more: Any
    ) -> TestResponse:
        headers = dict(more.pop("headers", {}))
        if self.token is not None:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            more["json"] = body
        return self.client.open(path, method=method, headers=headers, **more)

    def put(self, path: str, body: Any) -> Any:
        answer = self.call("PUT", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def import_rows(self, path: str, rows: list[Any], **more: Any) -> TestResponse:
        lines = b"\n".join(
            row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows
        )
        headers = {"Content-Type": "application/x-ndjson"}
        return self.call("POST", path, data=lines, headers=headers, **more)

    def record(self, message: records.Message, rfc822: bool = True) -> None:
        """Record a message the way recording does it."""
        document = messages.to_document(message)
        prefix = messages.blob_prefix(message.subaccount, message.id)
        document.put_blob(put_under(self.gateways.blobs, prefix))
        record_into(self.gateways.documents, message, document.data)


def put_under(blobs: Blobs, prefix: str) -> Callable[[str, bytes, str], str]:
    """Store blobs under a prefix; what is called gives their keys."""

    def put(name: str, data: bytes, content_type: str) -> str:
        blobs.put(prefix + name, data, content_type)
        return prefix + name

    return put


def record_into(
    documents: Documents, message: records.Message, data: dict[str, Any]
) -> None:
    from shared.ports import Create, Increment, Maximum, Merge, Update

    s = message.subaccount
    writes: list[Any] = [
        Create(paths.message(s, message.id), data),
        Update(
            paths.contact(s, message.contact),
            {"messages": Increment(1), "last_message_at": Maximum(message.sent_at)},
        ),
        Merge(
            paths.thread(s, message.thread),
            {"contact": message.contact, "exclusive": False},
        ),
    ]
    if message.rfc822_message_id:
        writes.append(
            Merge(
                paths.message_id(s, message.rfc822_message_id),
                {
                    "entries": {
                        message.id: {
                            "thread": message.thread,
                            "contact": message.contact,
                            "exclusive": False,
                            "recorded_at": message.recorded_at,
                        }
                    }
                },
            )
        )
    documents.commit(writes)


def a_message(
    m: str = "m1",
    s: str = "a",
    c: str = "c1",
    *,
    held_by: tuple[records.HeldBy, ...] = (),
    envelope: records.Envelope | None = None,
    **fields: Any,
) -> records.Message:
    from shared.core.mail import Address

    base: dict[str, Any] = {
        "thread": f"t-{m}",
        "direction": "inbound",
        "route": "gmail",
        "status": "received",
        "rule": "M5",
        "sent_at": 1_793_600_000_000,
        "recorded_at": 1_793_600_001_000,
        "sender": Address("Ann", "ann@example.org"),
        "subject": "Hello",
        "snippet": "Hello there",
        "rfc822_message_id": f"<{m}@example.org>",
        "addresses": ("ann@example.org",),
        **fields,
    }
    return records.Message(
        id=MessageId(m),
        subaccount=SubaccountId(s),
        contact=c,
        held_by=held_by,
        envelope=envelope
        or records.Envelope(text="Hello there", html="<p>Hello there</p>"),
        **base,
    )
