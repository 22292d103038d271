"""The fan-out's queries mean the same in memory and in Firestore (W1, W2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.ids import GmailMessageId, HistoryId, UserId, mailbox_id
from shared.core.syncing.history import Idle
from shared.core.syncing.resync import Resync
from shared.core.syncing.watches import SHARDS
from shared.ports import Create, Documents
from shared.repositories import paths
from shared.repositories.mailboxes import Mailbox, Mailboxes, to_document

BASE = Mailbox(
    id=mailbox_id("rep@ours.example"),
    address="rep@ours.example",
    google_sub="1",
    cursor=HistoryId("1"),
)


@pytest.fixture
def stored(documents: Documents) -> list[Mailbox]:
    """Some of every kind."""
    made = []
    for number in range(40):
        address = f"rep{number}@ours.example"
        made.append(
            replace(
                BASE,
                id=mailbox_id(address),
                address=address,
                google_sub=str(number // 2),
                users={UserId(f"u{number}"): 1000 + number % 5},
                status="active" if number % 4 else "reauth_required",
                watch_expires_at=number * 100,
                closing_at=number if number % 10 == 0 else None,
            )
        )
    documents.commit(
        [Create(paths.mailbox(item.id), to_document(item)) for item in made]
    )
    return made


def test_w1_the_pages_of_all_shards_hold_every_active_mailbox_once(
    documents: Documents, stored: list[Mailbox]
) -> None:
    found: list[Mailbox] = []
    for shard in range(SHARDS):
        after = None
        while page := Mailboxes(documents).active_in_shard(shard, after, 1):
            found += page
            after = page[-1].id
    assert sorted(item.id for item in found) == sorted(
        item.id for item in stored if item.status == "active"
    )


def test_w2_the_pages_of_all_shards_hold_every_silent_mailbox_once(
    documents: Documents, stored: list[Mailbox]
) -> None:
    found: list[Mailbox] = []
    for shard in range(SHARDS):
        after: tuple[int, str] | None = None
        while page := Mailboxes(documents).quiet_in_shard(shard, 1003, after, 1):
            found += page
            after = (page[-1].quiet_since, page[-1].id)
    assert sorted(item.id for item in found) == sorted(
        item.id
        for item in stored
        if item.status == "active" and item.quiet_since < 1003
    )


def test_w1_the_watches_that_end_soonest(
    documents: Documents, stored: list[Mailbox]
) -> None:
    found = Mailboxes(documents).expiring(before=900, limit=4)
    assert [item.watch_expires_at for item in found] == [100, 200, 300, 500]


def test_c6_what_is_to_be_closed_and_what_shares_an_account(
    documents: Documents, stored: list[Mailbox]
) -> None:
    mailboxes = Mailboxes(documents)
    assert [item.closing_at for item in mailboxes.to_close(30, 10)] == [0, 10, 20]
    assert {item.address for item in mailboxes.of_account("3")} == {
        "rep6@ours.example",
        "rep7@ours.example",
    }


def test_a_mailbox_is_read_as_it_was_written(documents: Documents) -> None:
    mailbox = replace(
        BASE,
        users={UserId("u"): 5},
        resync=Resync(HistoryId("9"), 1, 9, 4, GmailMessageId("a")),
        idle=Idle(HistoryId("7"), 3),
        consents=2,
        closing_at=8,
        watch_renewed_at=7,
        renewal_failures=1,
        failing_since=6,
        failure="rate_limited",
    )
    documents.commit([Create(paths.mailbox(mailbox.id), to_document(mailbox))])
    assert Mailboxes(documents).read(mailbox.id) == mailbox
