"""The people of a benchmark and the mail they write: the same for every contender."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

from gmail_simulator import consent
from shared.bootstrap import Services
from shared.core.ids import ContactId, SubaccountId, UserId
from shared.core.records import Subaccount
from shared.repositories.directory import ContactToWrite, MemberToWrite
from tools.bench.post import FIRST_MAIL
from tools.bench.stage import Stage

SUBACCOUNT = SubaccountId("s")
USER = UserId("u")
ME = "rep@ours.example"
CONTACTS = 20
STRANGER = "eve@stranger.example"

_PARAGRAPH = (
    "Thank you for the offer. We looked at it with the team, and there are two points "
    "that we would like to talk about before we decide. "
)
_TEXT = "\n\n".join([_PARAGRAPH] * 6)
_HTML = "".join(f"<p style='margin:0'>{_PARAGRAPH}<br></p>" for _ in range(6))


def address(number: int) -> str:
    """Of the contact with this number."""
    return f"contact{number}@client{number}.example"


class Writer:
    """Writes mails, all different, the same ones in every run."""

    def __init__(self) -> None:
        """Begin with the first one."""
        self._numbers = itertools.count(1)

    def mails(self, count: int, *, from_contacts: int = 100) -> list[bytes]:
        """So many mails, `from_contacts` per cent of them from a contact."""
        senders = _senders(from_contacts)
        return [self.mail(next(senders)) for _ in range(count)]

    def mail(self, sender: str, reply_to: str | None = None) -> bytes:
        """One mail with a text and an HTML body, 4 kB in all."""
        number = next(self._numbers)
        message = EmailMessage()
        message["From"], message["To"] = f"Ann Lee <{sender}>", ME
        message["Subject"] = f"Offer {number}"
        message["Date"] = format_datetime(FIRST_MAIL)
        message["Message-ID"] = message_id(number)
        if reply_to:
            message["In-Reply-To"] = message["References"] = reply_to
        message.set_content(_TEXT)
        message.add_alternative(_HTML, subtype="html")
        return message.as_bytes()


def message_id(number: int) -> str:
    """Message-ID of the mail with this number."""
    return f"<mail-{number}@client.example>"


def _senders(from_contacts: int) -> Iterator[str]:
    """Contacts in turn, with strangers evenly between them."""
    contacts = itertools.cycle(map(address, range(CONTACTS)))
    due = 0
    while True:
        due += from_contacts
        if due >= 100:  # noqa: PLR2004  (per cent)
            due -= 100
            yield next(contacts)
        else:
            yield STRANGER


def set_up(stage: Stage, contacts: int = CONTACTS) -> Services:
    """A subaccount with a user, contacts and a connected mailbox."""
    services = Services(stage.outside)
    directory = services.directory
    directory.put_subaccount(Subaccount(SUBACCOUNT, name="s"), None)
    directory.put_member(SUBACCOUNT, MemberToWrite(USER, "u", ME, ME, ()))
    for number in range(contacts):
        some = (address(number),)
        directory.put_contact(
            SUBACCOUNT,
            ContactToWrite(ContactId(f"c{number}"), "Ann Lee", some, some, USER, None),
        )
    connect(stage, services, USER, ME)
    return services


def connect(stage: Stage, services: Services, user: UserId, mailbox: str) -> None:
    """Go through the consent, as the user's browser does."""
    stage.post.add_account(mailbox)
    link = services.connections.begin(user)
    flow = link.partition("flow=")[2]
    page = services.connections.start(flow, {})
    cookies = {page.cookie_name: page.cookie}
    url = services.connections.leave(flow, cookies, page.form_token)
    back = consent(stage.browser, url, mailbox)
    services.connections.finish(dict(parse_qsl(urlsplit(back).query)), cookies)
