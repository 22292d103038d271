"""The operator's switches as one document: whoever sends reads it, few change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shared.core.ids import SubaccountId
from shared.core.sending.pausing import Switch, Switches
from shared.ports import Create, Put, Snapshot, Write

SENDING = "switches/sending"
"""The document that says where sending is paused."""


def switches_from(snapshot: Snapshot) -> Switches:
    """Read the switches; none is set where nobody ever set one."""
    own: Mapping[str, Any] = snapshot.data.get("subaccounts", {})
    return Switches(
        deployment=Switch(**snapshot.data.get("deployment", {})),
        subaccounts={SubaccountId(s): Switch(**fields) for s, fields in own.items()},
    )


def switches_write(snapshot: Snapshot, switches: Switches) -> Write:
    """Replace the switches, as they were read."""
    data = {
        "deployment": asdict(switches.deployment),
        "subaccounts": {
            s: asdict(subaccount) for s, subaccount in switches.subaccounts.items()
        },
    }
    if snapshot.exists:
        return Put(snapshot.path, data, snapshot.version)
    return Create(snapshot.path, data)
