"""Functions killed with SIGKILL under load, and started again: nothing lost or twice.

Real processes on Google's emulators; every mail and every kill comes from the seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Documents, Query
from tests.e2e.site import Site, mail
from tests.support.bcc import LOG
from tests.support.emulators import emulator, unique_project
from tests.support.waiting import wait_for

SEED = 20_261_123
VICTIMS = (("pushed",), ("http",), ("http", "pushed"), ("pushed",))
USERS = ("u0", "u1", "u2")
WAYS = ("received", "written in Gmail", "logged by BCC", "sent by the CRM", "in bulk")
EACH = 6
END_SECONDS = 60.0
LEFT = ("outbox", "sends", "quarantine")
BASE = "/v1/subaccounts/s"

Move = tuple[str, str, int]


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> str:
    """A project of its own on the emulators."""
    for kind in ("firestore", "pubsub"):
        monkeypatch.setenv(f"{kind.upper()}_EMULATOR_HOST", emulator(kind))
    return unique_project()


@pytest.fixture
def documents(project: str) -> FirestoreDocuments:
    return FirestoreDocuments(project)


@pytest.fixture
def site(tmp_path: Path, project: str) -> Iterator[Site]:
    """Everybody is connected, each with one contact; there is a logging mailbox."""
    with Site(tmp_path, project, pubsub=emulator("pubsub"), seed=SEED) as made:
        settings = {"name": "Agency", "default_provider": made.relay.provider}
        made.call("PUT", BASE, json=settings)
        made.connect("/v1/logging-mailbox/connection", LOG)
        for user in USERS:
            member = {"name": user, "email": address(user)}
            made.call("PUT", f"{BASE}/users/{user}", json=member)
            contact = {"name": "C", "emails": [client(user)], "assigned_to": user}
            made.call("PUT", f"{BASE}/contacts/c-{user}", json=contact)
            made.connect(f"/v1/users/{user}/connection", address(user))
        yield made


def address(user: str) -> str:
    return f"{user}@agency.example"


def client(user: str) -> str:
    """The address of the user's contact."""
    return f"client-of-{user}@client.example"


def stranger(user: str) -> str:
    """Who becomes a contact by the first mail that is logged."""
    return f"stranger-to-{user}@client.example"


def subject(move: Move) -> str:
    return " ".join(map(str, move))


class Load:
    """Mail every way at once, with the functions killed in the middle of it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._drops = {
            user: site.call("GET", f"{BASE}/users/{user}")["bcc_address"]
            for user in USERS
        }
        self.moves = [(u, way, n) for u in USERS for way in WAYS for n in range(EACH)]

    def subjects(self, *ways: str) -> list[str]:
        """Of the mails that went these ways."""
        return sorted(subject(move) for move in self.moves if move[1] in ways)

    def run(self, rng: random.Random) -> None:
        """Make all moves, and kill everybody in turn.

        Whoever sends dies while the provider has a mail and has not said so.
        """
        rng.shuffle(self.moves)
        share = -(-len(self.moves) // len(VICTIMS))
        with ThreadPoolExecutor(share) as pool:
            under_way = []
            for round_, victims in enumerate(VICTIMS):
                some = self.moves[round_ * share : (round_ + 1) * share]
                moment = self._site.work_done + rng.randrange(share)
                held = self._site.relay.held
                if "pushed" in victims:
                    held += 1
                    self._site.relay.hold_one()
                under_way += [pool.submit(self._make, item) for item in some]
                wait_for(partial(self._has_come, moment, held), END_SECONDS)
                self._site.kill(*victims)
                self._site.relay.go_on()
            for item in under_way:
                item.result(END_SECONDS)
        self._site.sweep()

    def _has_come(self, moment: int, held: int) -> bool:
        return self._site.work_done >= moment and self._site.relay.held >= held

    def _make(self, move: Move) -> None:
        """One mail, this way or that."""
        user, way, _ = move
        own, text = address(user), subject(move)
        gmail = self._site.gmail
        match way:
            case "received":
                gmail.deliver_from_outside(mail(client(user), own, text), [own])
            case "written in Gmail":
                gmail.send_from_gmail(own, mail(own, client(user), text))
            case "logged by BCC":
                bcc = f"Bcc: {self._drops[user]}\n".encode()
                gmail.send_from_gmail(own, bcc + mail(own, stranger(user), text))
            case "sent by the CRM":
                self._post(move, kind="individual", to=[{"contact": f"c-{user}"}])
            case _:
                everybody = [f"c-{item}" for item in USERS]
                self._post(move, kind="bulk", contacts=everybody)

    def _post(self, move: Move, **fields: Any) -> None:
        text = subject(move)
        body = {"user": move[0], "text": "Words", "subject": text, **fields}
        key = text.replace(" ", "-")
        self._site.call("POST", f"{BASE}/messages", key, json=body)


def test_functions_killed_under_load_lose_nothing_and_double_nothing(
    site: Site, documents: FirestoreDocuments
) -> None:
    load = Load(site)
    load.run(random.Random(SEED))
    assert site.cut_off > 0, "no push was cut off: nothing was shown"
    once = load.subjects(*WAYS[:-1])
    bulk = [item for item in load.subjects("in bulk") for _ in USERS]
    everything = sorted(once + bulk)
    with suppress(AssertionError):  # what is missing is shown below
        wait_for(lambda: all_subjects(site) == everything, END_SECONDS, every=1)
        wait_for(lambda: not left(documents), END_SECONDS, every=1)

    assert all_subjects(site) == everything
    assert left(documents) == []
    records = list(recorded(site))
    doubtful = [record for record in records if record["status"] == "failed"]
    # Of SMTP alone nobody can ask what it took (S7).
    for item in doubtful:
        assert (item["kind"], item["reason"]["code"]) == ("bulk", "fate_unknown")
    relayed = Counter(map(read, (item.mail for item in site.relay.taken)))
    assert set(relayed.values()) == {1}
    certain = Counter(
        (record["subject"], record["to"][0]["address"])
        for record in records
        if record["kind"] == "bulk" and record["status"] == "sent"
    )
    assert certain <= relayed
    assert site.relay.held <= sum((relayed - certain).values()) <= len(doubtful)

    out = load.subjects("written in Gmail", "logged by BCC", "sent by the CRM")
    assert sorted(read(item.raw)[0] for item in site.gmail.outside) == out
    assert sorted(in_sent(site)) == out
    told = {event["id"]: event["type"] for event in site.events()}
    written = load.subjects("sent by the CRM") + bulk
    assert Counter(told.values()) == +Counter(
        {
            "connection.connected": len(USERS) + 1,
            "contact.created": len(USERS),
            "message.recorded": len(records) - len(written),
            "message.sent": len(written) - len(doubtful),
            "message.failed": len(doubtful),
        }
    )
    for mailbox in documents.query(Query("mailboxes")):
        assert not unread(site, mailbox.data["address"], int(mailbox.data["cursor"]))


# --- what came of it -----------------------------------------------------------------


def recorded(site: Site) -> Iterator[Any]:
    """All messages that are not under way any more."""
    page = {"page_size": 100}
    for item in site.call("GET", f"{BASE}/conversations", params=page)["items"]:
        path = f"{BASE}/conversations/{item['contact']}/messages"
        for message in site.call("GET", path, params=page)["items"]:
            if message["status"] != "queued":
                yield message


def all_subjects(site: Site) -> list[str]:
    """Subjects of all that is recorded and has ended."""
    return sorted(item["subject"] for item in recorded(site))


def read(raw: bytes) -> tuple[str, str]:
    """Subject and recipient of a mail."""
    found = message_from_bytes(raw, policy=policy.default)
    return str(found["Subject"]), found["To"].addresses[0].addr_spec


def in_sent(site: Site) -> Iterator[str]:
    """Subjects of all that lies in Gmail's Sent folders."""
    for user in USERS:
        mailbox = site.gmail.account(address(user)).mailbox
        for message in mailbox.messages.values():
            if "SENT" in message.label_ids():
                yield message.subject


def left(documents: Documents) -> list[str]:
    """What is not finished, or was set aside."""
    return [document.path for name in LEFT for document in documents.query(Query(name))]


def unread(site: Site, address: str, cursor: int) -> list[str]:
    """Mail that our cursor has not passed."""
    mailbox = site.gmail.account(address).mailbox
    return [
        message.subject
        for message in mailbox.messages.values()
        if message.history_id > cursor
    ]
