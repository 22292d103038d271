"""Deliberately broken builds: known promises, broken where nobody looks first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from googleapiclient.http import HttpRequest

from shared.core.matching import bounces, gmail_rules
from shared.core.parsing import delivery_reports
from shared.core.syncing.history import newest
from shared.ports import Update
from shared.repositories import messages
from shared.services.sending import outbound
from shared.services.syncing import bounces as came_back
from shared.services.syncing import mailbox_lease as holding
from shared.services.syncing import sync
from shared.services.syncing.resync import ResyncService


def a_resync_is_saved_before_its_mail(patch: pytest.MonkeyPatch) -> None:
    """W3: a crash between the two loses a batch."""
    real = ResyncService._record

    def early(self: Any, run: Any, ids: Any) -> None:
        run.resync = replace(run.resync, last=ids[-1])
        self._holding.checkpoint(run)
        real(self, run, ids)

    patch.setattr(ResyncService, "_record", early)


def a_fault_moves_the_cursor_past_its_mail(patch: pytest.MonkeyPatch) -> None:
    """What is not durable yet counts as read."""
    patch.setattr(
        sync,
        "_before",
        lambda cursor, todo, _: newest(cursor, *(task.history_id for task in todo)),
    )


def who_was_overtaken_goes_on_writing(patch: pytest.MonkeyPatch) -> None:
    """The fencing number of a mailbox's lease is not looked at."""

    def held(before: Any, _ours: Any) -> Any:
        if before is None:
            raise holding.LeaseLost
        return before

    patch.setattr(holding, "_held", held)


def two_workers_take_one_send(patch: pytest.MonkeyPatch) -> None:
    """S7: whoever comes has the send."""
    real = outbound.claim

    def greedy(send: Any, delivery: str, now: int, **more: Any) -> Any:
        free = replace(send, holder=None, lease_until=0, look_at=0)
        return real(free, delivery, now, **more)

    patch.setattr(outbound, "claim", greedy)


def gmail_is_asked_again_when_its_answer_is_lost(patch: pytest.MonkeyPatch) -> None:
    """S7: the client repeats drafts.send by itself."""
    real = HttpRequest.execute

    def execute(self: Any, http: Any = None, num_retries: int = 0) -> Any:
        self._sleep = lambda _: None
        sends = self.methodId == "gmail.users.drafts.send"
        return real(self, http=http, num_retries=3 if sends else num_retries)

    patch.setattr(HttpRequest, "execute", execute)


def a_forward_of_the_crms_mail_goes_everywhere(patch: pytest.MonkeyPatch) -> None:
    """T3: a forward leaves its thread (M10), and with it its subaccount."""
    real = gmail_rules._by_contact

    def free(case: Any, *more: Any) -> Any:
        return real(replace(case, exclusive=False), *more)

    patch.setattr(gmail_rules, "_by_contact", free)


def a_bounce_is_believed_whatever_it_knows(patch: pytest.MonkeyPatch) -> None:
    """S12: which mailbox it came to does not count."""
    patch.setattr(bounces, "_sent_from", lambda *_: True)


def a_late_mail_counts_as_failed(patch: pytest.MonkeyPatch) -> None:
    """S12: whatever the server says it does."""
    patch.setattr(delivery_reports, "_FAILED", frozenset({"failed", "delayed"}))


def a_bounce_is_forgotten_by_a_crash(patch: pytest.MonkeyPatch) -> None:
    """S12: its entry is written, its event is not."""
    patch.setattr(came_back.BounceWriter, "_added", _silent)


def _silent(self: Any, found: Any, returned: Any) -> list[Any]:
    entries = {"bounces": messages.bounce_fields(returned.bounces)}
    self._documents.commit([Update(found.path, entries)])
    return []


PLACES = (
    a_bounce_is_believed_whatever_it_knows,
    a_bounce_is_forgotten_by_a_crash,
    a_late_mail_counts_as_failed,
    a_resync_is_saved_before_its_mail,
    a_fault_moves_the_cursor_past_its_mail,
    who_was_overtaken_goes_on_writing,
    two_workers_take_one_send,
    gmail_is_asked_again_when_its_answer_is_lost,
    a_forward_of_the_crms_mail_goes_everywhere,
)
