"""Functions in a process of their own: `python -m … pushed|http PORT`, until it is killed.

Ends with the process that started it, by the end of its input.
"""

from __future__ import annotations

import sys

from infra.local.functions_server import HttpFunctions, PushFunctions
from infra.local.serving import Door
from shared.core.sending import states

SEND_LEASE_SECONDS = 10
"""Who dies while a provider has a mail leaves it alone for so long: not two minutes."""
KINDS = {"http": HttpFunctions, "pushed": PushFunctions}

if __name__ == "__main__":
    kind, port = sys.argv[1:]
    states.LEASE_SECONDS = SEND_LEASE_SECONDS
    door = Door(int(port))
    door.serve(KINDS[kind]())
    print("ready", flush=True)  # noqa: T201  (who started it waits for this)
    sys.stdin.read()
