"""`make demo`: real mails through the whole system, each with what became of it.

Starts the system as `make up` does, on free ports with a throw-away state, and speaks
to it over HTTP only. Fails when a decision or a conversation is not what the rules say.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from infra.local import demo_logging, demo_sending, wiring
from infra.local import demo_story as story
from infra.local.demo_crm import Crm, Outside, events, parsed
from infra.local.demo_screen import Screen
from infra.local.emulators import wait_until
from infra.local.local_process import LocalProcess

_EVENTS_SECONDS = 15.0
Messages = dict[tuple[str, str], list[dict[str, Any]]]


class Demo:
    """One run of the story."""

    def __init__(self, screen: Screen) -> None:
        """Nothing has happened yet."""
        self.screen = screen
        self.problems: list[str] = []
        self._decisions: dict[str, Mapping[str, Any]] = {}
        self._ids: dict[str, str] = {}
        self._ignored: Counter[str] = Counter()

    def run(self, addresses: Mapping[str, str]) -> None:
        """Play the story on a running system, and check all of it."""
        began = time.monotonic()
        crm, outside = Crm(addresses["api"]), Outside(addresses["gmail"])
        self.screen.title("The CRM is wired, and Mia connects her Gmail")
        crm.set_up()
        self.screen.line(
            f"  {len(story.SUBACCOUNTS)} subaccounts, {len(story.USERS)} memberships, "
            f"{len(story.CONTACTS)} contacts pushed by the CRM"
        )
        outside.connect(crm.authorization_url())
        connection = crm.connection()
        self.screen.line(
            f"  Google's consent given; {connection['address']} is "
            f"[green]{connection['status']}[/]"
        )
        self.screen.title("Mail comes and goes")
        for number, mail in enumerate(story.STORY, 1):
            self._play(crm, outside, number, mail)
        self.screen.title("What Mia's team reads in the CRM")
        conversations = self._read(crm)
        self.screen.title("Checked")
        self._check(conversations)
        self._check_events(addresses)
        self.screen.title("The CRM writes, too")
        for problem in demo_sending.play(crm, addresses["gmail"], self.screen.line):
            self._problem(problem)
        self.screen.title("Mail from other clients, by the BCC address")
        for problem in demo_logging.play(crm, addresses["gmail"], self.screen.line):
            self._problem(problem)
        self.screen.title("Summary")
        recorded = sum(step.outcome == "recorded" for step in story.STORY)
        self.screen.summary(
            recorded,
            self._ignored,
            f"{len(story.STORY)} steps in {time.monotonic() - began:.1f} seconds.",
        )

    # --- the story ---------------------------------------------------------------

    def _play(self, crm: Crm, outside: Outside, number: int, mail: story.Mail) -> None:
        self.screen.mail(number, mail, parsed(mail))
        began = time.monotonic()
        self._ids[mail.name] = message_id = outside.move(mail)
        decision = crm.decision(message_id, mail.outcome, len(mail.places))
        self.screen.decision(decision, time.monotonic() - began)
        if decision["outcome"] == "ignored":
            self._ignored[decision["rule"]] += 1
        found = (
            decision["outcome"],
            decision["rule"],
            {
                (subaccount["subaccount"], subaccount["contact"])
                for subaccount in decision["subaccounts"]
            },
        )
        expected = (mail.outcome, mail.rule, set(mail.places))
        if found != expected:
            self._problem(f"{mail.name}: expected {expected}, found {found}")

    def _read(self, crm: Crm) -> Messages:
        found: Messages = {}
        for subaccount in story.SUBACCOUNTS:
            for conversation in reversed(crm.conversations(subaccount)):
                contact = conversation["contact"]
                messages = crm.messages(subaccount, contact)
                found[subaccount, contact] = messages
                self.screen.conversation(subaccount, conversation["name"], messages)
        return found

    # --- what must be true -------------------------------------------------------

    def _check(self, conversations: Messages) -> None:
        results: list[tuple[str, list[str]]] = []
        expected: dict[tuple[str, str], list[str]] = {}
        for mail in story.STORY:
            for place in mail.places:
                expected.setdefault(place, []).append(self._ids[mail.name])
        found = {
            place: [message["rfc822_message_id"] for message in messages]
            for place, messages in conversations.items()
        }
        wrong = [
            f"{place}: expected {expected.get(place)}, found {found.get(place)}"
            for place in sorted({*expected, *found})
            if expected.get(place) != found.get(place)
        ]
        results.append(("Every conversation holds its mails, once, in order", wrong))
        by_id = {
            message["rfc822_message_id"]: message
            for messages in conversations.values()
            for message in messages
        }
        for check in story.CHECKS:
            problems = check.problems(by_id.get(self._ids[check.mail]))
            if check.says:
                results.append((check.says, problems))
            else:
                results[-1][1].extend(problems)
        self.screen.checks(results)
        self.problems += [problem for _, problems in results for problem in problems]

    def _check_events(self, addresses: Mapping[str, str]) -> None:
        """The CRM hears of each recorded message and of the connection, E1."""
        pubsub = addresses["pubsub"]
        wanted = Counter({"connection.connected": 1})
        wanted["message.recorded"] = sum(len(step.places) for step in story.STORY)
        heard: Counter[str] = Counter()

        def all_heard() -> bool:
            heard.update(
                events(pubsub, addresses["project"], wiring.LOCAL_EVENTS_SUBSCRIPTION)
            )
            return wanted <= heard

        wait_until(all_heard, _EVENTS_SECONDS)
        counts = ", ".join(f"{heard[kind]} {kind}" for kind in sorted(wanted))
        missing = [] if wanted <= heard else [f"expected {wanted}, heard {heard}"]
        self.screen.checks([(f"The CRM received its events: {counts}", missing)])
        self.problems += missing

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        self.screen.trouble(text)


def main() -> int:
    """Run it; 1 when anything is not as the rules say."""
    # A closed terminal or a stop must clean up as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    screen = Screen()
    screen.title("Two-way sync between a CRM and Gmail, on this machine")
    screen.line(
        "  Starting the emulators of Firestore and Pub/Sub, a Gmail simulator, and the "
        "functions"
    )
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalProcess(Path(folder) / "state") as system,
    ):
        demo = Demo(screen)
        try:
            addresses = system.wait_ready()
            screen.line(f"  Ready after {time.monotonic() - began:.1f} seconds")
            demo.run(addresses)
        except (RuntimeError, requests.RequestException) as error:
            demo.problems.append(str(error))
            screen.trouble(str(error), system.log())
        except KeyboardInterrupt:
            return 130
    if demo.problems:
        screen.line(f"\n[red]{len(demo.problems)} things are not as they should be.[/]")
        return 1
    screen.line("[green]All checks passed.[/] Try it yourself: make up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
