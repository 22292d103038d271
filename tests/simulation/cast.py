"""Who and what a story is made of: the ground truth, as nobody in the product sees it.

Everything that must never be logged carries MARK: addresses, names, subjects, bodies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MARK = "qzxcanary"
"""In every address, subject and body of a story; a log line with it is a leak."""

OURS = f"ours-{MARK}.example"
CLIENT = f"client-{MARK}.example"
PARTNER = f"partner-{MARK}.example"
OTHER = f"other-{MARK}.example"

ANN, BEN, SHOP = f"ann@{OURS}", f"ben@{OURS}", f"shop@{OURS}"
ALIAS = f"sales@{OURS}"
MOVED = f"ann.new@{OTHER}"
DAN = f"dan@{OURS}"
LOG = f"log@logs-{MARK}.example"
DROPS = f"log+{{token}}@logs-{MARK}.example"
"""The logging mailbox, and the form of BCC addresses."""
LOGGER = "@logging"
"""The logging mailbox's user."""
PROVIDER = f"news@relay-{MARK}.example"
"""From whom a default provider sends."""

PEOPLE = (
    f"ada@{CLIENT}",
    f"bob@{CLIENT}",
    f"cleo@{CLIENT}",
    f"dora@{PARTNER}",
    f"emil@{PARTNER}",
)
"""Whom contacts are made of."""
NEWCOMERS = (f"finn@{CLIENT}", f"gina@new-{MARK}.example")
"""Who become contacts only by a BCC address."""
STRANGERS = (f"spammer@nowhere-{MARK}.example", f"guest@{PARTNER}")


@dataclass(frozen=True)
class Cast:
    """Who and what one seed has. ALIAS reaches ANN; DAN has no account here.

    Each of `second` is a user and the account that may be connected beside ann's at
    the start, each of `more` is connected as well. With `strange_owners` contacts are
    assigned to users of other subaccounts, too.
    """

    steps: int
    accounts: tuple[str, ...]
    people: tuple[str, ...]
    members: tuple[tuple[str, str], ...]
    second: tuple[tuple[str, str], ...]
    more: tuple[tuple[str, str], ...] = ()
    strange_owners: bool = False

    @property
    def subaccounts(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(sorted({s for s, _ in self.members}))

    @property
    def connecting(self) -> tuple[str, ...]:
        """The users who connect mailboxes."""
        users = dict.fromkeys(user for _, user in self.members)
        return tuple(item for item in users if item != "dan")

    def owners(self, s: str) -> tuple[str | None, ...]:
        """To whom a contact of the subaccount is assigned."""
        if self.strange_owners:
            return ("ann", *self.connecting, None)
        return (*(user for at, user in self.members if at == s), None)


SMALL = Cast(
    steps=36,
    accounts=(ANN, BEN, SHOP, MOVED),
    people=PEOPLE,
    members=(("s1", "ann"), ("s1", "ben"), ("s2", "cat"), ("s1", "dan")),
    second=(("ben", BEN), ("ben", BEN), ("ben", ANN), ("cat", SHOP)),
    strange_owners=True,
)
"""Days are short and everything meets everything."""

_MORE = tuple(f"user{number}" for number in range(5, 16))

WIDE = Cast(
    steps=80,
    accounts=(*SMALL.accounts, *(f"{user}@{OURS}" for user in _MORE[:8])),
    people=(*PEOPLE, *(f"person{n}@firm{n % 3}-{MARK}.example" for n in range(10))),
    members=(
        *SMALL.members,
        *((f"s{1 + n % 5}", user) for n, user in enumerate(_MORE)),
        *((f"s{1 + (n + 2) % 5}", user) for n, user in enumerate(_MORE) if n % 3 == 0),
    ),
    second=SMALL.second,
    more=(("cat", SHOP), *((user, f"{user}@{OURS}") for user in _MORE[:6])),
)
"""Many users, mailboxes and subaccounts: who has nothing to do with it gets nothing."""

EVERY_WIDE = 20
"""One seed in so many has the wide cast."""

_NUMBER = re.compile(r"mail-no-(\d+);")


@dataclass(eq=False)
class Mail:
    """One email, as its writer knows it.

    `answers` is what its headers say, the nearest ancestor first. `forward` says that
    the subject begins with a forward prefix, `true` that the writer is who From says.
    `drop` is the BCC address that it names, in the header `drop_in`. `crm` is the
    subaccount that sent it.
    """

    no: int
    writer: str
    to: tuple[str, ...]
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    subject: str = ""
    answers: tuple[Mail, ...] = ()
    forward: bool = False
    true: bool = True
    message_id: str = ""
    copies: list[Copy] = field(default_factory=list)
    twin: Mail | None = None
    attachments: int = 0
    drop: str = ""
    drop_in: str = ""
    crm: str = ""

    @property
    def root(self) -> Mail:
        """The mail that began it all; of two with one Message-ID nobody can tell."""
        first = self.answers[-1] if self.answers else self
        return first.twin if first.twin and first.twin.no < first.no else first

    @property
    def words(self) -> str:
        """The body. Its number tells a record of this mail from all others."""
        return f"mail-no-{self.no}; {MARK} {MARK}\r\n"

    def __repr__(self) -> str:
        """Name it in a story."""
        return f"#{self.no}"


@dataclass(eq=False)
class Copy:
    """A mail as it lies in one Gmail account. One that is `unread` went too soon."""

    mail: Mail
    account: str
    gmail_id: str
    gmail_thread: str
    at: int
    sent: bool
    order: int = 0
    hidden: bool = False
    gone: bool = False
    unread: bool = False

    @property
    def others(self) -> tuple[str, ...]:
        """The recipients that this copy shows, in their order: Bcc the sender only."""
        bcc = self.mail.bcc if self.sent else ()
        return tuple(dict.fromkeys((*self.mail.to, *self.mail.cc, *bcc)))


def number_in(text: str) -> int | None:
    """Tell which mail a recorded text belongs to."""
    found = _NUMBER.search(text)
    return int(found[1]) if found else None


def domain(address: str) -> str:
    """The part after the @."""
    return address.rpartition("@")[2]
