"""Switches of a simulated Gmail: where the real one varies, tests try both."""

from __future__ import annotations

from dataclasses import dataclass, field

CONSUMER_DOMAINS = frozenset({"gmail.com", "googlemail.com"})
CONSUMER_DAILY_LIMIT = 500
WORKSPACE_DAILY_LIMIT = 2_000

# Google's table for projects made in 2026; a method that is not here costs 5.
UNITS = {
    "gmail.users.getProfile": 1,
    "gmail.users.history.list": 2,
    "gmail.users.messages.list": 5,
    "gmail.users.messages.get": 20,
    "gmail.users.messages.attachments.get": 20,
    "gmail.users.messages.send": 100,
    "gmail.users.drafts.create": 10,
    "gmail.users.drafts.send": 100,
    "gmail.users.watch": 100,
    "gmail.users.stop": 50,
}
OTHER_UNITS = 5


@dataclass
class Settings:
    """How this Gmail behaves; every field may be changed while it runs."""

    # values in `payload.headers` with encoded words decoded, or as they came
    headers_decoded: bool = True
    # text bodies in UTF-8 whatever the part's charset says, as the real API does
    text_as_utf8: bool = True
    # Gmail puts its own Message-ID on sent mail, and keeps the old one aside
    rewrite_message_id: bool = True
    # two recipients that are one mailbox bring one copy
    dedupe_deliveries: bool = True
    # mail to an address that nobody has, in a domain of this server, comes back
    unknown_addresses_bounce: bool = False
    # headers that name the envelope recipient of catch-all mail
    catch_all_headers: tuple[str, ...] = ("X-Gm-Original-To", "X-Original-To")
    # pages of history are cut before they are filtered, so one can come empty
    sparse_history_pages: bool = True
    # one notification a second and user, the rest dropped
    notification_rate_limited: bool = True
    # `historyId` in a notification as a JSON number, else as a string
    history_id_as_number: bool = True
    # a new watch publishes at once
    notify_on_watch: bool = False
    # the real limit refuses with 429; the older form is 403 dailyLimitExceeded
    send_limit_status: int = 429
    max_message_bytes: int = 36_700_160
    # units a minute and user; None counts without refusing
    units_per_minute: int | None = None
    units: dict[str, int] = field(default_factory=lambda: dict(UNITS))
    access_token_seconds: int = 3_599
    watch_days: int = 7
    # topics that exist; None accepts every well-formed name
    topics: set[str] | None = None
