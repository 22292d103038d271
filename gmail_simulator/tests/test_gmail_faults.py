"""The fault switchboard, the ledger of calls, and the admin API."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from gmail_simulator import GmailWorld, InProcessHttp

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"
ADMIN = "http://gmail.test/_simulator"
TOPIC = "projects/p/topics/gmail"


def refusal(request: Any) -> Any:
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value


def profile(users: Any) -> Any:
    return users.getProfile(userId="me")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, "rateLimitExceeded"),
        (403, "rateLimitExceeded"),
        (403, "userRateLimitExceeded"),
        (403, "dailyLimitExceeded"),
        (403, "domainPolicy"),
        (400, "failedPrecondition"),
        (500, "backendError"),
        (502, "backendError"),
        (503, "backendError"),
    ],
)
def test_a_status_is_answered_in_googles_shape(
    users: Any, world: GmailWorld, status: Any, reason: Any
) -> None:
    world.faults.add("status", status=status, reason=reason, retry_after=30)
    error = refusal(profile(users))
    assert error.status_code == status
    assert error.error_details[0]["reason"] == reason
    assert error.resp["retry-after"] == "30"


def test_a_rule_matches_method_account_and_nth_call(
    users: Any, world: GmailWorld
) -> None:
    fault = world.faults.add(
        "status", method="gmail.users.get*", account=ANN, after=1, count=2
    )
    world.faults.add("status", account=BOB)
    world.faults.add("status", method="gmail.users.watch")
    outcomes = []
    for _ in range(4):
        try:
            profile(users).execute()
            outcomes.append(200)
        except HttpError as error:
            outcomes.append(error.status_code)
    assert outcomes == [200, 503, 503, 200]
    assert fault.struck == 2


def test_probability_comes_from_the_seed(users: Any, world: GmailWorld) -> None:
    world.faults.add("status", probability=0.5)
    for _ in range(40):
        with contextlib.suppress(HttpError):
            profile(users).execute()
    struck = [call.status for call in world.calls].count(503)
    assert 5 < struck < 35


def test_a_connection_lost_before_the_work_does_nothing(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    world.faults.add("drop_before", count=1)
    with pytest.raises(ConnectionError):
        users.messages().trash(userId="me", id=message).execute()
    assert "TRASH" not in world.account(ANN).mailbox.get(message).labels
    assert world.calls[-1].status == 0


def test_a_connection_lost_after_the_work_has_done_it(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    world.faults.add("drop_after", count=1)
    with pytest.raises(ConnectionError):
        users.messages().trash(userId="me", id=message).execute()
    assert "TRASH" in world.account(ANN).mailbox.get(message).labels


def test_garbage_takes_the_place_of_one_answer(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    world.faults.add("garbage", message_id=message, text='{"id": ')
    # The client hands out as text what it cannot parse.
    got = users.messages().get(userId="me", id=message).execute()
    assert got == '{"id": '
    assert profile(users).execute()


def test_a_slow_answer_times_out_only_an_impatient_client(
    service: Any, world: GmailWorld
) -> None:
    world.faults.add("slow", seconds=5)
    patient, impatient = service(timeout=20), service(timeout=1)
    assert profile(patient.users()).execute()
    with pytest.raises(TimeoutError):
        profile(impatient.users()).execute()


def test_a_transport_may_repeat_what_was_lost_as_httplib2_does(
    app: Any, world: GmailWorld, mail: Any
) -> None:
    http = InProcessHttp(app, repeat_lost=True)
    token = world.grant(ANN).access_token
    world.faults.add("drop_after", method="gmail.users.messages.send", count=1)
    response, _ = http.request(
        "http://gmail.test/upload/gmail/v1/users/me/messages/send?uploadType=media",
        "POST",
        mail(ANN, CARLA),
        {"Authorization": f"Bearer {token}", "Content-Type": "message/rfc822"},
    )
    assert response.status == 200
    assert len(world.outside) == 2


def test_history_can_be_said_to_have_expired(users: Any, world: GmailWorld) -> None:
    world.faults.add("history_expired", count=1)
    request = users.history().list(userId="me", startHistoryId="1")
    assert refusal(request).status_code == 404


def test_history_may_be_unreadable_although_pushed(
    users: Any, world: GmailWorld, mail: Any, clock: Any, published: Any
) -> None:
    users.watch(userId="me", body={"topicName": TOPIC}).execute()
    start = profile(users).execute()["historyId"]
    world.faults.add("history_lag", seconds=5)
    world.deliver_from_outside(mail(), [ANN])
    pushed = published[0][1]["historyId"]
    request = users.history().list(userId="me", startHistoryId=start)
    assert request.execute() == {"historyId": str(pushed)}
    clock.pass_time(5)
    assert len(request.execute()["history"]) == 1


def test_lagging_history_may_report_what_it_shows(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    start = profile(users).execute()["historyId"]
    world.faults.add("history_lag", seconds=5, reports="visible")
    world.deliver_from_outside(mail(), [ANN])
    request = users.history().list(userId="me", startHistoryId=start)
    assert request.execute() == {"historyId": start}


def test_one_message_may_vanish(users: Any, world: GmailWorld, mail: Any) -> None:
    first, second = (
        world.deliver_from_outside(mail(), [ANN])[0].message_id for _ in range(2)
    )
    world.faults.add("vanish", message_id=first)
    get = users.messages().get
    assert refusal(get(userId="me", id=first)).status_code == 404
    assert get(userId="me", id=second).execute()


def notified(
    world: GmailWorld, mail: Any, published: Any, clock: Any, times: Any = 3
) -> Any:
    for _ in range(times):
        clock.pass_time(2)
        world.deliver_from_outside(mail(), [ANN])
    return [data["historyId"] for _, data in published]


@pytest.fixture
def watched(users: Any, world: GmailWorld) -> Any:
    users.watch(userId="me", body={"topicName": TOPIC}).execute()
    return world


def test_notifications_may_be_dropped(
    watched: Any, mail: Any, published: Any, clock: Any
) -> None:
    watched.faults.add("notification_drop", count=2)
    assert len(notified(watched, mail, published, clock)) == 1


def test_notifications_may_be_doubled(
    watched: Any, mail: Any, published: Any, clock: Any
) -> None:
    watched.faults.add("notification_duplicate", times=9, count=1)
    assert len(notified(watched, mail, published, clock)) == 12


def test_notifications_may_come_late(
    watched: Any, mail: Any, published: Any, clock: Any
) -> None:
    watched.faults.add("notification_delay", seconds=60, count=1)
    assert len(notified(watched, mail, published, clock)) == 2
    clock.pass_time(60)
    watched.tick()
    ids = [data["historyId"] for _, data in published]
    assert len(ids) == 3
    assert ids[2] == min(ids)


def test_notifications_may_change_places(
    watched: Any, mail: Any, published: Any, clock: Any
) -> None:
    watched.faults.add("notification_reorder", count=1)
    first, second, third = notified(watched, mail, published, clock)
    assert second < first < third


def test_held_notifications_can_be_released(
    watched: Any, mail: Any, published: Any, clock: Any
) -> None:
    watched.faults.add("notification_reorder")
    assert notified(watched, mail, published, clock, 1) == []
    watched.release_notifications()
    assert len(published) == 1


def test_units_are_those_of_gmails_table(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    start = profile(users).execute()["historyId"]
    users.messages().list(userId="me").execute()
    users.messages().get(userId="me", id=message).execute()
    users.history().list(userId="me", startHistoryId=start).execute()
    users.watch(userId="me", body={"topicName": TOPIC}).execute()
    users.stop(userId="me").execute()
    users.labels().list(userId="me").execute()
    assert world.calls.units(ANN) == 1 + 5 + 20 + 2 + 100 + 50 + 5
    assert world.calls.units(BOB) == 0
    assert world.calls.count("gmail.users.messages.*") == 2
    assert world.calls.count("gmail.users.watch", ANN) == 1


def test_a_minute_may_have_a_budget(users: Any, world: GmailWorld, clock: Any) -> None:
    world.settings.units_per_minute = 2
    for _ in range(2):
        profile(users).execute()
    assert refusal(profile(users)).status_code == 429
    clock.pass_time(60)
    profile(users).execute()


def test_an_unknown_action_is_refused(world: GmailWorld) -> None:
    with pytest.raises(ValueError, match="explode"):
        world.faults.add("explode")


def test_faults_are_set_over_http(browser: Any, users: Any, world: GmailWorld) -> None:
    rule = {"action": "status", "status": 500, "count": 1}
    assert browser.put(f"{ADMIN}/faults", json=[rule]).status_code == 200
    assert refusal(profile(users)).status_code == 500
    shown = browser.get(f"{ADMIN}/faults").json()["items"]
    assert shown[0]["struck"] == 1
    browser.delete(f"{ADMIN}/faults")
    assert len(world.faults) == 0
    bad = browser.put(f"{ADMIN}/faults", json=[{"action": "explode"}])
    assert bad.status_code == 400


def test_a_demo_can_be_set_up_over_http(
    browser: Any, world: GmailWorld, mail: Any
) -> None:
    given = {"address": "dee@gmail.com", "name": "Dee", "aliases": ["d@dee.test"]}
    made = browser.post(f"{ADMIN}/accounts", json=given).json()
    assert made["aliases"] == ["d@dee.test"]
    assert browser.post(f"{ADMIN}/accounts", json=given).status_code == 400
    delivered = browser.post(
        f"{ADMIN}/deliver",
        params={"rcpt": ["dee@gmail.com", CARLA], "auth": "fail", "from": "a@b.test"},
        data=mail(),
    ).json()["items"]
    assert [d["account"] for d in delivered] == ["dee@gmail.com"]
    outside = browser.get(f"{ADMIN}/outside").json()["items"]
    assert [o["to"] for o in outside] == [CARLA]
    listed = browser.get(f"{ADMIN}/accounts").json()["items"]
    assert [a["messages"] for a in listed] == [0, 0, 1]
    token = browser.post(f"{ADMIN}/grants", json={"account": "dee@gmail.com"}).json()[
        "access_token"
    ]
    headers = {"Authorization": f"Bearer {token}"}
    api = "http://gmail.test/gmail/v1/users/me"
    assert browser.get(f"{api}/profile", headers=headers).status_code == 200
    calls = browser.get(f"{ADMIN}/calls", params={"account": "dee@gmail.com"}).json()
    assert calls["units"] == 1
    browser.post(f"{ADMIN}/history/expire", params={"account": "dee@gmail.com"})
    stale = browser.get(f"{api}/history?startHistoryId=1", headers=headers)
    assert stale.status_code == 404
    browser.post(f"{ADMIN}/accounts/password", params={"account": "dee@gmail.com"})
    assert browser.get(f"{api}/profile", headers=headers).status_code == 401


def test_clients_and_settings_are_set_over_http(
    browser: Any, world: GmailWorld
) -> None:
    uris = ["http://sync.test/callback"]
    made = browser.post(f"{ADMIN}/clients", json={"redirect_uris": uris}).json()
    assert made["web"]["token_uri"] == "http://gmail.test/token"
    client = world.oauth.clients[made["web"]["client_id"]]
    assert client.redirect_uris == tuple(uris)
    change = {"rewrite_message_id": False, "topics": [TOPIC]}
    shown = browser.patch(f"{ADMIN}/settings", json=change).json()
    assert shown["topics"] == [TOPIC]
    assert world.settings.rewrite_message_id is False
    unknown = browser.patch(f"{ADMIN}/settings", json={"colour": "red"})
    assert unknown.status_code == 400
    assert browser.get(f"{ADMIN}/nothing").status_code == 404
