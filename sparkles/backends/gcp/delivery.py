"""Delivery: this very installation as an archive that a node runs, always the same bytes for the same program."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from sparkles.backends.gcp.images import RegistryImages
from sparkles.machine import Machine, Program
from sparkles.resources import shipped

#: What the worker program runs in, where the settings name nothing else.
_IMAGE = "python:3.13-slim"

#: Archives know no earlier day.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


class ProgramDelivery:
    """See Delivery. `image` is the name of the image that the program runs in."""

    def __init__(self, images: RegistryImages, image: str | None) -> None:
        self._images = images
        self._image = image or _IMAGE

    def program(self, architecture: str) -> Program:
        """See Delivery."""
        return Program(sha256=self._digest, image=self._images.pin(self._image, architecture=architecture))

    def files(self, machine: Machine) -> Mapping[str, Path]:
        """See Delivery."""
        return {self._digest: self._archive} if machine.program.sha256 == self._digest else {}

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self._archive.read_bytes()).hexdigest()

    @cached_property
    def _archive(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="sparkles-")
        path = Path(self._folder.name) / "program.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, source in sorted(shipped()):
                archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), source.read_bytes(), zipfile.ZIP_DEFLATED)
        return path
