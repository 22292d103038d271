"""The operator's switch: sending stops at once, of all or of one subaccount.

Mail that was accepted waits, and goes out when the switch is released, or is dropped
then. See docs/decisions/2026-11-abuse-limits.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.core.ids import SubaccountId

KEPT_MS = 7 * 24 * 3600 * 1000
"""How long a released switch is remembered: as long as Pub/Sub keeps a message."""


@dataclass(frozen=True, slots=True)
class Switch:
    """`changed_at` (ms) is when it was last set or released, 0 for never.

    Mail that was accepted by `drop_until` (ms) and has not begun to be sent is dropped.
    """

    paused: bool = False
    changed_at: int = 0
    drop_until: int = 0


@dataclass(frozen=True, slots=True)
class Switches:
    """The deployment's own switch, and those of subaccounts that ever had one."""

    deployment: Switch = Switch()
    subaccounts: Mapping[SubaccountId, Switch] = field(default_factory=dict)

    @property
    def paused(self) -> int:
        """How many are set."""
        return sum(
            switch.paused for switch in (self.deployment, *self.subaccounts.values())
        )

    def of(self, subaccount: SubaccountId) -> Switch:
        """What holds for mail of this subaccount: the stricter of the two."""
        both = (self.deployment, self.subaccounts.get(subaccount, Switch()))
        return Switch(
            paused=any(switch.paused for switch in both),
            changed_at=max(switch.changed_at for switch in both),
            drop_until=max(switch.drop_until for switch in both),
        )


def pause(before: Switches, subaccount: SubaccountId | None, at: int) -> Switches:
    """Set the switch of a subaccount, or of all (None).

    A change that is older than the last one does nothing: orders can come twice, and
    late.
    """
    last = _own(before, subaccount)
    return _changed(before, subaccount, replace(last, paused=True, changed_at=at))


def release(
    before: Switches,
    subaccount: SubaccountId | None,
    at: int,
    drop_until: int | None = None,
) -> Switches:
    """Release the switch; what was accepted by `drop_until` is not sent any more."""
    last = _own(before, subaccount)
    until = last.drop_until if drop_until is None else drop_until
    return _changed(before, subaccount, Switch(changed_at=at, drop_until=until))


def _own(switches: Switches, subaccount: SubaccountId | None) -> Switch:
    if subaccount is None:
        return switches.deployment
    return switches.subaccounts.get(subaccount, Switch())


def _changed(
    before: Switches, subaccount: SubaccountId | None, after: Switch
) -> Switches:
    if after.changed_at <= _own(before, subaccount).changed_at:
        return before
    if subaccount is None:
        return replace(before, deployment=after)
    kept = {
        name: switch
        for name, switch in before.subaccounts.items()
        if switch.paused or switch.changed_at > after.changed_at - KEPT_MS
    }
    return replace(before, subaccounts={**kept, subaccount: after})
