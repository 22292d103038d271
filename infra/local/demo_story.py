"""The demo's data: an agency's CRM, one mailbox, and what must become of each mail.

The mails themselves are `demo_mails/<name>.eml`, sent as they are. Expectations follow
from the rules alone; the demo fails when the system disagrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.core.matching.reasons import Outcome

MAILS = Path(__file__).parent / "demo_mails"

MAILBOX = "mia@agency.example"
USER = "mia"
NORTH, SOUTH = "north", "south"

SUBACCOUNTS: dict[str, dict[str, Any]] = {
    NORTH: {
        "name": "North Agency",
        "logging": "established",
        "internal_domains": ["agency.example"],
        "never_log": ["lawyers.example"],
    },
    SOUTH: {"name": "South Agency", "logging": "all_contacts"},
}
USERS: dict[tuple[str, str], dict[str, Any]] = {
    (NORTH, USER): {"name": "Mia Berger", "email": MAILBOX},
    (NORTH, "tom"): {"name": "Tom Keller", "email": "tom@agency.example"},
    (SOUTH, USER): {"name": "Mia Berger", "email": MAILBOX},
}


def _contact(name: str, email: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "emails": [email], "assigned_to": USER, **more}


CONTACTS: dict[tuple[str, str], dict[str, Any]] = {
    (NORTH, "yuki"): _contact("青木 由紀", "yuki@aoki-design.example"),
    (NORTH, "ivan"): _contact("Иван Петров", "ivan@petrov.example"),
    (NORTH, "zoe"): _contact("Zoë Müller", "zoe@mueller.example"),
    (NORTH, "hugo"): _contact("Hugo Craft", "hugo@craft.example"),
    (NORTH, "bloom"): _contact("Bloom Flowers", "hello@bloom.example"),
    (NORTH, "tom-saved"): _contact("Tom from work", "tom@agency.example"),
    (NORTH, "lindgren-first"): _contact(
        "Karin Lindgren", "info@lindgren.example", created_at="2026-01-10T08:00:00Z"
    ),
    (NORTH, "lindgren-second"): _contact(
        "Olof Lindgren", "info@lindgren.example", created_at="2026-06-01T08:00:00Z"
    ),
    (NORTH, "lena"): {
        "name": "Lena Okafor",
        "emails": ["lena@okafor.example"],
        "assigned_to": "tom",
    },
    (NORTH, "weiss"): _contact("Dr. Weiss", "weiss@lawyers.example"),
    (SOUTH, "zoe-at-south"): _contact("Zoë Müller", "zoe@mueller.example"),
}

Place = tuple[str, str]
"""Subaccount and contact."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of the story.

    `by` is who moves it: the world outside, the user in Gmail, or the user who takes
    it out of spam. `thread_of` is the mail in whose Gmail thread the user writes.
    `story` says what a person watches.
    """

    name: str
    story: str
    outcome: Outcome
    rule: str
    places: tuple[Place, ...] = ()
    by: Literal["outside", "user", "rescue"] = "outside"
    auth: Literal["pass", "fail", "none"] = "pass"
    spam: bool = False
    thread_of: str | None = None

    @property
    def raw(self) -> bytes:
        """The mail as it travels; `@@name@@` stands for another mail's Message-ID."""
        return (MAILS / f"{self.name}.eml").read_bytes()


def _kept(name: str, rule: str, contact: str, story: str, **more: Any) -> Mail:
    places = more.pop("places", ((NORTH, contact),))
    return Mail(name, story, "recorded", rule, places, **more)


def _out(name: str, rule: str, story: str, **more: Any) -> Mail:
    return Mail(name, story, "ignored", rule, **more)


STORY: tuple[Mail, ...] = (
    _kept("yuki-asks", "M5", "yuki", "A contact writes, in Japanese (ISO-2022-JP)"),
    _kept(
        "mia-answers-yuki",
        "T2",
        "yuki",
        "Mia answers in Gmail; nobody touches the CRM",
        by="user",
        thread_of="yuki-asks",
    ),
    _kept("yuki-replies", "T2", "yuki", "The contact replies, with a PDF"),
    _kept("yuki-is-away", "T2", "yuki", "An automatic answer, kept and marked"),
    _kept("ivan-asks", "M5", "ivan", "Another contact, in Russian (windows-1251)"),
    _out("tom-comments-ivan", "M11", "A colleague comments on it, to Mia alone"),
    _kept(
        "mia-forwards-to-hugo",
        "M10",
        "hugo",
        "Mia forwards it to another contact",
        by="user",
        thread_of="ivan-asks",
    ),
    _out(
        "mia-forwards-to-accountant",
        "M10",
        "Mia forwards it to a stranger",
        by="user",
        thread_of="ivan-asks",
    ),
    _kept(
        "tom-writes-ivan", "M6", "ivan", "A colleague writes to a contact, Mia in Cc"
    ),
    _kept("ivan-thanks", "T2", "ivan", "The contact answers the colleague"),
    _kept(
        "zoe-asks",
        "M5",
        "zoe",
        "A contact of two subaccounts, with a colleague in Cc",
        places=((NORTH, "zoe"), (SOUTH, "zoe-at-south")),
    ),
    _kept("hugo-celebrates", "M5", "hugo", "Emoji in subject and text"),
    _kept("bloom-newsletter", "M5", "bloom", "A newsletter with scripts in its HTML"),
    _kept(
        "lindgren-office",
        "M5",
        "lindgren-first",
        "Two contacts share this address; the first one gets it",
    ),
    _out("tom-internal", "M11", "A colleague writes, who is a contact too"),
    _out("forged-mia", "M2", "A forgery in Mia's own name", auth="fail"),
    _out("two-senders", "M13", "A mail that names two senders", auth="none"),
    _out("stranger", "M7", "A stranger writes"),
    _out("lena-writes", "M3", "A contact of Tom's, who never dealt with Mia"),
    _out("lawyer-writes", "M12", "Mia's lawyer, on the never-log list"),
    _out("hugo-in-spam", "M1", "A contact's mail lands in spam", spam=True),
    _kept("hugo-in-spam", "M5", "hugo", "Mia takes it out of spam", by="rescue"),
)


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must be true of one recorded message, as the API answers it."""

    says: str
    mail: str
    contains: tuple[tuple[str, str], ...] = ()
    lacks: tuple[tuple[str, str], ...] = ()
    equals: tuple[tuple[str, object], ...] = ()
    attachments: tuple[str, ...] | None = None

    def problems(self, message: Mapping[str, Any] | None) -> list[str]:
        """What is not true of the message; nothing when all is."""
        if message is None:
            return [f"{self.mail} is not there"]
        names = tuple(attachment["filename"] for attachment in message["attachments"])
        found = [
            *(f"{k} lacks {v!r}" for k, v in self.contains if v not in message[k]),
            *(f"{k} holds {v!r}" for k, v in self.lacks if v in message[k]),
            *(
                f"{k} is {message[k]!r}, not {v!r}"
                for k, v in self.equals
                if message[k] != v
            ),
        ]
        if self.attachments is not None and names != self.attachments:
            found.append(f"attachments are {names}")
        return [f"{self.mail}: {item}" for item in found]


CHECKS: tuple[Check, ...] = (
    Check(
        "Japanese, Russian and German arrive readable",
        "yuki-asks",
        contains=(("subject", "ロゴのお見積りについて"), ("text", "青木デザイン")),
    ),
    Check("", "ivan-asks", contains=(("text", "Можно ли начать в декабре?"),)),
    Check("", "zoe-asks", contains=(("text", "können wir die Schriftgröße"),)),
    Check(
        "Emoji survive",
        "hugo-celebrates",
        contains=(("subject", "🚀"), ("text", "🎉🎉")),
    ),
    Check(
        "The PDF is stored under its Japanese name",
        "yuki-replies",
        attachments=("見積書.pdf",),
    ),
    Check(
        "The newsletter is safe to show: no script, frame, handler or tracker",
        "bloom-newsletter",
        contains=(("html", "10 % voucher"), ("html", "visit our shop")),
        lacks=tuple(
            ("html", bad)
            for bad in (
                "<script",
                "onload",
                "onerror",
                "javascript:",
                "<iframe",
                "track.bloom",
            )
        ),
        equals=(("automated", True),),
    ),
    Check(
        "The automatic answer is marked as such",
        "yuki-is-away",
        equals=(("automated", True),),
    ),
    Check(
        "Mia's answer from Gmail shows as hers",
        "mia-answers-yuki",
        equals=(("direction", "outbound"), ("user", USER), ("route", "gmail")),
    ),
    Check(
        "The colleague's mail shows as outbound and as his",
        "tom-writes-ivan",
        equals=(("direction", "outbound"), ("user", "tom")),
    ),
)
