"""What the names of images mean, with a real engine and a real registry of this machine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import urllib.request
from contextlib import closing, suppress

import pytest
from conftest import eventually
from docker.auth import resolve_repository_name
from engine import busybox_files, import_image, load_image, remove_images

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.images import DockerImages
from sparkles.errors import BackendError, RequestError
from sparkles.image_name import parse

pytestmark = pytest.mark.process

USER, PASSWORD = "alice", "wonderland"
HASHED = "$2b$04$EecAoD2jxEsbyV.feh26e.mbpD7ZzhaywYrYXV3uK9Mq3IvMEEIAS"


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """A private registry: its name."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs a registry: apt-get install docker-registry")
    folder = tmp_path_factory.mktemp("registry")
    (folder / "users").write_text(f"{USER}:{HASHED}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "tests", "path": str(folder / "users")}},
    }
    (folder / "settings.yml").write_text(json.dumps(settings))
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([program, "serve", folder / "settings.yml"], stdout=log, stderr=log) as server,
    ):
        eventually(lambda: listens(address))
        yield address
        server.terminate()


def listens(address):
    with suppress(OSError):
        urllib.request.urlopen(f"http://{address}/")
        return True
    return False


@pytest.fixture
def logged_in(registry, tmp_path, monkeypatch):
    """`docker login` has been done."""
    token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry: {"auth": token}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


@pytest.fixture
def images(api):
    with closing(Engine()) as engine:
        yield DockerImages(engine)


@pytest.fixture
def pushed(registry, api, images):
    """The name of an image that is in the registry and not on this machine; and its digest."""
    name = f"{registry}/team/tool:1"
    import_image(api, name.removesuffix(":1"), {**busybox_files(), "id": name.encode()})
    api.tag(name.removesuffix(":1"), name.removesuffix(":1"), "1")
    credentials = {"username": USER, "password": PASSWORD}
    events = list(api.push(name, auth_config=credentials, stream=True, decode=True))
    digest = next(event["aux"]["Digest"] for event in events if "aux" in event)
    yield name, digest
    remove_images(api, name, name.removesuffix(":1"), f"{name.removesuffix(':1')}@{digest}")


def forget(api, name):
    image = api.inspect_image(name)["Id"]
    api.remove_image(image, force=True)


def test_an_image_that_is_only_here_is_its_id(images, make_image) -> None:
    image = make_image("own")

    assert images.pin("sparkles-test/own") == images.pin("sparkles-test/own:latest") == image
    assert images.pin(image) == image


def test_an_image_that_a_registry_has_is_its_digest(images, pushed) -> None:
    name, digest = pushed

    assert images.pin(name) == f"{name.removesuffix(':1')}@{digest}"


def test_the_digest_is_that_of_the_registry_that_the_name_begins_with(images, api, pushed) -> None:
    name, _ = pushed
    api.tag(name, "sparkles-test/renamed")

    assert images.pin("sparkles-test/renamed") == api.inspect_image(name)["Id"]

    remove_images(api, "sparkles-test/renamed")


def test_a_pinned_image_is_not_looked_for(images) -> None:
    digest = f"sha256:{'7' * 64}"

    assert images.pin(f"quay.io/me/tool@{digest}") == images.pin(f"quay.io/me/tool:1@{digest}")
    assert images.pin(f"quay.io/me/tool:1@{digest}") == f"quay.io/me/tool@{digest}"


def test_an_image_is_found_and_fetched_with_the_users_own_login(images, api, pushed, logged_in) -> None:
    name, digest = pushed
    forget(api, name)
    seen = []

    pinned = images.pin(name)
    images.fetch(pinned, lambda done, size: seen.append((done, size)))

    assert pinned.endswith(digest)
    assert images.inspect(pinned)
    assert all(done <= size for done, size in seen)
    assert seen[-1][0] == seen[-1][1]


def test_without_the_login_it_is_said_what_to_do(images, api, registry, pushed, stranger) -> None:
    name, digest = pushed
    forget(api, name)

    with pytest.raises(BackendError, match=f"docker login {registry}"):
        images.pin(name)
    with pytest.raises(BackendError, match=f"docker login {registry}"):
        images.fetch(f"{name.removesuffix(':1')}@{digest}", lambda *_: None)


def test_a_broken_program_for_credentials_is_said(images, registry, tmp_path, monkeypatch) -> None:
    program = tmp_path / "docker-credential-broken"
    program.write_text("#!/bin/sh\necho no keyring >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {registry: "broken"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))

    with pytest.raises(BackendError, match=r"docker: .*[Cc]redentials"):
        images.pin(f"{registry}/team/tool:1")


def test_the_registry_is_the_one_that_the_library_sends_credentials_to() -> None:
    names = ["r-base", "me/tool:1", "quay.io/x", "us.gcr.io/p/x:2", "localhost/x", "localhost:5000/x", "host:5000/x/y"]

    assert [parse(name).registry for name in names] == [resolve_repository_name(name)[0] for name in names]


@pytest.mark.parametrize("name", ["MyRegistry/x", "LocalHost/x"])
def test_a_registry_that_programs_disagree_about_is_refused(name) -> None:
    with pytest.raises(RequestError, match="is not the name of an image"):
        parse(name)


def test_a_name_that_the_registry_does_not_have_is_a_wrong_request(images, registry, logged_in) -> None:
    with pytest.raises(RequestError, match=f"none of this name on this machine or at {registry}"):
        images.pin(f"{registry}/team/nosuch:2")


def test_a_registry_that_does_not_answer_is_said(images) -> None:
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:1 cannot be asked"):
        images.pin("127.0.0.1:1/x")


def test_an_image_for_another_machine_is_a_wrong_request(images, api) -> None:
    if images._engine.facts.architecture is None:
        pytest.skip("needs a machine that emulates no others: remove qemu-user-static")
    load_image(api, "sparkles-test/s390x", "s390x")

    with pytest.raises(RequestError, match=r"made for s390x; the docker engine here runs"):
        images.pin("sparkles-test/s390x")

    remove_images(api, "sparkles-test/s390x")


def test_what_was_built_here_and_is_gone_cannot_be_fetched(images) -> None:
    with pytest.raises(BackendError, match="build it anew"):
        images.fetch(f"sha256:{'0' * 64}", lambda *_: None)


def test_what_is_here_is_not_fetched_again(images, busybox) -> None:
    images.fetch(images.pin(busybox), lambda *_: pytest.fail("nothing has to come"))
