"""Reads a mailbox's users with their subaccounts, as matching needs them."""

from __future__ import annotations

from shared.core.ids import SubaccountId
from shared.core.people import (
    MailboxForMatching,
    Membership,
    SubaccountForMatching,
    UserForMatching,
)
from shared.ports import Documents
from shared.repositories import paths
from shared.repositories.mailboxes import Mailbox


def for_matching(documents: Documents, mailbox: Mailbox) -> MailboxForMatching:
    """Read who shares the mailbox and in which subaccounts, in two round trips.

    Read anew for each run, never cached: a never-log entry counts from the next mail.
    """
    users = sorted(mailbox.users)
    registered = documents.get([paths.user(user) for user in users])
    pairs = [
        (user, SubaccountId(subaccount))
        for user, snapshot in zip(users, registered, strict=True)
        for subaccount in snapshot.data.get("subaccounts", ())
    ]
    ids = sorted({subaccount for _, subaccount in pairs})
    found = documents.get(
        [
            *(paths.subaccount(subaccount_id) for subaccount_id in ids),
            *(paths.member(subaccount, user) for user, subaccount in pairs),
        ]
    )
    settings = {
        subaccount_id: SubaccountForMatching(
            id=subaccount_id,
            logging=snapshot.data["logging"],
            internal_domains=tuple(snapshot.data.get("internal_domains", ())),
            never_log=tuple(snapshot.data.get("never_log", ())),
        )
        for subaccount_id, snapshot in zip(ids, found, strict=False)
        if snapshot.exists
    }
    members = {
        pair: snapshot
        for pair, snapshot in zip(pairs, found[len(ids) :], strict=True)
        if snapshot.exists and pair[1] in settings
    }
    return MailboxForMatching(
        id=mailbox.id,
        address=mailbox.address,
        own_addresses=mailbox.own_addresses,
        users=tuple(
            UserForMatching(
                id=user,
                since=mailbox.users[user],
                memberships=tuple(
                    Membership(
                        subaccount,
                        tuple(snapshot.data.get("never_log", ())),
                        snapshot.data.get("sync", True),
                    )
                    for (member, subaccount), snapshot in members.items()
                    if member == user
                ),
            )
            for user in users
        ),
        subaccounts=tuple(settings.values()),
    )
