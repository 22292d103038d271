"""B6: nobody's BCC address is stored, shown or sent, wherever an email has it."""

from __future__ import annotations

from email.message import EmailMessage
from html import escape
from urllib.parse import quote

import pytest

from shared.core.access import Caller
from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.mail import Address
from shared.errors import Problem
from shared.gateways.memory import MemoryRelay
from shared.ports import Delete
from shared.services.sending.recipients import RequestedRecipient
from shared.services.sending.send_records import SendRequest, Upload
from tests.support.bcc import ADA, ME, BccSystem
from tests.support.everything_stored import places_of

S = SubaccountId("s")
CRM = Caller("crm", frozenset({S}))
FOREVER = 4_000_000_000_000
OTHERS = f"log+{'q' * 20}@logs.example"
"""One that nobody here has, or has no more."""
BIG = "word " * 60_000
HUGE = "word " * 230_000


def token_of(address: str) -> str:
    return address.partition("+")[2].partition("@")[0]


@pytest.fixture
def system() -> BccSystem:
    system = BccSystem()
    system.contact("ada", ADA)
    system.outside.relay = MemoryRelay()
    return system


def places(system: BccSystem) -> list[str]:
    return places_of([token_of(system.drop()), token_of(OTHERS)], system.outside)


def quoting(system: BccSystem, sender: str, to: str, fill: str = "") -> EmailMessage:
    """A mail that has BCC addresses everywhere."""
    drop = system.drop()
    mail = system.mail(f'"{drop}" <{sender}>', f'"{OTHERS}" <{to}>', f"Re: {drop}")
    mail["Reply-To"] = f'"{drop}" <{sender}>, {OTHERS}'
    mail["References"] = f"<1.{drop}> <2@x.example>"
    words = f"Sure.\n\n> From: Rep <{ME}>\n> Cc: {drop},\n> {OTHERS.upper()}\n"
    mail.set_content(f"{words}\n{fill}\n{words}")
    soft = "<wbr>".join(drop)
    mail.add_alternative(
        f"<p>Sure.</p><blockquote>Cc: {soft}, <b>log+</b>{token_of(OTHERS)}&#64;"
        f'logs.example <a href="mailto:{quote(drop)}">{escape(drop)}</a>'
        f"<p>{fill}</p> {drop}</blockquote>",
        subtype="html",
    )
    mail.add_attachment(f"ATTENDEE:mailto:{drop}\r\n", filename=f"{drop}.ics")
    return mail


@pytest.mark.parametrize("fill", ["", BIG, HUGE], ids=["small", "in a blob", "cut"])
@pytest.mark.parametrize("direction", ["inbound", "outbound", "bcc"])
def test_b6_no_record_holds_one(system: BccSystem, direction: str, fill: str) -> None:
    if direction == "inbound":
        mail = quoting(system, ADA, ME, fill)
        system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    elif direction == "outbound":
        mail = quoting(system, ME, ADA, fill)
        system.world.send_from_gmail(ME, mail.as_bytes())
    else:
        mail = quoting(system, ME, ADA, fill)
        system.world.deliver_from_outside(mail.as_bytes(), [system.drop()], "pass")
    system.settle()
    (message,) = system.conversation("ada")
    assert places(system) == []
    assert message.subject == "Re: BCC-address"
    assert message.envelope is not None
    assert "> Cc: BCC-address" in str(message.envelope.text)
    assert "mailto:BCC-address" in str(message.envelope.html)
    assert message.snippet.startswith("Sure. > From: Rep")


def test_b6_no_decision_holds_one(system: BccSystem) -> None:
    mail = quoting(system, "eve@stranger.example", ME)
    system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    system.settle()
    assert system.recorded() == []
    assert places(system) == []


def test_b6_what_is_read_later_holds_none(system: BccSystem) -> None:
    """Backfill, audit with repair, and the history read anew."""
    eve = "eve@client.example"
    mail = quoting(system, eve, ME)
    system.world.deliver_from_outside(mail.as_bytes(), [ME], "pass")
    system.settle()
    assert system.recorded() == []
    system.contact("eve", eve)
    system.services.jobs.backfill(S, ContactId("eve"))
    system.settle()
    (record,) = system.recorded()
    assert places(system) == []
    system.outside.documents.commit([Delete(record)])
    system.services.jobs.audit(CRM, UserId("u"), 0, FOREVER, repair=True)
    system.settle()
    assert system.recorded() == [record]
    assert places(system) == []


def test_b6_mail_of_the_crm_neither_holds_nor_tells_one(system: BccSystem) -> None:
    drop = system.drop()
    words = f"> Cc: {drop}"
    upload = Upload(f"{drop}.txt", "text/plain", words.encode())
    request = SendRequest(
        subaccount=S,
        kind="individual",
        user=UserId("u"),
        to=(RequestedRecipient("/to/0", address=ADA, written=ADA, name=f"Ada {drop}"),),
        subject=f"Re: {drop}",
        text=words,
        html=f"<p>{'<wbr>'.join(drop)}",
    )
    system.services.sending.submit(request, [upload], "key")
    assert places(system) == []
    (message,) = system.conversation("ada")
    assert message.subject == "Re: BCC-address"
    assert message.envelope is not None
    assert message.envelope.to == (Address("Ada BCC-address", ADA),)
    bulk = SendRequest(
        subaccount=S,
        kind="bulk",
        user=UserId("u"),
        contacts=(ContactId("ada"),),
        subject=f"{drop}",
        text=words + BIG,
    )
    with pytest.raises(Problem):  # no provider here, and still nothing is kept
        system.services.bulk.submit(bulk, [upload], "bulk")
    assert places(system) == []
