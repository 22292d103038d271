"""The page "Email (2-way sync)" as a person uses it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from shared.core.ids import UserId
from shared.core.matching.bcc import LOGGING

pytestmark = pytest.mark.browser

ME, NEW, ADA = "mia.berg@ours.example", "mia@studio.example", "ada@client.example"
AXE_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": [
        "wcag2a",
        "wcag2aa",
        "wcag21a",
        "wcag21aa",
        "wcag22aa",
        "best-practice",
    ],
}


def heading(page: Any) -> str:
    return str(page.locator("h1, h2.state, .banner h2").last.inner_text())


def choose(page: Any, account: str) -> None:
    """Google's pages: the account, then the permissions."""
    page.get_by_role("button", name=account).click()


def allow(page: Any) -> None:
    page.get_by_role("button", name="Allow").click()


def connect(
    page: Any, pages: Any, account: str = ME, name: str = "Connect Gmail"
) -> None:
    page.get_by_role("button", name=name).click()
    go_on(page, pages)
    choose(page, account)
    allow(page)
    page.wait_for_url(f"{pages.public}/settings")


def go_on(page: Any, pages: Any) -> None:
    """Our own page, which says for whom and asks; then Google's."""
    page.wait_for_url(f"{pages.public}/oauth/start**")
    page.get_by_role("button", name="Continue with Google").click()
    page.wait_for_url(f"{pages.gmail}/**")


def status(pages: Any) -> str:
    return str(pages.system.services.connections.view(UserId("u"))["status"])


def check_accessible(page: Any) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options=AXE_OPTIONS)
        assert found.violations_count == 0, found.generate_report()
    page.emulate_media(color_scheme="light")


def check_narrow(page: Any) -> None:
    """Nothing is cut off or must be scrolled sideways in a narrow frame."""
    page.set_viewport_size({"width": 280, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 280
    page.set_viewport_size({"width": 720, "height": 900})


def test_c1_connect_and_see_the_address(page: Any, pages: Any, shoot: Any) -> None:
    page.goto(pages.settings_url())
    assert page.url == f"{pages.public}/settings"  # the token has left the address bar
    assert heading(page) == "Connect your Gmail"
    check_accessible(page)
    check_narrow(page)
    shoot(page, "1-never-connected")
    connect(page, pages)
    assert heading(page) == "Connected"
    assert page.locator(".address").inner_text() == ME
    assert status(pages) == "active"
    pages.system.arrives(ADA, ME)
    pages.system.settle()
    page.reload()
    assert "just now" in page.locator("dl").inner_text()
    check_accessible(page)
    check_narrow(page)
    shoot(page, "2-connected")
    page.emulate_media(color_scheme="dark")
    shoot(page, "2-connected-dark")


def test_c1_denied_and_partial_consent(
    page: Any, pages: Any, shoot: Any, request: Any
) -> None:
    request.node.allowed_complaints = ("Failed to load resource",)
    page.goto(pages.settings_url())
    page.get_by_role("button", name="Connect Gmail").click()
    go_on(page, pages)
    choose(page, ME)
    page.get_by_role("button", name=re.compile("Cancel|Deny")).click()
    page.wait_for_url(f"{pages.public}/oauth/callback**")
    assert heading(page) == "You did not give permission"
    check_accessible(page)
    shoot(page, "3-denied")
    page.get_by_role("link", name="Back").click()
    page.get_by_role("button", name="Connect Gmail").click()
    go_on(page, pages)
    choose(page, ME)
    page.get_by_label(re.compile("View your email")).uncheck()
    allow(page)
    page.wait_for_url(f"{pages.public}/oauth/callback**")
    assert heading(page) == "A permission is missing"
    assert page.locator("li").all_inner_texts() == ["View your emails and settings"]
    check_accessible(page)
    shoot(page, "4-partial")
    page.get_by_role("link", name="Back").click()
    assert heading(page) == "Connect your Gmail"


def test_c1_the_page_before_google_names_user_and_team(
    page: Any, pages: Any, shoot: Any
) -> None:
    page.goto(pages.settings_url())
    page.get_by_role("button", name="Connect Gmail").click()
    page.wait_for_url(f"{pages.public}/oauth/start**")
    text = page.locator("main").inner_text()
    assert "will be connected for Mia Berg in North Agency." in text
    page.reload()
    check_accessible(page)
    check_narrow(page)
    shoot(page, "12-before-google")
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    shoot(page, "12-before-google-dark-narrow")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "Continue with Google":
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"{pages.gmail}/**")


def test_a_forwarded_link_is_refused_and_says_what_to_do(
    page: Any, pages: Any, shoot: Any, request: Any, chromium: Any
) -> None:
    request.node.allowed_complaints = ("Failed to load resource",)
    link = pages.system.services.connections.begin(UserId("u"))
    first = chromium.new_context().new_page()
    first.goto(link)
    page.goto(link)
    assert heading(page) == "This link was opened in another browser"
    check_accessible(page)
    check_narrow(page)
    shoot(page, "13-another-browser")
    first.get_by_role("button", name="Continue with Google").click()
    first.wait_for_url(f"{pages.gmail}/**")
    first.context.close()


def test_two_consents_in_two_tabs(page: Any, pages: Any, request: Any) -> None:
    request.node.allowed_complaints = ("Failed to load resource",)
    pages.system.user("v", "max@ours.example")
    pages.system.world.add_account("max@ours.example", "Max")
    begin = pages.system.services.connections.begin
    tabs = {ME: page, "max@ours.example": page.context.new_page()}
    for tab, user in zip(tabs.values(), ("u", "v"), strict=True):
        tab.goto(begin(UserId(user)))
    for account, tab in tabs.items():
        go_on(tab, pages)
        choose(tab, account)
    page.context.new_page().goto(f"{pages.public}/oauth/callback?state=wrong")
    for account, tab in tabs.items():
        allow(tab)
        tab.get_by_text("Gmail is connected").wait_for()
        assert account in tab.locator("main").inner_text()


def test_c10_another_account_is_asked_about(page: Any, pages: Any, shoot: Any) -> None:
    system = pages.system
    system.world.add_account(NEW, "Mia Berg")
    page.goto(pages.settings_url())
    connect(page, pages)
    system.services.accounts.needs_reauth(system.mailbox_id(ME))
    for button in (f"Keep {ME}", f"Move to {NEW}"):
        page.goto(pages.settings_url())
        page.get_by_role("button", name="Reconnect Gmail").click()
        page.wait_for_url(f"{pages.public}/oauth/start**")
        shoot(page, "14-before-reconnecting")
        go_on(page, pages)
        choose(page, NEW)
        allow(page)
        page.wait_for_url(f"{pages.public}/oauth/confirm**")
        assert page.locator("h1").inner_text() == "You chose another Google account"
        check_accessible(page)
        check_narrow(page)
        shoot(page, "15-another-account")
        page.set_viewport_size({"width": 360, "height": 740})
        page.emulate_media(color_scheme="dark")
        shoot(page, "15-another-account-dark-narrow")
        page.set_viewport_size({"width": 720, "height": 900})
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name=button).click()
        if button.startswith("Keep"):
            page.get_by_role("heading", name="Nothing has changed").wait_for()
            check_accessible(page)
            shoot(page, "16-kept")
            assert status(pages) == "reauth_required"
    page.wait_for_url(f"{pages.public}/settings")
    assert page.locator(".address").inner_text() == NEW
    assert "no longer synced" in page.get_by_role("status").first.inner_text()
    shoot(page, "17-moved")


def test_c5_use_another_address(page: Any, pages: Any) -> None:
    pages.system.world.add_account(NEW, "Mia Berg")
    page.goto(pages.settings_url())
    connect(page, pages)
    connect(page, pages, NEW, "Use another address")
    assert page.locator(".address").inner_text() == NEW


def test_c6_disconnect_asks_first(page: Any, pages: Any, shoot: Any) -> None:
    page.goto(pages.settings_url())
    connect(page, pages)
    page.get_by_role("link", name=re.compile("^Disconnect")).click()
    assert heading(page) == f"Disconnect {ME}?"
    check_accessible(page)
    check_narrow(page)
    shoot(page, "5-disconnect")
    page.get_by_role("link", name="Keep it connected").click()
    assert status(pages) == "active"
    page.get_by_role("link", name=re.compile("^Disconnect")).click()
    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url(f"{pages.public}/settings")
    assert heading(page) == "Not connected"
    assert status(pages) == "disconnected"
    check_accessible(page)
    shoot(page, "6-disconnected")


def test_c7_the_banner_and_reconnecting(page: Any, pages: Any, shoot: Any) -> None:
    system = pages.system
    page.goto(pages.settings_url())
    connect(page, pages)
    system.contact("ada", ADA)
    system.world.change_password(ME)
    system.arrives(ADA, ME, "Missed")
    system.clock.advance(minutes=20)
    system.outside.google._access_tokens._slots.clear()
    system.settle()
    page.reload()
    assert page.get_by_role("alert").locator("h2").inner_text() == f"Connect {ME} again"
    check_accessible(page)
    check_narrow(page)
    shoot(page, "7-reconnect")
    connect(page, pages, name="Reconnect Gmail")
    assert heading(page) == "Connected"
    system.settle()
    assert [message.subject for message in system.conversation("ada")] == ["Missed"]


def test_c8_warnings_and_the_bcc_address(page: Any, pages: Any, shoot: Any) -> None:
    system = pages.system
    system.world.add_account("mia@gmail.com", "Mia Berg")
    system.services.connections.disconnect(LOGGING)
    page.goto(pages.settings_url())
    connect(page, pages, "mia@gmail.com")
    assert "free consumer address" in page.get_by_role("status").last.inner_text()
    assert "nothing would be logged" in page.locator("main").inner_text()
    shoot(page, "8-no-bcc-address-yet")
    assert system.connect(LOGGING, "log@drop.example").code == "connected"
    page.reload()
    address = page.get_by_label("North Agency", exact=True).input_value()
    assert re.fullmatch(r"log\+[a-z2-7]{16,}@drop\.example", address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the address for North Agency").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == address
    check_accessible(page)
    check_narrow(page)
    shoot(page, "8-warning-and-bcc")


def test_c8_a_mailbox_in_trouble_is_explained(
    page: Any, pages: Any, shoot: Any
) -> None:
    page.goto(pages.settings_url())
    connect(page, pages)
    pages.system.clock.advance(days=6)
    page.goto(pages.settings_url())
    text = page.locator("main").inner_text()
    assert "could not be read for hours" in text
    assert "has not renewed its notifications" in text
    check_accessible(page)
    shoot(page, "9-trouble")


def test_the_page_in_the_crms_frame(page: Any, pages: Any, shoot: Any) -> None:
    page.goto(pages.crm)
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Connect Gmail").click()
    with page.context.expect_page() as opened:
        frame.get_by_role("link", name="Continue to Google (new tab)").click()
    tab = opened.value
    shoot(page, "10-frame")
    go_on(tab, pages)
    choose(tab, ME)
    allow(tab)
    tab.get_by_text("Gmail is connected").wait_for()
    check_accessible(tab)
    shoot(tab, "11-connected-in-a-tab")
    tab.close()
    frame.get_by_role("link", name="I have done that").click()
    assert frame.locator("h2.state").inner_text() == "Connected"


def test_every_page_works_without_javascript(chromium: Any, pages: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages.settings_url())
    connect(page, pages)
    assert page.get_by_role("button", name="Copy").count() == 0
    page.get_by_role("link", name=re.compile("^Disconnect")).click()
    page.get_by_role("button", name="Disconnect").click()
    page.wait_for_url(f"{pages.public}/settings")
    assert status(pages) == "disconnected"
    context.close()


def test_the_keyboard_reaches_everything(page: Any, pages: Any) -> None:
    page.goto(pages.settings_url())
    connect(page, pages)
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText"))
    assert "Use another address" in reached
    assert f"Disconnect {ME}…" in reached


def test_another_sites_frame_stays_empty(page: Any, pages: Any, request: Any) -> None:
    request.node.allowed_complaints = ("Framing", "Refused to frame")
    """A page that itself forbids no frame: only ours can refuse."""
    page.goto(pages.stranger)
    _, frame = page.frames
    assert frame.url.startswith("chrome-error:")


def test_a_session_ends_and_says_so(page: Any, pages: Any, request: Any) -> None:
    request.node.allowed_complaints = ("Failed to load resource",)
    page.goto(pages.settings_url())
    pages.system.clock.advance(minutes=31)
    page.reload()
    assert heading(page) == "Please open this page again"
    check_accessible(page)
