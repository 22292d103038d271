"""The deployed functions' environment is the settings class, field for field."""

from __future__ import annotations

import pytest

from shared import config
from tests.infra.offline import Plan

ONE_MACHINE_ONLY = {
    "backend": "embedded state is for tries",
    "blob_folder": "a bucket instead",
    "development": "development secrets are accepted with it",
    "firestore_emulator_host": "an emulator",
    "pubsub_emulator_host": "an emulator",
    "push_certs_url": "Google's keys are the default",
    "secret_manager_endpoint": "a stand-in",
    "smtp_ca_file": "providers of a deployment have public certificates",
}
"""Settings that a deployment never has, and why."""
OF_THE_PLATFORM = {"THREADS"}
"""Read by functions-framework, not by us."""


def environments(planned: Plan) -> dict[str, dict[str, str]]:
    return {
        address: resource["service_config"][0]["environment_variables"]
        for address, resource in planned.all("google_cloudfunctions2_function").items()
    }


def test_every_setting_is_given_and_every_given_one_is_known(planned: Plan):
    wanted = {
        name.upper()
        for name in config.Settings.model_fields
        if name not in ONE_MACHINE_ONLY
    }

    for address, given in environments(planned).items():
        assert given.keys() - OF_THE_PLATFORM == wanted, address


def test_settings_of_one_machine_are_settings():
    assert set(ONE_MACHINE_ONLY) <= set(config.Settings.model_fields)


def test_settings_class_accepts_what_is_given(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
):
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for given in environments(planned).values():
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        settings = config.load()
        assert settings.development is False
        assert settings.backend == "google"
        assert settings.redirect_uri == planned.output("redirect_uri")


def test_server_has_a_thread_for_every_call_at_once(planned: Plan):
    for resource in planned.all("google_cloudfunctions2_function").values():
        service = resource["service_config"][0]
        threads = service["environment_variables"]["THREADS"]
        assert threads == str(service["max_instance_request_concurrency"])
