"""Changing a mailbox that was read before: one write, and the truth all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.ids import HistoryId, MailboxId
from shared.gateways.memory import MemoryDocuments
from shared.ports import Delete
from shared.repositories import paths
from shared.repositories.mailboxes import Mailbox, Mailboxes
from tools.metered import MeteredDocuments, Usage

ID = MailboxId("m")
NEW = Mailbox(ID, "rep@ours.example", "sub", HistoryId("1"))


@pytest.fixture
def documents() -> MeteredDocuments:
    return MeteredDocuments(MemoryDocuments())


@pytest.fixture
def mailboxes(documents: MeteredDocuments) -> Mailboxes:
    return Mailboxes(documents)


def noted(before: Mailbox | None) -> Mailbox | None:
    return replace(before, lag_looks=before.lag_looks + 1) if before else NEW


def test_what_was_written_is_written_again_without_reading(
    documents: MeteredDocuments, mailboxes: Mailboxes
) -> None:
    state, _ = mailboxes.change(ID, noted)
    begun = documents.usage
    for _ in range(3):
        state, written = mailboxes.change(ID, noted, known=state)
        assert written
    assert documents.usage - begun == Usage(writes=3, commits=3)
    assert mailboxes.read(ID) == state == replace(NEW, lag_looks=3)


def test_what_somebody_changed_meanwhile_is_not_lost(mailboxes: Mailboxes) -> None:
    known, _ = mailboxes.change(ID, noted)
    mailboxes.change(ID, lambda before: before and replace(before, consents=7))
    state, written = mailboxes.change(ID, noted, known=known)
    assert written
    assert state == mailboxes.read(ID) == replace(NEW, consents=7, lag_looks=1)


def test_a_mailbox_that_is_gone_is_decided_anew(
    documents: MeteredDocuments, mailboxes: Mailboxes
) -> None:
    known, _ = mailboxes.change(ID, noted)
    documents.commit([Delete(paths.mailbox(ID))])
    state, _ = mailboxes.change(
        ID, lambda before: before and noted(before), known=known
    )
    assert state is None
    assert mailboxes.read(ID) is None
