"""How the worker program gets to nodes: the same bytes from everywhere, in the image that suits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from backends.gcp.image_server import Shelf, an_image
from backends.gcp.internet import an_internet
from backends.gcp.small_lock import a_lock

import sparkles
from sparkles.backends.gcp import web
from sparkles.backends.gcp.delivery.archive import archive
from sparkles.backends.gcp.delivery.choice import ProgramDelivery
from sparkles.backends.gcp.delivery.program import ProgramArchive
from sparkles.backends.gcp.images import RegistryImages
from sparkles.backends.gcp.web import Web
from sparkles.errors import RequestError
from sparkles.machine import Machine, Program
from sparkles.resources import shipped

ROOT = Path(__file__).resolve().parents[4]
OURS = "us-central1-docker.pkg.dev/p/sparkles/worker"

# The archive


def test_an_archive_depends_on_names_and_content_alone(tmp_path):
    paths = [tmp_path / name for name in ("one", "two")]
    for path in paths:
        path.write_bytes(path.name.encode())
    before = archive([("a/1", paths[0]), ("b", paths[1])])

    os.utime(paths[0], (1, 1))
    paths[1].chmod(0o700)

    assert archive([("b", paths[1]), ("a/1", paths[0])]) == before


def test_the_program_is_all_that_an_installed_wheel_has(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), "."], cwd=ROOT,
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"needs pip, and what it builds wheels with: {done.stderr.strip().splitlines()[-1]}")
    [wheel] = tmp_path.glob("*.whl")
    built = zipfile.ZipFile(wheel)

    found = {name: built.read(name) for name in built.namelist() if not name.startswith("sparkles-")}

    assert {name: path.read_bytes() for name, path in shipped()} == found


def test_an_installed_wheel_delivers_the_same_program_as_a_checkout(tmp_path):
    here = ProgramArchive()
    with zipfile.ZipFile(here.path) as program:
        program.extractall(tmp_path)
    code = "from sparkles.backends.gcp.delivery.program import ProgramArchive; print(ProgramArchive().sha256)"

    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.strip() == here.sha256


def test_the_archive_is_a_program():
    program = ProgramArchive()

    done = subprocess.run(
        [sys.executable, "-c", "import sparkles; print(sparkles.__version__, sparkles.__file__)"], cwd="/",
        env={**os.environ, "PYTHONPATH": str(program.path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.split()[0] == sparkles.__version__
    assert str(program.path) in done.stdout


# The image


@pytest.fixture
def internet(monkeypatch):
    monkeypatch.setattr(web, "_PAUSES", ())
    with an_internet() as internet:
        internet.servers["registry-1.docker.io"] = Shelf({"3.13-slim": an_image(author="python")})
        yield internet


@pytest.fixture
def lock(tmp_path):
    return a_lock(tmp_path / "shelf")


@pytest.fixture
def delivery(internet, lock, tmp_path):
    images = RegistryImages(ours=OURS, web=Web(session=internet.session), token=lambda: None)
    return lambda image: ProgramDelivery(images, image, folder=tmp_path / "wheels", lock=lock)


def test_by_default_a_stock_python_is_given_the_libraries(delivery, lock):
    program = delivery(None).program("amd64")

    assert program.sha256 == ProgramArchive().sha256
    assert program.image == f"python@{an_image(author='python').digest}"
    assert program.wheels == lock.archives["amd64"]


def test_an_image_that_has_the_libraries_is_given_none(delivery, lock, internet):
    internet.servers["us-central1-docker.pkg.dev"] = Shelf({lock.tag: an_image()})

    for named in (OURS, f"{OURS}:{lock.tag}"):
        program = delivery(named).program("amd64")

        assert program.image == f"{OURS}@{an_image().digest}"
        assert program.wheels is None


@pytest.mark.parametrize("tag", ["3.13", "latest"])
def test_any_other_image_that_the_settings_name_is_a_stock_python(delivery, lock, internet, tag):
    internet.servers["quay.io"] = Shelf({tag: an_image()})

    program = delivery("quay.io/lab/python" if tag == "latest" else f"quay.io/lab/python:{tag}").program("amd64")

    assert program.image == f"quay.io/lab/python@{an_image().digest}"
    assert program.wheels == lock.archives["amd64"]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_images_of_other_versions_and_processors_are_passed_over(delivery, lock, internet, architecture):
    tag = lock.tag if architecture == "arm64" else "0123456789ab"
    internet.servers["us-central1-docker.pkg.dev"] = Shelf({tag: an_image()})
    python = an_image(architecture)
    internet.servers["registry-1.docker.io"] = Shelf({"3.13-slim": python})

    program = delivery(OURS).program(architecture)

    assert (program.image, program.wheels) == (f"python@{python.digest}", lock.archives[architecture])


def test_an_image_that_is_not_there_is_named_as_the_worker_s(delivery, internet):
    internet.servers["quay.io"] = Shelf({})

    with pytest.raises(RequestError, match=r"^the worker: image 'quay.io/lab/python:3': there is none"):
        delivery("quay.io/lab/python:3").program("amd64")


# The files


def a_machine(program: Program) -> Machine:
    return Machine(
        program=program, image="i", region="r", type="n1-standard-1", boot_disk_gb=10, boot_disk_type="d", max_life=60.0
    )


def test_libraries_are_fetched_only_if_the_store_lacks_them(delivery, lock, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    brought = delivery(None)
    program = brought.program("amd64")

    files = brought.files(a_machine(program))

    assert set(files) == {program.sha256, program.wheels}
    assert hashlib.sha256(files[program.sha256].read_bytes()).hexdigest() == program.sha256
    assert capfd.readouterr().err == ""
    assert files[program.wheels].exists()
    assert "once: 1 files" in capfd.readouterr().err


def test_of_another_version_s_nodes_nothing_is_brought(delivery):
    brought = delivery(None)
    program = replace(brought.program("amd64"), sha256="other", wheels="others")

    assert dict(brought.files(a_machine(program))) == {}
