"""The metadata server: what a VM is told about itself, in Google's forms."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
from gcp.gce import metadata
from gcp.gce.booting import Vm
from gcp.gce.guests import Guest
from gcp.server import Server

_ACCOUNT = "node@sparkles-test.iam.gserviceaccount.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"

Answer = tuple[int, dict[str, str], str]
Ask = Callable[..., Answer]


@pytest.fixture
def guest() -> Guest:
    properties: dict[str, Any] = {
        "machineType": "zones/us-central1-a/machineTypes/n1-standard-1",
        "metadata": {"items": [{"key": "Some_key-x", "value": "a b\n"}, {"key": "empty"}]},
        "serviceAccounts": [{"email": _ACCOUNT, "scopes": [_SCOPE]}],
        "scheduling": {"provisioningModel": "SPOT", "automaticRestart": False, "onHostMaintenance": "TERMINATE"},
    }
    return Guest(Vm(name="s-1-abcd", id="123", project="sparkles-test", project_number="42", zone="us-central1-a",
                    properties=properties))  # fmt: skip


@pytest.fixture
def server(guest: Guest) -> Iterator[Server]:
    with closing(Server(partial(metadata.answer, guest))) as server:
        yield server


@pytest.fixture
def ask(server: Server) -> Ask:
    def ask(path: str, **headers: str) -> Answer:
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request("GET", f"/computeMetadata/v1/{path}", headers={"Metadata-Flavor": "Google", **headers})
            reply = connection.getresponse()
            return reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read().decode()

    return ask


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("instance/id", "123"),
        ("instance/name", "s-1-abcd"),
        ("instance/zone", "projects/42/zones/us-central1-a"),
        ("instance/hostname", "s-1-abcd.us-central1-a.c.sparkles-test.internal"),
        ("instance/machine-type", "projects/42/machineTypes/n1-standard-1"),
        ("instance/preempted", "FALSE"),
        ("instance/maintenance-event", "NONE"),
        ("instance/attributes/", "Some_key-x\nempty\n"),
        ("instance/attributes/Some_key-x", "a b\n"),
        ("instance/attributes/empty", ""),
        ("instance/scheduling/preemptible", "TRUE"),
        ("instance/service-accounts/", f"default/\n{_ACCOUNT}/\n"),
        ("instance/service-accounts/default/email", _ACCOUNT),
        ("instance/service-accounts/default/scopes", _SCOPE),
        ("project/project-id", "sparkles-test"),
        ("project/numeric-project-id", "42"),
    ],
)
def test_each_path_is_a_text(ask: Ask, path: str, text: str) -> None:
    status, headers, found = ask(path)

    assert (status, found) == (200, text)
    assert headers["metadata-flavor"] == "Google"


def test_a_request_without_the_header_is_refused(ask: Ask) -> None:
    assert ask("instance/id", **{"Metadata-Flavor": "none"})[0] == 403


def test_what_is_not_there_is_404(ask: Ask) -> None:
    assert [ask(path)[0] for path in ("instance/attributes/none", "instance/id/more", "other")] == [404, 404, 404]


def test_a_folder_without_its_slash_is_elsewhere(ask: Ask) -> None:
    status, headers, _ = ask("instance/attributes")

    assert (status, headers["location"]) == (301, "/computeMetadata/v1/instance/attributes/")


def test_all_at_once_keeps_the_names_of_attributes_as_they_were_written(ask: Ask) -> None:
    found = json.loads(ask("?recursive=true")[2])

    assert found["instance"]["attributes"] == {"Some_key-x": "a b\n", "empty": ""}
    assert found["instance"]["machineType"].endswith("/n1-standard-1")
    assert found["instance"]["id"] == 123
    assert found["project"] == {"attributes": {}, "numericProjectId": 42, "projectId": "sparkles-test"}
    account = {"aliases": ["default"], "email": _ACCOUNT, "scopes": [_SCOPE]}
    assert found["instance"]["serviceAccounts"] == {"default": account, _ACCOUNT: account}


def test_a_token_is_for_whoever_asks_for_it(ask: Ask, guest: Guest) -> None:
    token = json.loads(ask("instance/service-accounts/default/token")[2])

    assert token["access_token"] == guest.token
    assert token["token_type"] == "Bearer"
    assert guest.token not in ask("?recursive=true")[2]


def test_a_machine_without_an_account_has_no_token(ask: Ask, guest: Guest) -> None:
    guest.vm.properties["serviceAccounts"].clear()  # type: ignore[attr-defined]

    assert ask("instance/service-accounts/default/token")[0] == 404


def test_who_waits_for_a_change_is_told_at_once(ask: Ask, guest: Guest) -> None:
    _, headers, before = ask("instance/preempted")
    waiting = f"instance/preempted?wait_for_change=true&last_etag={headers['etag']}"
    found: list[Answer] = []
    waiter = threading.Thread(target=lambda: found.append(ask(waiting)))
    waiter.start()

    guest.preempt()

    waiter.join(timeout=10)
    assert (before, found[0][2]) == ("FALSE", "TRUE")
    assert found[0][1]["etag"] != headers["etag"]


def test_who_knows_less_than_there_is_does_not_wait(ask: Ask) -> None:
    assert ask("instance/preempted?wait_for_change=true&last_etag=0")[2] == "FALSE"


def test_a_wait_ends_with_its_time_out(ask: Ask) -> None:
    assert ask("instance/preempted?wait_for_change=true&timeout_sec=0")[2] == "FALSE"


def test_a_wait_for_anything_sees_a_change_below(ask: Ask, guest: Guest) -> None:
    etag = ask("instance/?recursive=true")[1]["etag"]
    guest.preempt()

    found = json.loads(ask(f"instance/?recursive=true&wait_for_change=true&last_etag={etag}")[2])

    assert found["preempted"] == "TRUE"


def test_google_s_library_finds_itself_on_google_s_machine(server: Server, guest: Guest) -> None:
    place = dict.fromkeys(("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"), f"127.0.0.1:{server.port}")
    program = """if True:
        import google.auth, google.auth.transport.requests
        credentials, project = google.auth.default()
        credentials.refresh(google.auth.transport.requests.Request())
        print(credentials.token, credentials.service_account_email, project)
    """

    found = subprocess.run(
        [sys.executable, "-c", program], env={"HOME": "/nowhere", **place},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert found.stdout.split() == [guest.token, _ACCOUNT, "sparkles-test"]
