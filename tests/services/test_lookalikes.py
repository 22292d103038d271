"""A domain that only looks like ours is another one, and is shown as what it is."""

from __future__ import annotations

import pytest

from tests.support.bcc import ADA, BccSystem
from tests.support.system import System

ME = "mia@agency.example"
A = "\N{CYRILLIC SMALL LETTER A}"
Y = "\N{FULLWIDTH LATIN SMALL LETTER Y}"
LIKE_OURS = [f"mia@{A}gency.example", f"mia@agency.ex{A}mple"]


@pytest.mark.parametrize("sender", LIKE_OURS)
def test_m13_a_look_alike_is_external_and_shown_in_ascii(sender: str) -> None:
    system = System()
    system.subaccount(internal_domains=("agency.example",))
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    question = system.arrives(ADA, ME, "Question")
    headers = {"Cc": ADA}
    system.arrives(sender, ME, "Re: Question", reply_to=question, headers=headers)
    system.settle()
    _, answer = system.conversation("ada")
    assert (answer.direction, answer.user) == ("inbound", None)
    assert answer.sender.address.isascii()
    assert "xn--" in answer.sender.address


def test_m13_full_width_letters_are_the_same_domain_and_must_be_authenticated() -> None:
    """UTS 46 reads such a y as y: no other domain can be meant."""
    system = System()
    system.subaccount(internal_domains=("agency.example",))
    system.user("u", ME)
    system.contact("ada", ADA)
    system.connect("u", ME)
    forged = system.arrives(
        f"mia@agenc{Y}.example", ME, headers={"Cc": ADA}, auth="fail"
    )
    system.settle()
    assert system.conversation("ada") == []
    assert [decision.rule for decision in system.decisions(message_id=forged)] == ["M2"]


def test_b5_a_look_alike_of_the_user_logs_nothing() -> None:
    system = BccSystem()
    system.outlook(sender=f"rep.profile@ours.ex{A}mple")
    system.settle()
    assert system.recorded() == []
