"""Wheels: the libraries of the worker program, fetched once for each kind of processor, and kept at home.

A node installs them without asking anybody: what it gets is what was settled on, to the byte.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sparkles.backends.gcp.delivery.archive import archive
from sparkles.backends.gcp.delivery.worker_lock import Lock
from sparkles.backends.replacing import replacing
from sparkles.errors import BackendError

#: The Python that runs the worker.
_PYTHON = "3.13"

#: What wheels for Linux say they need of it: what the worker's image has, and older things.
_SYSTEMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")

#: Kind of processor, as docker calls it → as wheels do.
_PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}

#: What somebody can do who cannot fetch them here.
_INSTEAD = "or have an image made that has them, by 'sparkles setup --worker-image' on a machine that has docker"


def wheels(lock: Lock, architecture: str, *, folder: Path) -> Path:
    """Return the archive of the libraries for a kind of processor. Fetches them if it is not in `folder` yet."""
    digest = lock.archives[architecture]
    path = folder / f"{digest}.zip"
    if not path.exists():
        _say(f"fetching what the worker needs, once: {lock.files} files")
        with replacing(path) as partial:
            partial.write_bytes(_fetched(lock, architecture, digest))
        _tidy(folder, lock)
    return path


def _fetched(lock: Lock, architecture: str, digest: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="sparkles-") as scratch:
        requirements, into = Path(scratch, "lock"), Path(scratch, "wheels")
        requirements.write_text(lock.text, encoding="utf-8")
        download(["--no-deps", "--require-hashes", "--requirement", str(requirements)], architecture, into=into)
        content, found = archive((path.name, path) for path in into.iterdir())
    if found != digest:
        raise BackendError(
            "the libraries of the worker program that pip fetched are not those that this sparkles was made with; "
            f"look at 'python -m pip config list' for what else it was told, {_INSTEAD}"
        )
    return content


def download(what: Sequence[str], architecture: str, *, into: Path) -> None:
    """Have pip download wheels for the worker's Python. Raises BackendError if it cannot."""
    if find_spec("pip") is None:
        raise BackendError(
            "the libraries of the worker program are fetched with pip, which is not beside sparkles; bring it with "
            f"'{sys.executable} -m ensurepip', {_INSTEAD}"
        )
    systems = [f"--platform={system}_{_PROCESSORS[architecture]}" for system in _SYSTEMS]
    kind = ["--only-binary=:all:", "--implementation=cp", f"--python-version={_PYTHON}", *systems]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--retries=2"]
    argv = [sys.executable, "-m", "pip", "download", *quiet, *kind, f"--dest={into}", *what]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise BackendError(
            f"the libraries of the worker program cannot be fetched with pip: {_cause(done.stderr)}; check the network "
            f"and 'python -m pip config list', {_INSTEAD}"
        )


def _cause(said: str) -> str:
    """Return what pip says is wrong. Without a network it retries, and in the end knows of no such library."""
    lines = said.strip().splitlines()
    if any("connection broken" in line for line in lines):
        return "where it looks for them cannot be reached"
    if any("DO NOT MATCH" in line for line in lines):
        return "what comes from where it looks for them does not have its checksum"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it does not say why"])[-1].rstrip(".")


def _tidy(folder: Path, lock: Lock) -> None:
    """Remove what earlier versions of sparkles fetched."""
    for path in folder.glob("*.zip"):
        if path.stem not in lock.archives.values():
            path.unlink(missing_ok=True)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - it may take a minute, wherever it was called for
