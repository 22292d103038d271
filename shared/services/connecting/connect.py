"""Connects a user's Gmail account (C1-C5, C7, C8, C10) through Google's consent.

Nothing is stored before Google's answer has passed every check, so a failed or
abandoned consent changes nothing. `consent_flow.py` guards the way there and back.

Longer than other modules: the way through a consent is read on one page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from shared.config import Settings
from shared.core.consent import (
    is_consumer,
    may_return_to,
    missing_scopes,
)
from shared.core.ids import MailboxId, SubaccountId, UserId
from shared.core.matching.bcc import LOGGING, topic_of
from shared.core.parsing.address import normalise
from shared.errors import (
    Conflict,
    MailboxPurposeConflict,
    Malformed,
    Misconfigured,
    NeedsReauth,
    Permanent,
    Problem,
    SyncError,
)
from shared.logs import log
from shared.ports import (
    Clock,
    Documents,
    Gmail,
    Grant,
    Secrets,
)
from shared.repositories.mailboxes import Connection, Mailboxes
from shared.services.connecting.accounts import HasGoogle, token_secret
from shared.services.connecting.attach import Attachments
from shared.services.connecting.connection_view import MESSAGES, ConnectionView
from shared.services.connecting.consent_flow import Bound, ConsentFlows, cookie_name
from shared.services.connecting.consent_subject import KnowsNames, Subject, subject_of
from shared.services.connecting.held_grants import HeldGrants
from shared.services.connecting.links import NewLink, Outcome

Intent = Literal["connect", "update", "reauthorise"]
"""What a consent was begun for: C1, C5 or C7. It decides what another account means:
an update is meant to move the connection, a reauthorisation is not (C10)."""


ConsentCode = Literal[
    "connected",
    "another_account",
    "kept",
    "denied",
    "flow_expired",
    "missing_permissions",
    "consumer_address_blocked",
    "serves_otherwise",
    "no_mailbox",
    "blocked_by_admin",
    "failed",
]


class KnowsPeople(KnowsNames, Protocol):
    """The directory, as far as connecting needs it."""

    def add_internal_addresses(self, user: UserId, addresses: tuple[str, ...]) -> None:
        """Make addresses the user's own in all of the user's subaccounts."""


@dataclass(frozen=True, slots=True)
class ConsentPage:
    """What a page of the consent shows, and what binds it to its browser.

    `address` is the connected one, `broken` says that Google no longer lets us in, and
    `new_address` is that of a question (C10).
    """

    subject: Subject
    intent: Intent
    address: str | None
    broken: bool
    new_address: str | None
    return_to: str | None
    cookie_name: str
    cookie: str
    form_token: str


@dataclass(frozen=True, slots=True)
class ConsentResult:
    """How a consent ended. `code` other than `connected` means nothing changed.

    With `question` nothing has ended: it names the flow in which the user is asked.
    """

    code: ConsentCode
    return_to: str | None = None
    address: str | None = None
    missing: tuple[str, ...] = ()
    warning: str | None = None
    how: Outcome | None = None
    former: str | None = None
    subject: Subject | None = None
    question: str | None = None
    cookie_name: str | None = None
    cookie: str | None = None


class Connections:
    """The connection of each user."""

    def __init__(
        self,
        documents: Documents,
        secrets: Secrets,
        gateways: HasGoogle,
        attachments: Attachments,
        held: HeldGrants,
        directory: KnowsPeople,
        clock: Clock,
        settings: Settings,
        sends_left: Callable[[MailboxId], int],
        logs_no_bcc: Callable[[], bool],
    ) -> None:
        """Use these gateways.

        `sends_left` tells how much of a daily cap is left, `logs_no_bcc` whether BCC
        addresses lead nowhere yet.
        """
        self._flows = ConsentFlows(documents, clock)
        self._secrets = secrets
        self._gateways = gateways
        self._attachments = attachments
        self._held = held
        self._directory = directory
        self._mailboxes = Mailboxes(documents)
        self._clock = clock
        self._settings = settings
        self._sends_left = sends_left
        self._view = ConnectionView(
            self._mailboxes, clock, settings.consumer_addresses, logs_no_bcc
        )

    # --- the way to Google --------------------------------------------------------

    def begin(
        self,
        user: UserId,
        return_to: str | None = None,
        intent: Literal["update", "reauthorise"] | None = None,
    ) -> str:
        """Make the link that starts the consent; it is good for ten minutes.

        Without an `intent` the connection's state tells it. Raises Problem for a
        `return_to` that is not allow-listed.
        """
        allowed = (*self._settings.return_to_allowed, self._settings.public_url)
        if return_to is not None and not may_return_to(return_to, allowed):
            raise Problem(
                422,
                "return_to_not_allowed",
                "return_to must be at one of the origins in RETURN_TO_ALLOWED.",
                errors=({"pointer": "/return_to", "detail": "not allow-listed"},),
            )
        connection = self._mailboxes.connection(user)
        meant = _intent(connection, intent)
        about: dict[str, Any] = {"user": user, "return_to": return_to, "intent": meant}
        if connection is not None and meant != "connect":
            mailbox = self._mailboxes.read(connection.mailbox)
            about["address"] = connection.address
            about["broken"] = connection.status == "reauth_required"
            about["account"] = mailbox.google_sub if mailbox else None
        flow = self._flows.open(about)
        return f"{self._settings.public_url}/oauth/start?flow={flow}"

    def start(self, flow: str, cookies: Mapping[str, str]) -> ConsentPage:
        """The page that asks before Google does; binds the link to this browser.

        Raises Problem when the link is unknown, used, too old, or another browser's.
        """
        return self._page(self._flows.bind(flow, cookies))

    def leave(self, flow: str, cookies: Mapping[str, str], form_token: str) -> str:
        """Where Google asks, once the user has agreed to be sent there.

        Raises Problem when the form does not come from this browser's page.
        """
        bound = self._flows.find(flow, cookies, form_token)
        if "held" in bound.data:
            raise Problem(400, "flow_expired", "This link does not lead to Google.")
        state, challenge = self._flows.leave(flow, bound)
        # An update is meant to leave the old account: a hint would lead back to it.
        stays = bound.data["intent"] == "reauthorise"
        return self._gateways.google.authorization_url(
            state=state,
            code_challenge=challenge,
            login_hint=bound.data.get("address") if stays else None,
        )

    def _page(self, bound: Bound) -> ConsentPage:
        subject = subject_of(self._directory, bound.user)
        if subject is None:
            raise Problem(400, "flow_expired", "This user is in no subaccount.")
        return ConsentPage(
            subject=subject,
            intent=bound.data["intent"],
            address=bound.data.get("address"),
            broken=bound.data.get("broken", False),
            new_address=bound.data.get("new_address"),
            return_to=bound.data["return_to"],
            cookie_name=bound.cookie_name,
            cookie=bound.cookie,
            form_token=bound.form_token,
        )

    # --- the way back -------------------------------------------------------------

    def finish(
        self, answer: Mapping[str, str], cookies: Mapping[str, str]
    ) -> ConsentResult:
        """Take Google's answer; connects, asks, or changes nothing and says why.

        The state is spent before the code is traded, so a replayed answer never
        reaches Google. One that is not this browser's spends nothing.
        """
        flow = self._flows.spend(answer.get("state", ""), cookies)
        if flow is None:
            return ConsentResult("flow_expired")
        result = self._take(flow, answer, flow.verifier)
        own = {"return_to": flow.data["return_to"]}
        if result.cookie_name is None:
            own["cookie_name"] = flow.cookie_name
        return replace(result, **own)

    def _take(
        self, flow: Bound, answer: Mapping[str, str], verifier: str
    ) -> ConsentResult:
        if "error" in answer or not answer.get("code"):
            denied = answer.get("error") == "access_denied"
            return ConsentResult("denied" if denied else "failed")
        try:
            grant = self._gateways.google.exchange(
                code=answer["code"], code_verifier=verifier
            )
        except Malformed:
            return ConsentResult("failed")
        return self._connect(flow, grant)

    def _connect(self, flow: Bound, grant: Grant) -> ConsentResult:
        """Make the link if the grant passes every check; else give it back."""
        missing = missing_scopes(self._gateways.google.scopes, grant.scopes)
        if missing:
            self._give_back(grant)
            return ConsentResult("missing_permissions", missing=missing)
        subject = subject_of(self._directory, flow.user)
        if subject is None:
            # The user was removed from the CRM while the consent was under way.
            self._give_back(grant)
            return ConsentResult("flow_expired")
        gmail = self._gateways.google.gmail(grant.refresh_token or "")
        link = self._link_to(flow.user, grant, gmail)
        if not isinstance(link, NewLink):
            self._give_back(grant)
            return ConsentResult(link)
        if _is_another_account(flow, grant):
            return self._ask(flow, grant, link.address)
        former = self._mailboxes.connection(flow.user)
        try:
            how = self._link(link, gmail, grant.refresh_token or "")
        except Conflict:
            return ConsentResult("failed")
        except MailboxPurposeConflict:
            return ConsentResult("serves_otherwise")
        consumers = self._settings.consumer_addresses
        warn = consumers == "warn" and is_consumer(link.address)
        return ConsentResult(
            "connected",
            address=link.address,
            warning=MESSAGES["consumer_address"] if warn else None,
            how=how,
            former=former.address if former else None,
            subject=subject,
        )

    def _link_to(
        self, user: UserId, grant: Grant, gmail: Gmail
    ) -> NewLink | ConsentCode:
        """The link to the grant's mailbox, or why there can be none."""
        if grant.refresh_token is None:
            return "failed"
        try:
            profile, send_as = gmail.profile(), gmail.send_as()
            address = normalise(profile.address)
        except NeedsReauth:
            return "blocked_by_admin"
        except Misconfigured:
            raise
        except Permanent:
            return "no_mailbox"
        if address is None:
            return "no_mailbox"
        if is_consumer(address) and self._blocks_consumers(user):
            return "consumer_address_blocked"
        # The profile's history id comes before this moment: nothing that arrives after
        # it can be missed (C2). Gmail's dates of received mail are whole seconds.
        return NewLink(
            user=user,
            mailbox=self._mailboxes.id_for(address, grant.google_sub),
            address=address,
            google_sub=grant.google_sub,
            aliases=tuple(
                filter(None, (normalise(alias.address) for alias in send_as))
            ),
            since=int(self._clock.now().timestamp()) * 1000,
            cursor=profile.history_id,
        )

    def _link(self, link: NewLink, gmail: Gmail, refresh_token: str) -> Outcome:
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
        how = self._attachments.attach(link, watch)
        self._directory.add_internal_addresses(link.user, addresses)
        return how

    def _blocks_consumers(self, user: UserId) -> bool:
        """C3 is about sending; nobody sends from the logging mailbox."""
        return user != LOGGING and self._settings.consumer_addresses == "block"

    def _give_back(self, grant: Grant) -> None:
        """Revoke what was granted, unless a connection lives on the same grant (C1)."""
        if grant.refresh_token is None:
            return
        if any(
            mailbox.users for mailbox in self._mailboxes.of_account(grant.google_sub)
        ):
            return
        try:
            self._gateways.google.revoke(grant.refresh_token)
        except SyncError as error:
            log.warning("grant_revocation_failed", code=error.code)

    # --- another account than the one to be reauthorised (C10) --------------------

    def _ask(self, flow: Bound, grant: Grant, address: str) -> ConsentResult:
        """Keep the grant aside, and have the user asked in a flow of its own."""
        held = self._held.hold(grant, address)
        about = {
            "user": flow.user,
            "return_to": flow.data["return_to"],
            "intent": "update",
            "address": flow.data.get("address"),
            "broken": flow.data.get("broken", False),
            "new_address": address,
            "held": held,
        }
        question = self._flows.open(about, flow.cookie)
        return ConsentResult(
            "another_account",
            question=question,
            cookie_name=cookie_name(question),
            cookie=flow.cookie,
        )

    def question(self, flow: str, cookies: Mapping[str, str]) -> ConsentPage:
        """The page that asks whether the connection shall move (C10, C5)."""
        bound = self._flows.look(flow, cookies)
        if "held" not in bound.data:
            raise Problem(400, "flow_expired", "This link asks nothing.")
        return self._page(bound)

    def answer(
        self, flow: str, cookies: Mapping[str, str], form_token: str, *, move: bool
    ) -> ConsentResult:
        """Move the connection, or leave it and give the new grant back; once.

        Raises Problem when the form does not come from this browser's page.
        """
        bound = self._flows.find(flow, cookies, form_token)
        if "held" not in bound.data:
            raise Problem(400, "flow_expired", "This link asks nothing.")
        self._flows.use_up(flow)
        held = MailboxId(bound.data["held"])
        result = ConsentResult("kept", address=bound.data["address"])
        if move:
            scopes = frozenset(self._gateways.google.scopes)
            grant = self._held.take(held, scopes)
            result = (
                self._connect(bound, grant) if grant else ConsentResult("flow_expired")
            )
        self._held.give_up(held)
        return replace(
            result, return_to=bound.data["return_to"], cookie_name=bound.cookie_name
        )

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


def _intent(
    connection: Connection | None, asked: Literal["update", "reauthorise"] | None
) -> Intent:
    """What a consent is begun for, where the user has not said it."""
    if connection is None or connection.status == "disconnected":
        return "connect"
    if asked is not None:
        return asked
    return "update" if connection.status == "active" else "reauthorise"


def _is_another_account(flow: Bound, grant: Grant) -> bool:
    """Whether a reauthorisation has come back with another Google account.

    The account counts, not its address: Google renames accounts, and an address can be
    given to a new account.
    """
    known = flow.data.get("account")
    return flow.data["intent"] == "reauthorise" and known != grant.google_sub
