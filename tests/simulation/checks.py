"""What must hold of all that the product stores, sends out and logs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from shared.ports import Create
from tests.simulation.cast import LOGGER, MARK, Mail, number_in
from tests.simulation.comebacks import Comebacks
from tests.simulation.ledger import Ledger
from tests.simulation.sends import is_bulk
from tests.simulation.stage import Stage
from tests.simulation.waiting import Found, is_contact

CONTACTS = ("c1", "c2", "c3", "c4")
"""The ids that the CRM gives."""


class Checks:
    """Reads the product's whole state and compares it with the story."""

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage = stage
        self._ledger = ledger
        self._model = ledger.model
        self._cursors: dict[str, tuple[int, int]] = {}
        self.ever_linked: set[tuple[str, str]] = set()
        self.contacts_made: list[tuple[str, str]] = []
        self.comebacks = Comebacks(ledger)
        self.drops: dict[str, str] = {}
        self.ids: dict[tuple[str, int], str] = {}
        self.begun: dict[str, int] = defaultdict(int)

    # --- at every step ---------------------------------------------------------------

    def on_commit(self, writes: Sequence[Any]) -> None:
        """A message that is about to be recorded must be allowed to be there."""
        made = dict(self._made(writes))
        for (s, contact), address in made.items():
            if self._ledger.may_make(s, address) is None:
                self._stage.wrong.append(f"{contact} is made of {address} in {s}")
        for write in writes:
            s, _, name = write.path.removeprefix("subaccounts/").partition("/messages/")
            if not name or not isinstance(write, Create):
                continue
            number = number_in(write.data["snippet"])
            if number is None:
                if not is_bulk(write.data["snippet"]):
                    self._stage.wrong.append(f"an unknown mail is recorded in {s}")
                continue
            mail, contact = self._ledger.mails[number], write.data["contact"]
            self._stage.wrong += self._direction(s, mail, write.data)
            may_be = self._ledger.may_be(s, mail)
            own = {made.get((s, contact)), self._ledger.made.get((s, contact))} - {None}
            if not any(item and is_contact(item, contact, own) for item in may_be):
                self._stage.wrong.append(
                    f"{mail} is recorded in {s} under {contact}, allowed is {may_be}"
                )

    def committed(self, writes: Sequence[Any]) -> None:
        """Contacts that the product has made are contacts from now on."""
        for (s, contact), address in self._made(writes):
            self.contacts_made.append((s, contact))
            self._ledger.adopt(s, contact, address)

    def _made(self, writes: Sequence[Any]) -> Iterator[tuple[tuple[str, str], str]]:
        """Contacts that these writes create, other than those of the CRM."""
        for write in writes:
            s, _, name = write.path.removeprefix("subaccounts/").partition("/contacts/")
            if name and isinstance(write, Create) and name not in CONTACTS:
                (address,) = write.data["emails"]
                yield (s, name), address

    def _direction(self, s: str, mail: Mail, data: dict[str, Any]) -> Iterator[str]:
        """M2: ours is what the owner or a colleague wrote."""
        held = [copy["address"] for copy in data["held_by"].values()]
        internal = self._model.internal
        ours = mail.crm or any(internal(s, item, mail.writer) for item in held)
        if (data["direction"] == "outbound") != bool(ours):
            yield f"{mail} in {s} is {data['direction']}"

    def cursors(self) -> Iterator[str]:
        """A cursor never goes back, as long as somebody is connected."""
        for account in self._model.aliases:
            mailbox = self._stage.mailbox(account)
            if mailbox is None:
                continue
            begun, cursor = self.begun[account], int(mailbox.cursor)
            before = self._cursors.get(account, (begun, 0))
            if before[0] == begun and cursor < before[1]:
                yield f"the cursor of {account} went back"
            self._cursors[account] = (begun, cursor)

    # --- when all is quiet -----------------------------------------------------------

    def everything(self) -> Iterator[str]:
        """All invariants; settles the ledger."""
        documents = self._stage.outside.documents.dump()
        records: dict[tuple[str, int], dict[str, Any]] = {}
        found: dict[tuple[str, int], Found] = {}
        bulk: list[tuple[str, dict[str, Any]]] = []
        for path, data in documents.items():
            top, *rest = path.split("/")
            if top == "subaccounts" and rest[1:2] == ["messages"]:
                number = number_in(data["snippet"])
                if number is None and is_bulk(data["snippet"]):
                    bulk.append((rest[0], data))
                    continue
                if number is None or (rest[0], number) in records:
                    yield f"{number} is recorded twice in {rest[0]}"
                    continue
                records[rest[0], number] = {**data, "id": rest[2]}
                found[rest[0], number] = Found(
                    data["contact"],
                    data["thread"],
                    frozenset(copy["address"] for copy in data["held_by"].values()),
                    bool(data["exclusive"]),
                )
            elif top == "outbox" or (
                top == "quarantine"
                and "code" in data
                and data["mailbox"] not in self._ledger.dead
            ):
                yield f"something is left in {top}"
            elif top == "decisions":
                ids = {"mailbox", "rfc822_message_id"}
                told = {k: v for k, v in data.items() if k not in ids}
                if MARK in str(told):
                    yield "a decision tells more than ids"
        self.ids = {key: data["id"] for key, data in records.items()}
        yield from self._ledger.settle(found)
        for (s, number), data in records.items():
            yield from self._record(s, number, data)
            yield from self._attachments(s, number, data)
            yield from self.comebacks.wrong(s, self._ledger.mails[number], data)
        known = [(s, data) for (s, _), data in records.items()]
        yield from self._figures(documents, [*known, *bulk])
        yield from self._events(records)
        published = self._stage.outside.topics.published("crm-events")
        yield from self.comebacks.events(records, published)
        yield from self._connections()
        yield from self._secrets(documents)
        yield from self._blobs(documents)

    def _blobs(self, documents: dict[str, dict[str, Any]]) -> Iterator[str]:
        """Each is named by its document, or by an upload that a sweep will end."""
        known: list[str] = []
        for data in documents.values():
            known += data.get("prefixes", ())
            known += (data[item] for item in ("blobs", "envelope_blob") if item in data)
        keys = self._stage.outside.blobs.keys()
        lost = [key for key in keys if not key.startswith(tuple(known))]
        yield from (f"nothing leads to the blob {key}" for key in lost)

    def _record(self, s: str, number: int, data: dict[str, Any]) -> Iterator[str]:
        mail = self._ledger.mails[number]
        if data["subject"] != mail.subject:
            yield f"{mail} in {s} has the subject of another"
        dates = {copy.at for copy in mail.copies}
        if data["sent_at"] not in dates and not mail.crm:
            yield f"{mail} in {s} has a date of its own"
        copies = {(copy.account, copy.gmail_id) for copy in mail.copies}
        for item in data["held_by"].values():
            if (item["address"], item["gmail_message_id"]) not in copies:
                yield f"{mail} in {s} lists a copy that is none"
            if (item["user"], item["address"]) not in self.ever_linked:
                yield f"{mail} in {s} lists a mailbox that {item['user']} never had"
            if (s, item["user"]) not in self._model.members and item["user"] != LOGGER:
                yield f"{mail} is recorded in a foreign subaccount {s}"

    def _attachments(self, s: str, number: int, data: dict[str, Any]) -> Iterator[str]:
        listed = json.loads(data["envelope"])["attachments"]
        if len(listed) != self._ledger.mails[number].attachments:
            yield f"#{number} in {s} has lost its attachment"
        for item in listed:
            key = f"{data.get('blobs')}attachments/{item['id']}"
            if key not in self._stage.outside.blobs._blobs:
                yield f"#{number} in {s}: an attachment is not stored"

    def _figures(
        self,
        documents: dict[str, dict[str, Any]],
        records: list[tuple[str, dict[str, Any]]],
    ) -> Iterator[str]:
        """How many messages a conversation shows, and the date of the last.

        That is the date of its newest message, or one that this message had before: of
        several copies the earliest counts, of mail of the CRM the Sent copy.
        """
        for s, c in self._model.contacts:
            shown = documents.get(f"subaccounts/{s}/contacts/{c}", {})
            said = [data for at, data in records if (at, data["contact"]) == (s, c)]
            if shown.get("messages", 0) != len(said):
                yield f"{c} in {s} has {len(said)} messages, shown {shown['messages']}"
            if not said:
                continue
            at_least = max(data["sent_at"] for data in said)
            at_most = max(date for data in said for date in self._dates(data))
            if not at_least <= shown["last_message_at"] <= at_most:
                yield f"{c} in {s} shows a wrong last date"

    def _dates(self, data: dict[str, Any]) -> Iterator[int]:
        """The dates that a message may have had."""
        yield data["sent_at"]
        if data["route"] == "crm":
            yield data["recorded_at"]
        number = number_in(data["snippet"])
        if number is not None:
            yield from (copy.at for copy in self._ledger.mails[number].copies)

    def _events(self, records: dict[tuple[str, int], dict[str, Any]]) -> Iterator[str]:
        told: dict[str, set[str]] = defaultdict(set)
        for item in self._stage.outside.topics.published("crm-events"):
            event = json.loads(item.data)
            names_one = event["type"].startswith(("connection.", "contact."))
            names_one |= event["type"] == "message.bounced"
            if MARK.encode() in item.data and not names_one:
                yield "an event tells more than ids"
            if event["type"] in {"message.recorded", "contact.created"}:
                told[event["subject"]].add(event["id"])
        for (s, number), data in records.items():
            ids = told[f"/v1/subaccounts/{s}/messages/{data['id']}"]
            if self._ledger.mails[number].crm and not ids:
                continue  # it has events of its own (S7)
            if not ids or (len(ids) > 1 and (s, number) not in self._ledger.erased):
                yield f"#{number} in {s} has {len(ids)} events"

        for (s, contact), times in Counter(self.contacts_made).items():
            count = len(told[f"/v1/subaccounts/{s}/contacts/{contact}"])
            lives = (s, contact) in self._model.contacts  # else it may be erased untold
            if count > times or (lives and not count):
                yield f"{contact} in {s} was made {times} times with {count} events"

    def _secrets(self, documents: dict[str, dict[str, Any]]) -> Iterator[str]:
        """B6: no BCC address is stored, shown or published."""
        shown = str(documents)
        shown += str(self._stage.outside.topics.published("crm-events"))
        for drop in self.drops:
            if drop.partition("+")[2].partition("@")[0] in shown:
                yield "a BCC address is known to others"

    def _connections(self) -> Iterator[str]:
        for user, link in self._model.links.items():
            shown = self._stage.services.connections.view(user)
            allowed = {"active"}
            if link.account in self._ledger.dead:
                allowed = {"reauth_required"}
            if shown["status"] not in allowed or shown["address"] != link.account:
                yield f"{user}'s connection is {shown['status']}, {shown['address']}"
        for account in self._model.aliases:
            mailbox = self._stage.mailbox(account)
            if mailbox is None:
                continue
            # One that nobody uses is ended by a sweep, after its holder's lease.
            over = mailbox.users or mailbox.lease.expires_at <= self._ledger.now()
            if mailbox.lease.holder is not None and over:
                yield f"{account} is still held"
            if mailbox.resync is not None and account not in self._ledger.dead:
                yield f"{account} is still being read anew"
