"""The user's pages in a real browser, against the product and the simulated Gmail."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from gmail_simulator.app import create_app as gmail_app
from infra.local import in_process
from infra.local.serving import Door
from shared import bootstrap
from shared.core.ids import SubaccountId, UserId
from shared.core.matching.bcc import LOGGING
from shared.core.records import Subaccount
from shared.repositories.directory import MemberToWrite
from tests.support import system as support
from tests.support.api import KEY, app

NAMES = ("chromium", "chromium-browser", "google-chrome")
ME, LOG = "mia.berg@ours.example", "log@drop.example"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium; where there is none the tests are skipped, never in CI."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "CHROMIUM NOT INSTALLED: the browser tests need it (package chromium)."
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


class Pages:
    """The product with its pages on real ports; `open` begins as the CRM does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.doors = [Door(), Door(), Door(), Door()]
        self.gmail, self.public, self.crm, self.stranger = (
            door.url for door in self.doors
        )
        monkeypatch.setattr(in_process, "BASE", self.gmail)
        monkeypatch.setattr(support, "PUBLIC", self.public)
        frame_ancestors = (self.crm,)
        self.system = support.System(frame_ancestors=frame_ancestors, **settings)
        monkeypatch.setattr(bootstrap, "services", lambda: self.system.services)
        self.system.outside.secrets.write("api-signing-key", KEY)
        directory = self.system.services.directory
        directory.put_subaccount(
            Subaccount(SubaccountId("s"), name="North Agency"), None
        )
        member = MemberToWrite(UserId("u"), "Mia Berg", ME, ME, ())
        directory.put_member(SubaccountId("s"), member)
        self.system.world.add_account(ME, "Mia Berg")
        self.doors[0].serve(gmail_app(self.system.world))
        self.doors[1].serve(app("connect"))
        self.doors[2].serve(self._crm)
        self.doors[3].serve(self._crm)  # the same page, on a site that is not listed

    def token(self, sub: str = "u", **claims: Any) -> str:
        body = {
            "iss": "crm",
            "aud": "gmail-sync",
            "sub": sub,
            "subaccounts": ["s"],
            "exp": int(self.system.clock.now().timestamp()) + 600,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode(body | claims, KEY, algorithm="HS256")

    def settings_url(self, **claims: Any) -> str:
        return f"{self.public}/settings?token={self.token(**claims)}"

    def _crm(self, environ: Any, start_response: Any) -> list[bytes]:
        """A CRM that shows the page in a frame."""
        body = (
            "<!doctype html><html lang=en><title>CRM</title><h1>CRM</h1>"
            f'<iframe title="Email" width=360 height=900 src="{self.settings_url()}">'
            "</iframe>"
        ).encode()
        headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    def close(self) -> None:
        for door in self.doors:
            door.close()


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    pages = Pages(monkeypatch, bcc_address_format="log+{token}@drop.example")
    pages.system.world.add_account(LOG)
    assert pages.system.connect(LOGGING, LOG).code == "connected"
    yield pages
    pages.close()


@pytest.fixture
def page(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """One tab of a fresh browser. What it complains about fails the test."""
    context = chromium.new_context(viewport={"width": 720, "height": 900})
    context.set_default_timeout(10_000)
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "console",
        lambda said: complaints.append(said.text) if said.type == "error" else None,
    )
    yield tab
    context.close()
    allowed = getattr(request.node, "allowed_complaints", ())
    assert [
        complaint
        for complaint in complaints
        if not complaint.startswith(tuple(allowed))
    ] == []


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Any:
    """Keep a picture, where SCREENSHOTS names a folder."""

    def take(tab: Any, name: str) -> None:
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=f"{folder}/{name}.png", full_page=True)

    return take
