"""A small CRM for table tests of matching: says what facts a situation has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from shared.core.ids import (
    ContactId,
    GmailMessageId,
    GmailThreadId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
)
from shared.core.mail import Address, MessageHeaders
from shared.core.matching.facts import (
    AddressFact,
    AddressKey,
    ContactAtAddress,
    ContactFact,
    ContactKey,
    CrmMessageFact,
    CrmMessageKey,
    Fact,
    GmailThreadKey,
    Key,
    KnownMessage,
    MessageIdKey,
    OutboundFact,
    OutboundKey,
    QuotaKey,
    SentKey,
    ThreadFact,
    ThreadKey,
)
from shared.core.matching.rules import Decision, decide
from shared.core.people import (
    MailboxForMatching,
    Membership,
    SubaccountForMatching,
    UserForMatching,
)

ME = "rep@ours.example"
ALIAS = "sales@ours.example"
CONNECTED = 1_000_000
U = UserId("u")
S = SubaccountId("s")


def mail(
    sender: str | None = "ada@client.example",
    to: Iterable[str] = (ME,),
    cc: Iterable[str] = (),
    bcc: Iterable[str] = (),
    *,
    sent: bool | None = None,
    labels: Iterable[str] = (),
    authenticated: bool = True,
    at: int = CONNECTED + 5,
    subject: str = "Hello",
    message_id: str | None = "<m@x>",
    in_reply_to: Iterable[str] = (),
    references: Iterable[str] = (),
    gmail_thread: str = "gt",
) -> MessageHeaders:
    """A message as the header pass sees it; sent by us when the sender is us."""
    if sent is None:
        sent = sender in {ME, ALIAS}
    return MessageHeaders(
        gmail_message_id=GmailMessageId("g"),
        gmail_thread_id=GmailThreadId(gmail_thread),
        labels=frozenset({*labels, "SENT" if sent else "INBOX"}),
        internal_date=at,
        sender=None if sender is None else Address(None, sender),
        to=tuple(Address(None, recipient) for recipient in to),
        cc=tuple(Address(None, recipient) for recipient in cc),
        bcc=tuple(Address(None, recipient) for recipient in bcc),
        subject=subject,
        rfc822_message_id=None if message_id is None else Rfc822MessageId(message_id),
        in_reply_to=tuple(
            Rfc822MessageId(in_reply_recipient) for in_reply_recipient in in_reply_to
        ),
        references=tuple(Rfc822MessageId(reference) for reference in references),
        authenticated=authenticated,
    )


@dataclass
class Crm:
    """What one or several subaccounts know; answers the questions of matching."""

    subaccounts: dict[str, SubaccountForMatching] = field(
        default_factory=lambda: {"s": SubaccountForMatching(S)}
    )
    users: dict[str, UserForMatching] = field(
        default_factory=lambda: {"u": UserForMatching(U, CONNECTED, (Membership(S),))}
    )
    addresses: dict[tuple[str, str], AddressFact] = field(default_factory=dict)
    emails: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    messages: dict[tuple[str, str], tuple[KnownMessage, ...]] = field(
        default_factory=dict
    )
    threads: dict[tuple[str, str], ThreadFact] = field(default_factory=dict)
    gmail_threads: dict[tuple[str, str], tuple[ThreadFact, ...]] = field(
        default_factory=dict
    )
    sent: dict[tuple[str, str], CrmMessageFact] = field(default_factory=dict)
    ours: set[tuple[str, str]] = field(default_factory=set)
    outbound: dict[tuple[str, str], OutboundFact] = field(default_factory=dict)
    contacts_left: int = 500
    asked: list[Key] = field(default_factory=list)
    rounds: int = 0

    def subaccount(self, s: str = "s", **settings: object) -> Crm:
        """A subaccount with these settings; the user belongs to it."""
        self.subaccounts[s] = SubaccountForMatching(SubaccountId(s), **settings)  # type: ignore[arg-type]
        user = self.users["u"]
        if not any(membership.subaccount == s for membership in user.memberships):
            more = (*user.memberships, Membership(SubaccountId(s)))
            self.users["u"] = replace(user, memberships=more)
        return self

    def user(self, u: str, s: Iterable[str] = ("s",), since: int = CONNECTED) -> Crm:
        """One more user of the mailbox."""
        memberships = tuple(Membership(SubaccountId(item)) for item in s)
        self.users[u] = UserForMatching(UserId(u), since, memberships)
        return self

    def never_log(self, *entries: str, u: str = "u", s: str = "s") -> Crm:
        """The user's own never-log list in one subaccount."""
        memberships = tuple(
            replace(membership, never_log=entries)
            if membership.subaccount == s
            else membership
            for membership in self.users[u].memberships
        )
        self.users[u] = replace(self.users[u], memberships=memberships)
        return self

    def switched_off(self, u: str = "u", s: str = "s") -> Crm:
        """The user does not want the mailbox recorded in one subaccount (C11)."""
        memberships = tuple(
            replace(membership, sync=membership.sync and membership.subaccount != s)
            for membership in self.users[u].memberships
        )
        self.users[u] = replace(self.users[u], memberships=memberships)
        return self

    def contact(
        self,
        address: str,
        c: str = "c",
        s: str = "s",
        *,
        assigned: str | None = "u",
        created: int = 1,
        emails: Iterable[str] = (),
    ) -> Crm:
        """A contact with this address, assigned to the user unless said otherwise."""
        every = tuple(dict.fromkeys((address, *emails)))
        for item in every:
            fact = self.addresses.get((s, item), AddressFact())
            contact = ContactAtAddress(
                ContactId(c), created, UserId(assigned) if assigned else None, every
            )
            self.addresses[s, item] = replace(fact, contacts=(*fact.contacts, contact))
        self.emails[s, c] = every
        return self

    def member(self, address: str, u: str = "colleague", s: str = "s") -> Crm:
        """A user with this address."""
        fact = self.addresses.get((s, address), AddressFact())
        members = fact.members | {UserId(u)}
        self.addresses[s, address] = replace(fact, members=members)
        return self

    def established(self, address: str, u: str = "u", s: str = "s") -> Crm:
        """The user has written to this address from the CRM, or logged it by BCC."""
        fact = self.addresses.get((s, address), AddressFact())
        users = fact.established | {UserId(u)}
        self.addresses[s, address] = replace(fact, established=users)
        return self

    def known(
        self,
        message_id: str,
        c: str = "c",
        s: str = "s",
        *,
        thread: str = "t",
        exclusive: bool = False,
        participants: Iterable[str] = (),
        gmail_thread: str | None = None,
        ours: bool = False,
    ) -> Crm:
        """A recorded message of a thread; `ours` when our side sent it."""
        if ours:
            self.ours.add((s, f"record of {message_id}"))
        message = KnownMessage(
            MessageId(f"record of {message_id}"),
            ThreadId(thread),
            ContactId(c),
            exclusive,
            1,
        )
        self.messages[s, message_id] = (
            *self.messages.get((s, message_id), ()),
            message,
        )
        before = self.threads.get((s, thread))
        fact = ThreadFact(
            ThreadId(thread),
            ContactId(c),
            exclusive,
            frozenset(participants) | (before.participants if before else frozenset()),
        )
        self.threads[s, thread] = fact
        if gmail_thread is not None:
            self.gmail_threads[s, gmail_thread] = (fact,)
        return self

    def wrote(
        self,
        message_id: str,
        *recipients: str,
        s: str = "s",
        sender: str = ME,
        user: str | None = "u",
        mailbox: str | None = "b",
    ) -> Crm:
        """A recorded message of ours, as its bounces ask for it."""
        self.known(message_id, s=s, ours=True)
        self.outbound[s, f"record of {message_id}"] = OutboundFact(
            contact=ContactId("c"),
            sender=sender,
            user=UserId(user) if user else None,
            recipients=frozenset(recipients),
            mailboxes=frozenset((MailboxId(mailbox),) if mailbox else ()),
        )
        return self

    def sent_from_crm(
        self, m: str = "m1", s: str = "s", *, sender: str = ME, subject: str = "Hello"
    ) -> Crm:
        """A mail that the user sent from the CRM; its thread is only there (T3)."""
        self.sent[s, m] = CrmMessageFact(
            MessageId(m), ContactId("c"), ThreadId("t"), sender, subject, U
        )
        return self

    def mailbox(self) -> MailboxForMatching:
        """The connected mailbox of all the users."""
        return MailboxForMatching(
            MailboxId("b"),
            ME,
            frozenset({ME, ALIAS}),
            tuple(self.users.values()),
            tuple(self.subaccounts.values()),
        )

    def fact(self, key: Key) -> Fact:
        """Answer one question."""
        match key:
            case AddressKey(s, address):
                return self.addresses.get((s, address), AddressFact())
            case MessageIdKey(s, message_id):
                return self.messages.get((s, message_id), ())
            case GmailThreadKey(s, mailbox, gmail_thread):
                here = mailbox == self.mailbox().id
                return self.gmail_threads.get((s, gmail_thread), ()) if here else ()
            case ThreadKey(s, thread):
                return self.threads.get((s, thread))
            case ContactKey(s, contact):
                emails = self.emails.get((s, contact))
                known = emails is not None
                return ContactFact(exists=known, emails=emails or (), taken=known)
            case SentKey(s, message):
                return int((s, message) in self.ours)
            case OutboundKey(s, message):
                return self.outbound.get((s, message))
            case CrmMessageKey(s, message):
                return self.sent.get((s, message))
            case QuotaKey(s, u):
                return self.contacts_left if s in self.subaccounts and u == U else 0

    def decide(self, message: MessageHeaders) -> Decision:
        """Run the rules on one message."""
        asking = decide(message, self.mailbox())
        try:
            keys = next(asking)
            while True:
                self.rounds += 1
                self.asked += keys
                keys = asking.send({key: self.fact(key) for key in keys})
        except StopIteration as done:
            result: Decision = done.value
            return result
