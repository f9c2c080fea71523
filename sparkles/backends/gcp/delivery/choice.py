"""Delivery: how the worker program gets to nodes. The store brings the program; its libraries, the image or the store.

A stock image of Python needs nobody to build anything, and so is the usual one: the libraries are brought in beside
the program. An image that has them starts sooner: `sparkles setup --worker-image` makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sparkles import image_name
from sparkles.backends.gcp.delivery.program import ProgramArchive
from sparkles.backends.gcp.delivery.wheels import wheels
from sparkles.backends.gcp.delivery.worker_image import WorkerImage
from sparkles.backends.gcp.delivery.worker_lock import Lock, worker_lock
from sparkles.config import STOCK_IMAGE
from sparkles.errors import RequestError, SparklesError
from sparkles.machine import Machine, Program


class Pinning(Protocol):
    """What is needed of `ports.Images`."""

    def pin(self, name: str, *, architecture: str | None = None) -> str:
        """See Images."""
        ...


class ProgramDelivery:
    """See Delivery. `image` is the worker image of the settings; libraries that were fetched are kept in `folder`."""

    def __init__(self, images: Pinning, image: str | None, *, folder: Path, lock: Lock | None = None) -> None:
        self._images = images
        self._image = image or STOCK_IMAGE
        self._folder = folder
        self._lock = lock or worker_lock()
        self._program = ProgramArchive()

    def program(self, architecture: str) -> Program:
        """See Delivery."""
        if self._is_tagged:
            return self._in(self._image, architecture)
        made = WorkerImage(repository=self._image, lock=self._lock)
        for name in (made.name, self._image):
            with suppress(RequestError):  # there is none of this version, or it is made for other processors
                return self._in(name, architecture)
        return self._in(STOCK_IMAGE, architecture)

    def files(self, machine: Machine) -> Mapping[str, Path]:
        """See Delivery."""
        program, architecture = machine.program, machine.architecture
        makers: dict[str, Callable[[], Path]] = {}
        if program.sha256 == self._program.sha256:
            makers[program.sha256] = lambda: self._program.path
        if program.wheels and program.wheels == self._lock.archives[architecture]:
            makers[program.wheels] = lambda: wheels(self._lock, architecture, folder=self._folder)
        return _Files(makers)

    @property
    def _is_tagged(self) -> bool:
        name = image_name.parse(self._image)
        return bool(name.tag or name.digest)

    def _in(self, name: str, architecture: str) -> Program:
        try:
            pinned = self._images.pin(name, architecture=architecture)
        except SparklesError as error:
            error.args = (f"the worker: {error}",)
            raise
        has_libraries = image_name.parse(name).tag == self._lock.tag
        libraries = None if has_libraries else self._lock.archives[architecture]
        return Program(sha256=self._program.sha256, image=pinned, wheels=libraries)


class _Files(Mapping[str, Path]):
    """sha256 → file. A file is made, or fetched, when it is asked for: mostly the store has it already."""

    def __init__(self, makers: Mapping[str, Callable[[], Path]]) -> None:
        self._makers = makers

    def __getitem__(self, digest: str) -> Path:
        return self._makers[digest]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)
