"""Machines: what a job says of its nodes becomes all that makes one, or is refused before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from contracts.nouns import a_machine

from sparkles import manifest as manifests
from sparkles.backends.gcp.machines import Machines
from sparkles.config import Gcp
from sparkles.errors import RequestError
from sparkles.machine import Machine, Program
from sparkles.spec import JobSpec, spec_of

IMAGE = "r-base@sha256:" + "2" * 64


class OneProgram:
    """The same program for every kind of processor."""

    def program(self, architecture: str) -> Program:
        return a_machine().program

    def files(self, machine: Machine) -> Mapping[str, Path]:
        return {}


def a_spec(**spec: Any) -> JobSpec:
    document = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"command": "x", **spec}}
    return spec_of(manifests.with_defaults(document))


@pytest.fixture
def machines() -> Machines:
    return Machines(gcp=Gcp(project="p", bucket="b", region="us-central1"), delivery=OneProgram())


def test_a_bucket_as_a_folder_is_refused_with_what_can_be_done_instead(machines) -> None:
    spec = a_spec(resources={"mounts": [{"bucket": "data", "path": "/data"}]})

    with pytest.raises(RequestError, match=r"^spec\.resources\.mounts: .* such as gs://data/FOLDER/, or "):
        machines.machine(spec, IMAGE)
