"""B6: what is stored and sent never shows a BCC address, wherever a mail holds it."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

import pytest

from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.matching.bcc_redaction import IN_TEXT
from shared.errors import Problem
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.send_records import SendRequest, Upload
from tests.support.bcc import ADA, ME, BccSystem

S, U = SubaccountId("s"), UserId("u")


@pytest.fixture
def system() -> BccSystem:
    system = BccSystem()
    system.contact("ada", ADA)
    return system


def token(system: BccSystem) -> str:
    return system.drop().partition("+")[2].partition("@")[0]


def traces(system: BccSystem, secret: str) -> list[str]:
    """Where the secret stands in what is stored, published or waiting."""
    outside = system.outside
    found = [p for p, data in outside.documents.dump().items() if secret in repr(data)]
    for name, blob in outside.blobs._blobs.items():
        found += [name] * (secret.encode() in repr(blob).encode())
    for topic in ("crm-events", "outbound-work", "sync-work"):
        found += [
            topic
            for event in outside.topics.published(topic)
            if secret.encode() in event.data
        ]
    return found


def quoting(system: BccSystem, times: int = 20_000) -> EmailMessage:
    """An answer that quotes the address in every place that programs put it."""
    drop = system.drop()
    message = system.mail(
        f'"{drop}" <{ADA}>',
        f'"{drop}" <{ME}>',
        f"Re: {drop}",
        text=f"Sure.\n\n> Cc: {drop}\n> offer",
        headers={"Reply-To": f"{drop}, {ADA}"},
    )
    message.add_alternative(
        f'<p>Sure.<blockquote><a href="mailto:{quote(drop)}">{drop}</a>'
        + "<p>much to store</p>" * times,
        subtype="html",
    )
    message.add_attachment(b"x", maintype="a", subtype="b", filename=f"{drop}.txt")
    return message


def test_b6_a_reply_that_quotes_it_is_recorded_without(system: BccSystem) -> None:
    secret = token(system)
    system.world.deliver_from_outside(quoting(system).as_bytes(), [ME], "pass")
    system.settle()
    (message,) = system.conversation("ada")
    assert message.envelope.text.startswith(f"Sure.\n\n> Cc: {IN_TEXT}\n")
    assert message.subject == f"Re: {IN_TEXT}"
    assert message.sender.name == IN_TEXT
    assert message.envelope.attachments[0].filename == f"{IN_TEXT}.txt"
    assert IN_TEXT in message.envelope.html
    assert traces(system, secret) == []


def test_b6_nor_when_the_body_is_too_large_to_be_shown(system: BccSystem) -> None:
    secret = token(system)
    raw = quoting(system, 80_000).as_bytes()
    system.world.deliver_from_outside(raw, [ME], "pass")
    system.settle()
    (message,) = system.conversation("ada")
    assert message.envelope.attachments[0].filename == "body.html"
    assert traces(system, secret) == []


def test_b6_the_copy_at_the_logging_mailbox_neither(system: BccSystem) -> None:
    secret = token(system)
    system.outlook(text=f"Logged by {system.drop()}", subject=system.drop())
    system.settle()
    assert [m.subject for m in system.conversation("ada")] == [IN_TEXT]
    assert traces(system, secret) == []


def test_b6_a_second_copy_of_the_same_email_joins(system: BccSystem) -> None:
    system.user("v", "v@ours.example")
    system.connect("v", "v@ours.example")
    raw = quoting(system).as_bytes()
    system.world.deliver_from_outside(raw, [ME, "v@ours.example"], "pass")
    system.settle()
    (message,) = system.conversation("ada")
    assert {copy.user for copy in message.held_by} == {"u", "v"}


def asked(**fields: Any) -> SendRequest:
    request = {
        "subaccount": S,
        "kind": "individual",
        "user": U,
        "to": (RequestedRecipient("/to/0", contact=ContactId("ada")),),
        "subject": "Hello",
        "text": "Hello",
    }
    return SendRequest(**(request | fields))


def test_b6_mail_of_the_crm_does_not_hand_it_to_contacts(system: BccSystem) -> None:
    secret, drop = token(system), system.drop()
    ada = RequestedRecipient("/to/0", contact=ContactId("ada"), name=drop)
    mail = asked(
        to=(ada,), subject=f"Fwd: {drop}", text=f"> {drop}", html=f"<p>{drop}</p>"
    )
    upload = Upload(f"{drop}.eml", "text/plain", b"x")
    sent = system.services.sending.submit(mail, (upload,), "key")
    assert system.services.sending.submit(mail, (upload,), "key") == sent
    system.settle()
    assert traces(system, secret) == []


@pytest.mark.parametrize("place", ["to", "cc", "bcc"])
def test_b6_it_is_no_recipient_of_the_crms_mail(system: BccSystem, place: str) -> None:
    secret, drop = token(system), system.drop()
    there = RequestedRecipient(f"/{place}/1", address=drop)
    people = (*asked().to, there) if place == "to" else (there,)
    with pytest.raises(Problem) as refused:
        system.services.sending.submit(asked(**{place: people}), (), "key")
    assert refused.value.errors == (
        {"pointer": f"/{place}/1", "detail": "is a BCC address"},
    )
    assert traces(system, secret) == []
