"""Mail that the CRM sends (S7: exactly one email), and mail logged by BCC (M9)."""

from __future__ import annotations

from collections import Counter

from shared.core.matching.bcc import LOGGING
from shared.services.sending.pause_service import FRESH_SECONDS
from tests.faults.registry import flow
from tests.faults.syncing import ADA, BOB, ME, team
from tests.faults.world import World
from tests.support.bcc import LOG
from tests.support.sending import PROVIDER

INSIDE = "carol@inside.example"


def senders(world: World) -> None:
    """A connected user, a provider, and a contact whose Gmail is simulated as well."""
    team(world)
    world.subaccount(default_provider=PROVIDER)
    world.contact("carol", INSIDE)
    world.world.add_account(INSIDE)


def asked(world: World) -> None:
    """Ada has written."""
    team(world)
    world.arrives(ADA, ME, "Question")
    world.settle()


def no_mailbox(world: World) -> None:
    """A user without Gmail, two contacts, a provider."""
    world.subaccount(default_provider=PROVIDER)
    world.user("u", ME)
    world.contact("ada", ADA)
    world.contact("bob", BOB)


def copied(world: World) -> None:
    """A user and the logging mailbox, no contact; who saw a BCC address has one."""
    world.subaccount()
    world.user("u", ME)
    world.connect("u", ME)
    world.connect(LOGGING, LOG)
    world.drop()


def at_most_once(differences: list[str]) -> bool:
    """SMTP cannot be asked what it took: in doubt a mail is `failed`, and says why."""
    kinds = Counter(map(_kind, differences))
    doubtful = kinds["failed"]
    unsent = kinds.pop("not relayed", 0)
    return unsent <= doubtful > 0 and kinds == Counter(
        dict.fromkeys(("not sent", "sent untold", "failed", "failed told"), doubtful)
    )


def _kind(line: str) -> str:
    count, _, what = line.partition(" times: ")
    gone = count == "0 instead of 1"
    if what.startswith("relayed") and gone:
        return "not relayed"
    if what.startswith("event message.sent") and gone:
        return "sent untold"
    if what.startswith("event message.failed") and not gone:
        return "failed told"
    if "/messages/" in what and gone:
        return "not sent"
    return "failed" if "'code': 'fate_unknown'" in what else "something else"


@flow(senders)
def a_mail_is_sent_with_an_attachment(world: World) -> None:
    """The Sent copy may be read before the sender recovers."""
    to = [{"contact": "carol"}, {"address": BOB, "name": "Bob"}]
    world.posts("k", ("a.pdf", b"x" * 2_000), to=to, subject="Offer")


@flow(senders, first=True)
def a_mail_is_sent_and_its_sender_recovers_first(world: World) -> None:
    """The Sent copy is read when all is done."""
    world.posts("k", to=[{"contact": "carol"}], subject="Offer")


@flow(asked)
def a_reply_is_sent(world: World) -> None:
    (question,) = world.conversation("ada")
    world.posts(
        "k", to=[{"contact": "ada"}], subject="Answer", reply_to_message=question.id
    )


@flow(senders)
def a_mail_is_refused_by_gmail(world: World) -> None:
    """For good: it has failed, and its draft is removed."""
    world.world.faults.add("status", method="gmail.users.drafts.send", status=400)
    world.posts("k", to=[{"contact": "ada"}], subject="Refused")


@flow(senders)
def a_mail_waits_out_a_rate_limit_of_gmail(world: World) -> None:
    """Twice: for its draft, and when it is to be sent."""
    for method in ("gmail.users.drafts.create", "gmail.users.drafts.send"):
        world.world.faults.add("status", method=method, status=429, count=1)
    world.posts("k", to=[{"contact": "carol"}], subject="Offer")


def used_up(world: World) -> None:
    """Gmail itself takes no more mail today."""
    senders(world)
    world.world.account(ME).daily_limit = 0


@flow(used_up)
def a_mail_meets_the_daily_limit_of_gmail(world: World) -> None:
    """It has failed, its draft is removed, and the mailbox waits (S5)."""
    world.posts("k", to=[{"contact": "carol"}], subject="Too many")


@flow(senders)
def a_contact_is_erased_before_its_mail_is_sent(world: World) -> None:
    """Nothing goes out, and nothing of it is left."""
    world.posts("k", to=[{"contact": "carol"}], subject="Too late")
    world.call("DELETE", "/v1/subaccounts/s/contacts/carol")


@flow(no_mailbox, accept=at_most_once)
def a_workflow_mail_goes_through_the_provider(world: World) -> None:
    world.posts("k", kind="workflow", to=[{"contact": "ada"}], subject="News")


@flow(no_mailbox, accept=at_most_once)
def a_bulk_mail_goes_to_two_contacts(world: World) -> None:
    world.posts(
        "k", ("a.pdf", b"pdf"), kind="bulk", contacts=["ada", "bob"], subject="News"
    )


@flow(team)
def a_daily_cap_is_set(world: World) -> None:
    world.call("PATCH", "/v1/users/u/connection", {"daily_send_cap": 7})


def paused(world: World) -> None:
    """A mail is accepted, and sending is paused before it goes out."""
    senders(world)
    world.posts("k", to=[{"contact": "carol"}], subject="Waits")
    world.queue.clear()


@flow(paused)
def sending_is_paused_and_resumed(world: World) -> None:
    pause_and_resume(world)


@flow(paused)
def sending_is_paused_and_what_waits_is_dropped(world: World) -> None:
    pause_and_resume(world, drop=True)


def pause_and_resume(world: World, **more: bool) -> None:
    """A sweep in between finds what waits, and leaves it."""
    world.job("pause-sending", at=1)
    world.settle()
    world.clock.advance(seconds=FRESH_SECONDS)
    world.job("sweep")
    world.settle()
    world.job("resume-sending", at=2, **more)


@flow(copied)
def a_copy_for_a_bcc_address_is_read_first(world: World) -> None:
    """Both routes bring the mail (B4)."""
    copy(world)


@flow(copied)
def the_sent_copy_is_read_before_the_bcc_address(world: World) -> None:
    """The other order."""
    copy(world)
    world.queue.rotate(1)


def logged(world: World) -> None:
    """Ada is a contact by a copy for a BCC address."""
    copied(world)
    world.sends(ME, ADA, "Logged", headers={"Bcc": world.drop()})
    world.settle()


@flow(logged)
def an_answer_to_a_logged_mail_reaches_the_bcc_address(world: World) -> None:
    """A reply-all: both mailboxes bring it (B6)."""
    mail = world.mail(ADA, ME, "Re: Logged")
    (first,) = world.conversation(contact_of(world))
    mail["In-Reply-To"] = str(first.rfc822_message_id)
    world.world.deliver_from_outside(mail.as_bytes(), [ME, world.drop()])


def contact_of(world: World) -> str:
    """The contact that the copy has made."""
    (path,) = [item for item in world.outside.documents.dump() if "/contacts/" in item]
    return str(path.rpartition("/")[2])


def copy(world: World) -> None:
    """A mail from Gmail to two strangers, with the BCC address in Bcc."""
    world.sends(ME, f"{ADA}, {BOB}", "Logged", headers={"Bcc": world.drop()})


@flow(copied)
def mail_quotes_the_bcc_address(world: World) -> None:
    """In the answer of a contact, and in what the CRM answers to that (B6)."""
    drop = world.drop()
    first = world.mail(ME, ADA, "Logged", headers={"Cc": drop})
    world.world.send_from_gmail(ME, first.as_bytes())
    world.settle()
    answer = world.mail(ADA, ME, f"Re: {drop}", text=f"> Cc: {drop}\n" + "x" * 210_000)
    answer["In-Reply-To"] = first["Message-ID"]
    answer.add_attachment(f"mailto:{drop}", filename=f"{drop}.txt")
    world.world.deliver_from_outside(answer.as_bytes(), [ME])
    world.settle()
    text = f"Yes.\n> Cc: {drop}"
    world.posts("answer", to=[{"address": ADA}], subject=drop, text=text)
