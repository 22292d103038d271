"""Subaccounts, users and contacts: races, crashes and erasure."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shared.core.ids import address_key
from shared.core.records import Attachment, Envelope, Subaccount
from shared.errors import Conflict, Transient
from shared.ports import Create, Delete, Increment, Maximum, Merge, Query, Update
from shared.repositories import messages, paths
from shared.repositories.directory import ContactToWrite, MemberToWrite
from shared.services.crm.contact_import import ContactImport, Row
from shared.services.crm.directory import Directory
from tests.support.api import Memory, a_message, put_under, record_into
from tests.support.crash import Crashing, CrashPlan, CrashPoint


def contact(
    c: Any = "c1", emails: Any = ("ann@example.org",), **fields: Any
) -> ContactToWrite:
    return ContactToWrite(
        **{
            "id": c,
            "name": c,
            "emails": emails,
            "given_emails": emails,
            "assigned_to": None,
            "created_at": None,
            **fields,
        }
    )


def member(u: Any = "u1", email: Any = "uma@example.com") -> MemberToWrite:
    return MemberToWrite(id=u, name=u, email=email, address=email, never_log=())


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def directory(memory: Memory) -> Directory:
    return build(memory)


def build(memory: Memory, plan: CrashPlan | None = None) -> Directory:
    documents, blobs = memory.documents, memory.blobs
    if plan:
        documents, blobs = Crashing(documents, plan), Crashing(blobs, plan)
    found = Directory(documents, blobs, memory.secrets, memory.clock)
    if plan is None:
        for s in ("a", "b"):
            found.put_subaccount(Subaccount(id=s, name=s), None)
    return found


def entry(memory: Memory, address: str, s: str = "a") -> dict[str, Any]:
    return dict(
        memory.documents.get([f"subaccounts/{s}/addresses/{address_key(address)}"])[
            0
        ].data
    )


# --- users ------------------------------------------------------------------------


def connect(memory: Memory, u: Any = "u1", status: int = "active") -> None:
    memory.documents.commit(
        [
            Merge(
                f"connections/{u}",
                {
                    "mailbox": "box",
                    "address": "uma@gmail.example",
                    "status": status,
                    "connected_at": 1,
                },
            ),
            Merge(
                "mailboxes/box",
                {"address": "uma@gmail.example", "aliases": ["uma@alias.example"]},
            ),
        ]
    )


def test_a_connected_users_addresses_are_internal_in_a_new_subaccount(
    memory: Memory, directory: Directory
) -> None:
    directory.put_member("a", member())
    connect(memory)
    found = directory.put_member("b", member())
    assert found.internal_addresses == (
        "uma@alias.example",
        "uma@example.com",
        "uma@gmail.example",
    )
    assert entry(memory, "uma@alias.example", "b") == {"members": {"u1": True}}


def test_a_disconnected_mailbox_adds_nothing(
    memory: Memory, directory: Directory
) -> None:
    connect(memory, status="disconnected")
    assert directory.put_member("a", member()).internal_addresses == (
        "uma@example.com",
    )


def test_a_connection_reaches_all_the_users_subaccounts(
    memory: Memory, directory: Directory
) -> None:
    for s in ("a", "b"):
        directory.put_member(s, member())
    directory.add_internal_addresses("u1", ("uma@gmail.example",))
    directory.add_internal_addresses("u1", ("uma@gmail.example",))
    for s in ("a", "b"):
        assert "uma@gmail.example" in directory.member(s, "u1").internal_addresses
        assert entry(memory, "uma@gmail.example", s) == {"members": {"u1": True}}


def test_a_connection_that_begins_during_a_put_is_not_missed(
    memory: Memory, directory: Directory
) -> None:
    directory.put_member("a", member())
    real = memory.documents.commit

    def commit(writes: Any) -> None:
        # The connection is stored, and looks for subaccounts, just before the commit.
        memory.documents.commit = real
        connect(memory)
        directory.add_internal_addresses("u1", ("uma@gmail.example",))
        real(writes)

    memory.documents.commit = commit
    directory.put_member("b", member())
    assert entry(memory, "uma@gmail.example", "b") == {"members": {"u1": True}}


def test_a_new_profile_address_replaces_the_old_one_only(
    memory: Memory, directory: Directory
) -> None:
    directory.put_member("a", member())
    directory.add_internal_addresses("u1", ("uma@gmail.example",))
    found = directory.put_member("a", member(email="new@example.com"))
    assert found.internal_addresses == ("new@example.com", "uma@gmail.example")
    assert entry(memory, "uma@example.com")["members"] == {}


def test_the_last_membership_takes_the_user_along(
    memory: Memory, directory: Directory
) -> None:
    for s in ("a", "b"):
        directory.put_member(s, member())
    directory.delete_member("a", "u1")
    assert directory.subaccounts_of("u1") == ("b",)
    assert entry(memory, "uma@example.com")["members"] == {}
    directory.delete_member("b", "u1")
    assert not memory.documents.get(["users/u1"])[0].exists


# --- contacts ---------------------------------------------------------------------


def test_two_contacts_share_an_address(memory: Memory, directory: Directory) -> None:
    directory.put_contact("a", contact("c1", created_at=1))
    directory.put_contact("a", contact("c2", created_at=2))
    assert set(entry(memory, "ann@example.org")["contacts"]) == {"c1", "c2"}
    directory.delete_contact("a", "c1")
    assert set(entry(memory, "ann@example.org")["contacts"]) == {"c2"}


def test_established_survives_as_long_as_somebody_has_the_address(
    memory: Memory, directory: Directory
) -> None:
    directory.put_contact("a", contact("c1"))
    directory.put_contact("a", contact("c2"))
    path = paths.address("a", "ann@example.org")
    memory.documents.commit([Merge(path, {"established": {"u1": "crm"}})])
    directory.delete_contact("a", "c1")
    assert entry(memory, "ann@example.org")["established"] == {"u1": "crm"}
    directory.delete_contact("a", "c2")
    assert set(entry(memory, "ann@example.org")) == {"erased_at"}


def test_two_puts_at_the_same_moment_never_mix(
    memory: Memory, directory: Directory
) -> None:
    """The entries always say what the surviving document says."""
    wanted = [
        contact("c1", (f"n{number}@example.org",), name=str(number))
        for number in range(8)
    ]
    barrier = threading.Barrier(len(wanted))
    failed = []

    def put(contact: Any) -> None:
        barrier.wait()
        for _ in range(20):
            try:
                directory.put_contact("a", contact)
            except Conflict:
                continue
            return
        failed.append(contact)

    workers = [threading.Thread(target=put, args=(item,)) for item in wanted]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    (winner,) = directory.contact("a", "c1").emails
    holders = [
        item.emails[0]
        for item in wanted
        if entry(memory, item.emails[0]).get("contacts")
    ]
    assert holders == [winner]


def test_a_message_recorded_during_a_put_is_not_lost(
    memory: Memory, directory: Directory
) -> None:
    directory.put_contact("a", contact())
    real = memory.documents.commit

    def commit(writes: Any) -> None:
        memory.documents.commit = real
        figures = {"messages": Increment(1), "last_message_at": Maximum(5)}
        real([Update("subaccounts/a/contacts/c1", figures)])
        real(writes)

    memory.documents.commit = commit
    directory.put_contact("a", contact(name="Anna"))
    found = directory.contact("a", "c1")
    assert (found.name, found.messages, found.last_message_at) == ("Anna", 1, 5)


# --- erasure ----------------------------------------------------------------------


def fill(memory: Memory, directory: Directory, count: int = 3) -> None:
    directory.put_contact("a", contact("c1", ("ann@example.org", "ann@work.example")))
    directory.put_contact("a", contact("keep", ("keep@example.org",)))
    for number in range(count):
        attachment = Attachment("1", "f", "text/plain", 1, stored=True)
        envelope = Envelope(
            text="x" * (250_000 if number == 0 else 1), attachments=(attachment,)
        )
        record(memory, a_message(f"m{number}", c="c1", envelope=envelope))
    record(memory, a_message("k1", c="keep", rfc822_message_id="<m0@example.org>"))
    memory.documents.commit(
        [
            Create(
                f"outbox/e{c}", {"type": "x", "data": {"subaccount": "a", "contact": c}}
            )
            for c in ("c1", "keep")
        ]
    )


def record(memory: Memory, message: Any) -> None:
    document = messages.to_document(message)
    prefix = messages.blob_prefix(message.subaccount, message.id)
    document.put_blob(put_under(memory.blobs, prefix))
    for attachment in message.envelope.attachments:
        key = messages.attachment_key(message, attachment.id)
        memory.blobs.put(key, b"x", "text/plain")
    record_into(memory.documents, message, document.data)


def check_erased(memory: Memory) -> None:
    documents = memory.documents
    assert not documents.get(["subaccounts/a/contacts/c1"])[0].exists
    assert [
        document.id for document in documents.query(Query("subaccounts/a/messages"))
    ] == ["k1"]
    assert [
        document.id for document in documents.query(Query("subaccounts/a/threads"))
    ] == ["t-k1"]
    (ids,) = documents.query(Query("subaccounts/a/message_ids"))
    assert list(ids.data["entries"]) == ["k1"]
    assert [document.id for document in documents.query(Query("outbox"))] == ["ekeep"]
    # Of an address that is nobody's any more only the moment stays (B2).
    address, *emptied = sorted(
        documents.query(Query("subaccounts/a/addresses")),
        key=lambda document: "contacts" not in document.data,
    )
    assert all(set(item.data) == {"erased_at"} for item in emptied)
    assert list(address.data["contacts"]) == ["keep"]
    assert memory.blobs.keys() == []


def test_an_erased_contact_leaves_nothing_and_others_stay(
    memory: Memory, directory: Directory
) -> None:
    fill(memory, directory, count=60)
    directory.delete_contact("a", "c1")
    check_erased(memory)
    directory.delete_contact("a", "c1")
    check_erased(memory)


def test_a_contact_being_erased_is_gone_for_readers_and_begins_anew_when_put(
    memory: Memory, directory: Directory
) -> None:
    fill(memory, directory)
    plan = CrashPlan(CrashPoint(4, "lost"))
    with pytest.raises(Transient):
        build(memory, plan).delete_contact("a", "c1")
    assert memory.documents.get(["subaccounts/a/contacts/c1"])[0].data["erased_at"]
    assert directory.contact("a", "c1") is None
    directory.put_contact("a", contact("c1"))
    found = directory.contact("a", "c1")
    assert found.messages == 0
    assert memory.blobs.keys() == []


def test_a_message_that_slips_in_while_erasing_is_taken_along(
    memory: Memory, directory: Directory
) -> None:
    fill(memory, directory)
    real = memory.documents.commit
    slipped = []

    def commit(writes: Any) -> None:
        last = isinstance(writes[0], Delete) and "/contacts/" in writes[0].path
        if last and not slipped:
            slipped.append(True)
            record(memory, a_message("m9", c="c1"))
        real(writes)

    memory.documents.commit = commit
    directory.delete_contact("a", "c1")
    assert slipped
    check_erased(memory)


# --- import -----------------------------------------------------------------------


def test_a_row_in_conflict_does_not_stop_its_batch(
    memory: Memory, directory: Directory
) -> None:
    real = memory.documents.commit

    def commit(writes: Any) -> None:
        if any(write.path.endswith("/contacts/busy") for write in writes):
            raise Conflict
        real(writes)

    memory.documents.commit = commit
    job = ContactImport(directory, "a")
    for line, c in enumerate(("c1", "busy", "c3"), 1):
        job.add(Row(line, contact(c, (f"{c}@example.org",))))
    done = job.finish()
    assert done.imported == 2
    assert [(item.line, item.code) for item in done.failed] == [(2, "conflict")]


def test_a_batch_stays_within_one_commit(memory: Memory, directory: Directory) -> None:
    """20 old and 20 new addresses a row are the most that a row can cost."""
    for round_ in range(2):
        job = ContactImport(directory, "a")
        for row in range(40):
            emails = tuple(
                f"r{round_}c{row}n{number}@example.org" for number in range(20)
            )
            job.add(Row(row, contact(f"c{row}", emails)))
        assert job.finish().imported == 40
    job = ContactImport(directory, "a")
    for row in range(40):
        job.add(Row(row, contact(f"c{row}", (f"only{row}@example.org",))))
    assert job.finish().imported == 40
    assert entry(memory, "r1c7n3@example.org")["contacts"] == {}
