"""An image of one's own for the worker: built by a real engine, brought to a real registry, found there."""

from __future__ import annotations

import os
from contextlib import closing

import engine
import pytest
from backends.gcp.small_lock import a_lock

from sparkles.backends.docker.engine import Engine
from sparkles.backends.gcp.delivery.choice import ProgramDelivery
from sparkles.backends.gcp.delivery.worker_image import WorkerImage
from sparkles.backends.gcp.images import RegistryImages
from sparkles.errors import BackendError

#: Stands for python:3.13-slim; made by tests/images/python.
PYTHON = "sparkles-test/python"


@pytest.fixture
def api():
    api = engine.connection()
    if not engine.has_image(api, PYTHON):
        pytest.skip(f"needs the image {PYTHON}: bash tests/images/python")
    return api


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """One small library, on a shelf that is the only place where pip looks."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    return a_lock(tmp_path / "shelf")


@pytest.fixture
def made(api, registry, lock, tmp_path):
    """An image that was made and pushed, and is not on this machine any more."""
    image, said = WorkerImage(repository=f"{registry.address}/sparkles/worker", lock=lock), []
    with closing(Engine()) as builder:
        image.make(builder, said.append, folder=tmp_path / "wheels", base=PYTHON)
    api.remove_image(image.name)
    assert said == [f"building {image.name} from {PYTHON}", f"pushing {image.name}"]
    return image


@pytest.fixture
def images(registry):
    return RegistryImages(ours="ours", plain=[registry.address], token=lambda: None)


def test_an_image_has_the_libraries_and_is_the_worker_s_from_then_on(made, images, api, tmp_path):
    delivery = ProgramDelivery(images, made.repository, folder=tmp_path / "wheels", lock=made.lock)

    program = delivery.program("amd64")

    assert made.is_in(images)
    assert program.wheels is None
    assert answer(api, program.image) == "42"


def answer(api, image):
    """Return what the small library says in a container of the image."""
    api.pull(image)
    words = ["python", "-c", "import tiny; print(tiny.answer)"]
    container = api.create_container(image, words)["Id"]
    try:
        api.start(container)
        api.wait(container)
        return api.logs(container).decode().strip()
    finally:
        api.remove_container(container)
        api.remove_image(image)


def test_an_image_that_nobody_made_is_not_there(registry, images):
    assert not WorkerImage(repository=f"{registry.address}/sparkles/nobody").is_in(images)


def test_what_the_engine_cannot_build_is_told_in_its_words(api, lock, tmp_path):
    image = WorkerImage(repository="127.0.0.1:1/sparkles/worker", lock=lock)

    with closing(Engine()) as builder, pytest.raises(BackendError) as refusal:
        image.make(builder, print, folder=tmp_path / "wheels", base="sparkles-test/nobody-made-this")

    assert str(refusal.value).startswith(f"image {image.name} cannot be built: ")


def test_what_cannot_be_pushed_is_told_in_the_engine_s_words(api, lock, tmp_path):
    image = WorkerImage(repository="127.0.0.1:1/sparkles/worker", lock=lock)

    try:
        with closing(Engine()) as builder, pytest.raises(BackendError) as refusal:
            image.make(builder, print, folder=tmp_path / "wheels", base=PYTHON)
    finally:
        api.remove_image(image.name)

    assert str(refusal.value).startswith(f"image {image.name} cannot be pushed: ")
    assert "refused" in str(refusal.value)
