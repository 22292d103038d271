"""How many contacts one address can have, whichever way they come."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.limits import MAX_CONTACTS_BYTES, MAX_ESTABLISHED
from shared.errors import DocumentFull
from shared.gateways.document_rules import MAX_DOCUMENT_BYTES, document_size
from shared.gateways.memory import MemoryDocuments
from shared.ports import Merge
from shared.repositories import paths
from shared.repositories.directory import ContactToWrite
from shared.services.crm.contact_import import ContactImport, Row
from tests.services.test_full_documents import CRM
from tests.support.bcc import ADA, BOB, BccSystem
from tests.support.system import System

S = SubaccountId("s")
SHARED = "info@client.example"
FULL = paths.address(S, SHARED)


def contact(number: int, *emails: str, emails_chars: int = 0) -> ContactToWrite:
    long = [
        f"{'x' * 58}{number:05}{n}@{'d' * 60}.{'e' * 60}.{'f' * 57}.example"[
            :emails_chars
        ]
        for n in range(9)
        if emails_chars
    ]
    all_of_them = (*emails, *long)
    return ContactToWrite(
        ContactId(f"c{number:0>127}"), "N", all_of_them, all_of_them, None, 1
    )


def full(system: System) -> int:
    """Put contacts at the address until one is refused; how many it took."""
    for number in range(1000):
        try:
            system.services.directory.put_contact(
                S, contact(number, SHARED, emails_chars=254)
            )
        except DocumentFull:
            return number
    raise AssertionError


def size(system: System, path: str = FULL) -> int:
    return document_size(path, system.outside.documents.get([path])[0].data)


def test_m8_a_contact_beyond_the_cap_is_refused_and_the_others_stay(
    system: System,
) -> None:
    taken = full(system)
    assert taken > 50
    assert MAX_CONTACTS_BYTES * 0.98 < size(system) < MAX_CONTACTS_BYTES + 500
    for number in (taken, taken + 1, taken + 500):
        with pytest.raises(DocumentFull):
            system.services.directory.put_contact(
                S, contact(number, SHARED, emails_chars=254)
            )
    # What is there may be written again, changed and taken away.
    again = contact(0, SHARED, emails_chars=254)
    system.services.directory.put_contact(S, again)
    system.services.directory.put_contact(S, contact(1, "else@client.example"))
    system.services.directory.put_contact(S, contact(taken, SHARED, emails_chars=254))
    assert size(system) < MAX_CONTACTS_BYTES + 500


def test_an_import_takes_what_fits_and_names_the_rest(system: System) -> None:
    job = ContactImport(system.services.directory, S)
    for number in range(300):
        job.add(Row(number, contact(number, SHARED, emails_chars=254)))
    done = job.finish()
    assert done.imported + done.failed_count == 300
    assert {row.code for row in done.failed} == {"limit_reached"}
    assert [row.line for row in done.failed] == list(range(done.imported, 300))
    assert size(system) < MAX_CONTACTS_BYTES + 500


class CountedDocuments(MemoryDocuments):
    """Counts commits, and documents that are read."""

    commits = reads = 0

    def get(self, paths: Any) -> Any:
        self.reads += len(paths)
        return super().get(paths)

    def commit(self, writes: Any) -> Any:
        self.commits += 1
        return super().commit(writes)


def counted() -> tuple[System, CountedDocuments]:
    """A system with a subaccount, and its store."""
    system, documents = System(), CountedDocuments()
    system.outside.documents = documents
    system.restart()
    system.subaccount()
    return system, documents


def test_rows_beyond_the_cap_cost_one_read_each_and_no_commit() -> None:
    """They were tried one by one: 20,000 took minutes."""
    system, documents = counted()
    full(system)
    documents.commits = documents.reads = 0
    job = ContactImport(system.services.directory, S)
    for number in range(1000, 2000):
        job.add(Row(number, contact(number, SHARED, emails_chars=254)))
    done = job.finish()
    assert (done.imported, done.failed_count) == (0, 1000)
    # 20 rows a batch, by their ten addresses each: nothing of them is written.
    assert documents.commits == 0
    assert documents.reads == 1000 + 1000 * 9 + 1000 // 20


@pytest.mark.parametrize("bad", [0, 50, 99])
def test_a_batch_that_is_refused_is_halved_and_not_tried_row_by_row(bad: int) -> None:
    """A document may be full of what is not contacts: only the store knows then."""
    system, documents = counted()
    room = MAX_DOCUMENT_BYTES - document_size(FULL, {"filler": ""})
    system.outside.documents.commit([Merge(FULL, {"filler": "x" * room})])
    documents.commits = 0
    job = ContactImport(system.services.directory, S)
    for number in range(100):
        email = SHARED if number == bad else f"n{number}@client.example"
        job.add(Row(number, contact(number, email)))
    done = job.finish()
    assert done.imported == 99
    assert [(row.line, row.code) for row in done.failed] == [(bad, "limit_reached")]
    # 1 for the batch, 2 for each of the 7 times that it is halved at most.
    assert documents.commits <= 15


def test_b2_mail_to_an_address_at_its_cap_is_logged() -> None:
    system = BccSystem()
    full(system)
    system.outlook(to=SHARED, subject="Logged")
    system.settle()
    first = contact(0, SHARED, emails_chars=254).id
    assert [message.subject for message in system.conversation(first)] == ["Logged"]
    assert system.services.quarantine.items(CRM) == ()
    fact = system.outside.documents.get([FULL])[0].data
    assert fact["established"] == {"u": "bcc"}


@pytest.mark.parametrize("many", [MAX_ESTABLISHED - 1, MAX_ESTABLISHED, 7500])
def test_b2_no_contact_is_made_where_an_address_remembers_too_many(many: int) -> None:
    """It is decided so, and mail for others in To is logged; never quarantined."""
    system = BccSystem()
    system.contact("bob", BOB, assigned_to="u")
    path = paths.address(S, ADA)
    users = {f"u{number:0>127}": "crm" for number in range(many)}
    system.outside.documents.commit([Merge(path, {"established": users})])
    system.outlook(to=f"{ADA}, {BOB}", subject="To two")
    system.outlook(to=ADA, subject="To one")
    system.settle()
    assert system.services.quarantine.items(CRM) == ()
    assert size(system, path) < MAX_DOCUMENT_BYTES
    made = system.outside.documents.get([path])[0].data.get("contacts", {})
    assert bool(made) is (many < MAX_ESTABLISHED)
    subjects = [message.subject for message in system.conversation("bob")]
    assert subjects == ([] if made else ["To two"])


def test_the_address_document_holds_both_caps_at_once() -> None:
    users = {UserId(f"u{number:0>127}"): "crm" for number in range(MAX_ESTABLISHED)}
    established = document_size(FULL, {"established": users, "contacts": {}})
    assert established + MAX_CONTACTS_BYTES < MAX_DOCUMENT_BYTES
