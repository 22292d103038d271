"""The operator's questions and orders at the command line.

  gmail-sync why --message-id '<m@example.org>'    why an email is (not) in the CRM
  gmail-sync quarantine                            what was set aside
  gmail-sync replay ITEM                           try one of these again
  gmail-sync audit USER --from 2026-11-01T00:00:00Z --to 2026-11-02T00:00:00Z
  gmail-sync backfill CONTACT                      bring in a contact's older mail
  gmail-sync pause-sending                         nothing goes out any more
  gmail-sync resume-sending                        what waited goes out
  gmail-sync token --sub u1                        a caller's token, to use with curl

The system that `make up` runs on this machine is found by itself. For a deployment,
--api (or SYNC_API) is its address and SYNC_TOKEN a caller's token. Orders need no
token but your own Google credentials, and --project (or SYNC_PROJECT).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress

from gmail_sync import commands, orders
from gmail_sync.api import caller
from gmail_sync.running import CommandError, find
from gmail_sync.tokens import mint

_FAILED = 1


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--api",
        default=os.environ.get("SYNC_API"),
        help="the address of a deployment's API, else the system on this machine",
    )
    ordered = argparse.ArgumentParser(add_help=False, parents=[where])
    where.add_argument("--subaccount", default="s1", help="one id (default: s1)")
    ordered.add_argument("--subaccount", help="only this one (default: all)")
    ordered.add_argument(
        "--project",
        default=os.environ.get("SYNC_PROJECT"),
        help="the Google Cloud project of a deployment",
    )
    parser = argparse.ArgumentParser(
        prog="gmail-sync",
        usage="gmail-sync COMMAND …   (gmail-sync COMMAND --help says more)",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", prog="gmail-sync"
    )

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return names.add_parser(name, help=text, description=text, parents=[where])

    asked = command("why", "why is this email (not) in the CRM?")
    which = asked.add_mutually_exclusive_group(required=True)
    which.add_argument("--message-id", help="its Message-ID, see Gmail's Show original")
    which.add_argument("--gmail-id", help="its id in Gmail's API")
    which.add_argument("--address", help="all of the last 30 days with this address")
    command("quarantine", "what was set aside")
    command("replay", "try one email of the quarantine again").add_argument("item")
    audit = command("audit", "compare a mailbox with the records")
    audit.add_argument("user")
    audit.add_argument("--from", dest="begin", required=True, metavar="TIME")
    audit.add_argument("--to", dest="end", required=True, metavar="TIME")
    audit.add_argument("--repair", action="store_true", help="mend what differs")
    backfill = command("backfill", "bring in a contact's older mail")
    backfill.add_argument("contact")
    token = names.add_parser(
        "token", help="a caller's token for the system on this machine"
    )
    token.add_argument("--sub", default="crm", help="a user's id, or crm")
    token.add_argument("--subaccount", default="s1", help="ids, separated by commas")
    token.add_argument(
        "--deployment",
        action="store_true",
        help="with the right to what belongs to no subaccount: the logging mailbox",
    )
    for name, text in (
        (orders.PAUSE, "no mail goes out any more"),
        (orders.RESUME, "mail goes out again"),
    ):
        names.add_parser(name, help=text, description=text, parents=[ordered])
    names.choices[orders.RESUME].add_argument(
        "--drop", action="store_true", help="what waits is not sent: it fails"
    )
    return parser.parse_args(words)


def give_order(given: argparse.Namespace) -> str:
    """Pause or resume sending, and say that it is so."""
    api = given.api
    if given.project is not None:
        publish = orders.in_project(given.project)
    else:
        running = find()
        api = api or running.api
        publish = orders.to_function(running.push)
    ask = caller(api) if api is not None else None
    before = orders.paused(ask) if ask is not None else 0
    drop = getattr(given, "drop", False)
    orders.order(publish, given.command, given.subaccount, drop=drop)
    if ask is None:
        return "It was ordered. With --api it is also confirmed."
    return orders.confirmed(ask, given.command, given.subaccount, before)


def question(given: argparse.Namespace) -> str:
    """Ask the API, with a bar at the terminal while a job runs."""
    api, token = _api_and_token(given)
    console = Console(stderr=True)
    with Progress(
        console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(given.command, total=None, visible=False)
        return commands.run(
            caller(api, token),
            given,
            lambda done, total: bar.update(
                task, completed=done, total=total, visible=True
            ),
        )


def _api_and_token(given: argparse.Namespace) -> tuple[str, str]:
    """The deployment that is named with its token, else the system on this machine.

    SYNC_TOKEN opens a deployment: it is not shown to anything that was only found.
    """
    api, token = given.api, os.environ.get("SYNC_TOKEN")
    if api is not None and token is not None:
        return api, token
    try:
        running = find()
    except CommandError:
        if api is None:
            raise
        running = None
    if running is None or api not in {None, running.api}:
        raise CommandError(f"SYNC_TOKEN is needed: a caller's token for {api}.")
    subaccounts = given.subaccount.split(",")
    token = mint(
        running.signing_key, sub="crm", subaccounts=subaccounts, deployment=True
    )
    return running.api, token


def run(words: Sequence[str]) -> str:
    """Do what the command line says; raises CommandError with the reason if not."""
    given = arguments(words)
    match given.command:
        case "token":
            key = find().signing_key
            return mint(
                key,
                sub=given.sub,
                subaccounts=given.subaccount.split(","),
                deployment=given.deployment,
            )
        case orders.PAUSE | orders.RESUME:
            return give_order(given)
        case _:
            return question(given)


def main() -> None:
    """The command `gmail-sync`."""
    try:
        print(run(sys.argv[1:]))
    except CommandError as error:
        print(error, file=sys.stderr)
        sys.exit(_FAILED)
    except KeyboardInterrupt:
        sys.exit("Stopped waiting; a job that was begun goes on.")
