"""What each command asks of the API, and what it says of the answer."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from gmail_sync.api import Ask
from shared.core.matching.reasons import explain

_LOOK_SECONDS = 0.5

Progress = Callable[[int, int], None]
"""Told how much of a job is done, and of how much."""


def why(ask: Ask, subaccount: str, query: dict[str, str]) -> str:
    """Say in a sentence or two why mail is in the CRM, or is not."""
    path = f"/v1/subaccounts/{subaccount}/decisions"
    items = ask("GET", path, query=query)["items"]
    if not items:
        return (
            "Nothing is known of it: it came to no mailbox that is connected for this "
            "subaccount, or more than 30 days ago."
        )
    return "\n".join(_sentence(decision) for decision in items)


def _sentence(decision: dict[str, Any]) -> str:
    reason = explain(decision["rule"], decision["outcome"])
    mailbox = decision["mailbox"] or "no mailbox"
    if decision["outcome"] == "recorded":
        places = ", ".join(
            f"{place['subaccount']} (contact {place['contact']}, "
            f"message {place['message']})"
            for place in decision["subaccounts"]
        )
        head = f"In {mailbox}: recorded in {places}."
    elif decision["outcome"] == "quarantined":
        head = f"In {mailbox}: set aside."
    else:
        head = f"In {mailbox}: not recorded."
    return f"{head} {reason} (rule {decision['rule']}, {decision['decided_at']})"


def follow(ask: Ask, job: str, progress: Progress) -> dict[str, Any]:
    """Wait for a job to end, and tell how far it is meanwhile."""
    while True:
        found: dict[str, Any] = ask("GET", f"/v1/jobs/{job}")
        progress(found["progress"]["done"], found["progress"]["total"])
        if found["status"] in {"done", "failed"}:
            return found
        time.sleep(_LOOK_SECONDS)


def report(job: dict[str, Any]) -> str:
    """What came of a job, in a few lines."""
    result = job["result"] or {}
    if job["status"] == "failed":
        return f"It failed: {result.get('code')}. See docs/runbook.md."
    lines = [f"{result['gmail']} in Gmail, {result['recorded']} recorded."]
    for difference in result.get("differences") or ():
        wanted = difference["outcome"] == "recorded"
        what = "missing" if wanted else "should not be there"
        mended = ", repaired" if difference["repaired"] else ""
        reason = explain(difference["rule"], difference["outcome"])
        lines.append(f"{difference['gmail_message_id']} {what}{mended}: {reason}")
    return "\n".join(lines)


def quarantine(ask: Ask) -> str:
    """Every email that was set aside, a line each."""
    items = ask("GET", "/v1/quarantine", query={"page_size": "100"})["items"]
    lines = [
        f"{item['id']} {item['code']} {item['gmail_message_id']} "
        f"(tried {item['attempts']} times, last {item['last_at']}): {item['detail']}"
        for item in items
    ]
    return "\n".join(lines) or "The quarantine is empty."


def run(ask: Ask, given: argparse.Namespace, progress: Progress) -> str:
    """Do one command and give what is to be printed."""
    match given.command:
        case "why":
            query = {
                name: value
                for name, value in (
                    ("rfc822_message_id", given.message_id),
                    ("gmail_message_id", given.gmail_id),
                    ("address", given.address),
                )
                if value
            }
            return why(ask, given.subaccount, query)
        case "quarantine":
            return quarantine(ask)
        case "replay":
            replayed = ask("POST", f"/v1/quarantine/{given.item}:replay", {})
            return f"{given.item}: {replayed['outcome']}"
        case "audit":
            body = {"from": given.begin, "to": given.end, "repair": given.repair}
            job = ask("POST", f"/v1/users/{given.user}/connection:audit", body)
        case _:
            path = f"/v1/subaccounts/{given.subaccount}/contacts/{given.contact}"
            job = ask("POST", f"{path}:backfill", {})
    return report(follow(ask, job["id"], progress))
