"""S12: which message a bounce is about, and whether it is to be believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.mail import Authenticity, DeliveryFailure, DeliveryReport
from shared.core.matching.facts import OutboundKey
from shared.core.matching.places import Returned
from shared.core.records import Bounce
from tests.support.crm import CONNECTED, ME, Crm, mail

ADA, BOB = "ada@client.example", "bob@client.example"
AT = CONNECTED + 5


def failure(*addresses: str, **more: Any) -> DeliveryFailure:
    fields = {"code": "5.1.1", "detail": "no such user", "permanent": True}
    return DeliveryFailure(addresses, **(fields | more))


def returned(
    crm: Crm,
    *failures: DeliveryFailure,
    inside: tuple[str, ...] = ("<sent@x>",),
    mark: str | None = None,
    sender: str | None = "mailer-daemon@mx.client.example",
    authenticity: Authenticity = "unknown",
    **more: Any,
) -> tuple[Returned, ...]:
    report = DeliveryReport(failures or (failure(ADA),), inside, mark)  # type: ignore[arg-type]
    message = mail(sender, message_id="<dsn@x>", **more)
    decided = crm.decide(replace(message, report=report, authenticity=authenticity))
    assert (decided.rule, decided.places, decided.copies) == ("S12", (), ())
    return decided.returned


def addresses(found: tuple[Returned, ...]) -> list[str]:
    return [bounce.address for item in found for bounce in item.bounces]


def test_s12_the_message_that_is_named_inside_has_the_entry() -> None:
    found = returned(Crm().wrote("<sent@x>", ADA))
    entry = Bounce(ADA, "5.1.1", "no such user", permanent=True, at=AT)
    assert found == (Returned("s", "record of <sent@x>", "c", (entry,)),)


@pytest.mark.parametrize("header", ["in_reply_to", "references"])
def test_s12_so_has_one_that_the_headers_name(header: str) -> None:
    crm = Crm().wrote("<sent@x>", ADA)
    found = returned(crm, inside=(), **{header: ("<sent@x>",)})
    assert addresses(found) == [ADA]


def test_s12_one_that_our_own_header_names_whatever_its_message_id_is() -> None:
    crm = Crm().wrote("<sent@x>", ADA)
    mark = "s/record of <sent@x>"
    assert addresses(returned(crm, inside=("<new@x>",), mark=mark)) == [ADA]
    other = mark.replace("s/", "s2/", 1)
    assert returned(crm, inside=("<new@x>",), mark=other) == ()


def test_s12_one_that_our_own_message_id_names() -> None:
    crm = Crm().wrote("<x@y>", ADA)
    crm.outbound["s", "m1"] = crm.outbound["s", "record of <x@y>"]
    (found,) = returned(crm, inside=("<crm.m1@ours.example>",))
    assert found.message == "m1"


def test_s12_the_nearest_that_went_to_the_recipient() -> None:
    crm = Crm().wrote("<first@x>", ADA, BOB).wrote("<last@x>", ADA)
    thread = ("<first@x>", "<last@x>")
    (found,) = returned(crm, inside=(), references=thread)
    assert found.message == "record of <last@x>"
    (found,) = returned(crm, failure(BOB), inside=(), references=thread)
    assert found.message == "record of <first@x>"


def test_s12_no_more_ids_are_looked_up_than_a_bounce_needs() -> None:
    crm = Crm()
    returned(crm, inside=tuple(f"<{n}@x>" for n in range(500)))
    assert len(crm.asked) == 10
    assert crm.rounds == 1


def test_s12_an_inbound_message_does_not_bounce() -> None:
    crm = Crm().known("<sent@x>")
    assert returned(crm) == ()
    assert OutboundKey("s", "record of <sent@x>") in crm.asked


def test_s12_only_recipients_of_the_message_count() -> None:
    crm = Crm().wrote("<sent@x>", ADA)
    assert returned(crm, failure("eve@stranger.example")) == ()
    both = (failure("eve@stranger.example"), failure(ADA))
    assert addresses(returned(crm, *both)) == [ADA]


def test_s12_a_recipient_is_known_by_what_the_sender_wrote() -> None:
    """Final-Recipient is where it was forwarded to, Original-Recipient is ours."""
    crm = Crm().wrote("<sent@x>", ADA)
    forwarded = failure("home@provider.example", ADA)
    assert addresses(returned(crm, forwarded)) == [ADA]


def test_s12_a_recipient_is_known_in_another_spelling() -> None:
    crm = Crm().wrote("<sent@x>", "ada.lee+crm@gmail.com")
    found = returned(crm, failure("adalee@googlemail.com"))
    assert addresses(found) == ["ada.lee+crm@gmail.com"]


def test_s12_one_entry_a_recipient() -> None:
    crm = Crm().wrote("<sent@x>", ADA)
    twice = failure(ADA), failure(ADA, permanent=False)
    (found,) = returned(crm, *twice)
    assert [bounce.permanent for bounce in found.bounces] == [True]


@pytest.mark.parametrize(
    ("sent", "believed"),
    [
        ({}, True),
        ({"user": None}, True),
        ({"mailbox": None}, True),
        ({"mailbox": None, "user": None}, True),
        ({"mailbox": "b2", "user": "v", "sender": "mate@ours.example"}, False),
        ({"mailbox": None, "user": None, "sender": "news@ours.example"}, False),
    ],
)
def test_s12_a_bounce_comes_to_where_the_message_was_sent_from(
    sent: dict[str, Any], believed: bool
) -> None:
    """The mailbox holds it, is its user's, or has the address that it is from."""
    crm = Crm().wrote("<sent@x>", ADA, **sent)
    assert bool(returned(crm)) == believed


@pytest.mark.parametrize(
    ("sender", "authenticity", "believed"),
    [
        ("mailer-daemon@googlemail.com", "pass", True),
        ("mailer-daemon@googlemail.com", "unknown", True),
        ("mailer-daemon@googlemail.com", "fail", False),
        ("mailer-daemon@google.com", "fail", False),
        ("postmaster@team.example", "fail", False),
        ("postmaster@team.example", "unknown", True),
        (ME, "fail", False),
        ("postmaster@client.example", "fail", True),
        (None, "unknown", True),
        (None, "fail", True),
    ],
)
def test_s12_who_is_sure_to_sign_is_not_believed_without(
    sender: str | None, authenticity: Authenticity, believed: bool
) -> None:
    crm = Crm().subaccount(internal_domains=("team.example",)).wrote("<sent@x>", ADA)
    found = returned(crm, sender=sender, authenticity=authenticity, sent=False)
    assert bool(found) == believed


def test_s12_every_subaccount_that_has_the_message() -> None:
    crm = Crm().subaccount("s2").subaccount("s3")
    crm.wrote("<sent@x>", ADA).wrote("<sent@x>", ADA, s="s2")
    assert [found.subaccount for found in returned(crm)] == ["s", "s2"]


def test_s12_where_the_sync_is_off_too() -> None:
    """Mail that the CRM sends is recorded there, and what comes back of it."""
    assert returned(Crm().wrote("<sent@x>", ADA).switched_off())


@pytest.mark.parametrize("label", ["SPAM", "TRASH"])
def test_s12_not_in_spam(label: str) -> None:
    report = DeliveryReport((failure(ADA),), ("<sent@x>",))  # type: ignore[arg-type]
    message = replace(mail("mailer-daemon@x.example", labels=[label]), report=report)
    decided = Crm().wrote("<sent@x>", ADA).decide(message)
    assert (decided.rule, decided.returned) == ("M1", ())


def test_s12_a_contact_is_not_made_nor_is_a_thread_begun() -> None:
    crm = Crm().wrote("<sent@x>", ADA).contact("mailer-daemon@mx.client.example")
    assert returned(crm, failure(BOB)) == ()
