"""Several users, another address, the end (C4-C6), on the simulated Gmail."""

from __future__ import annotations

import pytest

from shared.core.ids import UserId
from shared.errors import Problem
from tests.support.system import System

ME, NEW, COLLEAGUE = "rep@ours.example", "rep@new.example", "boss@ours.example"
ADA = "ada@client.example"


def tokens(system: System) -> list[str]:
    return [name for name in system.outside.secrets.names() if "gmail-token" in name]


def live_grants(system: System, address: str) -> int:
    return system.world.oauth.live_refresh_tokens(system.world.account(address))


def disconnect(system: System, user: str = "u") -> None:
    system.services.connections.disconnect(UserId(user))


def status(system: System, user: str = "u") -> str:
    return str(system.services.connections.view(UserId(user))["status"])


def subjects(system: System) -> list[str]:
    return [message.subject for message in system.conversation("ada")]


def events(system: System) -> list[str]:
    return [event["type"] for event in system.events() if "connection" in event["type"]]


def order_of(system: System, *methods: str) -> list[str]:
    return [call.method for call in system.world.calls if call.method in methods]


# --- C6 ----------------------------------------------------------------------------


def test_c6_disconnect_stops_gives_back_destroys_and_says_so(system: System) -> None:
    system.arrives(ADA, ME, "Kept")
    system.settle()
    disconnect(system)
    assert order_of(system, "gmail.users.stop", "oauth.revoke") == [
        "gmail.users.stop",
        "oauth.revoke",
    ]
    assert tokens(system) == []
    assert live_grants(system, ME) == 0
    assert subjects(system) == ["Kept"]
    view = system.services.connections.view(UserId("u"))
    assert (view["status"], view["watch_expires_at"]) == ("disconnected", None)
    assert events(system) == ["connection.connected", "connection.disconnected"]


def test_c6_disconnecting_again_does_nothing(system: System) -> None:
    disconnect(system)
    before = len(system.world.calls)
    disconnect(system)
    disconnect(system, "nobody")
    assert len(system.world.calls) == before
    assert events(system).count("connection.disconnected") == 1


def test_c6_notifications_under_way_do_nothing(system: System) -> None:
    system.arrives(ADA, ME, "Under way")
    disconnect(system)
    before = len(system.world.calls)
    assert system.deliver(system.pushes.popleft())
    assert len(system.world.calls) == before
    assert subjects(system) == []


def test_c6_the_gap_stays_a_gap(system: System) -> None:
    system.arrives(ADA, ME, "With it")
    system.settle()
    disconnect(system)
    system.clock.advance(minutes=5)
    first = system.arrives(ADA, ME, "In the gap")
    system.clock.advance(minutes=5)
    system.connect("u", ME)
    system.settle()
    system.arrives(ADA, ME, "Re: In the gap", reply_to=first)
    system.settle()
    assert subjects(system) == ["With it", "Re: In the gap"]
    system.world.expire_history(ME)
    system.clock.advance(hours=2)
    system.sweep()
    assert subjects(system) == ["With it", "Re: In the gap"]


def test_c6_what_is_read_at_this_very_moment_is_the_last(system: System) -> None:
    """A holder that works while the user disconnects writes nothing any more."""
    documents = system.outside.documents
    for number in range(60):
        system.arrives(ADA, ME, f"Mail {number}")
    system.pushes_merged()
    recorder = system.services.sync._recorder
    record = recorder.record

    def then_disconnect(*args: object, **more: object) -> object:
        outcome = record(*args, **more)
        disconnect(system)
        return outcome

    recorder.record = then_disconnect
    cursor = system.mailbox(ME).cursor
    system.settle()
    assert len(subjects(system)) == 25
    assert system.mailbox(ME).cursor == cursor
    assert documents.get(["connections/u"])[0].data["status"] == "disconnected"


@pytest.mark.parametrize("method", ["gmail.users.stop", "oauth.revoke"])
@pytest.mark.parametrize("action", ["status", "drop_before", "drop_after"])
def test_c6_what_google_refuses_now_is_done_later(
    system: System, method: str, action: str
) -> None:
    system.world.faults.add(action, method=method, count=2)  # type: ignore[arg-type]
    disconnect(system)
    assert status(system) == "disconnected"
    system.settle()
    assert tokens(system) == []
    assert live_grants(system, ME) == 0


def test_c6_a_dead_token_is_destroyed_all_the_same(system: System) -> None:
    system.world.change_password(ME)
    system.arrives(ADA, ME)
    system.settle()
    assert status(system) == "reauth_required"
    disconnect(system)
    assert tokens(system) == []
    assert status(system) == "disconnected"


def test_c6_a_grant_that_google_never_takes_back_is_destroyed_after_a_day(
    system: System,
) -> None:
    system.world.faults.add("status", method="oauth.revoke", status=503)
    disconnect(system)
    system.work.clear()
    assert len(tokens(system)) == 1
    system.clock.advance(hours=25)
    system.sweep()
    assert tokens(system) == []


def test_c6_a_user_removed_from_the_last_subaccount_is_disconnected(
    system: System,
) -> None:
    system.subaccount("t")
    system.user("u", ME, s="t")
    for s, expected in (("s", "active"), ("t", "disconnected")):
        system.services.connections.disconnect_outside(UserId("u"), leaving=s)
        system.services.directory.delete_member(s, UserId("u"))
        assert status(system) == expected
    assert tokens(system) == []


# --- C4 ----------------------------------------------------------------------------


def test_c4_only_the_last_user_takes_watch_and_grant_along(system: System) -> None:
    system.user("v", COLLEAGUE)
    system.connect("v", ME)
    disconnect(system)
    assert order_of(system, "gmail.users.stop", "oauth.revoke") == []
    assert (status(system), status(system, "v")) == ("disconnected", "active")
    system.contact("ada", ADA, assigned_to="v")
    system.arrives(ADA, ME, "For v")
    system.settle()
    assert subjects(system) == ["For v"]
    disconnect(system, "v")
    assert tokens(system) == []
    assert live_grants(system, ME) == 0


def test_c4_one_user_in_and_out_changes_nothing_for_the_other(system: System) -> None:
    system.user("v", COLLEAGUE)
    system.connect("v", ME)
    disconnect(system, "v")
    system.arrives(ADA, ME, "Still")
    system.settle()
    assert subjects(system) == ["Still"]


# --- C5 ----------------------------------------------------------------------------


def test_c5_another_address_takes_over_at_once(system: System) -> None:
    first = system.arrives(ADA, ME, "Old thread")
    system.settle()
    system.clock.advance(minutes=1)
    assert system.connect("u", NEW).code == "connected"
    system.arrives(ADA, ME, "Re: Old thread", reply_to=first)
    system.arrives(ADA, NEW, "To the new one")
    system.settle()
    assert subjects(system) == ["Old thread", "To the new one"]
    assert events(system) == ["connection.connected", "connection.updated"]
    assert tokens(system) == [f"gmail-token-{system.mailbox_id(NEW)}"]
    assert (live_grants(system, ME), live_grants(system, NEW)) == (0, 1)


def test_c5_the_old_thread_goes_on_from_the_new_address(system: System) -> None:
    first = system.arrives(ADA, ME, "Old thread")
    system.settle()
    system.clock.advance(minutes=1)
    system.connect("u", NEW)
    system.sends(NEW, ADA, "Re: Old thread", reply_to=first)
    system.settle()
    old, new = system.conversation("ada")
    assert old.thread == new.thread
    assert new.direction == "outbound"


@pytest.mark.parametrize("answer", [{"deny": True}, {"scopes": []}])
def test_c5_a_failed_consent_keeps_the_old_connection(
    system: System, answer: dict[str, object]
) -> None:
    assert system.connect("u", NEW, **answer).code != "connected"
    system.arrives(ADA, ME, "Still here")
    system.settle()
    assert subjects(system) == ["Still here"]
    assert system.services.connections.view(UserId("u"))["address"] == ME
    assert events(system) == ["connection.connected"]


def test_c5_a_consent_that_breaks_off_keeps_the_old_connection(system: System) -> None:
    system.world.faults.add("status", method="gmail.users.watch", status=500)
    with pytest.raises(Exception, match="Gmail"):
        system.connect("u", NEW)
    system.world.faults.clear()
    system.arrives(ADA, ME, "Still here")
    system.settle()
    system.clock.advance(minutes=15)
    system.sweep()
    assert subjects(system) == ["Still here"]
    assert tokens(system) == [f"gmail-token-{system.mailbox_id(ME)}"]


def test_c5_there_and_back_again_starts_anew(system: System) -> None:
    system.connect("u", NEW)
    system.arrives(ADA, ME, "Meanwhile")
    system.clock.advance(minutes=1)
    system.connect("u", ME)
    system.settle()
    system.arrives(ADA, ME, "Back")
    system.settle()
    assert subjects(system) == ["Back"]
    assert live_grants(system, NEW) == 0


def test_c5_leaving_a_shared_mailbox_leaves_it_to_the_others(system: System) -> None:
    system.user("v", COLLEAGUE)
    system.connect("v", ME)
    system.connect("u", NEW)
    system.settle()
    assert (status(system), status(system, "v")) == ("active", "active")
    assert (live_grants(system, ME) > 0, live_grants(system, NEW)) == (True, 1)
    assert len(tokens(system)) == 2


def test_an_account_whose_address_was_changed_keeps_watch_and_grant(
    system: System,
) -> None:
    """The grant is the account's: giving the old one back would end the new one."""
    system.world.rename_account(ME, NEW)
    assert system.connect("u", NEW).code == "connected"
    assert live_grants(system, NEW) > 0
    assert order_of(system, "gmail.users.stop", "oauth.revoke") == []
    assert tokens(system) == [f"gmail-token-{system.mailbox_id(ME)}"]


def test_never_connected_is_404(system: System) -> None:
    with pytest.raises(Problem) as refused:
        system.services.connections.view(UserId("w"))
    assert refused.value.status == 404
