"""Deliberately broken builds around BCC addresses, sending, T3, and the operator."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

from shared.core.ids import MailboxId, MessageId, digest
from shared.core.matching import (
    bcc_contacts,
    bcc_redaction,
    bcc_rules,
    gmail_rules,
    recording,
)
from shared.core.matching.bcc import LOGGING
from shared.core.sending import send_window
from shared.errors import FateUnknown, Transient
from shared.repositories import bcc as bcc_documents
from shared.repositories import people, sends
from shared.services.operations import audit, backfill
from shared.services.operations.quarantine import QuarantineService
from shared.services.sending import senders
from shared.services.sending.provider import ProviderRoute

# --- BCC addresses ---------------------------------------------------------------


def bcc_trusts_from_without_authentication(patch: pytest.MonkeyPatch) -> None:
    """B5: whoever writes a user's address into From."""
    patch.setattr(
        bcc_rules, "_may_log", lambda case: case.copy.sender in case.drop.addresses
    )


def bcc_trusts_whoever_is_authenticated(patch: pytest.MonkeyPatch) -> None:
    """B5: authenticated, but somebody else."""
    patch.setattr(bcc_rules, "_may_log", lambda case: case.copy.message.authenticated)


def bcc_mail_is_recorded_by_both_routes(patch: pytest.MonkeyPatch) -> None:
    """B4: the logging mailbox's copy is a record of its own."""
    real = recording.record_id

    def own(message: Any, mailbox: MailboxId, place: Any) -> MessageId:
        if LOGGING in place.holders:
            return MessageId(digest("gmail", mailbox, message.gmail_message_id))
        return real(message, mailbox, place)

    patch.setattr(recording, "record_id", own)


def bcc_makes_contacts_of_cc_as_well(patch: pytest.MonkeyPatch) -> None:
    """B2: To only."""
    real = bcc_rules._own_mail

    def all_of_them(case: Any) -> Any:
        message = case.copy.message
        message = replace(message, to=(*message.to, *message.cc), cc=())
        return real(replace(case, copy=replace(case.copy, message=message)))

    patch.setattr(bcc_rules, "_own_mail", all_of_them)


def an_erased_contact_comes_back(patch: pytest.MonkeyPatch) -> None:
    """B2: old BCC mail that is read again makes it anew."""
    patch.setattr(
        bcc_contacts,
        "_is_nobodys",
        lambda copy, s, address: not copy.known.address(s, address).contacts,
    )


def who_is_logged_is_not_established(patch: pytest.MonkeyPatch) -> None:
    """B3."""
    real = bcc_rules._own_mail

    def unrelated(case: Any) -> Any:
        answer = yield from real(case)
        return answer if isinstance(answer, str) else replace(answer, establish=())

    patch.setattr(bcc_rules, "_own_mail", unrelated)


def the_bcc_address_is_shown(patch: pytest.MonkeyPatch) -> None:
    """B6: it stays among the recipients."""

    def open_hearted(message: Any, form: Any) -> Any:
        hidden = bcc_redaction.redact_bcc_addresses(message, form)
        return replace(hidden, cc=(*hidden.cc, *message.cc))

    patch.setattr("shared.services.syncing.record.redact_bcc_addresses", open_hearted)


def a_rotated_bcc_address_goes_on_working(patch: pytest.MonkeyPatch) -> None:
    """B1."""
    real = bcc_documents.issue

    def keeping(before: Any, *args: Any, **more: Any) -> Any:
        return real(before, *args, **more)[:2]

    patch.setattr(bcc_documents, "issue", keeping)


# --- sending ---------------------------------------------------------------------


def smtp_is_retried_after_a_doubt(patch: pytest.MonkeyPatch) -> None:
    """S2: the mail may have been taken."""
    real = ProviderRoute._hand_over

    def eager(self: Any, *args: Any) -> None:
        try:
            real(self, *args)
        except FateUnknown:
            raise Transient from None

    patch.setattr(ProviderRoute, "_hand_over", eager)


def smtp_is_begun_anew_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """S2: the worker died while the provider may have been taking it."""
    real = ProviderRoute.send

    def blindly(self: Any, send: Any, record: Any) -> Any:
        return real(self, replace(send, state="queued"), record)

    patch.setattr(ProviderRoute, "send", blindly)


def the_daily_cap_is_not_enforced(patch: pytest.MonkeyPatch) -> None:
    """S5."""
    real = send_window.reserve

    def generous(window: Any, message: Any, _cap: int, now: int) -> Any:
        return real(replace(window, cap=None), message, 10_000, now)

    patch.setattr(send_window, "reserve", generous)


def an_idempotency_key_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """S7: the same call again is a new mail."""
    real, calls = sends.key_path, itertools.count()
    patch.setattr(sends, "key_path", lambda s, key: real(s, f"{key}-{next(calls)}"))


def bulk_mail_goes_out_through_gmail(patch: pytest.MonkeyPatch) -> None:
    """S2."""
    real = senders.Senders.choose

    def choose(self: Any, subaccount: Any, member: Any, _kind: Any, asked: Any) -> Any:
        return real(self, subaccount, member, "individual", asked)

    patch.setattr(senders.Senders, "choose", choose)


def answers_to_crm_mail_go_everywhere(patch: pytest.MonkeyPatch) -> None:
    """T3."""
    patch.setattr(gmail_rules, "is_exclusive", lambda _: False)


# --- settings and the operator ---------------------------------------------------


def never_log_lists_are_read_once_at_start(patch: pytest.MonkeyPatch) -> None:
    """M12: a change counts from the next mail."""
    real = people.for_matching
    known: dict[tuple[int, str], Any] = {}

    def remembered(documents: Any, mailbox: Any) -> Any:
        users = tuple(sorted(mailbox.users))
        return known.setdefault(
            (id(documents), mailbox.id, users), real(documents, mailbox)
        )

    patch.setattr(people, "for_matching", remembered)


def a_repair_mends_nothing(patch: pytest.MonkeyPatch) -> None:
    """E4."""
    patch.setattr(audit, "record_again", lambda *_: 0)


def an_audit_finds_nothing(patch: pytest.MonkeyPatch) -> None:
    """E4."""
    patch.setattr(audit.auditing, "compare", lambda *_: ())


def a_backfill_brings_nothing(patch: pytest.MonkeyPatch) -> None:
    """E5."""
    patch.setattr(backfill, "record_again", lambda *_: 0)


def a_replay_only_clears_the_quarantine(patch: pytest.MonkeyPatch) -> None:
    """E3."""
    patch.setattr(QuarantineService, "_read_again", lambda *_: "recorded")


AREAS = (
    bcc_trusts_from_without_authentication,
    bcc_trusts_whoever_is_authenticated,
    bcc_mail_is_recorded_by_both_routes,
    bcc_makes_contacts_of_cc_as_well,
    an_erased_contact_comes_back,
    who_is_logged_is_not_established,
    the_bcc_address_is_shown,
    a_rotated_bcc_address_goes_on_working,
    smtp_is_retried_after_a_doubt,
    smtp_is_begun_anew_after_a_crash,
    the_daily_cap_is_not_enforced,
    an_idempotency_key_is_forgotten,
    bulk_mail_goes_out_through_gmail,
    answers_to_crm_mail_go_everywhere,
    never_log_lists_are_read_once_at_start,
    a_repair_mends_nothing,
    an_audit_finds_nothing,
    a_backfill_brings_nothing,
    a_replay_only_clears_the_quarantine,
)
