"""Mail that comes in, and whatever keeps it coming."""

from __future__ import annotations

from gmail_simulator.accounts import SendAs
from tests.faults.registry import flow
from tests.faults.world import World
from tests.support.bounces import comes_back, postfix

ME, MATE, NEW = "rep@ours.example", "mate@ours.example", "rep@new.example"
ADA, BOB = "ada@client.example", "bob@client.example"


ONE_A_PAGE = {"shared.services.connecting.renaming.PAGE": 1}


def team(world: World) -> None:
    """A user with a connected mailbox, and two contacts."""
    world.subaccount()
    world.user("u", ME)
    world.contact("ada", ADA)
    world.contact("bob", BOB)
    world.connect("u", ME)


def two_mailboxes(world: World) -> None:
    """A colleague with a mailbox too, and a second subaccount that shares the user."""
    team(world)
    world.subaccount("s2", logging="all_contacts")
    world.user("u", ME, s="s2")
    world.user("v", MATE)
    world.contact("ada2", ADA, s="s2", assigned_to=None)
    world.connect("v", MATE)


def missed(world: World) -> None:
    """Mail whose notifications were lost."""
    team(world)
    world.clock.advance(hours=1)
    for number in range(3):
        world.arrives(ADA, ME, f"Missed {number}")
    world.queue.clear()
    world.clock.advance(hours=1)


def expired(world: World) -> None:
    """Mail that came before the history that is left."""
    missed(world)
    world.world.expire_history(ME)


@flow(team)
def mail_is_recorded_with_its_answer_and_its_forward(world: World) -> None:
    first = world.arrives(ADA, ME, "Question")
    world.sends(ME, ADA, "Re: Question", reply_to=first)
    world.sends(ME, BOB, "Fwd: Question", reply_to=first)


@flow(team)
def mail_is_ignored(world: World) -> None:
    """A stranger's, a colleague's, a forgery."""
    world.arrives("eve@stranger.example", ME, "Stranger")
    world.sends(ME, ME, "Internal")
    world.arrives(ME, f"{ADA}, {ME}", "Forged", auth="fail")


@flow(team)
def mail_is_big_and_has_an_attachment(world: World) -> None:
    message = world.mail(ADA, ME, "Attached", text="x" * 210_000)
    message.add_attachment(b"y" * 5_000, maintype="a", subtype="b", filename="f.bin")
    world.world.deliver_from_outside(message.as_bytes(), [ME])


@flow(two_mailboxes)
def mail_reaches_two_mailboxes_and_two_subaccounts(world: World) -> None:
    world.arrives(ADA, f"{ME}, {MATE}", "Question")


@flow(expired, gmail_headers_per_batch=2)
def an_expired_history_is_rebuilt_in_chunks(world: World) -> None:
    world.arrives(ADA, ME, "Now")


def renamed(world: World) -> None:
    """Google gives the account of one of two mailboxes another address (C9)."""
    two_mailboxes(world)
    world.world.rename_account(ME, NEW)


@flow(renamed, more=("event connection.updated",), patches=ONE_A_PAGE)
def a_notification_finds_the_renamed_account(world: World) -> None:
    """Its address is looked for among the mailboxes, a page of one at a time."""
    world.arrives(ADA, NEW, "First")
    world.sends(NEW, ADA, "Second")


@flow(renamed, more=("event connection.updated",))
def a_sweep_finds_the_renamed_account(world: World) -> None:
    world.clock.advance(hours=2)
    world.job("sweep")


@flow(
    missed,
    gmail_headers_per_batch=1,
    patches={"shared.services.syncing.mailbox_lease.WORK_BUDGET_SECONDS": -1},
)
def a_full_mailbox_is_read_in_slices(world: World) -> None:
    """Each slice ends with its progress saved, and the rest goes on by itself (W4)."""
    world.arrives(ADA, ME, "Now")


@flow(missed, patches={"shared.services.syncing.sweep.PAGE": 1})
def a_sweep_reads_what_no_notification_told(world: World) -> None:
    """A page of one mailbox passes the rest of its shard on."""
    world.job("sweep")


@flow(team)
def a_mailbox_rests_through_a_daily_limit(world: World) -> None:
    """What its notification told is read by the sweep after the rest."""
    world.world.faults.add(
        "status",
        method="gmail.users.history.list",
        status=403,
        reason="dailyLimitExceeded",
        count=1,
    )
    world.arrives(ADA, ME, "Too much")
    world.settle()
    world.clock.advance(hours=5)
    world.job("sweep")


@flow(team)
def watches_are_renewed(world: World) -> None:
    """With a new alias, and one mailbox whose first renewal fails."""
    world.world.account(ME).send_as["sales@ours.example"] = SendAs("sales@ours.example")
    world.world.faults.add("status", method="gmail.users.watch", count=1)
    world.job("renew-watches")


@flow(team)
def credentials_die(world: World) -> None:
    world.world.change_password(ME)
    world.clock.advance(hours=2)
    world.arrives(ADA, ME, "Missed")


@flow(two_mailboxes)
def mail_comes_back(world: World) -> None:
    """To two mailboxes that hold it, and once more; from two recipients."""
    sent = world.sends(ME, f"{ADA}, {BOB}, {MATE}", "Offer")
    world.settle()
    for mailbox, action in ((ME, "delayed"), (MATE, "failed"), (ME, "failed")):
        notice = postfix(f"<{sent.rfc822_id}>", ADA, BOB, to=mailbox, action=action)
        comes_back(world, notice, to=mailbox)


@flow(team)
def an_authenticated_mail_replaces_a_forgery(world: World) -> None:
    """With attachments, and out of the thread that the forger had put it into."""
    asked = world.arrives(BOB, ME, "Offer")
    true = world.mail(ADA, ME, "Bill", "REAL")
    forged = world.mail(ADA, MATE, "Bill", "FORGED")
    for name in ("Message-ID", "Date"):
        del forged[name]
        forged[name] = true[name]
    forged["In-Reply-To"] = asked
    for mail, count in ((true, 1), (forged, 2)):
        for number in range(count):
            mail.add_attachment(
                mail["To"].encode(), maintype="a", subtype="b", filename=f"{number}.bin"
            )
    world.world.deliver_from_outside(forged.as_bytes(), [ME], "fail")
    world.settle()
    world.world.deliver_from_outside(true.as_bytes(), [ME], "pass")
