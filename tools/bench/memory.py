"""How much memory a mail of 25 MiB takes: accepted, sent, received, downloaded.

    python -m tools.bench.memory accept send inbound download

What Python holds at most, above what it held before, as multiples of 25 MiB; in a
process of its own. Stores are on disk and Gmail is another process, as in the cloud
they are elsewhere, so that only the product and its clients are measured.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Sequence
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Request, Response

from gmail_sync.tokens import mint
from shared import bootstrap
from shared.bootstrap import API_SIGNING_KEY
from shared.gateways.memory import MemoryTopics
from shared.ports import Event, Query
from shared.repositories import paths
from shared.services.sending.outbound_work import OutboundWork
from shared.services.syncing.sync import MailboxChanged
from tools.bench import cast, stage
from tools.bench.post import RemotePost

SIZE = 25 * 1024 * 1024
LIMIT = 4
_KEY = "only-a-benchmark-signs-with-this-key"
_TYPE = "multipart/form-data; boundary=x"


def measured(*what: str) -> dict[str, float]:
    """Peak memory in multiples of 25 MiB, by what was done; all of it by default."""
    done = subprocess.run(  # noqa: S603  (our own code)
        [sys.executable, "-m", "tools.bench.memory", *(what or PROGRAMS)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


class Deployment:
    """The product with a connected mailbox; each method is one thing that is done."""

    def __init__(self, post: RemotePost, folder: str) -> None:
        """Set up; nothing is measured yet."""
        gateways = stage.beside(post, "bench-memory", folder, "embedded")
        gateways.topics = self._topics = MemoryTopics()
        gateways.secrets.write(API_SIGNING_KEY, _KEY.encode())
        self._stage = stage.on(gateways, post, "memory")
        self._services = cast.set_up(self._stage)
        # The functions' own doors use these, too.
        bootstrap.services = lambda: self._services  # type: ignore[assignment]
        self._form = _form()

    def accept(self) -> None:
        """The CRM posts a mail with an attachment of 25 MiB."""
        answer = self._call(
            "POST",
            "/messages",
            **{
                "wsgi.input": io.BytesIO(self._form),
                "CONTENT_TYPE": _TYPE,
                "CONTENT_LENGTH": str(len(self._form)),
                "HTTP_IDEMPOTENCY_KEY": "one",
            },
        )
        _expect(
            answer.status_code == HTTPStatus.ACCEPTED, answer.get_data(as_text=True)
        )

    def send(self) -> None:
        """It goes out through Gmail."""
        event = self._topics.published("outbound-messages")[-1]
        self._services.outbound.handle(OutboundWork.from_push(event), "m1")

    def inbound(self) -> None:
        """A mail with an attachment of 25 MiB is recorded."""
        hint = self._stage.post.hints()[-1]
        self._services.sync.notified(MailboxChanged.from_push(Event(hint)), "m2")

    def download(self) -> None:
        """The CRM downloads that attachment."""
        query = Query(
            paths.messages(cast.SUBACCOUNT), where=(("direction", "==", "inbound"),)
        )
        message = self._services.gateways.documents.query(query)[0].id
        answer = self._call("GET", f"/messages/{message}/attachments/0")
        _expect(answer.status_code == HTTPStatus.OK, "no such attachment")
        _expect(sum(map(len, answer.iter_encoded())) == SIZE, "not all of it")

    def before(self, what: str) -> None:
        """What must have happened, and is not measured."""
        if what == "inbound":
            self._stage.post.hints()
            self._stage.post.arrive([_big()], cast.ME)

    def _call(self, method: str, path: str, **environ: Any) -> Response:
        from functions.api import api

        token = mint(_KEY, sub="crm", subaccounts=[cast.SUBACCOUNT])
        return api(
            Request(
                {
                    "REQUEST_METHOD": method,
                    "PATH_INFO": f"/v1/subaccounts/{cast.SUBACCOUNT}{path}",
                    "HTTP_AUTHORIZATION": f"Bearer {token}",
                    "SERVER_NAME": "localhost",
                    "SERVER_PORT": "80",
                    "wsgi.url_scheme": "http",
                    **environ,
                }
            )
        )


PROGRAMS = ("accept", "send", "inbound", "download")


def main(what: Sequence[str]) -> int:
    """Do these, in this order, and print the figures."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(RemotePost(), folder)
        for name in what:
            deployment.before(name)
            tracemalloc.start()
            getattr(deployment, name)()
            figures[name] = tracemalloc.get_traced_memory()[1] / SIZE
            tracemalloc.stop()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _form() -> bytes:
    """A mail with an attachment, as a CRM posts it."""
    mail = {
        "kind": "individual",
        "user": cast.USER,
        "to": [{"contact": "c0"}],
        "subject": "Plans",
        "text": "Attached.",
    }
    name = b"Content-Disposition: form-data; name="
    return b"".join(
        (
            b'--x\r\n%s"message"\r\n\r\n' % name,
            json.dumps(mail).encode(),
            b'\r\n--x\r\n%s"attachment"; filename="a.bin"\r\n\r\n' % name,
            os.urandom(SIZE),
            b"\r\n--x--\r\n",
        )
    )


def _big() -> bytes:
    """A mail with an attachment."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = cast.address(0), cast.ME, "Plans"
    mail["Message-ID"] = "<big@client.example>"
    mail.set_content("Attached.")
    mail.add_attachment(
        os.urandom(SIZE), maintype="application", subtype="zip", filename="a.zip"
    )
    return mail.as_bytes()


def _expect(true: bool, why: str) -> None:  # noqa: FBT001
    if not true:
        raise RuntimeError(why)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or PROGRAMS))
