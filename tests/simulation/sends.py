"""Mail that the CRM sends: one email per send, whatever breaks (S2, S5, S7).

Individual and workflow mail are mails of the ledger as well, so that the model tells
where their answers belong (T3). A bulk call has one text for all its contacts: it is
known here only.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any

from shared.errors import FateUnknown, Permanent, Transient
from tests.simulation.cast import Mail, number_in
from tests.simulation.ledger import Ledger
from tests.simulation.stage import CAP, Stage
from tests.support.crash import Crash

FINAL = {"sent", "failed"}
DAY_MS = 24 * 3600 * 1000
_BULK = re.compile(r"bulk-no-(\d+);")
_OWN_ID = re.compile(r"<crm\.([^@]+)@")
CAUSES = {
    *("temporarily_unavailable", "rate_limited", "rejected"),
    *("reauth_required", "no_sender", "disconnected"),
}
"""Why a mail may fail, once something broke."""


@dataclass(eq=False)
class Asked:
    """A call that was accepted.

    `account` is the mailbox that sends, if one does; `troubles` how much had gone wrong
    by then.
    """

    s: str
    account: str | None
    messages: tuple[str, ...]
    contacts: tuple[str, ...]
    troubles: int
    mail: Mail | None = None
    fate: str | None = None
    erased: set[str] = field(default_factory=set)


def is_bulk(text: str) -> bool:
    """Whether a recorded text is that of a bulk call."""
    return _BULK.search(text) is not None


class Sends:
    """Counts what became of what was asked."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage = stage
        self._ledger = ledger
        self.asked: dict[str, Asked] = {}
        self.cap: dict[str, int] = {}
        self._doubted: set[str] = set()
        self._highest: dict[str, int] = defaultdict(lambda: CAP)

    # --- the default provider --------------------------------------------------------

    def break_relay(self, how: str, times: int) -> None:
        """The provider's next mails meet an outage, a refusal, or nobody's answer."""
        relay = self._stage.outside.relay
        left = [times]

        def strike(fault: BaseException) -> None:
            if left[0] > 0:
                left[0] -= 1
                self._stage.troubles += 1
                raise fault

        if how in {"doubt", "crash"}:
            doubt = FateUnknown if how == "doubt" else Crash
            relay.after = lambda _: strike(doubt())
        else:
            fault = Transient if how == "outage" else Permanent
            relay.before = lambda _: strike(fault())

    def mend_relay(self) -> None:
        """The provider works again."""
        relay = self._stage.outside.relay
        relay.before = relay.after = lambda _: None

    # --- the daily cap ---------------------------------------------------------------

    def set_cap(self, account: str, cap: int | None) -> None:
        """A mailbox gets a cap of its own."""
        self.cap[account] = cap or CAP
        self._highest[account] = max(self._highest[account], cap or CAP)

    def may_be_full(self, account: str) -> bool:
        """Whether the cap can have been reached: sent, under way, or of unknown fate."""
        return sum(
            item.account == account and self._may_count(item)
            for item in self.asked.values()
        ) >= self.cap.get(account, CAP)

    def _may_count(self, asked: Asked) -> bool:
        if asked.fate == "sent" and asked.mail is not None:
            since = self._now() - DAY_MS
            return any(copy.sent and copy.at > since for copy in asked.mail.copies)
        return asked.fate != "failed"

    # --- what the product says on the way --------------------------------------------

    def committed(self, writes: Sequence[Any]) -> None:
        """Note of which mails the product has said that nobody knows their fate."""
        for write in writes:
            _, _, message = write.path.partition("/messages/")
            reason = message and getattr(write, "data", {}).get("reason")
            if reason and reason["code"] == "fate_unknown":
                self._doubted.add(write.path)

    # --- what must hold --------------------------------------------------------------

    def doubled(self) -> Iterator[str]:
        """No mail is sent twice, none beyond the cap; looked at after every step."""
        for key, count in self._emails().items():
            if count > 1:
                yield f"{key} was sent {count} times"
        times: dict[str, list[int]] = defaultdict(list)
        for item in self.asked.values():
            if item.account and item.mail:
                sent = [copy for copy in item.mail.copies if copy.sent]
                times[item.account] += [copy.at for copy in sent]
                if any(copy.account != item.account for copy in sent):
                    yield f"{item.mail} went out from another mailbox"
        for account, moments in times.items():
            for at in moments:
                within = sum(at <= other < at + DAY_MS for other in moments)
                if within > self._highest[account]:
                    yield f"{account} sent {within} mails in 24 hours"

    def erase(self, s: str, contact: str) -> None:
        """A contact was erased, with what was sent to it."""
        for item in self.asked.values():
            if item.s != s:
                continue
            for message, to in zip(item.messages, item.contacts, strict=True):
                if to == contact:
                    item.erased.add(message)

    def ended(self) -> Iterator[str]:
        """When all is quiet: each send has an end, and it is the true one."""
        emails = self._emails()
        events: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for item in self._stage.outside.topics.published("crm-events"):
            event = json.loads(item.data)
            events[event["subject"]].add((event["type"], event["id"]))
        documents = self._stage.outside.documents.dump()
        for key, item in self.asked.items():
            for message in item.messages:
                path = f"subaccounts/{item.s}/messages/{message}"
                if message in item.erased:
                    if path in documents:
                        yield f"{key} is still there, its contact is not"
                elif path not in documents:
                    yield f"{key} is not recorded"
                else:
                    name = f"{key} {message}"
                    yield from self._told(name, path, documents[path], events)
                    yield from self._end(name, item, documents[path], emails[message])

    def _told(
        self,
        key: str,
        path: str,
        record: dict[str, Any],
        events: dict[str, set[tuple[str, str]]],
    ) -> Iterator[str]:
        """E1: one event, that of its end.

        The rules leave open what follows when a mail of unknown fate turns out to be sent:
        the product says so, with a second event.
        """
        told = sorted(
            kind for kind, _ in events[f"/v1/{path}"] if kind != "message.bounced"
        )
        allowed = [[f"message.{record['status']}"]]
        if path in self._doubted and record["status"] == "sent":
            allowed.append(["message.failed", "message.sent"])
        if told not in allowed:
            yield f"{key} is {record['status']}, and has the events {told}"

    def _end(
        self, key: str, asked: Asked, record: dict[str, Any], count: int
    ) -> Iterator[str]:
        code = (record["reason"] or {}).get("code")
        unknown = code == "fate_unknown"
        if record["status"] not in FINAL:
            yield f"{key} is still {record['status']}"
        elif (record["status"] == "sent") != (count == 1) and not unknown:
            yield f"{key} is {record['status']}, sent were {count}"
        if asked.fate is None and not unknown and code is not None:
            calm = asked.troubles == self._stage.troubles
            if calm or code not in CAUSES:
                yield f"{key} failed without a cause: {record['reason']}"
        asked.fate = "unknown" if unknown else record["status"]

    # --- what went out ---------------------------------------------------------------

    def _emails(self) -> Counter[str]:
        """How often each mail went out, by the id of its record."""
        sent: Counter[str] = Counter()
        for item in self.asked.values():
            copies = item.mail.copies if item.mail else ()
            sent[item.messages[0]] += sum(copy.sent for copy in copies)
        for taken in self._stage.outside.relay.taken:
            mail = message_from_bytes(taken.mail)
            found = _OWN_ID.search(mail["Message-ID"])
            sent[found[1] if found else "of nobody"] += 1
            number = number_in(mail.as_string())
            if number is not None:
                self._ledger.mails[number].message_id = mail["Message-ID"]
        return sent

    def _now(self) -> int:
        return int(self._stage.clock.now().timestamp() * 1000)
