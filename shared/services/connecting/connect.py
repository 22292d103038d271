"""Connects a user's Gmail account (C1-C5, C7, C8) through Google's consent.

Nothing is stored before Google's answer has passed every check, so a failed or
abandoned consent changes nothing. `consent_flow.py` guards the way there and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from shared.config import Settings
from shared.core.consent import (
    is_consumer,
    may_return_to,
    missing_scopes,
)
from shared.core.ids import MailboxId, SubaccountId, UserId, mailbox_id
from shared.core.matching.bcc import LOGGING, topic_of
from shared.core.parsing.address import normalise
from shared.errors import (
    Conflict,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    Problem,
    ServesOtherwise,
    SyncError,
)
from shared.logs import log
from shared.ports import (
    Clock,
    Documents,
    Gmail,
    Grant,
    Secrets,
    Snapshot,
)
from shared.repositories.mailboxes import Mailboxes
from shared.services.connecting.accounts import HasGoogle, token_secret
from shared.services.connecting.attach import Attachments
from shared.services.connecting.connection_view import MESSAGES, ConnectionView
from shared.services.connecting.consent_flow import ConsentFlows
from shared.services.connecting.links import NewLink


class KnowsAddresses(Protocol):
    """The directory, as far as connecting needs it."""

    def add_internal_addresses(self, user: UserId, addresses: tuple[str, ...]) -> None:
        """Make addresses the user's own in all of the user's subaccounts."""

    def subaccounts_of(self, user: UserId) -> tuple[SubaccountId, ...]:
        """Subaccounts in which this user is a team member."""


@dataclass(frozen=True, slots=True)
class ConsentStep:
    """Where the browser goes for consent, and the cookie that binds it."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True)
class ConsentResult:
    """How a consent ended. `code` other than `connected` means nothing changed."""

    code: Literal[
        "connected",
        "denied",
        "flow_expired",
        "missing_permissions",
        "consumer_address_blocked",
        "serves_otherwise",
        "no_mailbox",
        "blocked_by_admin",
        "failed",
    ]
    return_to: str | None = None
    address: str | None = None
    missing: tuple[str, ...] = ()
    warning: str | None = None


class Connections:
    """The connection of each user."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        gateways: HasGoogle,
        attachments: Attachments,
        directory: KnowsAddresses,
        clock: Clock,
        settings: Settings,
        sends_left: Callable[[MailboxId], int],
    ) -> None:
        """Use these gateways; `sends_left` tells how much of a daily cap is left."""
        self._flows = ConsentFlows(documents, clock)
        self._secrets = secrets
        self._gateways = gateways
        self._attachments = attachments
        self._directory = directory
        self._mailboxes = Mailboxes(documents)
        self._clock = clock
        self._settings = settings
        self._sends_left = sends_left
        self._view = ConnectionView(self._mailboxes, clock, settings.consumer_addresses)

    # --- the flow ----------------------------------------------------------------

    def begin(self, user: UserId, return_to: str | None = None) -> str:
        """Make the link that starts the consent; it is good for ten minutes.

        Raises Problem for a `return_to` that is not allow-listed.
        """
        allowed = (*self._settings.return_to_allowed, self._settings.public_url)
        if return_to is not None and not may_return_to(return_to, allowed):
            raise Problem(
                422,
                "return_to_not_allowed",
                "return_to must be at one of the origins in RETURN_TO_ALLOWED.",
                errors=({"pointer": "/return_to", "detail": "not allow-listed"},),
            )
        flow = self._flows.open(user, return_to)
        return f"{self._settings.public_url}/oauth/start?flow={flow}"

    def start(self, flow: str) -> ConsentStep:
        """Bind the flow to this browser and send it to Google.

        Raises Problem when the link is unknown, used or too old.
        """
        bound = self._flows.bind(flow)
        connection = self._mailboxes.connection(bound.user)
        url = self._gateways.google.authorization_url(
            state=bound.state,
            code_challenge=bound.challenge,
            login_hint=connection.address if connection else None,
        )
        return ConsentStep(url, bound.cookie)

    def finish(self, answer: Mapping[str, str], cookie: str | None) -> ConsentResult:
        """Take Google's answer; connects, or changes nothing and says why.

        The state is spent before the code is traded, so a replayed answer never
        reaches Google.
        """
        flow = self._flows.spend(answer.get("state", ""), cookie or "")
        if flow is None or cookie is None:
            return ConsentResult("flow_expired")
        return_to = flow.data["return_to"]
        if "error" in answer or not answer.get("code"):
            denied = answer.get("error") == "access_denied"
            return ConsentResult("denied" if denied else "failed", return_to)
        try:
            grant = self._gateways.google.exchange(
                code=answer["code"], code_verifier=cookie
            )
        except Malformed:
            return ConsentResult("failed", return_to)
        return self._connect(flow, grant)

    def _connect(self, flow: Snapshot, grant: Grant) -> ConsentResult:
        return_to, user = flow.data["return_to"], UserId(flow.data["user"])
        missing = missing_scopes(self._gateways.google.scopes, grant.scopes)
        if missing or grant.refresh_token is None:
            self._give_back(grant)
            code: Literal["missing_permissions", "failed"] = (
                "missing_permissions" if missing else "failed"
            )
            return ConsentResult(code, return_to, missing=missing)
        if user != LOGGING and not self._directory.subaccounts_of(user):
            # The user was removed from the CRM while the consent was under way.
            self._give_back(grant)
            return ConsentResult("flow_expired", return_to)
        gmail = self._gateways.google.gmail(grant.refresh_token)
        try:
            profile, aliases = gmail.profile(), gmail.send_as()
        except NeedsReauth:
            self._give_back(grant)
            return ConsentResult("blocked_by_admin", return_to)
        except Misconfigured:
            raise
        except Permanent:
            self._give_back(grant)
            return ConsentResult("no_mailbox", return_to)
        address = normalise(profile.address)
        if address is None:
            self._give_back(grant)
            return ConsentResult("no_mailbox", return_to)
        consumer = is_consumer(address)
        if consumer and self._blocks_consumers(user):
            self._give_back(grant)
            return ConsentResult("consumer_address_blocked", return_to)
        # The profile's history id comes before this moment: nothing that arrives after
        # it can be missed (C2). Gmail's dates of received mail are whole seconds.
        link = NewLink(
            user=user,
            mailbox=mailbox_id(address),
            address=address,
            google_sub=grant.google_sub,
            aliases=tuple(filter(None, map(normalise, aliases))),
            since=int(self._clock.now().timestamp()) * 1000,
            cursor=profile.history_id,
            flow=flow,
        )
        try:
            self._link(link, gmail, grant.refresh_token)
        except Conflict:
            return ConsentResult("flow_expired", return_to)
        except ServesOtherwise:
            return ConsentResult("serves_otherwise", return_to)
        warn = consumer and self._settings.consumer_addresses == "warn"
        return ConsentResult(
            "connected",
            return_to,
            address=address,
            warning=MESSAGES["consumer_address"] if warn else None,
        )

    def _link(self, link: NewLink, gmail: Gmail, refresh_token: str) -> None:
        """Store the token, begin the watch, and make the link with one commit.

        What dies on the way leaves the old connection as it was, and a mark by which a
        sweep takes back what was begun.
        """
        self._attachments.prepare(link)
        self._secrets.write(token_secret(link.mailbox), refresh_token.encode())
        watch = gmail.watch(self._settings.topic_path(topic_of((link.user,))))
        # Colleagues must know the addresses as internal before the first mail (M11),
        # and a membership that began meanwhile must not be missed.
        addresses = (link.address, *link.aliases)
        self._directory.add_internal_addresses(link.user, addresses)
        self._attachments.attach(link, watch)
        self._directory.add_internal_addresses(link.user, addresses)

    def _blocks_consumers(self, user: UserId) -> bool:
        """C3 is about sending; nobody sends from the logging mailbox."""
        return user != LOGGING and self._settings.consumer_addresses == "block"

    def _give_back(self, grant: Grant) -> None:
        """Revoke what was granted, unless a connection lives on the same grant (C1)."""
        if grant.refresh_token is None:
            return
        if any(one.users for one in self._mailboxes.of_account(grant.google_sub)):
            return
        try:
            self._gateways.google.revoke(grant.refresh_token)
        except SyncError as error:
            log.warning("grant_not_given_back", code=error.code)

    # --- the end -----------------------------------------------------------------

    def disconnect(self, user: UserId) -> None:
        """End the user's connection (C6); one that never was, or has ended, is fine."""
        self._attachments.detach(user)

    def disconnect_outside(
        self, user: UserId, leaving: SubaccountId | None = None
    ) -> None:
        """End the connection of a user who is in no subaccount, but `leaving`.

        Before a membership ends, so that a crash leaves no connection without a user,
        and after it, so that two that end at the same moment leave none either.
        """
        if not set(self._directory.subaccounts_of(user)) - {leaving}:
            self._attachments.detach(user)

    # --- what the CRM sees -------------------------------------------------------

    def mailbox_of(self, user: UserId) -> MailboxId:
        """The user's mailbox; raises Problem when there never was one."""
        connection = self._mailboxes.connection(user)
        if connection is None:
            raise Problem(404, "not_connected", "This user has never connected Gmail.")
        return connection.mailbox

    def view(self, user: UserId) -> dict[str, Any]:
        """The connection as the API shows it; raises Problem without one."""
        return self._view.view(user, self._sends_left)
