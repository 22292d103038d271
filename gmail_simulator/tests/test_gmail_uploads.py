"""Media uploads and the batch endpoint, as the real client sends them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaInMemoryUpload, MediaIoBaseUpload

from gmail_simulator import GmailWorld

ANN, BOB, CARLA = "ann@acme.test", "bob@acme.test", "carla@customer.test"
CHUNK = 256 * 1024


def media(raw: Any, **options: Any) -> Any:
    return MediaInMemoryUpload(raw, "message/rfc822", **options)


def resumable(raw: Any) -> Any:
    return MediaIoBaseUpload(
        io.BytesIO(raw), "message/rfc822", chunksize=CHUNK, resumable=True
    )


def finish(request: Any) -> Any:
    answer = None
    while answer is None:
        _, answer = request.next_chunk()
    return answer


def test_media_alone_is_sent_with_its_eight_bit_bytes(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    raw = mail(ANN, CARLA, text="Grüße")
    users.messages().send(userId="me", media_body=media(raw)).execute()
    assert "Grüße".encode() in world.outside[0].raw


def test_resource_and_media_come_in_one_request(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    raw = mail(ANN, CARLA, "Re: Hello", in_reply_to="<1@x>")
    sent = (
        users.messages()
        .send(userId="me", body={"threadId": first.thread_id}, media_body=media(raw))
        .execute()
    )
    assert sent["threadId"] == first.thread_id


def test_a_resumable_upload_in_chunks_makes_one_draft_in_its_thread(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    first = world.deliver_from_outside(mail(message_id="<1@x>"), [ANN])[0]
    raw = mail(ANN, CARLA, "Re: Hello", "x" * (3 * CHUNK), in_reply_to="<1@x>")
    body = {"message": {"threadId": first.thread_id}}
    request = users.drafts().create(userId="me", body=body, media_body=resumable(raw))
    made = finish(request)
    assert made["message"]["threadId"] == first.thread_id
    assert len(world.account(ANN).mailbox.drafts) == 1
    assert world.calls.count("gmail.users.drafts.create") == 1


def test_an_interrupted_upload_goes_on_where_it_stopped(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    raw = mail(ANN, CARLA, text="".join(f"{i:07}\n" for i in range(CHUNK // 2)))
    request = users.messages().send(userId="me", body={}, media_body=resumable(raw))
    fault = world.faults.add("drop_before", method="upload.chunk", after=1, count=1)
    request.next_chunk()
    with pytest.raises(ConnectionError):
        request.next_chunk()
    assert fault.struck == 1
    finish(request)
    assert world.outside[0].raw.endswith(raw.partition(b"\r\n\r\n")[2])
    assert len(world.outside) == 1


def test_an_upload_whose_last_answer_is_lost_is_not_done_twice(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    raw = mail(ANN, CARLA, text="x" * CHUNK)
    request = users.messages().send(userId="me", body={}, media_body=resumable(raw))
    world.faults.add("drop_after", method="gmail.users.messages.send", count=1)
    with pytest.raises(ConnectionError):
        finish(request)
    assert finish(request)["labelIds"] == ["SENT"]
    assert len(world.outside) == 1


def test_an_unknown_upload_session_is_404(browser: Any, world: GmailWorld) -> None:
    token = world.grant(ANN).access_token
    answer = browser.put(
        "http://gmail.test/upload/gmail/v1/users/me/messages/send?upload_id=nothing",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 404


def test_drafts_update_and_send_take_uploads(
    users: Any, world: GmailWorld, mail: Any
) -> None:
    made = (
        users.drafts()
        .create(userId="me", body={}, media_body=media(mail(ANN, CARLA, "One")))
        .execute()
    )
    finish(
        users.drafts().update(
            userId="me",
            id=made["id"],
            body={},
            media_body=resumable(mail(ANN, CARLA, "Two")),
        )
    )
    finish(
        users.drafts().send(
            userId="me",
            body={"id": made["id"]},
            media_body=resumable(mail(ANN, CARLA, "Three")),
        )
    )
    assert b"Subject: Three" in world.outside[0].raw
    assert world.account(ANN).mailbox.drafts == {}


def batch_of(service: Any, requests: Any) -> Any:
    answers = {}

    def note(name: Any, answer: Any, error: Any) -> None:
        answers[name] = error.status_code if error else answer

    batch = service.new_batch_http_request(callback=note)
    for name, request in requests.items():
        batch.add(request, request_id=name)
    batch.execute()
    return answers


def test_every_part_of_a_batch_is_answered_for_itself(
    service: Any, world: GmailWorld, mail: Any
) -> None:
    ids = [
        world.deliver_from_outside(mail(subject=f"{i}"), [ANN])[0].message_id
        for i in range(3)
    ]
    client = service()
    get = client.users().messages().get
    requests = {i: get(userId="me", id=i, format="metadata") for i in ids}
    requests["gone"] = get(userId="me", id="00000000000000ff")
    requests["profile"] = client.users().getProfile(userId="me")
    answers = batch_of(client, requests)
    assert [answers[i]["id"] for i in ids] == ids
    assert answers["gone"] == 404
    assert answers["profile"]["emailAddress"] == ANN
    assert world.calls.units(ANN) == 4 * 20 + 1


def test_a_fault_strikes_single_parts_of_a_batch(
    service: Any, world: GmailWorld, mail: Any
) -> None:
    client = service()
    ids = [world.deliver_from_outside(mail(), [ANN])[0].message_id for _ in range(3)]
    world.faults.add("status", method="*messages.get", status=429, after=1, count=1)
    get = client.users().messages().get
    answers = batch_of(client, {i: get(userId="me", id=i) for i in ids})
    assert [answers[i] == 429 for i in ids] == [False, True, False]


def test_the_whole_batch_may_be_lost(
    service: Any, world: GmailWorld, mail: Any
) -> None:
    client = service()
    message = world.deliver_from_outside(mail(), [ANN])[0].message_id
    request = client.users().messages().trash(userId="me", id=message)
    world.faults.add("drop_after", method="batch", count=1)
    with pytest.raises(ConnectionError):
        batch_of(client, {"one": request})
    assert "TRASH" in world.account(ANN).mailbox.get(message).labels


def test_a_batch_of_more_than_a_hundred_is_refused(service: Any) -> None:
    client = service()
    requests = {f"{i}": client.users().getProfile(userId="me") for i in range(101)}
    with pytest.raises(HttpError, match="at most 100"):
        batch_of(client, requests)
