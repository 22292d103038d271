"""The composition root: builds every gateway and use case from the settings, once.

Google's client libraries are imported where they are built, so that a function pays
only for what it uses.

Longer than other modules: it is one list, read by name; nothing in it decides.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from shared import config
from shared.ports import Blobs, Clock, Documents, Google, Relay, Secrets, Topics

if TYPE_CHECKING:
    from shared.core.matching.bcc import BccAddressFormat
    from shared.repositories.contact_quota import ContactQuota
    from shared.repositories.outbox import Outbox
    from shared.repositories.work_queue import WorkQueue
    from shared.services.auth.authentication import Authentication
    from shared.services.auth.push_authentication import PushAuthentication
    from shared.services.blob_uploads import BlobUploads
    from shared.services.connecting.accounts import Accounts
    from shared.services.connecting.connect import Connections
    from shared.services.connecting.mailbox_closer import MailboxCloser
    from shared.services.connecting.renaming import Renaming
    from shared.services.connecting.sessions import Sessions
    from shared.services.crm.bcc import BccAddresses
    from shared.services.crm.conversation_queries import ConversationQueries
    from shared.services.crm.directory import Directory
    from shared.services.operations.decision_queries import DecisionQueries
    from shared.services.operations.health import Health
    from shared.services.operations.jobs import JobService
    from shared.services.operations.quarantine import DeadLetters, QuarantineService
    from shared.services.sending.bulk import Bulk
    from shared.services.sending.caps import SendCaps
    from shared.services.sending.fan_out import FanOut
    from shared.services.sending.outbound import Outbound
    from shared.services.sending.pause_service import PauseService
    from shared.services.sending.send import SendService
    from shared.services.sending.send_context import SendContext
    from shared.services.sending.senders import Senders
    from shared.services.syncing.record import Recorder
    from shared.services.syncing.sweep import Sweep
    from shared.services.syncing.sync import Sync
    from shared.services.syncing.watches import Watches

OAUTH_CLIENT_SECRET = "google-oauth-client"  # noqa: S105  (the secret's name)
API_SIGNING_KEY = "api-signing-key"


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current moment, in UTC."""
        return datetime.now(UTC)


class Gateways:
    """Everything outside, built on first use and kept for the instance's life."""

    def __init__(self, settings: config.Settings) -> None:
        """Build nothing yet."""
        self.settings = settings
        self.clock = SystemClock()

    @cached_property
    def documents(self) -> Documents:
        """Firestore, or this process's memory."""
        if self.settings.backend == "embedded":
            from shared.gateways.memory import MemoryDocuments

            return MemoryDocuments()
        from shared.gateways.firestore import FirestoreDocuments

        return FirestoreDocuments(self.settings.google_cloud_project)

    @cached_property
    def blobs(self) -> Blobs:
        """Cloud Storage, or a folder."""
        if self.settings.blob_folder is not None:
            from shared.gateways.folder_blobs import FolderBlobs

            return FolderBlobs(self.settings.blob_folder)
        from shared.gateways.cloud_storage import CloudStorageBlobs

        return CloudStorageBlobs(self.settings.blob_bucket or "")

    @cached_property
    def secrets(self) -> Secrets:
        """Secret Manager, or its local stand-in at SECRET_MANAGER_ENDPOINT."""
        from shared.gateways.secret_manager import SecretManagerSecrets

        return SecretManagerSecrets(
            self.settings.google_cloud_project,
            endpoint=self.settings.secret_manager_endpoint,
        )

    @cached_property
    def topics(self) -> Topics:
        """Pub/Sub, or the embedded dispatcher."""
        from shared.gateways.pubsub import PubSubTopics

        return PubSubTopics(self.settings.google_cloud_project)

    @cached_property
    def google(self) -> Google:
        """Google's OAuth server and Gmail."""
        from shared.gateways.google_oauth import GoogleOAuth

        return GoogleOAuth(
            client=config.parse_client_file(self.secrets.read(OAUTH_CLIENT_SECRET)),
            redirect_uri=self.settings.redirect_uri,
            gmail_endpoint=self.settings.gmail_api_endpoint,
            clock=self.clock,
        )

    @cached_property
    def relay(self) -> Relay:
        """The subaccounts' SMTP servers."""
        from shared.gateways.smtp import SmtpRelay

        return SmtpRelay(
            allow_loopback=self.settings.development,
            allow_private=self.settings.smtp_private_networks,
            ca_file=self.settings.smtp_ca_file,
        )


@functools.cache
def gateways() -> Gateways:
    """The gateways of this instance; raises Misconfigured."""
    return Gateways(config.load())


class GatewaySet(Protocol):
    """What the use cases need of `Gateways`; tests bring their own."""

    @property
    def settings(self) -> config.Settings:
        """The environment, checked."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def documents(self) -> Documents:
        """State."""

    @property
    def blobs(self) -> Blobs:
        """Big bodies and attachments."""

    @property
    def secrets(self) -> Secrets:
        """Tokens, keys and passwords."""

    @property
    def topics(self) -> Topics:
        """Events."""

    @property
    def google(self) -> Google:
        """Consent and mailboxes."""

    @property
    def relay(self) -> Relay:
        """Default providers."""


class Services:
    """Every use case, built on first use, so that a function pays for what it uses."""

    def __init__(self, gateways: GatewaySet) -> None:
        """Build nothing yet."""
        self.gateways = gateways
        self.settings = gateways.settings

    @cached_property
    def authentication(self) -> Authentication:
        """Who calls the API."""
        from shared.services.auth.authentication import Authentication

        return Authentication(
            self.gateways.secrets,
            self.gateways.clock,
            development=self.settings.development,
        )

    @cached_property
    def push_authentication(self) -> PushAuthentication:
        """Who pushes; raises Misconfigured without the settings for it."""
        from shared.gateways.published_keys import PublishedKeys
        from shared.services.auth.push_authentication import PushAuthentication

        return PushAuthentication(
            PublishedKeys(self.settings.push_certs_url),
            self.gateways.clock,
            audience=self.settings.push_audience,
            account=self.settings.push_service_account,
        )

    @cached_property
    def directory(self) -> Directory:
        """Subaccounts, users and contacts."""
        from shared.services.crm.directory import Directory

        return Directory(
            self.gateways.documents,
            self.gateways.blobs,
            self.gateways.secrets,
            self.gateways.clock,
        )

    @cached_property
    def reading(self) -> ConversationQueries:
        """Conversations, messages and attachments."""
        from shared.services.crm.conversation_queries import ConversationQueries

        return ConversationQueries(
            self.gateways.documents, self.gateways.blobs, self.directory
        )

    @cached_property
    def explaining(self) -> DecisionQueries:
        """Why mail is recorded, or is not."""
        from shared.services.operations.decision_queries import DecisionQueries

        return DecisionQueries(
            self.gateways.documents, self.directory, self.gateways.clock
        )

    @cached_property
    def outbox(self) -> Outbox:
        """Events for the CRM."""
        from shared.repositories.outbox import Outbox

        return Outbox(
            self.gateways.documents,
            self.gateways.topics,
            self.settings.google_cloud_project,
        )

    @cached_property
    def accounts(self) -> Accounts:
        """Gmail of connected mailboxes."""
        from shared.services.connecting.accounts import Accounts

        return Accounts(
            self.gateways.documents,
            self.gateways.secrets,
            self.gateways,
            self.outbox,
            self.gateways.clock,
        )

    @cached_property
    def connections(self) -> Connections:
        """Users' links to their mailboxes."""
        from shared.services.connecting.attach import Attachments
        from shared.services.connecting.connect import Connections
        from shared.services.connecting.held_grants import HeldGrants

        attachments = Attachments(
            self.gateways.documents,
            self.outbox,
            self.closing,
            self.queue,
            self.gateways.clock,
        )
        held = HeldGrants(
            self.gateways.documents,
            self.gateways.secrets,
            self.closing,
            self.queue,
            self.gateways.clock,
        )
        return Connections(
            self.gateways.documents,
            self.gateways.secrets,
            self.gateways,
            attachments,
            held,
            self.directory,
            self.gateways.clock,
            self.settings,
            self.caps.left_today,
            lambda: self.bcc.lead_nowhere(),  # noqa: PLW0108  (built on first use)
        )

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions of the settings page."""
        from shared.services.connecting.sessions import Sessions

        return Sessions(
            self.gateways.documents, self.authentication, self.gateways.clock
        )

    @cached_property
    def closing(self) -> MailboxCloser:
        """The end of mailboxes that nobody uses."""
        from shared.services.connecting.mailbox_closer import MailboxCloser

        return MailboxCloser(
            self.gateways.documents,
            self.gateways.secrets,
            self.gateways,
            self.gateways.clock,
        )

    @cached_property
    def renaming(self) -> Renaming:
        """Accounts that Google gives another address."""
        from shared.services.connecting.renaming import Renaming

        return Renaming(
            self.gateways.documents,
            self.accounts,
            self.directory,
            self.outbox,
            self.queue,
            self.gateways.clock,
        )

    @cached_property
    def watches(self) -> Watches:
        """Renewal of watches."""
        from shared.services.syncing.watches import Watches

        return Watches(
            self.gateways.documents,
            self.accounts,
            self.directory,
            self.renaming,
            self.queue,
            self.gateways.clock,
            self.settings.topic_path,
        )

    @cached_property
    def sweep(self) -> Sweep:
        """The check that needs no notification."""
        from shared.services.syncing.sweep import Sweep

        return Sweep(
            self.gateways.documents,
            self.outbox,
            self.watches,
            self.queue,
            self.gateways.clock,
        )

    @cached_property
    def queue(self) -> WorkQueue:
        """Work on mailboxes that is to be done by itself."""
        from shared.repositories.work_queue import WorkQueue

        return WorkQueue(self.gateways.topics)

    @cached_property
    def recorder(self) -> Recorder:
        """From Gmail messages to records."""
        from shared.services.syncing.record import Recorder

        return Recorder(
            self.gateways.documents,
            self.gateways.blobs,
            self.outbox,
            self.gateways.clock,
            self._contact_quota,
            self._bcc_form,
        )

    @cached_property
    def _bcc_form(self) -> BccAddressFormat | None:
        from shared.core.matching.bcc import BccAddressFormat

        return BccAddressFormat.parse(self.settings.bcc_address_format)

    @cached_property
    def _contact_quota(self) -> ContactQuota:
        from shared.repositories.contact_quota import ContactQuota

        return ContactQuota(
            self.gateways.documents,
            self.gateways.clock,
            self.settings.daily_contact_cap,
        )

    @cached_property
    def bcc(self) -> BccAddresses:
        """Users' BCC addresses."""
        from shared.services.crm.bcc import BccAddresses

        return BccAddresses(
            self.gateways.documents,
            self.gateways.secrets,
            self._bcc_form,
            development=self.settings.development,
        )

    @cached_property
    def health(self) -> Health:
        """What needs somebody, for the alerts."""
        from shared.services.operations.health import Health

        return Health(self.gateways.documents, self.gateways.clock)

    @cached_property
    def jobs(self) -> JobService:
        """Audits and backfills."""
        from shared.services.operations.audit import Audit
        from shared.services.operations.backfill import Backfill
        from shared.services.operations.jobs import JobService

        documents, clock = self.gateways.documents, self.gateways.clock
        return JobService(
            documents,
            self.accounts,
            self.directory,
            self.queue,
            clock,
            {
                "audit": Audit(
                    documents,
                    self.accounts,
                    self.recorder,
                    clock,
                    self._contact_quota,
                    self._bcc_form,
                ),
                "backfill": Backfill(documents, self.accounts, self.recorder),
            },
        )

    @cached_property
    def quarantine(self) -> QuarantineService:
        """What was set aside, for the operator."""
        from shared.services.operations.quarantine import QuarantineService

        return QuarantineService(
            self.gateways.documents,
            self.accounts,
            self.recorder,
            self.gateways.topics,
        )

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """What no function could handle."""
        from shared.services.operations.quarantine import DeadLetters

        return DeadLetters(self.gateways.documents, self.gateways.clock)

    @cached_property
    def sync(self) -> Sync:
        """Reading of mailboxes."""
        from shared.services.syncing.sync import Sync

        return Sync(
            self.gateways.documents,
            self.accounts,
            self.recorder,
            self.gateways.clock,
            self.queue,
            self.renaming,
            self.settings.gmail_headers_per_batch,
        )

    @cached_property
    def caps(self) -> SendCaps:
        """Daily caps of mailboxes and of providers."""
        from shared.services.sending.caps import DailyCaps, SendCaps

        caps = DailyCaps(self.settings.daily_send_cap, self.settings.daily_provider_cap)
        return SendCaps(self.gateways.documents, self.gateways.clock, caps)

    @cached_property
    def pausing(self) -> PauseService:
        """The operator's switch."""
        from shared.services.sending.pause_service import PauseService

        return PauseService(self.gateways.documents, self.gateways.clock)

    @cached_property
    def blob_uploads(self) -> BlobUploads:
        """Blobs that no document names."""
        from shared.services.blob_uploads import BlobUploads

        gateways = self.gateways
        return BlobUploads(gateways.documents, gateways.blobs, gateways.clock)

    @cached_property
    def _senders(self) -> Senders:
        from shared.services.sending.senders import Senders

        return Senders(self.gateways.documents, self.directory, self.accounts)

    @cached_property
    def _send_context(self) -> SendContext:
        from shared.services.sending.send_context import SendContext

        return SendContext(
            documents=self.gateways.documents,
            blobs=self.gateways.blobs,
            topics=self.gateways.topics,
            directory=self.directory,
            senders=self._senders,
            caps=self.caps,
            pausing=self.pausing,
            clock=self.gateways.clock,
            uploads=self.blob_uploads,
            bcc_form=self._bcc_form,
        )

    @cached_property
    def _fan_out(self) -> FanOut:
        from shared.services.sending.fan_out import FanOut

        return FanOut(self._send_context)

    @cached_property
    def sending(self) -> SendService:
        """Accepting mail of the CRM."""
        from shared.services.sending.send import SendService

        return SendService(self._send_context)

    @cached_property
    def bulk(self) -> Bulk:
        """Accepting bulk mail."""
        from shared.services.sending.bulk import Bulk

        return Bulk(self._send_context, self._fan_out)

    @cached_property
    def outbound(self) -> Outbound:
        """Sending what was accepted."""
        from shared.services.sending.completion import SendCompletion
        from shared.services.sending.gmail_route import GmailRoute
        from shared.services.sending.outbound import Outbound
        from shared.services.sending.provider import ProviderRoute
        from shared.services.sending.send_steps import MimeLoader

        documents, clock = self.gateways.documents, self.gateways.clock
        letters = MimeLoader(documents, self.gateways.blobs)
        return Outbound(
            self._send_context,
            GmailRoute(documents, self.accounts, letters, clock),
            ProviderRoute(
                documents,
                self.gateways.secrets,
                self.directory,
                letters,
                self.gateways,
                clock,
            ),
            self._fan_out,
            SendCompletion(documents, self.outbox, clock),
            patience_minutes=self.settings.send_patience_minutes,
            fate_minutes=self.settings.send_fate_minutes,
        )


@functools.cache
def services() -> Services:
    """The use cases of this instance; raises Misconfigured."""
    return Services(gateways())
