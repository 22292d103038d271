"""What went wrong before, and is repaired: audits, backfills, the quarantine."""

from __future__ import annotations

from functions.http.table import ROUTES
from shared.core.matching.bcc import LOGGING
from shared.ports import Delete, Query
from tests.faults.registry import flow
from tests.faults.syncing import ADA, ME, team
from tests.faults.world import World
from tests.support.bcc import LOG

CONNECTION = "/v1/users/u/connection"
SPAN = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-09T00:00:00Z", "repair": True}


def filled(world: World) -> None:
    """Something of everything that can be read."""
    team(world)
    world.connect(LOGGING, LOG)
    message = world.mail(ADA, ME, "Attached")
    message.add_attachment(b"y", maintype="a", subtype="b", filename="f.bin")
    world.world.deliver_from_outside(message.as_bytes(), [ME])
    world.settle()
    world.call("POST", f"{CONNECTION}:audit", SPAN)


def holey(world: World) -> None:
    """One of two records is gone, behind the product's back."""
    team(world)
    world.arrives(ADA, ME, "Gone")
    world.arrives(ADA, ME, "There")
    world.settle()
    gone = next(
        message for message in world.conversation("ada") if message.subject == "Gone"
    )
    path = f"subaccounts/s/messages/{gone.id}"
    world.outside.documents.commit([Delete(path)])


def early(world: World) -> None:
    """Mail of somebody who became a contact later."""
    team(world)
    world.arrives("late@client.example", ME, "Early")
    world.settle()
    world.contact("late", "late@client.example")


def poisoned(world: World) -> None:
    """A mail that cannot be read was set aside; now it can."""
    team(world)
    world.arrives(ADA, ME, "Poison")
    (poison,) = world.world.account(ME).mailbox.messages
    fault = world.world.faults.add(
        "status", method="gmail.users.messages.get", message_id=poison, status=400
    )
    world.settle()
    world.world.faults.remove(fault)


@flow(holey, more=("jobs/",))
def an_audit_repairs(world: World) -> None:
    """Who saw no answer starts a second one, which may find all repaired."""
    job = world.call("POST", f"{CONNECTION}:audit", SPAN)["id"]
    world.settle()
    assert world.call("GET", f"/v1/jobs/{job}")["status"] == "done"


@flow(early, more=("jobs/",))
def a_backfill_brings_in_older_mail(world: World) -> None:
    job = world.call("POST", "/v1/subaccounts/s/contacts/late:backfill", {})["id"]
    world.settle()
    assert world.call("GET", f"/v1/jobs/{job}")["status"] == "done"


@flow(team)
def a_mail_is_set_aside(world: World) -> None:
    """And the one behind it is not."""
    world.arrives(ADA, ME, "Poison")
    (poison,) = world.world.account(ME).mailbox.messages
    world.world.faults.add(
        "status", method="gmail.users.messages.get", message_id=poison, status=400
    )
    world.arrives(ADA, ME, "Behind it")


def in_trouble(world: World) -> None:
    """A mail that alone could not be read was set aside; now it can."""
    team(world)
    world.arrives(ADA, ME, "Poison")
    (poison,) = world.world.account(ME).mailbox.messages
    fault = world.world.faults.add(
        "status", method="gmail.users.messages.get", message_id=poison, status=500
    )
    world.arrives(ADA, ME, "Behind it")
    world.settle()
    world.world.faults.remove(fault)
    world.clock.advance(hours=2)


@flow(team)
def a_mail_that_alone_cannot_be_read_is_set_aside(world: World) -> None:
    """After some tries; what is behind it waits no longer."""
    world.arrives(ADA, ME, "Poison")
    (poison,) = world.world.account(ME).mailbox.messages
    world.world.faults.add(
        "status", method="gmail.users.messages.get", message_id=poison, status=500
    )
    world.arrives(ADA, ME, "Behind it")
    world.settle()
    assert [message.subject for message in world.conversation("ada")] == ["Behind it"]


@flow(in_trouble)
def a_sweep_reads_again_what_was_set_aside(world: World) -> None:
    world.job("sweep")


@flow(poisoned)
def what_was_set_aside_is_replayed(world: World) -> None:
    (item,) = world.call("GET", "/v1/quarantine")["items"]
    world.ask("POST", f"/v1/quarantine/{item['id']}:replay", json={})


@flow(team)
def a_dead_letter_is_kept_and_replayed(world: World) -> None:
    """A notification that no delivery could handle."""
    world.arrives(ADA, ME, "Dead letter")
    letter = world.queue.pop().event
    world.publish("gmail-notifications-dead-letter", letter)
    world.settle()
    (item,) = world.call("GET", "/v1/quarantine")["items"]
    world.ask("POST", f"/v1/quarantine/{item['id']}:replay", json={})


@flow(filled, patches={"functions.http.openapi.as_json": lambda _: "{}"})
def everything_is_read(world: World) -> None:
    """A new GET joins by itself; the first look at a user makes a BCC address."""
    message = next(
        item for item in world.conversation("ada") if item.envelope.attachments
    )
    (job,) = world.outside.documents.query(Query("jobs"))
    ids = {
        "subaccount": "s",
        "user": "u",
        "contact": "ada",
        "message": message.id,
        "attachment": "0",
        "id": job.id,
    }
    for route in ROUTES:
        if route.method == "GET":
            query = {"address": ADA} if route.path.endswith("/decisions") else None
            world.call("GET", route.path.format(**ids), query_string=query)
