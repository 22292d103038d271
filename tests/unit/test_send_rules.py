"""The daily cap's window, claims on a send, and answers (S4, S5, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import MessageId
from shared.core.sending import send_window
from shared.core.sending.replying import (
    MAX_REFERENCES_SENT,
    answering,
    bare_subject,
    reply_subject,
)
from shared.core.sending.send_window import WINDOW_MS, Full, SendWindow
from shared.core.sending.states import (
    DELIVERIES_BEFORE_AFRESH,
    Send,
    claim,
    is_past,
    set_free,
)
from shared.core.syncing.lease import LEASE_SECONDS
from tests.support.api import a_message

NOW = 1_793_600_000_000
SEND = Send("s", MessageId("m"), "individual", "gmail", "u", NOW, mailbox="b")


@given(
    st.lists(st.integers(0, 3 * WINDOW_MS), max_size=60),
    st.integers(1, 8),
    st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_s5_no_24_hours_ever_hold_more_than_the_cap(moments, cap, taken):
    window, sent = SendWindow(), []
    for number, (at, is_taken) in enumerate(zip(sorted(moments), taken, strict=False)):
        now = NOW + at
        outcome = send_window.reserve(window, MessageId(str(number)), cap, now)
        if isinstance(outcome, Full):
            assert outcome.retry_at > now
            assert send_window.left(window, cap, now) == 0
            later = send_window.reserve(window, MessageId("x"), cap, outcome.retry_at)
            assert isinstance(later, SendWindow)
            continue
        window = outcome
        if is_taken:
            window = send_window.confirm(window, MessageId(str(number)), now)
            sent.append(now)
        else:
            window = send_window.release(window, MessageId(str(number)))
    for start in sent:
        assert sum(start <= one < start + WINDOW_MS for one in sent) <= cap


def test_s5_reserving_twice_is_once_and_the_own_cap_wins():
    window = SendWindow(cap=1)
    once = send_window.reserve(window, MessageId("a"), 500, NOW)
    assert send_window.reserve(once, MessageId("a"), 500, NOW) == once
    assert send_window.reserve(once, MessageId("b"), 500, NOW) == Full(NOW + WINDOW_MS)


def test_s5_gmails_own_limit_blocks_until_its_time():
    window = send_window.block(SendWindow(), NOW + 5)
    assert send_window.left(window, 500, NOW) == 0
    assert send_window.reserve(window, MessageId("a"), 500, NOW) == Full(NOW + 5)
    assert send_window.left(window, 500, NOW + 5) == 500
    assert send_window.block(window, NOW) == window


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50).map(tuple))
def test_moments_are_packed_without_loss(moments):
    assert send_window.unpack(send_window.pack(moments)) == moments


def test_s7_a_send_has_one_holder():
    taken = claim(SEND, "d1", NOW)
    assert (taken.action, taken.send.fence, taken.send.attempts) == ("work", 1, 1)
    assert claim(taken.send, "d2", NOW + 1).action == "leave"
    assert claim(taken.send, "d1", NOW + 1).action == "later"
    assert claim(taken.send, "d1", NOW + 10_000).action == "work"
    assert claim(taken.send, "d2", NOW + LEASE_SECONDS * 1000).action == "work"


def test_s7_a_relay_is_never_taken_over_before_the_lease_ends():
    held = claim(replace(SEND, route="provider", mailbox=None), "d1", NOW).send
    held = replace(held, state="sending")
    assert claim(held, "d1", NOW + LEASE_SECONDS * 1000 - 1).action == "later"
    assert claim(held, "d1", NOW + LEASE_SECONDS * 1000).action == "work"


def test_s11_waiting_is_counted_and_begun_afresh_before_it_is_poison():
    waiting = set_free(SEND, NOW, 3600.0)
    for _ in range(DELIVERIES_BEFORE_AFRESH):
        decided = claim(waiting, "d1", NOW)
        assert decided.action == "later"
        waiting = decided.send
    assert claim(waiting, "d1", NOW).action == "afresh"
    assert claim(waiting, "d2", NOW + 3_600_000).action == "work"
    busy = replace(SEND, delivery="d1", deliveries=DELIVERIES_BEFORE_AFRESH)
    assert claim(busy, "d1", NOW).action == "afresh"


@pytest.mark.parametrize(
    ("minutes", "wait", "past"), [(10, None, False), (10, 600.0, True), (0, None, True)]
)
def test_s11_a_wait_beyond_the_configured_time_is_not_begun(minutes, wait, past):
    assert is_past(NOW, minutes, NOW, wait) is past


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("Re: Offer", "Offer"),
        ("RE:AW: Sv : Offer", "Offer"),
        ("Re[2]: Offer", "Offer"),
        ("回复\uff1aOffer", "Offer"),
        ("Regards: Offer", "Regards: Offer"),
        ("Re:", ""),
    ],
)
def test_s4_reply_prefixes_of_any_language_are_no_part_of_the_subject(subject, bare):
    assert bare_subject(subject) == bare


def test_s4_the_subject_of_an_answer():
    assert reply_subject(None, "AW: Offer") == "Re: Offer"
    assert reply_subject("", "") == "Re:"
    assert reply_subject("Mine", "Offer") == "Mine"


def chain(count):
    return [
        a_message(
            f"m{n}",
            subject="Offer",
            in_reply_to=f"<m{n - 1}@example.org>" if n else None,
            sent_at=NOW + n,
        )
        for n in range(count)
    ]


def test_s4_references_go_from_the_oldest_to_the_parent_and_are_bounded():
    thread = chain(40)
    refers = answering(thread[-1], thread, None, "Re: Offer")
    assert refers.in_reply_to == "<m39@example.org>"
    assert len(refers.references) == MAX_REFERENCES_SENT
    assert refers.references[-2:] == ("<m38@example.org>", "<m39@example.org>")


def test_s4_a_circle_of_answers_ends():
    one = a_message("a", subject="x", in_reply_to="<b@example.org>")
    two = a_message("b", subject="x", in_reply_to="<a@example.org>")
    refers = answering(one, [one, two], None, "x")
    assert refers.references == ("<b@example.org>", "<a@example.org>")


@pytest.mark.parametrize("bad", [None, "<a b@c>", "<a@b>\r\nBcc: x", "a@b"])
def test_s10_a_message_id_that_is_none_is_not_repeated(bad):
    parent = a_message("a", rfc822_message_id=bad)
    assert answering(parent, [], None, "x").in_reply_to is None
