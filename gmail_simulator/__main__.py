"""Run the simulator as a server: `python -m gmail_simulator --port 8085`.

Notifications go to the Pub/Sub emulator of PUBSUB_EMULATOR_HOST, where it is set.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from .app import create_app
from .oauth_records import Client, client_file
from .publishing import publisher
from .serving import listen
from .world import GmailWorld

_TICK_SECONDS = 0.2


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    register_clients(world, options.client_file, options.redirect_uri)
    for entry in options.account:
        name, _, address = entry.rpartition("<")
        world.add_account(address.rstrip("> "), name.strip())

    app = create_app(world, sleep=time.sleep)
    server = listen(app, options.host, options.port)
    threading.Thread(target=_tick_for_ever, args=(world,), daemon=True).start()
    print(f"ready http://{options.host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


def register_clients(
    world: GmailWorld, path: Path | None, redirect_uris: list[str]
) -> None:
    """Make OAuth clients known: the one of a client file, or the built-in one."""
    if path is not None:
        described = json.loads(path.read_text("utf-8"))
    else:
        described = client_file("", redirect_uris)
    web = described["web"]
    world.oauth.register(
        Client(web["client_id"], web["client_secret"], tuple(web["redirect_uris"]))
    )


def _tick_for_ever(world: GmailWorld) -> None:
    while True:
        time.sleep(_TICK_SECONDS)
        world.tick()


if __name__ == "__main__":
    main()
