"""Every document path, built from typed ids: a tenant's data needs its SubaccountId."""

from __future__ import annotations

from shared.core.ids import (
    ContactId,
    GmailMessageId,
    MailboxId,
    MessageId,
    Rfc822MessageId,
    SubaccountId,
    ThreadId,
    UserId,
    address_key,
    digest,
    message_id_key,
)


def subaccount(s: SubaccountId) -> str:
    """Settings of a subaccount."""
    return f"subaccounts/{s}"


def member(s: SubaccountId, u: UserId) -> str:
    """A user as a member of a subaccount."""
    return f"subaccounts/{s}/users/{u}"


def user(u: UserId) -> str:
    """In which subaccounts a user is a member."""
    return f"users/{u}"


def unknown_address(key: str) -> str:
    """When the account of an address that no mailbox has was last looked for (C9)."""
    return f"unknown_addresses/{key}"


def contacts(s: SubaccountId) -> str:
    """Collection of a subaccount's contacts."""
    return f"subaccounts/{s}/contacts"


def erasure(s: SubaccountId, c: ContactId) -> str:
    """A contact that is being erased."""
    return f"erasures/{digest('erasure', s, c)}"


def contact(s: SubaccountId, c: ContactId) -> str:
    """A contact with its conversation's figures."""
    return f"subaccounts/{s}/contacts/{c}"


def address(s: SubaccountId, normalised: str) -> str:
    """All that is known of one address in a subaccount."""
    return f"subaccounts/{s}/addresses/{address_key(normalised)}"


def messages(s: SubaccountId) -> str:
    """Collection of a subaccount's recorded messages."""
    return f"subaccounts/{s}/messages"


def message(s: SubaccountId, m: MessageId) -> str:
    """One recorded message."""
    return f"subaccounts/{s}/messages/{m}"


def message_id(s: SubaccountId, rfc822: Rfc822MessageId) -> str:
    """Recorded messages with this Message-ID."""
    return f"subaccounts/{s}/message_ids/{message_id_key(rfc822)}"


def threads(s: SubaccountId) -> str:
    """Collection of a subaccount's threads."""
    return f"subaccounts/{s}/threads"


def thread(s: SubaccountId, t: ThreadId) -> str:
    """One thread."""
    return f"subaccounts/{s}/threads/{t}"


def mailbox(b: MailboxId) -> str:
    """A connected Gmail account."""
    return f"mailboxes/{b}"


def connection(u: UserId) -> str:
    """A user's link to a mailbox."""
    return f"connections/{u}"


def oauth_flow(token: str) -> str:
    """A connection that has been asked for; found by its token, stored as digest."""
    return f"oauth_flows/{digest('flow', token)}"


def oauth_state(state: str) -> str:
    """One consent under way; found by its state, stored as digest."""
    return f"oauth_states/{digest('state', state)}"


def bcc_address(s: SubaccountId, u: UserId) -> str:
    """Which BCC address a user has in a subaccount."""
    return f"subaccounts/{s}/bcc_addresses/{u}"


def contact_window(s: SubaccountId, u: UserId) -> str:
    """The contacts that mail to a user's BCC address has made in the last day."""
    return f"subaccounts/{s}/contact_windows/{u}"


def bcc_token(key: str) -> str:
    """Whose BCC address it is; found by the digest of its token."""
    return f"bcc_tokens/{key}"


def spent_link(link: str) -> str:
    """A link to the settings page that has been used, by its digest."""
    return f"sessions/{link}"


def session(secret: str) -> str:
    """A browser's session on the settings page; found by its cookie, as digest."""
    return f"sessions/{digest('session', secret)}"


def decision(b: MailboxId, g: GmailMessageId) -> str:
    """Why a message of a mailbox was not recorded."""
    return f"decisions/{digest('decision', b, g)}"


def quarantined(b: MailboxId, g: GmailMessageId) -> str:
    """A message that was set aside."""
    return f"quarantine/{digest('decision', b, g)}"


def outbox(event_id: str) -> str:
    """An event that may not have been published yet."""
    return f"outbox/{event_id}"
