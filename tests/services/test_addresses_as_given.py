"""Mail goes to, and shows, addresses as they were given; matching alone folds (M13)."""

from __future__ import annotations

from email import message_from_string, policy
from typing import Any

import pytest

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.parsing.address import normalise
from shared.repositories.directory import ContactToWrite
from shared.services.sending.recipients import RequestedRecipient
from tests.support.sending import MIA, PROVIDER, S, SendingSystem

GIVEN = [
    "straße@post.example",
    "Ada.Lovelace@Post.example",
    "bo\u017fs@post.example",
    "\ufb01ona@post.example",
    "\u212aim@post.example",
    "İlker@post.example",
    "Ada@müller.example",
]
QUOTED = '"Ada Lee"@post.example'
"""Good in SMTP; the simulated Gmail refuses such a To."""


def put(system: SendingSystem, given: str, c: str = "ada") -> None:
    address = normalise(given)
    assert address is not None
    system.services.directory.put_contact(
        SubaccountId("s"),
        ContactToWrite(ContactId(c), "Ada", (address,), (given,), UserId("u"), None),
    )


def written_to(given: str) -> str:
    """How mail is written to it: only the domain is put into ASCII."""
    return given.replace("müller", "xn--mller-kva")


@pytest.fixture
def system() -> SendingSystem:
    found = SendingSystem()
    found.subaccount(default_provider=PROVIDER)
    found.settle()
    return found


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("named", ["contact", "address"])
def test_m13_mail_leaves_for_the_address_as_it_was_given(
    system: SendingSystem, given: str, named: str
) -> None:
    put(system, given)
    asked = (
        RequestedRecipient("/to/0", contact=ContactId("ada"))
        if named == "contact"
        else RequestedRecipient("/to/0", address=normalise(given), written=given)
    )
    (message,) = system.post(to=(asked,)).ids
    record = system.services.reading.message(S, message)
    assert record.envelope is not None
    assert [recipient.shown for recipient in record.envelope.to] == [given]
    system.send_all()
    (left,) = system.world.outside
    assert left.recipient == written_to(given)
    assert recipients(left.raw) == [written_to(given)]


@pytest.mark.parametrize("given", [*GIVEN, QUOTED])
@pytest.mark.parametrize("kind", ["bulk", "workflow"])
def test_m13_the_provider_gets_it_as_it_was_given(
    system: SendingSystem, given: str, kind: str
) -> None:
    put(system, given)
    if kind == "bulk":
        (message,) = system.bulk("ada").ids
    else:
        asked = RequestedRecipient("/to/0", contact=ContactId("ada"))
        (message,) = system.post(kind="workflow", to=(asked,)).ids
    system.send_all()
    (taken,) = system.relay.taken
    assert list(taken.recipients) == [written_to(given)]
    assert recipients(taken.mail) == [written_to(given)]
    record = system.services.reading.message(S, message)
    assert record.envelope is not None
    assert [recipient.shown for recipient in record.envelope.to] == [given]


def test_m13_the_answer_is_that_contacts_and_shown_as_it_was_written(
    system: SendingSystem,
) -> None:
    put(system, "Ada.Lovelace@Post.example")
    system.arrives("Ada Lovelace <ADA.Lovelace@post.example>", MIA)
    system.settle()
    (message,) = system.conversation("ada")
    assert message.sender.address == "ada.lovelace@post.example"
    assert message.sender.shown == "ADA.Lovelace@post.example"


def test_m13_two_mailboxes_are_two_people(system: SendingSystem) -> None:
    """`straße@` and `strasse@` differ in letters that Unicode's folding makes one."""
    put(system, "straße@post.example", "one")
    put(system, "strasse@post.example", "other")
    system.arrives("strasse@post.example", MIA)
    system.settle()
    assert system.conversation("one") == []
    assert len(system.conversation("other")) == 1


def test_s7_the_same_mail_is_the_same_however_an_address_is_written(
    system: SendingSystem,
) -> None:
    put(system, "ada@post.example")
    first, again = (
        system.post(
            to=(RequestedRecipient("/to/0", address="ada@post.example", written=item),),
            key="k",
        )
        for item in ("Ada@post.example", "ada@post.example")
    )
    assert first.ids == again.ids


def recipients(mail: Any) -> list[str]:
    raw = mail if isinstance(mail, bytes) else b"".join(mail)
    parsed = message_from_string(raw.decode(), policy=policy.default)
    return [address.addr_spec for address in parsed["To"].addresses]
