"""A simulated Gmail with a clock that stands still, and real clients that drive it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build

from gmail_simulator import (
    GmailWorld,
    InProcessHttp,
    WsgiAdapter,
    create_app,
)

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, seconds: float = 0, **units: float) -> None:
        self.now += timedelta(seconds=seconds, **units)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def published() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def world(clock: Clock, published: list[tuple[str, dict[str, Any]]]) -> GmailWorld:
    """Ann and Bob of one company; whoever else is outside."""
    world = GmailWorld(
        clock, 7, lambda topic, data, _: published.append((topic, json.loads(data)))
    )
    world.add_account(ANN, "Ann", aliases=["sales@acme.test"])
    world.add_account(BOB, "Bob")
    return world


@pytest.fixture
def app(world: GmailWorld) -> Any:
    """The application, with every answer held against the discovery document."""
    return create_app(world, validate=True)


@pytest.fixture
def service(world: GmailWorld, app: Any) -> Callable[..., Any]:
    """Make the real client of an account, over no socket."""

    def make(address: str = ANN, *, timeout: float | None = None, **grant: Any) -> Any:
        tokens = world.grant(address, **grant)
        http = InProcessHttp(app, timeout=timeout)
        credentials = Credentials(tokens.access_token)
        return build(
            "gmail",
            "v1",
            http=AuthorizedHttp(credentials, http=http),
            static_discovery=True,
        )

    return make


@pytest.fixture
def users(service: Callable[..., Any]) -> Any:
    """Ann's `users()` resource."""
    return service().users()


@pytest.fixture
def browser(app: Any) -> requests.Session:
    """A browser, or a server without Google's library."""
    session = requests.Session()
    session.mount("http://", WsgiAdapter(app))
    return session


def mail(
    sender: str = CARLA,
    to: str = ANN,
    subject: str = "Hello",
    text: str = "Good morning",
    **headers: str,
) -> bytes:
    """Write a raw mail; `in_reply_to` becomes In-Reply-To."""
    lines = [f"From: {sender}", f"To: {to}", f"Subject: {subject}"]
    lines += [f"{k.replace('_', '-').title()}: {v}" for k, v in headers.items()]
    return "\r\n".join([*lines, "", text]).encode()


@pytest.fixture(name="mail")
def _mail() -> Callable[..., bytes]:
    return mail
