"""The open questions. Each is asked of a mailbox and a project, and answered in words.

The design holds whatever the answers are (docs/architecture.md); they say which of its
precautions are needed, and where a setting can be relaxed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from tools.live_check.mailbox import Mailbox, Unanswered

ROUNDS = 5
_PATIENCE_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a question. `facts` are measured, `answer` is what they mean."""

    question: str
    answer: str
    facts: tuple[tuple[str, str], ...] = field(default=())


class Project(Protocol):
    """What is asked of the deployment."""

    def next_notification(self, address: str, after: int, seconds: float) -> int | None:
        """Wait for a notification of this mailbox newer than `after`; gives its id."""

    def push_ingress(self) -> str:
        """The ingress setting of the pushed function."""

    def probe_push(self, seconds: float) -> bool:
        """Publish a hint that means nothing; whether the function took the push."""


Question = Callable[[Mailbox, Project], Finding]


def message_id_kept(mailbox: Mailbox, _project: Project) -> Finding:
    """Is our Message-ID kept?"""
    mark = _mark()
    ours = f"<{mark}@live-check.invalid>"
    sent = mailbox.send(mailbox.draft(ours, mark))
    if not sent.is_ok:
        raise Unanswered(f"drafts.send: {sent.reason}")
    headers = mailbox.headers(str(sent.body["id"]))
    kept = headers.get("message-id") == ours
    marked = headers.get("x-live-check") == mark
    return Finding(
        "Is our Message-ID kept?",
        "Yes." if kept else "No: Gmail writes its own; it must be read back.",
        (
            ("our Message-ID kept", _yes(kept)),
            ("our X- header kept", _yes(marked)),
            ("our Message-ID set aside", _yes(ours in headers.values() and not kept)),
        ),
    )


def history_lag(mailbox: Mailbox, project: Project) -> Finding:
    """How long does the history lag behind the push?"""
    lags: list[float] = []
    lost = 0
    for _ in range(ROUNDS):
        start = mailbox.history_id()
        mark = _mark()
        draft = mailbox.draft(f"<{mark}@live-check.invalid>", mark)
        before = mailbox.history_id()
        sent = mailbox.send(draft)
        if not sent.is_ok:
            raise Unanswered(f"drafts.send: {sent.reason}")
        pushed = project.next_notification(mailbox.address, before, _PATIENCE_SECONDS)
        if pushed is None:
            lost += 1
            continue
        lags.append(_until_readable(mailbox, start, str(sent.body["id"])))
    worst = max(lags, default=0.0)
    at_once = sum(lag < _LOOK_AGAIN_SECONDS for lag in lags)
    if not lags:
        answer = "No notification came: see whether the mailbox is watched."
    elif at_once == len(lags):
        answer = "Not at all in this run: what a push announces is readable."
    else:
        answer = f"Up to {worst:.1f} s: looking again after a while is needed."
    return Finding(
        "How long does the history lag behind the push?",
        answer,
        (
            ("mails sent", str(ROUNDS)),
            ("notifications that did not come within a minute", str(lost)),
            ("readable at the first look", f"{at_once} of {len(lags)}"),
            ("longest wait", f"{worst:.2f} s"),
        ),
    )


def concurrent_sends(mailbox: Mailbox, _project: Project) -> Finding:
    """What do two concurrent sends of one draft do?"""
    doubled = 0
    outcomes: list[str] = []
    for _ in range(ROUNDS):
        start = mailbox.history_id()
        mark = _mark()
        draft = mailbox.draft(f"<{mark}@live-check.invalid>", mark)
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(mailbox.send, (draft, draft)))
        time.sleep(_LOOK_AGAIN_SECONDS)
        copies = {
            item
            for item in mailbox.added_since(start)
            if _is_sent_copy(mailbox, item, mark)
        }
        doubled += len(copies) > 1
        outcomes.append(
            " and ".join(
                sorted("taken" if answer.is_ok else answer.reason for answer in both)
            )
        )
    return Finding(
        "What do two concurrent sends of one draft do?",
        "They can send two mails: only the lease keeps them apart."
        if doubled
        else "One mail went out each time: the draft itself is a second guard.",
        (
            ("rounds", str(ROUNDS)),
            ("rounds with two mails", str(doubled)),
            ("answers", "; ".join(sorted(set(outcomes)))),
        ),
    )


def ingress_accepts_push(_mailbox: Mailbox, project: Project) -> Finding:
    """Does ingress `internal` accept the push?"""
    ingress = project.push_ingress()
    taken = project.probe_push(_PATIENCE_SECONDS * 3)
    if ingress != "ALLOW_INTERNAL_ONLY":
        answer = f"Not asked: the functions' ingress is {ingress}."
    elif taken:
        answer = "Yes."
    else:
        answer = 'No: set push_ingress = "ALLOW_ALL" and apply.'
    return Finding(
        "Does ingress `internal` accept the push?",
        answer,
        (("ingress", ingress), ("push taken", _yes(taken))),
    )


QUESTIONS: tuple[Question, ...] = (
    message_id_kept,
    history_lag,
    concurrent_sends,
    ingress_accepts_push,
)


def ask(
    mailbox: Mailbox, project: Project, some: tuple[Question, ...] = QUESTIONS
) -> list[Finding]:
    """Ask one after the other; what Gmail refuses stays open, and says so."""
    findings = []
    for question in some:
        try:
            findings.append(question(mailbox, project))
        except Unanswered as refusal:
            text = (question.__doc__ or question.__name__).strip()
            findings.append(Finding(text, f"Open: {refusal}"))
    return findings


def report(findings: list[Finding], heading: str) -> str:
    """The findings as Markdown; holds no address, no id and no text of a mail."""
    lines = [f"# Live check: {heading}", ""]
    for finding in findings:
        lines += [f"## {finding.question}", "", finding.answer, ""]
        lines += [f"- {name}: {value}" for name, value in finding.facts]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _until_readable(mailbox: Mailbox, start: int, message: str) -> float:
    began = time.monotonic()
    while message not in mailbox.added_since(start):
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise Unanswered("the history does not show the mail within a minute")
        time.sleep(_LOOK_AGAIN_SECONDS)
    return time.monotonic() - began


def _is_sent_copy(mailbox: Mailbox, message: str, mark: str) -> bool:
    found = mailbox.call("GET", f"messages/{message}", format="metadata")
    if not found.is_ok or "SENT" not in found.body.get("labelIds", ()):
        return False
    return any(
        str(header["name"]).lower() == "x-live-check" and header["value"] == mark
        for header in found.body["payload"]["headers"]
    )


def _mark() -> str:
    return secrets.token_hex(8)


def _yes(value: bool) -> str:  # noqa: FBT001
    return "yes" if value else "no"
