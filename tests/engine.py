"""A real docker engine for the tests, and images made of this machine's own programs: nothing is pulled."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

#: All the programs of `busybox_image`.
BUSYBOX = "sparkles-test/busybox"

#: Made by tests/images/r-base, since no test pulls.
R_BASE = "r-base"

_FOLDERS = {"bin": 0o755, "usr": 0o755, "usr/bin": 0o755, "etc": 0o755, "tmp": 0o1777, "data": 0o777}


def connection() -> docker.APIClient:
    """Return a connection to the engine, or skip."""
    try:
        return docker.from_env().api
    except DockerException as error:
        pytest.skip(f"needs a docker engine ({error}): apt-get install docker.io, then start dockerd")


def busybox_image(api: docker.APIClient) -> str:
    """Return the name of an image with a shell and the usual small programs; make it if need be."""
    if not has_image(api, BUSYBOX):
        import_image(api, BUSYBOX, busybox_files())
    return BUSYBOX


def has_image(api: docker.APIClient, name: str) -> bool:
    try:
        api.inspect_image(name)
    except ImageNotFound:
        return False
    return True


def busybox_files() -> dict[str, bytes | str]:
    """Return the files of an image: path → content of a program, or the target of a link."""
    program = shutil.which("busybox")
    if program is None or subprocess.run(["ldd", program], capture_output=True, check=False).returncode == 0:
        pytest.skip("needs a busybox that stands alone: apt-get install busybox-static")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    links = {f"bin/{name}": "/bin/busybox" for name in names if name != "busybox"}
    return {"bin/busybox": Path(program).read_bytes(), **links, "usr/bin/env": "/bin/busybox"}


def import_image(
    api: docker.APIClient, name: str, files: Mapping[str, bytes | str], changes: tuple[str, ...] = ()
) -> str:
    """Make an image of files, with these lines of a Dockerfile; return its id."""
    api.import_image_from_data(archive(files), repository=name, changes=list(changes))
    return str(api.inspect_image(name)["Id"])


def load_image(api: docker.APIClient, name: str, architecture: str) -> None:
    """Make an empty image for a kind of machine."""
    layer = archive({})
    layers = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = {"architecture": architecture, "os": "linux", "rootfs": layers, "config": {}}
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "manifest.json": manifest}
    texts = {path: json.dumps(content).encode() for path, content in files.items()}
    list(api.load_image(archive({**texts, "layer.tar": layer}, folders={})))


def archive(files: Mapping[str, bytes | str], folders: Mapping[str, int] = _FOLDERS) -> bytes:
    """Return the files as a tar archive."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for folder, mode in folders.items():
            tar.addfile(_entry(folder, type=tarfile.DIRTYPE, mode=mode))
        for path, data in files.items():
            if isinstance(data, str):
                tar.addfile(_entry(path, type=tarfile.SYMTYPE, linkname=data))
            else:
                tar.addfile(_entry(path, size=len(data), mode=0o755), io.BytesIO(data))
    return content.getvalue()


def remove_images(api: docker.APIClient, *names: str) -> None:
    for name in names:
        with suppress(DockerException):
            api.remove_image(name, force=True)


def forget_registry(address: str) -> None:
    """Remove what this machine's engine, if there is one, has from a registry."""
    with suppress(DockerException), closing(docker.from_env(timeout=300).api) as api:
        for image in api.images():
            names = [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
            remove_images(api, *(name for name in names if name.startswith(f"{address}/")))


@contextmanager
def named(api: docker.APIClient, image: str, name: str) -> Iterator[None]:
    """Let an image have another name meanwhile. If some image has it, that one is used."""
    was_there = has_image(api, name)
    if not was_there:
        api.tag(image, *name.split(":"))
    try:
        yield
    finally:
        if not was_there:
            remove_images(api, name)


def _entry(name: str, **fields: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def containers(api: docker.APIClient, **labels: str) -> list[str]:
    """Return the names of the containers, running or not, with all of these labels."""
    filters = {"label": [f"{name.replace('_', '.')}={value}" for name, value in labels.items()]}
    return [found["Names"][0].lstrip("/") for found in api.containers(all=True, filters=filters)]
