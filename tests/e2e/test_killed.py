"""Functions killed with SIGKILL under load, and started again: nothing lost or twice.

Real processes on Google's emulators; every mail and every kill comes from the seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email import message_from_bytes
from pathlib import Path

import pytest

from shared.gateways.firestore import FirestoreDocuments
from shared.ports import Documents, Query
from tests.e2e.site import Site, mail
from tests.support.emulators import emulator, unique_project
from tests.support.waiting import wait_for

SEED = 20_261_123
VICTIMS = (("pushed",), ("http",), ("http", "pushed"), ("pushed",))
USERS = ("u0", "u1", "u2")
WAYS = ("received", "written in Gmail", "sent by the CRM")
END_SECONDS = 60.0
LEFT = ("outbox", "sends", "quarantine")

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
    """Everybody is connected, each with one contact."""
    with Site(tmp_path, project, pubsub=emulator("pubsub"), seed=SEED) as made:
        made.call("PUT", "/v1/subaccounts/s", json={"name": "Agency"})
        for user in USERS:
            base, address = "/v1/subaccounts/s", f"{user}@agency.example"
            member = {"name": user, "email": address}
            made.call("PUT", f"{base}/users/{user}", json=member)
            contact = {"name": "C", "emails": [client(user)], "assigned_to": user}
            made.call("PUT", f"{base}/contacts/c-{user}", json=contact)
            made.connect(user, address)
        yield made


def client(user: str) -> str:
    """The address of the user's contact."""
    return f"client-of-{user}@client.example"


def subject(move: Move) -> str:
    return " ".join(map(str, move))


def make(site: Site, move: Move) -> None:
    """One mail, this way or that."""
    user, way, _ = move
    own, text = f"{user}@agency.example", subject(move)
    if way == "received":
        site.gmail.deliver_from_outside(mail(client(user), own, text), [own])
    elif way == "written in Gmail":
        site.gmail.send_from_gmail(own, mail(own, client(user), text))
    else:
        body = {"kind": "individual", "user": user, "text": "Words", "subject": text}
        body |= {"to": [{"contact": f"c-{user}"}]}
        key = text.replace(" ", "-")
        site.call("POST", "/v1/subaccounts/s/messages", key, json=body)


def test_functions_killed_under_load_lose_nothing_and_double_nothing(
    site: Site, documents: FirestoreDocuments
) -> None:
    moves = under_load(site, random.Random(SEED))
    everything = sorted(map(subject, moves))
    with suppress(AssertionError):  # what is missing is shown below
        wait_for(lambda: sorted(recorded(site)) == everything, END_SECONDS, every=1)
        wait_for(lambda: not left(documents), END_SECONDS, every=1)

    assert sorted(recorded(site)) == everything
    assert left(documents) == []
    ours = sorted(subject(one) for one in moves if one[1] != "received")
    assert sorted(arrived(site)) == ours
    told = {one["id"]: one["type"] for one in site.events()}
    sent = [one for one in moves if one[1] == "sent by the CRM"]
    assert Counter(told.values()) == {
        "connection.connected": len(USERS),
        "message.recorded": len(moves) - len(sent),
        "message.sent": len(sent),
    }
    for mailbox in documents.query(Query("mailboxes")):
        assert not unread(site, mailbox.data["address"], int(mailbox.data["cursor"]))


def under_load(site: Site, rng: random.Random) -> list[Move]:
    """Mail every way at once, killing in the middle of it; all that was sent."""
    moves = [
        (u, way, n) for u in USERS for way in WAYS for n in range(2 * len(VICTIMS))
    ]
    rng.shuffle(moves)
    share = len(moves) // len(VICTIMS)
    with ThreadPoolExecutor(share) as pool:
        under_way = []
        for round_, victims in enumerate(VICTIMS):
            some = moves[round_ * share : (round_ + 1) * share]
            moment = len(site.gmail.calls) + rng.randrange(share)
            under_way += [pool.submit(make, site, one) for one in some]
            wait_for(lambda at=moment: len(site.gmail.calls) >= at, END_SECONDS)
            site.kill(*victims)
        for one in under_way:
            one.result(END_SECONDS)
    site.sweep()
    return moves


# --- what came of it -----------------------------------------------------------------


def recorded(site: Site) -> Iterator[str]:
    """Subjects of all that is recorded and has ended well."""
    for user in USERS:
        path = f"/v1/subaccounts/s/conversations/c-{user}/messages"
        for one in site.call("GET", path, params={"page_size": 100})["items"]:
            if one["status"] in {"sent", "received"}:
                yield one["subject"]


def arrived(site: Site) -> Iterator[str]:
    """Subjects of all that the contacts got."""
    for one in site.gmail.outside:
        yield str(message_from_bytes(one.raw)["Subject"])


def left(documents: Documents) -> list[str]:
    """What is not finished, or was set aside."""
    return [one.path for name in LEFT for one in documents.query(Query(name))]


def unread(site: Site, address: str, cursor: int) -> list[str]:
    """Mail that our cursor has not passed."""
    mailbox = site.gmail.account(address).mailbox
    return [one.subject for one in mailbox.messages.values() if one.history_id > cursor]
