"""Who may work on a mailbox: a lease with expiry and fencing number.

The numbers nest so that a dead holder's own redelivery comes after its lease: HTTP call
20 s < work budget 100 s < function 120 s < lease 130 s < ack deadline 180 s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

GMAIL_CALL_SECONDS = 20
WORK_BUDGET_SECONDS = 100
FUNCTION_SECONDS = 120
LEASE_SECONDS = 130
ACK_DEADLINE_SECONDS = 180

TAKE_OVER_SECONDS = 10
"""A redelivery this long after the holder began is taken as the holder's death."""

SUSPICIOUS_AFTER = 3
"""So many holders in a row that never released: one message may be killing them."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a mailbox as it is stored.

    `holder` names the delivery that works on it (None: free), `fence` grows with each
    holder, `expires_at` is in milliseconds. `unreleased` counts the holders in a row
    that ended without releasing: killed, not failed.
    """

    holder: str | None = None
    fence: int = 0
    expires_at: int = 0
    unreleased: int = 0
    dirty: bool = False


@dataclass(frozen=True, slots=True)
class LeaseDecision:
    """What a delivery does: work under `lease`, or leave it to the holder.

    `wait`: the holder has the work and will run again, because `lease` is now dirty.
    `again`: this is the holder's own delivery once more, too soon to tell whether the
    holder is dead; only a later redelivery may settle it, so it must not be acked.
    """

    action: Literal["work", "wait", "again"]
    lease: Lease
    changed: bool = True

    @property
    def one_at_a_time(self) -> bool:
        """Work message by message, because earlier holders were killed."""
        return self.lease.unreleased > SUSPICIOUS_AFTER


def take(lease: Lease, delivery: str, now: int) -> LeaseDecision:
    """Take the lease, or mark it dirty for its holder.

    A redelivery of the holder's own notification takes over after TAKE_OVER_SECONDS:
    most likely the holder was killed and nobody else will come, because the others
    have left their work to it. Should it still live, the fencing number keeps it from
    moving the cursor.
    """
    began_at = lease.expires_at - LEASE_SECONDS * 1000
    own = lease.holder == delivery
    if (
        lease.holder is None
        or lease.expires_at <= now
        or (own and began_at + TAKE_OVER_SECONDS * 1000 <= now)
    ):
        taken = replace(
            lease,
            holder=delivery,
            fence=lease.fence + 1,
            expires_at=now + LEASE_SECONDS * 1000,
            unreleased=lease.unreleased + 1,
            dirty=False,
        )
        return LeaseDecision("work", taken)
    if own:
        return LeaseDecision("again", lease, changed=False)
    if lease.dirty:
        return LeaseDecision("wait", lease, changed=False)
    return LeaseDecision("wait", replace(lease, dirty=True))


def release(lease: Lease) -> Lease:
    """Free the lease; the work ended, well or badly, but it ended."""
    return replace(lease, holder=None, expires_at=0, unreleased=0, dirty=False)
