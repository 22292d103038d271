"""HTML from strangers, shown as a careless CRM would show it, runs nothing.

Each vector comes as a mail, is synced and read through the API, and goes into a page
without any policy of its own: by innerHTML, and written into the document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.security.deployment import Deployment
from tests.security.xss_vectors import VECTORS
from tests.support.sending import CARLA, MIA

pytestmark = pytest.mark.browser

CRM = "https://crm.example/message"

# What is left in the page that could act, as the browser itself has parsed it.
AUDIT = """() => {
  const found = [];
  for (const one of document.querySelectorAll("main *")) {
    const name = one.localName;
    if (one.namespaceURI !== "http://www.w3.org/1999/xhtml") found.push(name);
    if (/^(script|style|iframe|object|embed|form|input|button|base|meta|link|svg|math|template|frame|portal)$/.test(name))
      found.push(name);
    for (const attribute of one.attributes) {
      if (/^(on|id$|name$|srcset|ping|action|formaction|srcdoc)/.test(attribute.name))
        found.push(name + " " + attribute.name);
      if (attribute.name === "style" && /url|expression|position|@|\\\\/i.test(attribute.value))
        found.push(name + " " + attribute.value);
    }
    if ("href" in one && one.href && !/^(https?|mailto|tel):/.test(one.href))
      found.push(name + " " + one.href);
    if (one.src && !/^cid:/.test(one.src)) found.push(name + " " + one.src);
  }
  return found;
}"""

# What a person's pointer and a loading page would set off. Nothing tells that nothing
# more will come: a refresh of 0 seconds, a handler or a request has come by then.
SETTLE = """() => {
  for (const one of document.querySelectorAll("main *"))
    for (const kind of ["mouseover", "focus", "error", "load", "toggle"])
      one.dispatchEvent(new Event(kind));
  return new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)));
}"""


@dataclass
class Shown:
    """A tab, and everything in it that should not have happened."""

    tab: Any
    happened: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.document = "<!doctype html><title>CRM</title><main></main>"
        self.tab.on("dialog", self._dialog)
        self.tab.on("popup", lambda _: self.happened.append("popup"))
        self.tab.on("frameattached", lambda _: self.happened.append("frame"))
        self.tab.route("**/*", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.happened.append("dialog")
        dialog.dismiss()

    def _request(self, route: Any) -> None:
        if route.request.url == CRM:
            route.fulfill(body=self.document, content_type="text/html; charset=utf-8")
            return
        self.happened.append(route.request.url)
        route.abort()

    def open(self, body: str = "") -> None:
        """Open the CRM's page, with this in its document."""
        self.document = (
            f"<!doctype html><title>CRM</title><main>{body}</main><footer></footer>"
        )
        self.tab.goto(CRM)

    def settle(self) -> list[str]:
        """Let the page do what it will, with a person over it; say what happened."""
        from playwright.sync_api import Error

        try:
            self.tab.evaluate(SETTLE)
        except Error:
            self.happened.append("navigation")
        if self.tab.url != CRM:
            self.happened.append(self.tab.url)
        return self.happened


@pytest.fixture
def shown(chromium: Any) -> Iterator[Shown]:
    context = chromium.new_context()
    yield Shown(context.new_page())
    context.close()


@pytest.fixture(scope="module")
def sanitised() -> list[str]:
    """What the API gives for each vector, in their order."""
    with pytest.MonkeyPatch.context() as patch:
        deployment = Deployment(patch)
        for number, vector in enumerate(VECTORS):
            mail = deployment.mail(CARLA, MIA, str(number))
            html = f"<p>before {number}</p>{vector}<p>after</p>"
            mail.set_content(html, subtype="html", cte="base64")
            deployment.world.deliver_from_outside(mail.as_bytes(), [MIA])
        deployment.pushes_merged()
        deployment.settle()
        found: dict[int, str] = {}
        query: dict[str, Any] = {"page_size": 100}
        while query:
            path = "/v1/subaccounts/s/conversations/c/messages"
            page = deployment.call("GET", path, query_string=query).json
            found |= {int(item["subject"]): item["html"] for item in page["items"]}
            token = page["next_page_token"]
            query = {"page_size": 100, "page_token": token} if token else {}
    assert len(found) == len(VECTORS)
    return [found[number] for number in range(len(VECTORS))]


def test_there_are_enough_vectors(sanitised: list[str]) -> None:
    assert len(set(VECTORS)) >= 200
    assert all(f"before {n}" in html for n, html in enumerate(sanitised))


def test_nothing_happens_when_it_is_put_into_a_page(
    shown: Shown, sanitised: list[str]
) -> None:
    shown.open()
    shown.tab.evaluate(
        """all => all.forEach(html => {
          const box = document.createElement("section");
          document.querySelector("main").append(box);
          box.innerHTML = html;
          box.innerHTML = box.innerHTML;  // an editor's round trip: mutations show
        })""",
        sanitised,
    )
    assert shown.settle() == []
    assert shown.tab.evaluate(AUDIT) == []


def test_nothing_happens_when_it_is_written_into_the_document(
    shown: Shown, sanitised: list[str]
) -> None:
    shown.open("".join(f"<section>{html}</section>" for html in sanitised))
    assert shown.settle() == []
    assert shown.tab.evaluate(AUDIT) == []
    # None swallows or leaves the place where it is shown.
    boxes = shown.tab.evaluate(
        "() => [document.querySelectorAll('main > section').length,"
        " document.querySelectorAll('body > footer').length]"
    )
    assert boxes == [len(VECTORS), 1]


def test_nothing_happens_when_a_script_writes_it(
    shown: Shown, sanitised: list[str]
) -> None:
    page = (
        json.dumps("".join(sanitised)).replace("</", "<\\/").replace("<!--", "<\\!--")
    )
    shown.open(f"<script>document.write({page})</script>")
    assert shown.settle() == []


@pytest.mark.parametrize(
    "raw",
    [
        "<img src=x onerror=alert(1)>",
        "<img src=http://evil.example/pixel.gif>",
        "<svg onload=alert(1)>",
        "<iframe srcdoc=x></iframe>",
        '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
        "<div style='background:url(http://evil.example/x)'>x</div>",
        '<meta http-equiv=refresh content="0;url=http://evil.example/r">',
    ],
)
def test_what_is_not_sanitised_would_be_noticed(shown: Shown, raw: str) -> None:
    shown.open(raw)
    assert shown.settle() or shown.tab.evaluate(AUDIT)
