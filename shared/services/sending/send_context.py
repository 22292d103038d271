"""What everybody who accepts mail of the CRM, or sends it, works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.core.matching.bcc import BccAddressFormat
from shared.core.moments import to_epoch_ms
from shared.ports import Blobs, Clock, Documents, Topics
from shared.services.blob_uploads import BlobUploads
from shared.services.crm.directory import Directory
from shared.services.sending.caps import SendCaps
from shared.services.sending.outbound_work import TOPIC, OutboundWork
from shared.services.sending.pause_service import PauseService
from shared.services.sending.senders import Senders


@dataclass(frozen=True, slots=True)
class SendContext:
    """The gateways and services that the steps of sending share."""

    documents: Documents
    blobs: Blobs
    topics: Topics
    directory: Directory
    senders: Senders
    caps: SendCaps
    pausing: PauseService
    clock: Clock
    uploads: BlobUploads
    bcc_form: BccAddressFormat | None

    def publish(self, items: Sequence[OutboundWork]) -> None:
        """Publish work; returns when every item is durable, else raises Transient."""
        self.topics.publish(TOPIC, [item.to_event() for item in items])

    def now(self) -> int:
        """The current moment in milliseconds."""
        return to_epoch_ms(self.clock.now())
