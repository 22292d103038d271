"""The operator's questions and orders at the command line.

    python -m gmail_sync why --subaccount s1 --message-id '<m@example.org>'
    python -m gmail_sync quarantine --subaccount s1
    python -m gmail_sync replay ITEM --subaccount s1
    python -m gmail_sync audit USER --from 2026-11-01T00:00:00Z --to … [--repair]
    python -m gmail_sync backfill CONTACT --subaccount s1
    python -m gmail_sync pause-sending [--subaccount s1]
    python -m gmail_sync resume-sending [--subaccount s1] [--drop]

Against any deployment: `--api` (or SYNC_API) says where, SYNC_TOKEN holds a caller's
token. Orders need no token but the operator's own Google credentials, and `--project`
(or SYNC_PROJECT). Without them it is the local system that is asked and told.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

import requests

from gmail_sync import orders
from shared.core.matching.reasons import explain

_LOCAL = "http://localhost:8080"
_SECONDS = 30
_LOOK_SECONDS = 0.5
_BAR = 30


class Ask(Protocol):
    """One call of the API; raises SystemExit with what the API says."""

    def __call__(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        """Answer the parsed body."""


def why(ask: Ask, subaccount: str, query: dict[str, str]) -> str:
    """Say in a sentence or two why mail is in the CRM, or is not."""
    path = f"/v1/subaccounts/{subaccount}/decisions"
    items = ask("GET", path, query=query)["items"]
    if not items:
        return (
            "Nothing is known of it: it came to no mailbox that is connected for this "
            "subaccount, or more than 30 days ago."
        )
    return "\n".join(_sentence(one) for one in items)


def _sentence(decision: dict[str, Any]) -> str:
    reason = explain(decision["rule"], decision["outcome"])
    mailbox = decision["mailbox"] or "no mailbox"
    if decision["outcome"] == "recorded":
        places = ", ".join(
            f"{one['subaccount']} (contact {one['contact']}, message {one['message']})"
            for one in decision["subaccounts"]
        )
        head = f"In {mailbox}: recorded in {places}."
    elif decision["outcome"] == "quarantined":
        head = f"In {mailbox}: set aside."
    else:
        head = f"In {mailbox}: not recorded."
    return f"{head} {reason} (rule {decision['rule']}, {decision['decided_at']})"


def follow(ask: Ask, job: str, show: Any = None) -> dict[str, Any]:
    """Wait for a job, with a bar that shows how far it is."""
    while True:
        found: dict[str, Any] = ask("GET", f"/v1/jobs/{job}")
        if show is not None:
            show(bar(**found["progress"]))
        if found["status"] in {"done", "failed"}:
            return found
        time.sleep(_LOOK_SECONDS)


def bar(done: int, total: int) -> str:
    """A bar of one line."""
    full = _BAR * done // total if total else 0
    return f"[{'#' * full}{'.' * (_BAR - full)}] {done}/{total}"


def report(found: dict[str, Any]) -> str:
    """What came of a job, in a few lines."""
    result = found["result"] or {}
    if found["status"] == "failed":
        return f"It failed: {result.get('code')}. See docs/runbook.md."
    lines = [f"{result['gmail']} in Gmail, {result['recorded']} recorded."]
    for one in result.get("differences") or ():
        what = "missing" if one["outcome"] == "recorded" else "should not be there"
        mended = ", repaired" if one["repaired"] else ""
        reason = explain(one["rule"], one["outcome"])
        lines.append(f"{one['gmail_message_id']} {what}{mended}: {reason}")
    return "\n".join(lines)


def run(ask: Ask, given: argparse.Namespace, show: Any) -> str:
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
            items = ask("GET", "/v1/quarantine", query={"page_size": "100"})["items"]
            return (
                "\n".join(
                    f"{one['id']} {one['code']} {one['gmail_message_id']} "
                    f"(tried {one['attempts']} times, last {one['last_at']}): "
                    f"{one['detail']}"
                    for one in items
                )
                or "The quarantine is empty."
            )
        case "replay":
            answer = ask("POST", f"/v1/quarantine/{given.item}:replay", {})
            return f"{given.item}: {answer['outcome']}"
        case "audit":
            body = {"from": given.begin, "to": given.end, "repair": given.repair}
            job = ask("POST", f"/v1/users/{given.user}/connection:audit", body)
        case _:
            path = f"/v1/subaccounts/{given.subaccount}/contacts/{given.contact}"
            job = ask("POST", f"{path}:backfill", {})
    return report(follow(ask, job["id"], show))


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--api", default=os.environ.get("SYNC_API", _LOCAL))
    told = argparse.ArgumentParser(add_help=False, parents=[where])
    where.add_argument("--subaccount", default="s1", help="one id (the token's)")
    told.add_argument("--subaccount", help="only this one, else all")
    told.add_argument("--project", default=os.environ.get("SYNC_PROJECT"))
    parser = argparse.ArgumentParser(
        prog="operator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, parents=[where])

    asked = command("why", "why is this mail (not) in the CRM?")
    which = asked.add_mutually_exclusive_group(required=True)
    which.add_argument("--message-id")
    which.add_argument("--gmail-id")
    which.add_argument("--address")
    command("quarantine", "what was set aside")
    command("replay", "try one again").add_argument("item")
    audit = command("audit", "compare a mailbox with the records")
    audit.add_argument("user")
    audit.add_argument("--from", dest="begin", required=True)
    audit.add_argument("--to", dest="end", required=True)
    audit.add_argument("--repair", action="store_true")
    backfill = command("backfill", "bring in a contact's older mail")
    backfill.add_argument("contact")
    commands.add_parser(orders.PAUSE, help="no mail goes out any more", parents=[told])
    resume = commands.add_parser(
        orders.RESUME, help="mail goes out again", parents=[told]
    )
    resume.add_argument(
        "--drop", action="store_true", help="what waits is not sent: it fails"
    )
    return parser.parse_args(words)


def _caller(given: argparse.Namespace) -> Ask:
    token = os.environ.get("SYNC_TOKEN") or _local_token(given.subaccount)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"

    def ask(
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
    ) -> Any:
        answer = session.request(
            method, f"{given.api}{path}", json=body, params=query, timeout=_SECONDS
        )
        if not answer.ok:
            raise SystemExit(f"{answer.status_code}: {answer.json().get('detail')}")
        return answer.json()

    return ask


def _local_token(subaccount: str) -> str:
    from infra.local import local_settings
    from infra.local.caller_token import mint
    from infra.local.state import ROOT

    key = local_settings.signing_key(os.environ, ROOT)
    return mint(key, sub="crm", subaccounts=subaccount.split(","))


def give_order(given: argparse.Namespace) -> str:
    """Pause or resume sending, and say that it is so."""
    name, subaccount = given.command, given.subaccount
    drop = getattr(given, "drop", False)
    orders.order(orders.publisher(given.project), name, subaccount, drop=drop)
    return orders.confirmed(given.api, name, subaccount)


def main() -> None:
    """Ask, and print the answer."""
    given = arguments(sys.argv[1:])
    if given.command in {orders.PAUSE, orders.RESUME}:
        print(give_order(given))  # noqa: T201
        return

    def show(text: str) -> None:
        print(f"\r{text}", end="", file=sys.stderr, flush=True)  # noqa: T201

    answer = run(_caller(given), given, show if sys.stderr.isatty() else None)
    print(f"\n{answer}" if sys.stderr.isatty() else answer)  # noqa: T201


if __name__ == "__main__":
    main()
