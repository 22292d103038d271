"""Functions, topics, subscriptions and secrets: Terraform and the code say the same."""

from __future__ import annotations

import re

import pytest

from infra.local import wiring
from shared.core.syncing import lease
from tests.infra import source
from tests.infra.offline import TERRAFORM, Plan
from tests.infra.test_grants import CONSUMERS

ENTRY_POINTS = {
    "api",
    "bcc",
    "connect",
    "dead_letter",
    "inbound",
    "outbound",
    "schedule",
    "work",
}
DEVELOPMENT_ONLY = {"crm-events-local"}


def test_every_function_of_terraform_is_an_entry_point_and_the_reverse(planned: Plan):
    deployed = {
        resource["build_config"][0]["entry_point"]
        for resource in planned.all("google_cloudfunctions2_function").values()
    }

    assert deployed == ENTRY_POINTS
    assert source.entry_points() == deployed


def test_topics_are_those_of_the_contract_with_their_dead_letters(planned: Plan):
    topics = {
        resource["name"] for resource in planned.all("google_pubsub_topic").values()
    }

    assert topics == {
        *wiring.TOPICS,
        *(f"{topic}-dead-letter" for topic in wiring.TOPICS),
    }


def test_every_topic_that_the_code_names_exists(planned: Plan):
    topics = {
        resource["name"] for resource in planned.all("google_pubsub_topic").values()
    }
    like_a_topic = re.compile(r"[a-z]+-(?:events|jobs|messages|notifications|work)")
    named = {string for string in source.strings() if like_a_topic.fullmatch(string)}

    assert named - topics == set()


def test_every_secret_that_the_code_names_exists_and_the_reverse(planned: Plan):
    made = {
        resource["secret_id"]
        for resource in planned.all("google_secret_manager_secret").values()
    }
    texts = source.strings()

    assert made == {"api-signing-key", "bcc-token-key", "google-oauth-client"}
    assert made - texts == set()
    # What is made at run time, by its prefix: the grants are narrowed to it.
    assert {"gmail-token-", "smtp-password-"} <= texts


def test_terraform_and_the_local_system_are_wired_alike(planned: Plan):
    local = {
        (consumer.function, consumer.topic, consumer.subscription.replace("_", "-"))
        for consumer in wiring.CONSUMERS
        if consumer.function != "dead_letter"
    }
    deployed = {
        (function, resource["topic"], resource["name"])
        for address, resource in planned.all(
            "google_pubsub_subscription", "push"
        ).items()
        for function in re.findall(r'\["(\w+)"\]', address)
    }

    assert deployed == {
        (function, topic, f"{topic}-{function}")
        for topic, function in CONSUMERS.items()
    }
    assert local == deployed


def test_deadlines_nest(planned: Plan):
    for resource in planned.all("google_cloudfunctions2_function").values():
        assert (
            resource["service_config"][0]["timeout_seconds"] == lease.FUNCTION_SECONDS
        )
    for resource in planned.all("google_pubsub_subscription", "push").values():
        assert resource["ack_deadline_seconds"] == lease.ACK_DEADLINE_SECONDS
    assert wiring.ACK_DEADLINE_SECONDS == lease.ACK_DEADLINE_SECONDS


@pytest.mark.parametrize("kind", ["push", "dead_letter"])
def test_every_push_has_its_audience_account_retry_and_no_expiry(
    planned: Plan, kind: str
):
    some = planned.all("google_pubsub_subscription", kind)

    assert len(some) == len(CONSUMERS)
    for item in some.values():
        push = item["push_config"][0]
        token = push["oidc_token"][0]
        service = "dead-letter" if kind == "dead_letter" else CONSUMERS[item["topic"]]
        assert (
            push["push_endpoint"]
            == f"https://{service}-123456789012.europe-west1.run.app"
        )
        assert token["audience"] == push["push_endpoint"]
        assert token["service_account_email"].startswith("pubsub-push@")
        assert item["retry_policy"] == [
            {
                "minimum_backoff": f"{wiring.MIN_BACKOFF_SECONDS}s",
                "maximum_backoff": f"{wiring.MAX_BACKOFF_SECONDS}s",
            }
        ]


def test_a_functions_audience_is_what_its_subscription_sends(planned: Plan):
    expected = {
        name: resource["service_config"][0]["environment_variables"]["PUSH_AUDIENCE"]
        for resource in planned.all("google_cloudfunctions2_function").values()
        for name in [resource["name"]]
    }
    for resource in planned.all("google_pubsub_subscription").values():
        for push in resource["push_config"]:
            service = push["push_endpoint"].removeprefix("https://").split("-1234")[0]
            assert push["oidc_token"][0]["audience"] == expected[service]


def test_every_subscription_keeps_a_week_and_never_expires(planned: Plan):
    for resource in planned.all("google_pubsub_subscription").values():
        assert resource["message_retention_duration"] == "604800s", resource["name"]
        assert resource["expiration_policy"] == [{"ttl": ""}], resource["name"]


def test_every_consumers_dead_letters_have_a_topic_with_a_subscription(planned: Plan):
    every = planned.all("google_pubsub_subscription").values()
    listened_to = {item["topic"] for item in every}
    for item in every:
        if item["name"].endswith("-dead-letter"):
            assert item["dead_letter_policy"] == []
            continue
        policy = item["dead_letter_policy"][0]
        topic = f"{item['topic']}-dead-letter"
        assert policy["dead_letter_topic"] == f"projects/demo-project/topics/{topic}"
        assert policy["max_delivery_attempts"] >= wiring.MAX_DELIVERY_ATTEMPTS
        assert topic in listened_to


def test_schedule_publishes_the_jobs_of_the_contract(planned: Plan):
    jobs = planned.all("google_cloud_scheduler_job")
    texts = source.strings()

    assert {job["schedule"] for job in jobs.values()} == {"17 3 * * *", "*/15 * * * *"}
    for job in jobs.values():
        assert job["name"] in texts
        assert job["pubsub_target"][0]["topic_name"].endswith("/scheduled-jobs")


def test_every_counted_event_is_one_that_the_code_logs():
    text = (TERRAFORM / "metrics.tf").read_text()
    counted = {
        event
        for some in re.findall(r"events\s*=\s*\[([^]]*)\]", text)
        for event in re.findall(r'"(\w+)"', some)
    }

    assert counted - source.logged_events() == set()


def test_every_alert_of_the_issue_is_there(planned: Plan):
    names = " ".join(
        resource["display_name"]
        for resource in planned.all("google_monitoring_alert_policy").values()
    ).lower()

    for wanted in ("watches will expire", "dead letters", "need re-authorization", "sync is late",
                   "error rate", "sends fail"):  # fmt: skip
        assert wanted in names


def test_rules_let_nobody_in(planned: Plan):
    for resource in planned.all("google_firebaserules_ruleset").values():
        text = resource["source"][0]["files"][0]["content"]
        assert text.count("allow") == 1
        assert "allow read, write: if false;" in text
