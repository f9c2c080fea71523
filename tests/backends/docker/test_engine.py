"""Which engine is used, what is made of what it says of itself, and what to say when there is none."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys

import pytest

from sparkles.backends.docker.engine import Engine, EngineError, _absent, _facts
from sparkles.errors import BackendError

# The docker library leaves a connection that failed to the garbage collector, which complains.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DEFAULT = "unix:///var/run/docker.sock"

OWN = f"{os.getuid()}:{os.getgid()}"

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: elsewhere an engine runs in a machine")


@pytest.fixture(autouse=True)
def collected():
    yield
    gc.collect()


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The folder of the user's docker configuration, with one context."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    folder = tmp_path / "contexts" / "meta" / hashlib.sha256(b"colima").hexdigest()
    folder.mkdir(parents=True)
    endpoints = {"docker": {"Host": "unix:///colima.sock", "SkipTLSVerify": False}}
    (folder / "meta.json").write_text(json.dumps({"Name": "colima", "Metadata": {}, "Endpoints": endpoints}))
    return tmp_path


@pytest.mark.parametrize(
    ("present", "environment", "address"),
    [
        pytest.param(None, {}, DEFAULT, id="nothing said"),
        pytest.param("colima", {}, "unix:///colima.sock", id="present context"),
        pytest.param(None, {"DOCKER_CONTEXT": "colima"}, "unix:///colima.sock", id="DOCKER_CONTEXT"),
        pytest.param("colima", {"DOCKER_CONTEXT": "default"}, DEFAULT, id="DOCKER_CONTEXT wins"),
        pytest.param("colima", {"DOCKER_HOST": "unix:///h.sock"}, "unix:///h.sock", id="DOCKER_HOST wins"),
    ],
)
def test_the_engine_is_the_one_of_the_docker_command(config, monkeypatch, present, environment, address) -> None:
    (config / "config.json").write_text(json.dumps({"currentContext": present} if present else {}))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert Engine().address == address


def test_a_context_that_does_not_exist_is_said(config) -> None:
    (config / "config.json").write_text(json.dumps({"currentContext": "gone"}))

    with pytest.raises(BackendError, match="docker context use default"):
        _ = Engine().api


@pytest.mark.parametrize("address", ["ssh://me@there", "tcp://10.0.0.1:2375"])
def test_an_engine_elsewhere_is_refused(address) -> None:
    with pytest.raises(BackendError, match=r"does not see the folders of this one.*leave the image out"):
        _ = Engine(address).api


def test_an_engine_that_is_not_there_says_both_ways_out(tmp_path) -> None:
    with pytest.raises(EngineError, match=r"install or start docker.*leave the image out") as error:
        _ = Engine(f"unix://{tmp_path}/none.sock").api

    assert "No such file" not in str(error.value)


def test_an_engine_that_may_not_be_used_says_how_to_be_allowed() -> None:
    why = "Error while fetching server API version: ('Connection aborted.', PermissionError(13, 'Permission denied'))"

    error = _absent(DEFAULT, why)

    assert "sudo usermod -aG docker" in str(error)
    assert not isinstance(error, EngineError)  # it does not go away by waiting


@linux
@pytest.mark.parametrize(
    ("info", "user", "remaps", "foreign", "selinux"),
    [
        pytest.param({}, OWN, False, False, False, id="rootful"),
        pytest.param({"SecurityOptions": ["name=rootless"]}, "0:0", False, True, False, id="rootless"),
        pytest.param({"SecurityOptions": ["name=userns", "name=selinux"]}, OWN, True, False, True, id="remapped"),
        pytest.param({"SecurityOptions": ["name=seccomp,profile=default"]}, OWN, False, False, False, id="usual"),
        pytest.param({"OperatingSystem": "Docker Desktop"}, None, False, False, False, id="virtual machine"),
    ],
)
def test_containers_run_as_whoever_gives_the_submitter_the_files(info, user, remaps, foreign, selinux) -> None:
    facts = _facts(info, {"Arch": "amd64"})

    assert (facts.user, facts.remaps_users, facts.leaves_foreign_files, facts.has_selinux) == (
        user, remaps, foreign, selinux,
    )  # fmt: skip
