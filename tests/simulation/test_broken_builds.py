"""The simulation can fail: each deliberately broken build is caught within 300 seeds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MessageId, digest
from shared.core.matching import parties, recording, rules
from shared.core.parsing import gmail_message
from shared.core.syncing import history
from shared.core.syncing.history import newest
from shared.core.syncing.lease import LeaseDecision
from shared.services.sending import gmail_route
from shared.services.syncing import mailbox_lease as holding
from shared.services.syncing import sync
from tests.simulation.broken_areas import AREAS
from tests.simulation.broken_places import PLACES
from tests.simulation.run import first_failure, replay

Patch = Callable[[pytest.MonkeyPatch], None]
SEEDS = range(300)
CAUGHT_BY = {
    "a_backfill_brings_nothing": 43,
    "a_bounce_is_believed_whatever_it_knows": 153,
    "a_bounce_is_forgotten_by_a_crash": 1,
    "a_duplicate_message_id_is_one_message": 18,
    "a_fault_moves_the_cursor_past_its_mail": 60,
    "a_forward_of_the_crms_mail_goes_everywhere": 198,
    "a_holder_is_dead_when_its_delivery_comes_again": 3,
    "a_late_mail_counts_as_failed": 8,
    "a_repair_mends_nothing": 149,
    "a_replay_only_clears_the_quarantine": 2,
    "a_resync_is_saved_before_its_mail": 48,
    "a_rotated_bcc_address_goes_on_working": 30,
    "a_send_of_unknown_fate_is_begun_anew": 97,
    "an_audit_finds_nothing": 43,
    "an_erased_contact_comes_back": 63,
    "an_idempotency_key_is_forgotten": 4,
    "answers_to_crm_mail_go_everywhere": 1,
    "bcc_mail_is_recorded_by_both_routes": 4,
    "bcc_makes_contacts_of_cc_as_well": 9,
    "bcc_trusts_from_without_authentication": 7,
    "bcc_trusts_whoever_is_authenticated": 4,
    "bulk_mail_goes_out_through_gmail": 8,
    "colleagues_are_not_internal": 3,
    "cursor_moves_before_the_work_is_durable": 14,
    "cursor_moves_to_the_answers_history_id": 2,
    "each_copy_is_a_record_of_its_own": 4,
    "forged_colleagues_are_believed": 7,
    "gmail_is_asked_again_when_its_answer_is_lost": 1,
    "mail_taken_out_of_spam_is_not_looked_at": 16,
    "never_log_lists_are_forgotten": 1,
    "never_log_lists_are_read_once_at_start": 74,
    "smtp_is_begun_anew_after_a_crash": 55,
    "smtp_is_retried_after_a_doubt": 28,
    "the_bcc_address_is_shown": 15,
    "the_daily_cap_is_not_enforced": 1,
    "the_second_copy_is_not_listed": 18,
    "two_workers_take_one_send": 13,
    "who_is_logged_is_not_established": 125,
    "who_was_overtaken_goes_on_writing": 23,
}
"""The seeds that caught them last, tried first: only the search is shorter."""


def cursor_moves_before_the_work_is_durable(patch: pytest.MonkeyPatch) -> None:
    real = sync.Sync._record

    def early(self: Any, run: Any, todo: Any) -> None:
        run.cursor = newest(run.cursor, *(task.history_id for task in todo))
        self._holding.checkpoint(run)
        real(self, run, todo)

    patch.setattr(sync.Sync, "_record", early)


def cursor_moves_to_the_answers_history_id(patch: pytest.MonkeyPatch) -> None:
    """Which can be ahead of what is readable."""
    real = sync.Sync._read_history

    def ahead(self: Any, run: Any) -> None:
        real(self, run)
        run.cursor = newest(run.cursor, run.seen)

    patch.setattr(sync.Sync, "_read_history", ahead)


def nobody_takes_a_lease(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        holding, "take", lambda lease, *_: LeaseDecision("work", lease, changed=True)
    )


def from_is_compared_case_sensitively(patch: pytest.MonkeyPatch) -> None:
    real = gmail_message.parse_sender

    def exact(values: Any) -> Any:
        found = real(values)
        if found is None:
            return None
        written = re.search(re.escape(found.address), values[0], re.IGNORECASE)
        return replace(found, address=written[0]) if written else found

    patch.setattr(gmail_message, "parse_sender", exact)


def each_copy_is_a_record_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """M9: the id of a message depends on the mailbox."""

    def own(message: Any, mailbox: Any) -> MessageId:
        return MessageId(digest("gmail", mailbox, message.gmail_message_id))

    patch.setattr(recording, "message_id", own)


def a_duplicate_message_id_is_one_message(patch: pytest.MonkeyPatch) -> None:
    """M9 the other way: From, Date and Subject do not count."""

    def shared(message: Any, mailbox: Any) -> MessageId:
        return MessageId(digest("message", message.rfc822_message_id or mailbox))

    patch.setattr(recording, "message_id", shared)


def colleagues_are_not_internal(patch: pytest.MonkeyPatch) -> None:
    """M11: only the mailbox's own addresses are."""
    patch.setattr(
        parties.Parties, "is_internal", lambda self, address: address in self.ours
    )


def forged_colleagues_are_believed(patch: pytest.MonkeyPatch) -> None:
    real = rules.decide

    def believing(message: Any, mailbox: Any) -> Any:
        return real(replace(message, authenticated=True), mailbox)

    patch.setattr("shared.services.syncing.decision_maker.decide", believing)


def mail_taken_out_of_spam_is_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    real = history.brings_into_view
    patch.setattr(
        history,
        "brings_into_view",
        lambda entry: entry.kind != "labels_removed" and real(entry),
    )


def never_log_lists_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(parties, "is_listed", lambda *_: False)


def the_second_copy_is_not_listed(patch: pytest.MonkeyPatch) -> None:
    """M9: every user's mailbox that holds it."""
    from shared.services.syncing.copies import CopyReconciler

    patch.setattr(CopyReconciler, "join_earlier", lambda *_: None)


def a_holder_is_dead_when_its_delivery_comes_again(patch: pytest.MonkeyPatch) -> None:
    """What was left to it is never done: its own redelivery is dropped."""
    real = holding.take

    def drops(lease: Any, delivery: Any, now: Any) -> LeaseDecision:
        if lease.holder == delivery and lease.expires_at > now:
            return LeaseDecision("wait", lease, changed=False)
        return real(lease, delivery, now)

    patch.setattr(holding, "take", drops)


def a_send_of_unknown_fate_is_begun_anew(patch: pytest.MonkeyPatch) -> None:
    """S7: never sent again blindly."""
    real = gmail_route.GmailRoute.send

    def blindly(self: Any, send: Any, record: Any) -> Any:
        return real(self, replace(send, state="queued", draft=None), record)

    patch.setattr(gmail_route.GmailRoute, "send", blindly)


BROKEN = (
    cursor_moves_before_the_work_is_durable,
    cursor_moves_to_the_answers_history_id,
    nobody_takes_a_lease,
    from_is_compared_case_sensitively,
    each_copy_is_a_record_of_its_own,
    a_duplicate_message_id_is_one_message,
    colleagues_are_not_internal,
    forged_colleagues_are_believed,
    mail_taken_out_of_spam_is_not_looked_at,
    never_log_lists_are_forgotten,
    the_second_copy_is_not_listed,
    a_holder_is_dead_when_its_delivery_comes_again,
    a_send_of_unknown_fate_is_begun_anew,
)


@pytest.mark.parametrize(
    "broken", [*BROKEN, *AREAS, *PLACES], ids=lambda build: build.__name__
)
def test_the_simulation_catches_a_build_in_which(
    broken: Patch,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    broken(monkeypatch)
    likely = CAUGHT_BY.get(broken.__name__, 0)
    failure = first_failure((likely, *SEEDS))
    assert failure is not None
    monkeypatch.undo()
    assert replay(failure.seed)[1] is None, "it fails in a sound build as well"
    record_property("caught by", str(failure))
