"""How the demo looks in a terminal; plain text where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.utils import getaddresses
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from infra.local import demo_story as story
from infra.local.demo_story import Mail
from shared.core.matching.reasons import explain

_WIDTH = 100
_TEXT_LINES = 2


class Screen:
    """Prints the demo, part by part."""

    def __init__(self) -> None:
        """Use the terminal's colours, but not more than a page's width."""
        self._console = Console(highlight=False)
        self._console.width = min(self._console.width, _WIDTH)
        if not self._console.is_terminal:
            self._console.width = _WIDTH

    def title(self, text: str) -> None:
        """Begin a part."""
        self._console.print()
        self._console.rule(f"[bold]{escape(text)}", align="left", style="dim")

    def line(self, text: str) -> None:
        """Say one thing."""
        self._console.print(text)

    def trouble(self, text: str, log: str = "") -> None:
        """Show what went wrong, and what the system printed."""
        self._console.print(Text(f"    ✘ {text}", style="red"))
        if log:
            self._console.print(Text(log, style="dim"), soft_wrap=True)

    def mail(self, number: int, mail: Mail, headers: Mapping[str, str]) -> None:
        """Show a mail that is on its way."""
        self._console.print(f"\n[bold]{number:2}. {escape(mail.story)}")
        way = f"{_names(headers['From'])} → {_names(headers['To'])}"
        self._console.print(
            Text(f"    ✉ {headers['Subject']}", style="cyan"), soft_wrap=True
        )
        self._console.print(Text(f"      {way}", style="dim"), soft_wrap=True)

    def decision(self, decision: Mapping[str, Any], seconds: float) -> None:
        """Show what became of it, and why."""
        rule, outcome = decision["rule"], decision["outcome"]
        if outcome == "recorded":
            where = ", ".join(
                _place(subaccount) for subaccount in decision["subaccounts"]
            )
            head = f"[green]✔ in the CRM[/]: {escape(where)}"
        else:
            head = "[yellow]✘ not in the CRM[/]"
        self._console.print(f"    {head} [dim]({seconds * 1000:.0f} ms)[/]")
        why = f"{rule}  {explain(rule, outcome)}"
        self._console.print(Padding(Text(why, style="italic"), (0, 0, 0, 6)))

    def conversation(
        self, subaccount: str, name: str, messages: Sequence[Mapping[str, Any]]
    ) -> None:
        """Show one conversation as a person reads it."""
        body = Text()
        for message in messages:
            if body:
                body.append("\n")
            ours = message["direction"] == "outbound"
            who = message["from"]["name"] or message["from"]["address"]
            body.append("→ " if ours else "← ", style="bold")
            body.append(who, style="green" if ours else "cyan")
            body.append(f"  {message['subject']}", style="bold")
            if message["automated"]:
                body.append("  automatic", style="dim")
            for attachment in message["attachments"]:
                body.append(f"  📎 {attachment['filename']}", style="dim")
            for line in _first_lines(message):
                body.append(f"\n    {line}", style="dim")
        count = len(messages)
        title = f"{name}[dim], {story.SUBACCOUNTS[subaccount]['name']}, {count} "
        title += "message" if count == 1 else "messages"
        self._console.print(Panel(body, title=title, title_align="left"))

    def checks(self, results: Sequence[tuple[str, list[str]]]) -> None:
        """Show what was verified."""
        for says, problems in results:
            mark = "[red]✘[/]" if problems else "[green]✔[/]"
            self._console.print(f"  {mark} {escape(says)}")
            for problem in problems:
                self._console.print(Text(f"      {problem}", style="red"))

    def summary(self, recorded: int, ignored: Mapping[str, int], rest: str) -> None:
        """Show the counts."""
        table = Table(box=None, padding=(0, 2), show_header=False)
        table.add_row("recorded", str(recorded), "")
        for rule, count in sorted(ignored.items()):
            table.add_row(f"kept out by {rule}", str(count), explain(rule, "ignored"))
        self._console.print(table)
        self._console.print(f"\n[bold]{escape(rest)}")


def _names(header: str) -> str:
    """People of an address header: names where there are some."""
    return ", ".join(name or address for name, address in getaddresses([header]))


def _place(place: Mapping[str, str]) -> str:
    key = (place["subaccount"], place["contact"])
    contact = story.CONTACTS.get(key, {}).get("name", place["contact"])
    subaccount = story.SUBACCOUNTS[place["subaccount"]]["name"]
    return f"{contact} ({subaccount})"


def _first_lines(message: Mapping[str, Any]) -> list[str]:
    text = message["text"] or message["snippet"] or ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[:_TEXT_LINES]
