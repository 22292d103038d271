"""What must and what may be seen of bounces on the messages that they are about (S12)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.ports import Event
from tests.simulation.cast import Mail
from tests.simulation.ledger import Ledger


@dataclass(frozen=True)
class Comeback:
    """A bounce that was delivered: which Message-ID and recipient it names, and when."""

    named: str
    address: str
    account: str
    permanent: bool
    at: int


class Comebacks:
    """Compares the entries of records with the bounces that there were."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._delivered: list[Comeback] = []

    def add(self, comeback: Comeback) -> None:
        self._delivered.append(comeback)

    def number(self, account: str, since: int, end: int) -> int:
        """How many bounces came to this mailbox in a span of time."""
        return sum(
            back.account == account and since <= back.at < end
            for back in self._delivered
        )

    def wrong(self, s: str, mail: Mail, data: dict[str, Any]) -> Iterator[str]:
        """No entry without a bounce to a mailbox of the sender's, and none missing."""
        shown = [
            (entry["address"], entry["permanent"])
            for entry in data.get("bounces", {}).values()
        ]
        if len(set(shown)) != len(shown):
            yield f"{mail} in {s} shows a bounce twice"
        about = [back for back in self._delivered if back.named == mail.message_id]
        recipients = {*mail.to, *mail.cc, *mail.bcc}
        held = {copy["address"] for copy in data["held_by"].values()}
        ours = mail.crm or any(copy.sent for copy in mail.copies)
        may = {
            (back.address, back.permanent)
            for back in about
            if ours
            and back.address in recipients
            and (mail.crm or back.account in held)
        }
        for address, _ in set(shown) - may:
            yield f"{mail} in {s} shows a bounce of {address} that there was not"
        for back in about:
            entry = (back.address, back.permanent)
            if entry in may - set(shown) and self._must(s, mail, data, back, held):
                yield f"{mail} in {s} does not show that {back.address} failed"

    def events(
        self, records: dict[tuple[str, int], dict[str, Any]], published: Iterable[Event]
    ) -> Iterator[str]:
        """E1: one an entry; more where the contact was erased, and with it entries."""
        told: dict[str, set[str]] = defaultdict(set)
        for event in map(json.loads, (event.data for event in published)):
            if event["type"] == "message.bounced":
                told[event["subject"]].add(event["id"])
        for (s, number), data in records.items():
            ids = told[f"/v1/subaccounts/{s}/messages/{data['id']}"]
            shown = len(data.get("bounces", ()))
            erased = (s, number) in self._ledger.erased
            if len(ids) < shown or (len(ids) > shown and not erased):
                yield f"#{number} in {s} has {len(ids)} events of {shown} bounces"

    def _must(
        self, s: str, mail: Mail, data: dict[str, Any], back: Comeback, held: set[str]
    ) -> bool:
        """Whether the record was there when it came, and its mailbox is read still."""
        public = back.address in {*mail.to, *mail.cc}
        if data["recorded_at"] >= back.at or mail.twin is not None or not public:
            return False
        if data["direction"] != "outbound" or back.account not in held:
            return False
        if back.account in self._ledger.dead:
            return False
        return bool(self._ledger.model.users_of(back.account, s, back.at))
