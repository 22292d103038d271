"""What the CRM tells us: subaccounts, users, contacts, BCC addresses."""

from __future__ import annotations

from tests.faults.leaks import PASSWORD
from tests.faults.registry import flow
from tests.faults.sending import copied
from tests.faults.syncing import ADA, BOB, ME, team
from tests.faults.world import World
from tests.support.bcc import PROFILE
from tests.support.sending import PROVIDER

S = "/v1/subaccounts/s"
NEW_EMAIL = "ada@new.example"


def talked(world: World) -> None:
    """Two conversations, one of them with an attachment."""
    team(world)
    message = world.mail(ADA, ME, "Attached")
    message.add_attachment(b"y", maintype="a", subtype="b", filename="f.bin")
    world.world.deliver_from_outside(message.as_bytes(), [ME])
    world.arrives(ADA, ME, "Second")
    world.arrives(BOB, ME, "Other")


@flow(lambda _: None)
def a_crm_is_wired(world: World) -> None:
    """A subaccount with a password to keep, a user, a contact."""
    smtp = {**PROVIDER["smtp"], "password": PASSWORD}
    world.call("PUT", S, {"name": "S", "default_provider": {"smtp": smtp}})
    world.call("PUT", f"{S}/users/u", {"name": "U", "email": PROFILE})
    contact = {"name": "Ada", "emails": [ADA], "assigned_to": "u"}
    world.call("PUT", f"{S}/contacts/ada", contact)


@flow(team)
def a_provider_is_taken_away(world: World) -> None:
    """Its password goes too."""
    world.call("PUT", S, {"name": "S"})


@flow(talked)
def a_contact_gets_another_address(world: World) -> None:
    """Mail from the old one is a stranger's, mail from the new one is not."""
    contact = {"name": "Ada", "emails": [NEW_EMAIL], "assigned_to": "u"}
    world.call("PUT", f"{S}/contacts/ada", contact)
    world.arrives(NEW_EMAIL, ME, "From the new address")


@flow(talked)
def a_contact_is_erased(world: World) -> None:
    world.call("DELETE", f"{S}/contacts/ada")


@flow(team)
def contacts_are_imported(world: World) -> None:
    """A bad row stops no other."""
    rows = '{"id": "c1", "name": "C", "emails": ["c1@x.example"]}\nnonsense\n'
    rows += '{"id": "ada", "name": "Ada", "emails": ["ada@client.example"]}'
    answer = world.call(
        "POST", f"{S}/contacts:import", data=rows, content_type="application/x-ndjson"
    )
    assert (answer["imported"], len(answer["failed"])) == (2, 1)


@flow(team)
def a_user_lists_who_is_never_logged(world: World) -> None:
    """Mail that comes later is not recorded (M12)."""
    world.call(
        "PUT",
        f"{S}/users/u",
        {"name": "U", "email": ME, "never_log": ["client.example"]},
    )
    world.arrives(ADA, ME, "Private")


@flow(copied)
def a_user_switches_the_sync_off_in_a_subaccount(world: World) -> None:
    changed = world.call("PATCH", f"{S}/users/u", {"sync": False, "never_log": []})
    assert changed["sync"] is False
    world.arrives(ADA, ME, "Not recorded here")


@flow(copied)
def a_bcc_address_is_rotated(world: World) -> None:
    """The old one stops working, also when the call had to be repeated."""
    old = world.drop()
    world.call("POST", f"{S}/users/u/bcc-address:rotate", {})
    for drop in (old, world.drop()):
        message = world.mail(ME, ADA, f"To {'old' if drop == old else 'new'}")
        world.world.deliver_from_outside(message.as_bytes(), [drop])
