"""A small web mailbox, to try the sync by hand.

Server-rendered and without scripts. HTML bodies are shown in a sandboxed frame.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from . import composing, delivery, headers, parts
from .accounts import Account
from .composing import Letter
from .errors import ApiError
from .mailbox_views import row_of, shown
from .messages import Message
from .pages import render
from .search import compile_query, visible
from .web import Request, Response, html_response, redirect
from .world import GmailWorld

FOLDERS = {
    "inbox": ("Inbox", "in:inbox"),
    "sent": ("Sent", "in:sent"),
    "drafts": ("Drafts", "in:drafts"),
    "spam": ("Spam", "in:spam"),
    "trash": ("Trash", "in:trash"),
    "all": ("All mail", ""),
}
# what the buttons of a message do: labels to add, labels to take away
ACTIONS = {
    "spam": (["SPAM"], ["INBOX"]),
    "not-spam": (["INBOX"], ["SPAM"]),
    "trash": (["TRASH"], ["INBOX", "SPAM"]),
    "restore": (["INBOX"], ["TRASH"]),
    "archive": ([], ["INBOX"]),
    "unread": (["UNREAD"], []),
}


class WebMailbox:
    """Answers the requests of browsers for one world."""

    def __init__(self, world: GmailWorld) -> None:
        """Show the mailboxes of this world."""
        self._world = world

    def handle(self, request: Request) -> Response:
        """Answer a page, or an action with the way to the next page."""
        steps = [unquote(step) for step in request.path.strip("/").split("/") if step]
        try:
            with self._world.transaction():
                return self._route(request, steps)
        except ApiError as refusal:
            page = render("error.html", trouble=refusal.message)
            return html_response(page, refusal.code)
        except ValueError as problem:
            return html_response(render("error.html", trouble=str(problem)), 400)

    def _route(self, request: Request, steps: list[str]) -> Response:
        match request.method, steps:
            case "GET", []:
                return html_response(
                    render("accounts.html", accounts=self._world.accounts)
                )
            case "POST", ["accounts"]:
                return self._add_account(request)
            case "GET", ["outside"]:
                return self._outside(request)
            case "POST", ["outside"]:
                return self._write_from_outside(request)
            case method, ["mail", address, *rest]:
                return self._mailbox(
                    request, self._world.account(address), rest, method
                )
        return html_response(
            render("error.html", trouble="There is no such page."), HTTPStatus.NOT_FOUND
        )

    def _mailbox(
        self, request: Request, account: Account, rest: list[str], method: str
    ) -> Response:
        match method, rest:
            case "GET", []:
                return self._folder(request, account)
            case "GET", ["thread", thread_id]:
                return self._thread(account, thread_id)
            case "GET", ["compose"]:
                return self._compose(request, account)
            case "POST", ["send"]:
                return self._send(request, account)
            case "GET", ["message", message_id, "original"]:
                raw = account.mailbox.get(message_id).raw
                kind = {"Content-Type": "text/plain; charset=utf-8"}
                return Response(200, raw, kind | {"X-Content-Type-Options": "nosniff"})
            case "GET", ["message", message_id, "attachment", part_id]:
                return _download(account.mailbox.get(message_id), part_id)
            case "POST", ["message", message_id, action] if action in ACTIONS:
                message = account.mailbox.get(message_id)
                account.mailbox.change_labels(message, *ACTIONS[action])
                return redirect(_url(account) + "?folder=inbox")
        raise ApiError(404, "There is no such page.")

    # --- accounts and the outside ----------------------------------------------

    def _add_account(self, request: Request) -> Response:
        form, _ = composing.read_form(request)
        address = form.get("address", "").strip()
        if not headers.addresses([address]):
            raise ApiError(400, "Please give an email address.")
        name = form.get("name", "").strip()
        account = self._world.add_account(address, name)
        return redirect(_url(account))

    def _outside(self, request: Request) -> Response:
        index = request.one("reply")
        letter, auth = Letter(to=request.one("to")), "pass"
        if index.isdigit() and int(index) < len(self._world.outside):
            mail = self._world.outside[int(index)]
            seen = Message("0", "0", mail.raw, set(), 0)
            letter = composing.reply(seen, [mail.recipient], everybody=False)
            letter.sender = mail.recipient
        received = list(enumerate(self._world.outside))[::-1][:50]
        return html_response(
            render(
                "outside.html",
                letter=letter,
                auth=auth,
                received=[(i, m, _outside_subject(m.raw)) for i, m in received],
                sent=request.one("sent"),
            )
        )

    def _write_from_outside(self, request: Request) -> Response:
        form, files = composing.read_form(request)
        letter = _letter(form, files)
        if not letter.sender.strip() or not letter.to.strip():
            raise ApiError(400, "A mail needs a sender and a recipient.")
        made = delivery.new_message_id(self._world.rng)
        bcc = headers.addresses([letter.bcc])
        envelope = headers.addresses([letter.to, letter.cc]) + bcc
        letter.bcc = ""
        raw = composing.build(letter, made.replace("mail.gmail.com", "outside.example"))
        stamp = f"{self._world.clock():%a, %d %b %Y %H:%M:%S +0000}"
        raw = headers.field("Date", stamp).raw + raw
        delivered = self._world.deliver_from_outside(
            raw,
            [address for _, address in envelope],
            form.get("auth", "pass"),
            spam=form.get("spam") == "1",
        )
        return redirect(f"/outside?sent={len(delivered)}")

    # --- reading ---------------------------------------------------------------

    def _folder(self, request: Request, account: Account) -> Response:
        folder = request.one("folder", "inbox")
        title, query = FOLDERS.get(folder, FOLDERS["inbox"])
        words = request.one("q")
        test, anywhere = compile_query(
            f"{query} {words}", account.mailbox.labels, self._world.clock()
        )
        rows: dict[str, dict[str, Any]] = {}
        for message in account.mailbox.newest_first():
            if test(message) and (anywhere or visible(message)):
                row = rows.setdefault(message.thread_id, row_of(message, account))
                row["count"] += 1
                row["unread"] |= "UNREAD" in message.labels
        return html_response(
            render(
                "folder.html",
                account=account,
                folder=folder,
                folders=FOLDERS,
                title=title,
                rows=list(rows.values())[:200],
                q=words,
                unread=_unread(account),
            )
        )

    def _thread(self, account: Account, thread_id: str) -> Response:
        messages = account.mailbox.thread(thread_id)
        for message in messages:
            account.mailbox.change_labels(message, remove=["UNREAD"])
        return html_response(
            render(
                "thread.html",
                account=account,
                folder="",
                folders=FOLDERS,
                subject=messages[0].subject or "(no subject)",
                messages=[shown(m, account) for m in messages],
                unread=_unread(account),
            )
        )

    # --- writing ---------------------------------------------------------------

    def _compose(self, request: Request, account: Account) -> Response:
        letter, mode = Letter(to=request.one("to")), request.one("mode", "new")
        reference, draft_id = request.one("message"), request.one("draft")
        if reference:
            letter = _begin(account, account.mailbox.get(reference), mode)
        elif draft_id:
            letter = composing.from_draft(self._world.draft_message(account, draft_id))
        return html_response(
            render(
                "compose.html",
                account=account,
                folder="",
                folders=FOLDERS,
                letter=letter,
                mode=mode,
                reference=reference,
                draft=draft_id,
                unread=_unread(account),
                senders=[a for a in account.send_as.values() if a.verified],
            )
        )

    def _send(self, request: Request, account: Account) -> Response:
        form, files = composing.read_form(request)
        letter = _letter(form, files)
        thread_id = None
        if reference := form.get("message"):
            original = account.mailbox.get(reference)
            begun = _begin(account, original, form.get("mode", "reply"))
            letter.in_reply_to, letter.references = begun.in_reply_to, begun.references
            letter.files += begun.files
            thread_id = original.thread_id
        draft_id = form.get("draft") or None
        if draft_id:
            kept = composing.from_draft(self._world.draft_message(account, draft_id))
            letter.in_reply_to, letter.references = kept.in_reply_to, kept.references
        raw = composing.build(letter)
        if form.get("action") == "draft":
            self._world.store_draft(account, raw, thread_id, draft_id)
            return redirect(_url(account) + "?folder=drafts")
        if draft_id:
            self._world.store_draft(account, raw, None, draft_id)
            message = self._world.send_draft(account, draft_id)
        else:
            message = self._world.send(account, raw, thread_id)
        return redirect(f"{_url(account)}/thread/{message.thread_id}")


def _begin(account: Account, original: Message, mode: str) -> Letter:
    if mode == "forward":
        return composing.forward(original)
    return composing.reply(original, account.send_as, everybody=mode == "reply-all")


def _letter(form: dict[str, str], files: list[composing.Upload]) -> Letter:
    return Letter(
        form.get("from", ""),
        form.get("to", ""),
        form.get("cc", ""),
        form.get("bcc", ""),
        form.get("subject", ""),
        form.get("text", ""),
        form.get("in_reply_to", ""),
        form.get("references", ""),
        files=files,
    )


def _url(account: Account) -> str:
    return f"/mail/{quote(account.address, safe='@')}"


def _unread(account: Account) -> int:
    return sum(
        {"INBOX", "UNREAD"} <= m.labels for m in account.mailbox.messages.values()
    )


def _outside_subject(raw: bytes) -> str:
    subject = headers.get(headers.split(raw)[0], "Subject")
    return headers.decode_words(subject) or "(no subject)"


def _download(message: Message, part_id: str) -> Response:
    part = parts.find(message.root, "" if part_id == "root" else part_id)
    if part is None:
        raise ApiError(404, "There is no such attachment.")
    name = quote(part.filename or "attachment")
    return Response(
        200,
        part.data,
        {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "X-Content-Type-Options": "nosniff",
        },
    )
