"""What is wrong with HTML that is said to be safe, by another parser than made it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

FORBIDDEN_TAGS = {
    "applet", "audio", "base", "button", "embed", "form", "frame", "frameset", "iframe",
    "input", "link", "math", "meta", "object", "script", "style", "svg", "template",
    "textarea", "title", "video", "body", "html", "head", "picture", "source", "dialog",
}  # fmt: skip
URL_ATTRIBUTES = {
    "href",
    "src",
    "background",
    "action",
    "poster",
    "srcset",
    "cite",
    "data",
    "formaction",
}


class Audit(HTMLParser):
    """Collects what is wrong with HTML that is said to be safe."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN_TAGS:
            self.wrong.append(tag)
        for name, value in attrs:
            text = value or ""
            if name.startswith("on") or name in {
                "id",
                "class",
                "name",
                "srcset",
                "background",
                "action",
                "ping",
                "xmlns",
            }:
                self.wrong.append(f"{tag} {name}")
            if name == "src" and not re.fullmatch(r"(?i)cid:\S+", text):
                self.wrong.append(f"src {text}")
            if name == "href" and not re.match(r"(?i)(https?:|mailto:|tel:)", text):
                self.wrong.append(f"href {text}")
            if name == "style" and re.search(
                r"(?i)url|expression|position|import|behavior|@|\\", text
            ):
                self.wrong.append(f"style {text}")
        if tag == "a":
            rel = dict(attrs).get("rel") or ""
            if set(rel.split()) != {"noopener", "noreferrer", "nofollow"}:
                self.wrong.append("rel")


def wrongs(html: str) -> list[str]:
    """Tags, attributes and values that should have been taken out."""
    audit = Audit()
    audit.feed(html)
    return audit.wrong
