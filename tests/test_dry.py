"""Dry: a dry run goes the way of the real one, with stores that refuse writes."""

from __future__ import annotations

import inspect

import pytest
from contracts.fakes import READS, FakeBuckets, a_backend, a_manifest, applied
from contracts.nouns import a_cluster, a_job, a_node, put

from sparkles import apply, dry
from sparkles.dry import WriteRefusedError, read_only
from sparkles.marking import Submitter
from sparkles.model import Writes
from sparkles.ports.backend import Environments
from sparkles.ports.buckets import Buckets
from sparkles.ports.compute import Compute
from sparkles.ports.objects import ObjectStore
from sparkles.ports.state import StateStore
from sparkles.prepare import prepare

PARTS = {
    StateStore: "state",
    ObjectStore: "objects",
    Compute: "compute",
    Environments: "environments",
    Buckets: "buckets",
}

WRITES = [
    pytest.param(part, name, id=f"{part}.{name}")
    for port, part in PARTS.items()
    for name, _ in inspect.getmembers(port, inspect.isfunction)
    if not name.startswith("_") and name not in READS[port]
]


@pytest.mark.parametrize(("part", "name"), WRITES)
def test_what_writes_is_refused(tmp_path, part, name) -> None:
    store = getattr(read_only(a_backend(tmp_path, buckets=FakeBuckets())), part)

    with pytest.raises(WriteRefusedError, match=f"a dry run called {name}"):
        getattr(store, name)


def test_everything_that_is_allowed_is_a_read_of_its_port() -> None:
    for port, part in PARTS.items():
        assert dry._READS[part] - {"commit_limit", "streams", "row_limit"} <= READS[port]


def test_a_dry_run_plans_what_an_apply_then_does(tmp_path) -> None:
    backend = a_backend(tmp_path / "home")
    applied(a_manifest(tmp_path, ["true"], parameters={"seq": 2}), backend)
    manifest = a_manifest(tmp_path, ["true"], parameters={"seq": 3})

    planned = prepare(manifest, read_only(backend)).plan
    done = prepare(manifest, backend)

    assert planned == done.plan
    with pytest.raises(WriteRefusedError):
        apply.execute(done, read_only(backend), Submitter(owner="me", environment={}))


def test_reading_goes_through(tmp_path) -> None:
    backend = a_backend(tmp_path)
    put(backend.state, a_job(), a_node(), a_cluster())

    reading = read_only(backend).state

    assert [job.name for job in reading.jobs()] == ["j"]
    assert [node.name for node in reading.nodes("c")] == ["n"]
    with pytest.raises(WriteRefusedError):
        reading.change([], lambda _: Writes())
