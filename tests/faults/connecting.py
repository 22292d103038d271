"""Connections begin, move, end; the settings page."""

from __future__ import annotations

from unittest import mock

from werkzeug.test import TestResponse

from shared.core.ids import UserId
from shared.errors import Transient
from tests.faults.registry import flow
from tests.faults.syncing import ADA, BOB, MATE, ME, NEW, team
from tests.faults.world import World
from tests.support.bcc import LOG

CONNECTION = "/v1/users/u/connection"
ASKS = "You chose another Google account"
LOGGING_PATH = "/v1/logging-mailbox/connection"


def members(world: World) -> None:
    """Two users without a mailbox, and a contact."""
    world.subaccount()
    world.user("u", ME)
    world.user("v", MATE)
    world.contact("ada", ADA)


def shared(world: World) -> None:
    """One mailbox that two users share."""
    team(world)
    world.user("v", MATE)
    world.connect("v", ME)


def colleagues(world: World) -> None:
    """Only one of two has a mailbox."""
    team(world)
    world.user("v", MATE)


def apart(world: World) -> None:
    """Each has a mailbox of their own."""
    colleagues(world)
    world.connect("v", MATE)


def locked_out(world: World) -> None:
    """The token has ended, and mail was missed since."""
    team(world)
    world.settle()
    world.world.change_password(ME)
    world.clock.advance(hours=2)
    world.arrives(ADA, ME, "Missed")
    world.settle()
    assert world.mailbox(ME).status == "reauth_required"


@flow(members, more=("event connection.connected",))
def a_user_connects(world: World) -> None:
    """Who saw no answer connects once more: one more event, for one more moment."""
    assert "connected" in world.connects(ME).text
    world.arrives(ADA, ME, "First")


def nothing_is_left(differences: list[str]) -> bool:
    """How far it came may differ; no token may be left, and no watch.

    A grant may be: whoever dies before the token is written is the last who knew it.
    """
    told = ("event connection.", "connections/", "mailboxes/", "subaccounts/s/")
    told += ("granted by",)
    return all(
        difference.partition(" times: ")[2].startswith(told)
        for difference in differences
    )


def with_an_account(world: World) -> None:
    """The user may see nothing of Google: a link that failed once may be used up."""
    members(world)
    world.world.add_account(ME)


@flow(with_an_account, accept=nothing_is_left)
def a_user_gives_up_connecting(world: World) -> None:
    """Who saw a failure does not try again, but ends whatever there is."""
    link = world.call("POST", CONNECTION, {})["authorization_url"]
    world.consents(link, ME)
    world.call("DELETE", CONNECTION)


@flow(members)
def a_permission_is_missing(world: World) -> None:
    """Nothing is connected, and the grant is given back."""
    world.connects(ME, scopes=("openid", "email"))


@flow(team, more=("event connection.",))
def a_user_moves_to_another_address(world: World) -> None:
    world.connects(NEW)
    world.arrives(ADA, NEW, "To the new address")
    world.arrives(ADA, ME, "To the old address")


@flow(colleagues, more=("event connection.connected",))
def a_colleague_connects_the_same_mailbox(world: World) -> None:
    """It goes on for the first one."""
    world.connects(ME, "/v1/users/v/connection")
    world.arrives(ADA, ME, "For both")


@flow(apart, more=("event connection.",))
def a_user_moves_to_a_colleagues_mailbox(world: World) -> None:
    """The own one ends, the other one goes on for both."""
    world.connects(MATE)
    world.arrives(ADA, MATE, "For both")
    world.arrives(ADA, ME, "To the old address")


@flow(locked_out, more=("event connection.connected",))
def a_user_comes_back(world: World) -> None:
    world.connects(ME)


@flow(team)
def a_user_disconnects(world: World) -> None:
    """Mail that comes later is read no more."""
    world.call("DELETE", CONNECTION)
    world.arrives(ADA, ME, "Not for us")


def left_behind(world: World) -> None:
    """A disconnect that could neither end the watch nor tell anybody."""
    team(world)
    world.world.faults.add("status", method="gmail.users.stop", count=1)
    with mock.patch.object(world.outside.topics, "publish", side_effect=Transient):
        world.services.connections.disconnect(UserId("u"))


@flow(team)
def a_user_disconnects_while_gmail_is_down(world: World) -> None:
    """The watch is stopped and the grant given back by work of their own."""
    world.world.faults.add("status", method="gmail.users.stop", count=1)
    world.call("DELETE", CONNECTION)


@flow(left_behind)
def a_sweep_finishes_a_disconnect(world: World) -> None:
    world.job("sweep")


@flow(shared)
def the_first_of_two_users_of_a_mailbox_disconnects(world: World) -> None:
    """The other one goes on."""
    world.call("DELETE", CONNECTION)
    world.arrives(ADA, ME, "For the other one")


@flow(team)
def a_user_is_removed(world: World) -> None:
    """The last membership takes the connection along."""
    world.call("DELETE", "/v1/subaccounts/s/users/u")


def in_two(world: World) -> None:
    """A user of two subaccounts."""
    team(world)
    world.subaccount("s2")
    world.user("u", ME, s="s2")


@flow(in_two)
def a_user_leaves_one_of_two_subaccounts(world: World) -> None:
    """The connection stays for the other one."""
    world.call("DELETE", "/v1/subaccounts/s2/users/u")
    world.arrives(ADA, ME, "Still read")


@flow(members, more=("event connection.connected",))
def the_logging_mailbox_is_connected_and_disconnected(world: World) -> None:
    world.connects(LOG, LOGGING_PATH)
    world.settle()
    world.call("DELETE", LOGGING_PATH)


@flow(members, more=("event connection.",))
def a_user_connects_and_disconnects_on_the_settings_page(world: World) -> None:
    world.signs_in()
    for _ in range(9):
        page = world.presses("connect")
        if world.consents(page.headers["Location"], ME):
            break
    world.visit("/settings/disconnect")
    world.presses("disconnect")


def asked_whether_to_move(world: World) -> TestResponse:
    """A reauthorisation comes back with another account (C10)."""
    for _ in range(9):
        link = world.call("POST", CONNECTION, {})["authorization_url"]
        page = world.consents(link, NEW)
        if page is not None and ASKS in page.text:
            return page
    raise AssertionError("nobody was asked")


def not_told_twice(differences: list[str]) -> bool:
    """A grant whose token was never written is known to nobody: it may be left."""
    told = (f"granted by {NEW}",)
    return all(
        difference.partition(" times: ")[2].startswith(told)
        for difference in differences
    )


@flow(locked_out, more=("event connection.",))
def another_account_is_chosen_and_confirmed(world: World) -> None:
    """Who sees no answer begins again, and is asked again or has moved already."""
    for _ in range(9):
        link = world.call("POST", CONNECTION, {})["authorization_url"]
        page = world.consents(link, NEW)
        if page is not None and ASKS in page.text:
            world.sends_form(page, move="yes")
        if world.call("GET", CONNECTION)["address"] == NEW:
            break
    world.arrives(ADA, NEW, "To the new address")
    world.arrives(ADA, ME, "To the old address")


@flow(locked_out, accept=not_told_twice)
def another_account_is_chosen_and_declined(world: World) -> None:
    world.sends_form(asked_whether_to_move(world), move="no")
    world.arrives(ADA, NEW, "Not for us")


@flow(locked_out, accept=not_told_twice)
def another_account_is_chosen_and_nobody_answers(world: World) -> None:
    """The sweep gives back what was held."""
    asked_whether_to_move(world)
    world.arrives(ADA, NEW, "Not for us")


@flow(locked_out, more=("event connection.",), accept=not_told_twice)
def another_account_is_chosen_first_and_then_the_right_one(world: World) -> None:
    asked_whether_to_move(world)
    world.connects(ME)


def given_to_somebody_else(world: World) -> None:
    """The account is gone, and a colleague has a new one with its address."""
    locked_out(world)
    world.user("v", MATE)
    world.contact("bob", BOB, assigned_to="v")
    world.world.remake_account(ME)


@flow(given_to_somebody_else, more=("event connection.connected",))
def an_account_made_anew_is_connected(world: World) -> None:
    """Its mail is its new owner's alone."""
    world.connects(ME, "/v1/users/v/connection")
    world.arrives(BOB, ME, "For the new owner")
