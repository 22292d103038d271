"""Who may do what: the exact set of (account, role, resource), no more and no less."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.infra import source
from tests.infra.offline import Plan

PROJECT = "demo-project"
AGENT = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
GMAIL = "serviceAccount:gmail-api-push@system.gserviceaccount.com"
CRM = "serviceAccount:crm@my-crm.iam.gserviceaccount.com"

READ, WRITE, DESTROY, MAKE, BLOBS = (
    f"projects/{PROJECT}/roles/gmailSync{name}"
    for name in (
        "SecretReader",
        "SecretWriter",
        "SecretDestroyer",
        "SecretCreator",
        "BlobUser",
    )
)
PUBLISH, SUBSCRIBE = "roles/pubsub.publisher", "roles/pubsub.subscriber"
INVOKE = "roles/run.invoker"
SECRETS = "projects/123456789012/secrets"
TOKENS = f'{PROJECT} if resource.name.startsWith("{SECRETS}/gmail-token-")'
PASSWORDS = f'{PROJECT} if resource.name.startsWith("{SECRETS}/smtp-password-")'
DATABASE = f'{PROJECT} if resource.name == "projects/{PROJECT}/databases/(default)"'

CONSUMED = (
    "bcc-notifications",
    "gmail-notifications",
    "mailbox-work",
    "outbound-messages",
    "scheduled-jobs",
)
CONSUMERS = {
    "bcc-notifications": "bcc",
    "gmail-notifications": "inbound",
    "mailbox-work": "work",
    "outbound-messages": "outbound",
    "scheduled-jobs": "schedule",
}

FUNCTIONS: dict[str, set[tuple[str, str]]] = {
    "fn-api": {
        ("roles/datastore.user", DATABASE),
        (BLOBS, "demo-project-blobs"),
        *((PUBLISH, topic) for topic in (*CONSUMED, "crm-events")),
        (READ, "api-signing-key"),
        (READ, "bcc-token-key"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
        (DESTROY, TOKENS),
        (WRITE, PASSWORDS),
        (DESTROY, PASSWORDS),
        (MAKE, PROJECT),
    },
    "fn-bcc": {
        ("roles/datastore.user", DATABASE),
        (BLOBS, "demo-project-blobs"),
        (PUBLISH, "crm-events"),
        (PUBLISH, "mailbox-work"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
    },
    "fn-connect": {
        ("roles/datastore.user", DATABASE),
        (PUBLISH, "crm-events"),
        (PUBLISH, "mailbox-work"),
        (READ, "api-signing-key"),
        (READ, "bcc-token-key"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
        (WRITE, TOKENS),
        (DESTROY, TOKENS),
        (MAKE, PROJECT),
    },
    "fn-dead-letter": {("roles/datastore.user", DATABASE)},
    "fn-inbound": {
        ("roles/datastore.user", DATABASE),
        (BLOBS, "demo-project-blobs"),
        (PUBLISH, "crm-events"),
        (PUBLISH, "mailbox-work"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
    },
    "fn-outbound": {
        ("roles/datastore.user", DATABASE),
        (BLOBS, "demo-project-blobs"),
        (PUBLISH, "crm-events"),
        (PUBLISH, "outbound-messages"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
        (READ, PASSWORDS),
    },
    "fn-schedule": {
        ("roles/datastore.user", DATABASE),
        (PUBLISH, "mailbox-work"),
    },
    "fn-work": {
        ("roles/datastore.user", DATABASE),
        (BLOBS, "demo-project-blobs"),
        (PUBLISH, "crm-events"),
        (PUBLISH, "mailbox-work"),
        (PUBLISH, "outbound-messages"),
        (READ, "google-oauth-client"),
        (READ, TOKENS),
        (DESTROY, TOKENS),
    },
}
PUSHED = {"bcc", "dead-letter", "inbound", "outbound", "schedule", "work"}


def account(name: str) -> str:
    return f"serviceAccount:{name}@{PROJECT}.iam.gserviceaccount.com"


def grants(planned: Plan) -> set[tuple[str, str, str]]:
    """Every grant of the plan as (member, role, resource)."""
    return set(_grants(planned))


def _grants(planned: Plan) -> Iterator[tuple[str, str, str]]:
    for resource in planned.raw["planned_values"]["root_module"]["resources"]:
        kind: str = resource["type"]
        assert not kind.endswith(("_iam_binding", "_iam_policy")), resource["address"]
        if kind.endswith("_iam_member"):
            values = resource["values"]
            yield values["member"], values["role"], _resource(kind, values)


def _resource(kind: str, values: dict[str, Any]) -> str:
    if kind == "google_service_account_iam_member":
        return "pubsub-push"
    if kind == "google_artifact_registry_repository_iam_member":
        return "functions"
    for name in ("topic", "subscription", "bucket", "secret_id", "name"):
        if name in values:
            return str(values[name])
    assert kind == "google_project_iam_member"
    for condition in values["condition"]:
        return f"{values['project']} if {condition['expression']}"
    return str(values["project"])


def test_every_grant_is_one_of_these_and_none_is_missing(planned: Plan):
    wanted = {
        (account(name), role, resource)
        for name, some in FUNCTIONS.items()
        for role, resource in some
    }
    wanted |= {(account("pubsub-push"), INVOKE, name) for name in PUSHED}
    wanted |= {("allUsers", INVOKE, name) for name in ("api", "connect")}
    wanted |= {
        (GMAIL, PUBLISH, name) for name in ("bcc-notifications", "gmail-notifications")
    }
    wanted |= {
        (AGENT, PUBLISH, f"{topic}-dead-letter") for topic in (*CONSUMED, "crm-events")
    }
    wanted |= {
        (AGENT, SUBSCRIBE, f"{topic}-{name}") for topic, name in CONSUMERS.items()
    }
    wanted |= {
        (AGENT, SUBSCRIBE, "crm-events-crm"),
        (AGENT, "roles/iam.serviceAccountTokenCreator", "pubsub-push"),
        (CRM, SUBSCRIBE, "crm-events-crm"),
        (CRM, SUBSCRIBE, "crm-events-dead-letter"),
    }
    builder = account("function-builder")
    wanted |= {
        (builder, "roles/logging.logWriter", PROJECT),
        (builder, "roles/storage.objectViewer", "demo-project-bundles"),
        (
            builder,
            "roles/storage.objectViewer",
            (
                f'{PROJECT} if resource.name.startsWith("projects/_/buckets/'
                'gcf-v2-sources-123456789012-")'
            ),
        ),
        (builder, "roles/artifactregistry.writer", "functions"),
    }

    got = grants(planned)
    assert got - wanted == set()
    assert wanted - got == set()


def test_no_account_has_a_broad_role_or_a_secret_of_the_whole_project(planned: Plan):
    for member, role, resource in grants(planned):
        assert role not in {"roles/owner", "roles/editor", "roles/viewer"}
        assert not role.endswith((".admin", "Admin"))
        if resource == PROJECT:
            assert role in {MAKE, "roles/logging.logWriter"}, (member, role)


def test_custom_roles_hold_exactly_what_the_gateways_call(planned: Plan):
    held = {
        resource["role_id"]: set(resource["permissions"])
        for resource in planned.all("google_project_iam_custom_role").values()
    }

    assert held == {
        "gmailSyncBlobUser": {
            f"storage.objects.{verb}" for verb in ("create", "delete", "get", "list")
        },
        "gmailSyncSecretCreator": {"secretmanager.secrets.create"},
        "gmailSyncSecretDestroyer": {"secretmanager.secrets.delete"},
        "gmailSyncSecretReader": {
            f"secretmanager.versions.{verb}" for verb in ("access", "list")
        },
        "gmailSyncSecretWriter": {
            f"secretmanager.versions.{verb}" for verb in ("add", "destroy", "list")
        },
    }


def test_every_function_runs_as_its_own_account(planned: Plan):
    accounts = [
        resource["service_config"][0]["service_account_email"]
        for resource in planned.all("google_cloudfunctions2_function").values()
    ]

    assert len(accounts) == len(set(accounts)) == len(FUNCTIONS)


@pytest.mark.parametrize("function", sorted(source.entry_points()))
def test_grants_are_what_the_code_reaches(function: str):
    """Read from the composition root: which gateways and topics a function can touch."""
    granted = FUNCTIONS[f"fn-{function.replace('_', '-')}"]
    gateways, topics = source.reaches(function)

    if function == "schedule":
        # It holds the use cases of `work` and only starts them, through mailbox-work.
        gateways, topics = {"documents", "topics"}, {"mailbox-work"}
    if function == "api":
        topics |= set(CONSUMED)  # the operator's replay, wherever a letter came from
    assert {name for role, name in granted if role == PUBLISH} == topics
    assert any(role == BLOBS for role, _ in granted) == ("blobs" in gateways)
    assert ((READ, TOKENS) in granted) == ("google" in gateways)
    assert ((READ, "google-oauth-client") in granted) == ("google" in gateways)
    assert any(role in {READ, WRITE} for role, _ in granted) == (
        bool({"secrets", "google"} & gateways)
    )
