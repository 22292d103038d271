"""The command line: it finds the running system, and says plainly what is wrong."""

from __future__ import annotations

import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from gmail_sync import cli, running
from gmail_sync.api import caller, refusal
from gmail_sync.running import STATE, CommandError, Running, find

NOWHERE = "http://127.0.0.1:1"
COMMANDS = [
    ["why", "--address", "ann@lee.example"],
    ["quarantine"],
    ["replay", "item"],
    ["audit", "u1", "--from", "a", "--to", "b"],
    ["backfill", "c1"],
    ["pause-sending"],
    ["resume-sending"],
    ["token"],
]


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def service():
    """Answers with what is put into the list: (status, type, body)."""
    responses: list[tuple[str, str, bytes]] = []

    def app(_environ, start_response):
        status, kind, body = responses[0]
        start_response(status, [("Content-Type", kind)])
        return [body]

    server = make_server("127.0.0.1", 0, app, WSGIServer, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", responses
    server.shutdown()
    server.server_close()


def written(folder, **changed):
    addresses = {
        "api": NOWHERE,
        "push": NOWHERE,
        "pubsub": NOWHERE,
        "project": "p",
        "signing_key": "k" * 32,
        "gmail": NOWHERE,
    }
    folder.mkdir(exist_ok=True)
    (folder / running.FILE).write_text(json.dumps(addresses | changed))


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """No deployment is named, and the state folder is an empty one."""
    for name in ("SYNC_API", "SYNC_TOKEN", "SYNC_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(STATE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("left", ["nothing", "a killed one's", "half a file"])
def test_without_a_running_system_each_command_says_one_sentence(
    words, left, alone, monkeypatch, capsys
):
    if left == "a killed one's":
        written(alone)
    if left == "half a file":
        (alone / running.FILE).write_text('{"api": ')
    monkeypatch.setattr("sys.argv", ["gmail-sync", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"{running.NOT_RUNNING}\n"


def test_a_running_system_is_found_on_any_port_from_below_its_checkout(
    tmp_path, service, monkeypatch
):
    url, responses = service
    responses.append(("200 OK", "application/json", b"{}"))
    written(tmp_path / ".local", api=url)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert find({}) == Running(url, NOWHERE, NOWHERE, "p", "k" * 32)


@pytest.mark.parametrize("part", ["api", "push"])
def test_a_file_that_names_another_machine_is_not_believed(part, alone, service):
    url, responses = service
    responses.append(("200 OK", "application/json", b"{}"))
    written(alone, **{"api": url, part: "http://stranger.example"})
    with pytest.raises(CommandError):
        find()


def test_the_token_of_a_deployment_is_not_shown_to_what_was_found(
    alone, service, monkeypatch
):
    url, responses = service
    body = json.dumps({"items": []}).encode()
    responses.append(("200 OK", "application/json", body))
    written(alone, api=url)
    monkeypatch.setenv("SYNC_TOKEN", "a deployment's")
    shown = []
    monkeypatch.setattr(
        cli, "caller", lambda api, token: shown.append((api, token)) or caller(api)
    )
    assert cli.run(["quarantine"]) == "The quarantine is empty."
    monkeypatch.delenv("SYNC_TOKEN")
    assert cli.run(["quarantine", "--api", url]) == "The quarantine is empty."
    assert [api for api, _ in shown] == [url, url]
    assert "a deployment's" not in [token for _, token in shown]


def test_a_deployment_needs_a_token_and_no_local_system(alone):
    with pytest.raises(CommandError, match="SYNC_TOKEN"):
        cli.run(["quarantine", "--api", "https://api.example"])


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (("502 Bad Gateway", "text/html", b"<html>"), "502.*not this API.*text/html"),
        (
            (
                "422 Unprocessable Content",
                "application/problem+json",
                json.dumps(
                    {
                        "code": "invalid_request",
                        "detail": "See errors.",
                        "errors": [{"pointer": "/from", "detail": "is no time"}],
                    }
                ).encode(),
            ),
            "422 invalid_request: See errors.\n  /from: is no time$",
        ),
        (("403 Forbidden", "application/json", b"[]"), "403"),
    ],
)
def test_a_refusal_is_said_with_its_errors(service, response, words):
    url, responses = service
    responses.append(response)
    with pytest.raises(CommandError, match=words):
        caller(url)("GET", "/v1/quarantine")


def test_an_api_that_is_not_there_is_named():
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:1 does not answer"):
        caller(NOWHERE)("GET", "/health")


def test_errors_name_a_field_or_a_parameter_or_nothing():
    problem = {
        "code": "invalid_request",
        "detail": "No.",
        "errors": [{"parameter": "user", "detail": "is no id"}, {"detail": "is empty"}],
    }
    assert refusal(422, problem).splitlines()[1:] == ["  user: is no id", "  is empty"]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_each_command_has_help(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.arguments([words[0], "--help"])
    assert ended.value.code == 0
    assert words[0] in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.arguments(["--help"])
    assert words[0] in capsys.readouterr().out
