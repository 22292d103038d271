"""Blobs that no document comes to name are gone: at once, or with the next sweep."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from shared.core.ids import ContactId, SubaccountId
from shared.errors import Conflict, Permanent, Problem, Transient
from shared.gateways.memory import MemoryBlobs, MemoryDocuments
from shared.ports import Create, Delete
from shared.services.blob_uploads import BlobUploads
from shared.services.sending.send_records import Upload
from tests.support.crash import Crash, Crashing, CrashPlan, CrashPoint
from tests.support.sending import SendingSystem
from tests.support.system import FakeClock, System

ME, MATE, ADA = "rep@ours.example", "mate@ours.example", "ada@client.example"
S = SubaccountId("s")
WHERE = "uploads/"


class Store:
    """Uploads on gateways in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.documents, self.blobs = MemoryDocuments(), MemoryBlobs()
        self.uploads = BlobUploads(self.documents, self.blobs, self.clock)

    def left(self) -> list[str]:
        return [*self.documents.dump(), *self.blobs.keys()]

    def later(self) -> int:
        return int(self.clock.now().timestamp() * 1000) + 1


@pytest.fixture
def store() -> Store:
    return Store()


def test_what_a_commit_names_stays_and_nothing_else_does(store: Store) -> None:
    with store.uploads.begin("a/") as upload:
        key = upload.put("x", b"1", "a/b")
        store.documents.commit([Create("d/1", {"blob": key}), *upload.naming()])
        upload.named()
    assert store.left() == ["d/1", key]
    with store.uploads.begin("a/") as other:
        other.put("x", b"2", "a/b")
    assert store.left() == ["d/1", key]
    assert store.uploads.remove_left(store.later()) == 0


def test_an_upload_without_blobs_costs_nothing(store: Store) -> None:
    with store.uploads.begin("a/") as upload:
        assert upload.naming() == []
    assert store.left() == []
    nothing = store.uploads.removal([])
    assert nothing.writes() == []
    store.uploads.remove(nothing)


def test_a_commit_whose_answer_was_lost_keeps_its_blobs(store: Store) -> None:
    with contextlib.suppress(Transient), store.uploads.begin("a/") as upload:
        key = upload.put("x", b"1", "a/b")
        store.documents.commit([Create("d/1", {"blob": key}), *upload.naming()])
        raise Transient
    assert store.left() == ["d/1", key]


def test_what_a_sweep_has_taken_can_be_named_no_more(store: Store) -> None:
    """A process that was frozen for an hour goes on: its record is not made."""
    with store.uploads.begin("a/") as upload:
        key = upload.put("x", b"1", "a/b")
        assert store.uploads.remove_left(store.later()) == 1
        with pytest.raises(Conflict):
            store.documents.commit([Create("d/1", {"blob": key}), *upload.naming()])
    assert store.left() == []


def test_a_sweep_leaves_what_is_fresh(store: Store) -> None:
    with store.uploads.begin("a/") as upload:
        upload.put("x", b"1", "a/b")
        assert store.uploads.remove_left(store.later() - 1) == 0
        assert len(store.left()) == 2


def test_many_are_taken_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.services.blob_uploads.PAGE", 2)
    with contextlib.suppress(Crash), contextlib.ExitStack() as uploads:
        for _ in range(5):
            uploads.enter_context(store.uploads.begin("a/")).put("x", b"1", "a/b")
        assert store.uploads.remove_left(store.later()) == 5
    assert store.left() == []


def faults(work: Callable[[BlobUploads], None]) -> list[CrashPoint]:
    """Every call that can die, before or after it, or lose its answer."""
    plan = CrashPlan()
    run(work, Store(), plan)
    lost = [CrashPoint(number, "lost") for number in range(1, len(plan.calls) + 1)]
    return [*plan.points(), *lost]


def run(work: Callable[[BlobUploads], None], store: Store, plan: CrashPlan) -> None:
    documents: Any = Crashing(store.documents, plan)
    blobs: Any = Crashing(store.blobs, plan)
    with contextlib.suppress(Crash, Problem, Transient):
        work(BlobUploads(documents, blobs, store.clock))


def put_and_fail(uploads: BlobUploads) -> None:
    with uploads.begin("a/") as upload:
        upload.put("x", b"1", "a/b")
        upload.put("y", b"2", "a/b")
        raise Problem(422, "refused", "Refused.")


@pytest.mark.parametrize("point", faults(put_and_fail), ids=str)
def test_whatever_fails_an_upload_that_is_given_up_is_removed(
    point: CrashPoint,
) -> None:
    store = Store()
    run(put_and_fail, store, CrashPlan(point))
    store.uploads.remove_left(store.later())
    assert store.left() == []


def let_go(uploads: BlobUploads) -> None:
    removal = uploads.removal(["b/"])
    uploads._documents.commit([Delete("d/1"), *removal.writes()])
    uploads.remove(removal)


@pytest.mark.parametrize("point", faults(let_go), ids=str)
def test_whatever_fails_blobs_go_when_their_document_goes(point: CrashPoint) -> None:
    store = Store()
    store.blobs.put("b/x", b"1", "a/b")
    store.documents.commit([Create("d/1", {"blob": "b/x"})])
    run(let_go, store, CrashPlan(point))
    store.uploads.remove_left(store.later())
    assert store.left() in ([], ["d/1", "b/x"])


# --- where they are used --------------------------------------------------------------


def named(system: System) -> list[str]:
    """Blobs of the system, without those that a document names."""
    documents = system.outside.documents.dump()
    prefixes = tuple(
        data[name]
        for data in documents.values()
        for name in ("blobs", "envelope_blob")
        if name in data
    )
    keys = system.outside.blobs.keys()
    assert not [
        document for document in documents if document.startswith((WHERE, "erasures/"))
    ]
    assert not [key for key in keys if not key.startswith(prefixes)]
    return list(keys)


def before_commit(system: System, which: str, then: Callable[[], object]) -> None:
    """Do something just before the first commit that makes such a document."""
    documents = system.outside.documents
    real = documents.commit
    done: list[bool] = []

    def commit(writes: Any) -> Any:
        if not done and any(
            isinstance(write, Create) and which in write.path for write in writes
        ):
            done.append(True)
            then()
        return real(writes)

    documents.commit = commit


@pytest.fixture
def system() -> System:
    found = System()
    found.subaccount()
    found.user("u", ME)
    found.contact("ada", ADA)
    found.connect("u", ME)
    found.settle()
    return found


def big(system: System, subject: str = "Big", **more: Any) -> bytes:
    message = system.mail(ADA, ME, subject, text="x" * 250_000, **more)
    message.add_attachment(b"y" * 99, maintype="a", subtype="b", filename="f.bin")
    return message.as_bytes()


def test_a_contact_erased_between_upload_and_commit_leaves_no_blob(
    system: System,
) -> None:
    before_commit(
        system,
        "/messages/",
        lambda: system.services.directory.delete_contact(S, ContactId("ada")),
    )
    system.world.deliver_from_outside(big(system), [ME], "pass")
    system.settle()
    assert system.conversation("ada") == []
    assert named(system) == []


def test_a_quarantined_message_leaves_no_blob(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Permanent("The document is too big.")

    before_commit(system, "/messages/", refuse)
    real = system.outside.documents.commit

    def always(writes: Any) -> Any:
        if any("/messages/" in write.path for write in writes):
            refuse()
        return real(writes)

    monkeypatch.setattr(system.outside.documents, "commit", always)
    system.world.deliver_from_outside(big(system), [ME], "pass")
    system.settle()
    rows = [path for path in system.outside.documents.dump() if "quarantine/" in path]
    assert len(rows) == 1
    assert named(system) == []


def test_a_copy_that_was_slower_leaves_no_blob(system: System) -> None:
    """Two mailboxes are read at once: one record, and the blobs of one."""
    system.subaccount(logging="all_contacts")
    system.user("v", MATE)
    system.connect("v", MATE)
    system.settle()
    system.world.deliver_from_outside(big(system), [ME, MATE], "pass")
    first, second = system.pushes.popleft(), system.pushes.popleft()
    before_commit(system, "/messages/", lambda: system.deliver(second))
    assert system.deliver(first)
    system.settle()
    (record,) = system.conversation("ada")
    assert len(record.held_by) == 2
    assert len(named(system)) == 2


def test_a_send_refused_after_its_upload_leaves_no_blob() -> None:
    system = SendingSystem()
    before_commit(
        system,
        "/messages/",
        lambda: system.services.directory.delete_contact(S, ContactId("c")),
    )
    with pytest.raises(Problem):
        system.post(uploads=(Upload("a.pdf", "a/b", b"PDF"),), text="x" * 250_000)
    assert named(system) == []


def test_a_call_that_was_slower_leaves_no_blob() -> None:
    system = SendingSystem()
    files = (Upload("a.pdf", "a/b", b"PDF"),)
    before_commit(system, "/messages/", lambda: system.post(uploads=files, key="k"))
    system.post(uploads=files, key="k")
    assert len(named(system)) == 1


@pytest.mark.parametrize("which", ["/messages/", "/batches/"])
def test_a_contact_erased_while_a_bulk_mail_is_made_leaves_no_blob(which: str) -> None:
    system = SendingSystem()
    before_commit(
        system,
        which,
        lambda: system.services.directory.delete_contact(S, ContactId("c")),
    )
    system.bulk("c", uploads=(Upload("a.pdf", "a/b", b"PDF"),), text="x" * 250_000)
    system.send_all()
    assert named(system) == []


def test_a_contact_erased_while_its_attachments_are_copied_leaves_no_blob() -> None:
    system = SendingSystem()
    system.bulk("c", uploads=(Upload("a.pdf", "a/b", b"PDF"),))
    real = system.outside.blobs.put

    def put(key: str, *rest: Any) -> None:
        real(key, *rest)
        if "/messages/" in key:
            system.services.directory.delete_contact(S, ContactId("c"))

    system.outside.blobs.put = put
    system.send_all()
    assert named(system) == []


def test_a_big_envelope_that_is_written_anew_leaves_no_old_one(system: System) -> None:
    """The Sent copy brings Bcc to a record that a colleague's copy has made."""
    system.subaccount(logging="all_contacts")
    system.user("v", MATE)
    system.connect("v", MATE)
    system.settle()
    headers = {"Bcc": "bob@client.example"}
    to = f"{ADA}, {MATE}"
    system.sends(ME, to, "Big", text="x" * 250_000, headers=headers)
    mine, other = sorted(
        system.pushes, key=lambda push: ME.encode() not in push.event.data
    )
    assert system.deliver(other)
    (before,) = named(system)
    assert system.deliver(mine)
    (record,) = system.conversation("ada")
    assert record.envelope is not None
    assert [recipient.address for recipient in record.envelope.bcc] == [
        "bob@client.example"
    ]
    (after,) = named(system)
    assert after != before


def test_an_erasure_that_nobody_repeats_is_ended_by_the_sweep(system: System) -> None:
    system.world.deliver_from_outside(big(system), [ME], "pass")
    system.settle()
    for number in range(3, 9):  # the second call hides it: from there on it must end
        plan = CrashPlan(CrashPoint(number, "before"))
        system.restart(plan)
        with contextlib.suppress(Crash):
            system.services.directory.delete_contact(S, ContactId("ada"))
        system.restart()
        system.clock.advance(hours=2)
        system.sweep()
        assert named(system) == []
        assert system.conversation("ada") == []
        system.contact("ada", ADA)
        system.world.deliver_from_outside(big(system), [ME], "pass")
        system.settle()
        assert len(named(system)) == 2
