"""Run the simulator as a server: `gmail-simulator --port 8085`.

Notifications go to the Pub/Sub emulator of PUBSUB_EMULATOR_HOST, where it is set.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from .publishing import publisher
from .running import Simulator
from .world import GmailWorld

_TICK_SECONDS = 0.2


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="gmail-simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8085)
    parser.add_argument("--seed", type=int, default=None, help="for repeatable ids")
    parser.add_argument("--client-file", type=Path, help="an OAuth client to accept")
    parser.add_argument(
        "--redirect-uri", action="append", default=[], help="of the built-in client"
    )
    parser.add_argument(
        "--account", action="append", default=[], help='such as "Ann <ann@x.test>"'
    )
    options = parser.parse_args()

    seed = time.time_ns() if options.seed is None else options.seed
    world = GmailWorld(
        lambda: datetime.now(UTC),
        seed,
        publisher(os.environ.get("PUBSUB_EMULATOR_HOST")),
    )
    for entry in options.account:
        name, _, address = entry.rpartition("<")
        world.add_account(address.rstrip("> "), name.strip())
    with Simulator(world, options.host, options.port) as simulator:
        if options.client_file is None:
            simulator.client_file(options.redirect_uri)
        else:
            simulator.register(json.loads(options.client_file.read_text("utf-8")))
        print(f"ready {simulator.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            simulator.wait()


if __name__ == "__main__":
    main()
