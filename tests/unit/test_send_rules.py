"""The daily cap's window, claims on a send, and answers (S4, S5, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import MessageId
from shared.core.records import HeldBy
from shared.core.sending import send_window
from shared.core.sending.replying import (
    ReplyHeaders,
    bare_subject,
    reply_headers,
    reply_subject,
)
from shared.core.sending.send_window import WINDOW_MS, Full, SendWindow
from shared.core.sending.states import (
    Claim,
    Send,
    claim,
    is_past,
    set_free,
)
from shared.core.syncing.lease import LEASE_SECONDS, TAKE_OVER_SECONDS
from tests.support.api import a_message

NOW = 1_793_600_000_000
SEND = Send("s", MessageId("m"), "individual", "gmail", "u", NOW, mailbox="b")


@pytest.mark.slow
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
        assert sum(start <= item < start + WINDOW_MS for item in sent) <= cap


def test_s5_a_new_window_is_empty():
    assert SendWindow() == SendWindow(taken=(), reserved={}, blocked_until=0, cap=None)


def test_s5_a_reservation_becomes_a_moment_when_gmail_took_it_or_nothing():
    other = {MessageId("b"): NOW}
    window = SendWindow((NOW // 1000 + 5,), {MessageId("a"): NOW, **other}, 7, 9)
    sent = send_window.confirm(window, MessageId("a"), NOW + 1)
    assert sent == SendWindow((NOW // 1000 + 1, NOW // 1000 + 5), other, 7, 9)
    assert send_window.release(window, MessageId("a")) == replace(
        window, reserved=other
    )


def test_s5_a_moment_of_yesterday_makes_room():
    yesterday = SendWindow(taken=((NOW - WINDOW_MS) // 1000,))
    assert send_window.reserve(yesterday, MessageId("a"), 1, NOW) == SendWindow(
        reserved={MessageId("a"): NOW}
    )
    early = send_window.reserve(yesterday, MessageId("a"), 1, NOW - 1)
    assert early == Full(NOW + 999)


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
    freed = send_window.reserve(window, MessageId("a"), 500, NOW + 5)
    assert isinstance(freed, SendWindow)
    assert send_window.block(window, NOW) == window


def test_s5_what_counts_when_it_is_accepted_is_taken_all_or_none():
    first = send_window.take(SendWindow(), 2, 4, NOW + 1)
    assert first == SendWindow(taken=(NOW // 1000 + 1,) * 2)
    assert send_window.take(first, 3, 4, NOW + 5000) == Full(NOW + 1000 + WINDOW_MS)
    both = send_window.take(first, 2, 4, NOW - 5000)
    assert both.taken == (NOW // 1000 - 5,) * 2 + (NOW // 1000 + 1,) * 2
    assert send_window.take(both, 3, 4, NOW) == Full(NOW + 1000 + WINDOW_MS)
    assert send_window.take(both, 2, 4, NOW) == Full(NOW - 5000 + WINDOW_MS)


def test_s5_a_retry_is_never_asked_for_at_once():
    full = SendWindow(reserved={MessageId("old"): NOW - WINDOW_MS})
    assert send_window.reserve(full, MessageId("a"), 1, NOW) == Full(NOW + 1000)


def test_s5_the_free_sends_are_what_the_cap_leaves():
    window = SendWindow(
        taken=(NOW // 1000 - 24 * 3600, NOW // 1000),
        reserved={MessageId("a"): NOW},
    )
    assert send_window.left(window, 5, NOW) == 3
    assert send_window.left(window, 1, NOW) == 0
    assert send_window.left(replace(window, cap=10), 5, NOW) == 8
    assert send_window.current(window, NOW - 1) == window


def test_moments_are_stored_in_four_bytes_each():
    stored = b"\0\0\0\1\x6a\xe7\xe6\x80"
    assert send_window.pack((1, 0x6AE7E680)) == stored
    assert send_window.unpack(stored) == (1, 0x6AE7E680)
    assert send_window.unpack(b"") == ()


@pytest.mark.slow
@given(st.lists(st.integers(0, 2**32 - 1), max_size=50).map(tuple))
def test_moments_are_packed_without_loss(moments):
    assert send_window.unpack(send_window.pack(moments)) == moments


def test_s7_a_send_has_one_holder():
    taken = claim(SEND, "d1", NOW)
    assert (taken.action, taken.send.fence, taken.send.attempts) == ("work", 1, 1)
    assert claim(taken.send, "d2", NOW + 1) == Claim("leave", taken.send)
    assert claim(taken.send, "d1", NOW + 1).action == "later"
    assert claim(taken.send, "d1", NOW + 10_000).action == "work"
    assert claim(taken.send, "d2", NOW + LEASE_SECONDS * 1000).action == "work"


def test_s7_a_relay_is_never_taken_over_before_the_lease_ends():
    held = claim(replace(SEND, route="provider", mailbox=None), "d1", NOW).send
    held = replace(held, state="sending")
    assert claim(held, "d1", NOW + LEASE_SECONDS * 1000 - 1).action == "later"
    assert claim(held, "d1", NOW + LEASE_SECONDS * 1000).action == "work"


def test_s7_a_new_send_has_begun_nothing():
    assert Send("s", MessageId("m"), "individual", "gmail", "u", NOW) == Send(
        "s",
        MessageId("m"),
        "individual",
        "gmail",
        "u",
        NOW,
        mailbox=None,
        answers=None,
        batch=None,
        state="queued",
        draft=None,
        gmail_thread=None,
        gmail_message=None,
        sending_since=None,
        attempts=0,
        holder=None,
        lease_until=0,
        fence=0,
        look_at=0,
        delivery=None,
        deliveries=0,
    )


def test_s7_a_claim_says_who_works_and_until_when():
    before = replace(SEND, look_at=NOW, attempts=2, fence=4)
    lease = NOW + LEASE_SECONDS * 1000
    assert claim(before, "d1", NOW) == Claim(
        "work",
        replace(
            before,
            holder="d1",
            fence=5,
            lease_until=lease,
            look_at=lease,
            attempts=3,
            delivery="d1",
            deliveries=1,
        ),
    )


@pytest.mark.parametrize(
    ("route", "state", "action"),
    [
        ("gmail", "sending", "work"),
        ("provider", "queued", "work"),
        ("provider", "sending", "later"),
    ],
)
def test_s7_a_dead_holders_own_delivery_goes_on_unless_a_relay_may_have_the_mail(
    route, state, action
):
    held = replace(claim(SEND, "d1", NOW).send, route=route, state=state)
    begun = NOW + TAKE_OVER_SECONDS * 1000
    assert claim(held, "d1", begun - 1).action == "later"
    assert claim(held, "d1", begun).action == action


def test_s7_a_delivery_that_has_to_come_again_is_counted():
    held = claim(SEND, "d1", NOW).send
    again = claim(held, "d1", NOW + 1).send
    assert again == replace(held, deliveries=2)
    after = replace(again, holder=None, lease_until=0, look_at=NOW + 9)
    assert claim(after, "d2", NOW) == Claim(
        "later", replace(after, delivery="d2", deliveries=1)
    )


def test_s7_a_fresh_beginning_counts_from_nothing():
    worn = replace(SEND, delivery="d1", deliveries=8)
    assert claim(worn, "d1", NOW) == Claim("afresh", replace(worn, deliveries=0))
    waiting = replace(worn, look_at=NOW + 1)
    assert claim(waiting, "d1", NOW) == Claim("afresh", replace(waiting, deliveries=0))


def test_s7_a_dead_holders_mail_goes_on_however_often_its_delivery_came():
    """Else the new delivery would leave it to the dead one, until a sweep comes."""
    held = claim(SEND, "d1", NOW).send
    for _ in range(20):
        waiting = claim(held, "d1", NOW + 1)
        assert waiting.action == "later"
        held = waiting.send
    fresh = claim(held, "d1", NOW + TAKE_OVER_SECONDS * 1000)
    assert fresh.action == "afresh"
    assert fresh.send.fence == held.fence + 1
    assert claim(fresh.send, "d2", NOW + TAKE_OVER_SECONDS * 1000).action == "work"


@pytest.mark.parametrize(("wait", "look_at"), [(None, NOW), (0.25, NOW + 250)])
def test_s11_a_send_that_failed_for_now_is_let_go(wait, look_at):
    held = claim(SEND, "d1", NOW).send
    assert set_free(held, NOW, wait) == replace(
        held, holder=None, lease_until=0, look_at=look_at
    )


def test_s11_waiting_is_counted_and_begun_afresh_before_it_is_poison():
    waiting = set_free(SEND, NOW, 3600.0)
    for _ in range(8):
        decided = claim(waiting, "d1", NOW)
        assert decided.action == "later"
        waiting = decided.send
    assert claim(waiting, "d1", NOW).action == "afresh"
    assert claim(waiting, "d2", NOW + 3_600_000).action == "work"
    busy = replace(SEND, delivery="d1", deliveries=7)
    assert claim(busy, "d1", NOW).action == "work"
    assert claim(replace(busy, deliveries=8), "d1", NOW).action == "afresh"


@pytest.mark.parametrize(
    ("minutes", "wait", "past"),
    [
        (10, None, False),
        (10, 1.0, False),
        (10, 599.9, False),
        (10, 600.0, True),
        (0, None, True),
        (1 / 60_000, None, False),
    ],
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
    thread = chain(140)
    refers = reply_headers(thread[-1], thread, None, "Re: Offer")
    assert refers.in_reply_to == "<m139@example.org>"
    assert refers.references[:2] == ("<m0@example.org>", "<m41@example.org>")
    assert refers.references[-2:] == ("<m138@example.org>", "<m139@example.org>")
    assert len(refers.references) == 100


@pytest.mark.parametrize(
    ("own", "in_reply_to", "sent"),
    [
        (("<r@x>", "<s@x>"), "<s@x>", ("<r@x>", "<s@x>", "<a@example.org>")),
        (("<r@x>", "<s@x>"), None, ("<r@x>", "<s@x>", "<a@example.org>")),
        (("<r@x>", "<a b>"), "<s@x>", ("<r@x>", "<a@example.org>")),
        (("<r@x>", "<a@example.org>"), None, ("<r@x>", "<a@example.org>")),
        ((), "<s@x>", ("<s@x>", "<a@example.org>")),
        ((), None, ("<a@example.org>",)),
    ],
)
def test_s4_the_references_of_the_answered_mail_then_its_id(own, in_reply_to, sent):
    parent = a_message("a", references=own, in_reply_to=in_reply_to)
    assert reply_headers(parent, [parent], None, "x").references == sent


def test_s4_an_answer_to_the_crms_own_answer_refers_to_all_before_it():
    root = a_message("a", references=("<r@x>", "<s@x>"))
    ours = a_message("b", in_reply_to="<a@example.org>")
    refers = reply_headers(ours, [root, ours], None, "x")
    assert refers.references == ("<r@x>", "<s@x>", "<a@example.org>", "<b@example.org>")


def holds(mailbox, gmail_thread):
    return HeldBy("u", mailbox, "mia@ours.example", "g", gmail_thread)


@pytest.mark.parametrize(
    ("subject", "mailbox", "gmail_thread"),
    [
        ("AW:  offer", "b", "parent's"),
        ("Offer", "b", "parent's"),
        ("Another offer", "b", None),
        ("Offer", "b3", "newest"),
        ("Offer", "b4", None),
        ("Offer", None, None),
    ],
)
def test_s4_c5_gmails_thread_counts_in_its_own_mailbox_and_subject(
    subject, mailbox, gmail_thread
):
    parent = a_message("a", subject="Re: Offer", held_by=(holds("b", "parent's"),))
    thread = [
        a_message("b", sent_at=NOW, held_by=(holds("b3", "older"),)),
        a_message("c", sent_at=NOW + 2, held_by=(holds("b", "child's"),)),
        a_message(
            "d", sent_at=NOW + 1, held_by=(holds("b2", "?"), holds("b3", "newest"))
        ),
        parent,
    ]
    assert reply_headers(parent, thread, mailbox, subject).gmail_thread == gmail_thread


def test_s4_an_ancestor_that_is_not_recorded_is_still_referred_to():
    parent = a_message("a", in_reply_to="<gone@example.org>")
    refers = reply_headers(parent, [], None, "Hello")
    assert refers.references == ("<gone@example.org>", "<a@example.org>")


def test_s10_an_ancestor_whose_id_is_none_is_left_out():
    parent = a_message("a", in_reply_to="<a b@c>")
    nameless = a_message("n", rfc822_message_id=None)
    odd = a_message("b", rfc822_message_id="<a b@c>", in_reply_to="<root@c>")
    refers = reply_headers(parent, [odd, nameless], None, "Hello")
    assert refers.references == ("<root@c>", "<a@example.org>")


def test_s4_a_circle_of_answers_ends():
    parent = a_message("a", subject="x", in_reply_to="<b@example.org>")
    two = a_message("b", subject="x", in_reply_to="<a@example.org>")
    refers = reply_headers(parent, [parent, two], None, "x")
    assert refers.references == ("<b@example.org>", "<a@example.org>")


@pytest.mark.parametrize("bad", [None, "<a b@c>", "<a@b>\r\nBcc: x", "a@b"])
def test_s10_a_message_id_that_is_none_is_not_repeated(bad):
    parent = a_message("a", rfc822_message_id=bad)
    assert reply_headers(parent, [], None, "x") == ReplyHeaders(
        in_reply_to=None, references=(), gmail_thread=None
    )
