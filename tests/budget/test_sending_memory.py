"""A 25 MiB mail within four times its size (S6, DESIGN §6).

Measured in a process of its own: what Python holds at most, above what it held before.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024 * 1024

# The stores are on disk, as in the cloud they are elsewhere; Gmail takes bytes and
# keeps none of them.
PROGRAM = """
import io, json, os, resource, sys, tempfile, tracemalloc
sys.path.insert(0, {root!r})
from flask import Request
from functions.http.multipart import form_of
from shared.gateways.folder_blobs import FolderBlobs
from tests.support.sending import SendingSystem
from shared.ports import Draft
import shared.gateways.gmail as gmail

SIZE = 25 * 1024 * 1024

class Form(io.RawIOBase):
    head = (b'--x\\r\\nContent-Disposition: form-data; name="message"\\r\\n\\r\\n{{}}'
            b'\\r\\n--x\\r\\nContent-Disposition: form-data; name="attachment"; '
            b'filename="a.bin"\\r\\n\\r\\n')
    tail = b'\\r\\n--x--\\r\\n'
    at = 0
    def readable(self): return True
    def read(self, n=-1):
        total = len(self.head) + SIZE + len(self.tail)
        out = b''
        if self.at < len(self.head):
            out = self.head[self.at:self.at + n]
        elif self.at < len(self.head) + SIZE:
            out = os.urandom(min(n, len(self.head) + SIZE - self.at))
        elif self.at < total:
            out = self.tail[self.at - len(self.head) - SIZE:][:n]
        self.at += len(out)
        return out

system = SendingSystem()
system.outside.blobs = FolderBlobs(tempfile.mkdtemp())
system.restart()
form = Form()
environ = {{
    'REQUEST_METHOD': 'POST', 'wsgi.input': form, 'wsgi.input_terminated': True,
    'CONTENT_TYPE': 'multipart/form-data; boundary=x',
    'CONTENT_LENGTH': str(len(form.head) + SIZE + len(form.tail)),
}}
tracemalloc.start()
_, uploads = form_of(Request(environ))
system.post(uploads=tuple(uploads))
del uploads
taken = tracemalloc.get_traced_memory()[1]

uploaded = []
def create_draft(self, mail, thread):
    mail.seek(0)
    while piece := mail.read(8 * 1024 * 1024):
        uploaded.append(len(piece))
    return Draft('d', None)
gmail.GmailMailbox.create_draft = create_draft
tracemalloc.reset_peak()
system.push_out(system.outgoing.popleft())
sent = tracemalloc.get_traced_memory()[1]
print(json.dumps({{'accept': taken, 'send': sent, 'uploaded': sum(uploaded)}}))
"""


def test_s6_25_mib_are_accepted_and_sent_within_four_times_their_size():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(root=str(ROOT))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["uploaded"] > 25 * MIB
    assert figures["accept"] < 4 * 25 * MIB, figures
    assert figures["send"] < 4 * 25 * MIB, figures
