"""Prepare: pin a manifest, observe the stores, plan. Everything is decided here, and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from sparkles import manifest as manifests
from sparkles import plan
from sparkles.errors import RequestError
from sparkles.manifest import Manifest
from sparkles.model import Cluster, Job, Key
from sparkles.plan import NOTHING, Desired, Observed, Plan, Rerun
from sparkles.ports import Backend
from sparkles.resolve import Pinned, pin


class Upload(TypedDict):
    """What an apply uploads."""

    files: int
    missing: int
    upload_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A manifest, pinned and planned: everything is decided, nothing is written."""

    pinned: Pinned
    plan: Plan
    rerun: Rerun
    desired: Desired
    #: The job as observed; None for a new one.
    job: Job | None
    cluster: Cluster
    #: sha256 of the blobs that the store lacks.
    missing: frozenset[str]

    @property
    def name(self) -> str:
        """Return the job's name."""
        name: str = self.pinned.document["metadata"]["name"]
        return name

    @property
    def upload(self) -> Upload:
        """Return how much is to be uploaded, of how many files: the worker program and the local files."""
        size = sum(self.pinned.sources[digest].stat().st_size for digest in self.missing)
        return {"files": 1 + self.pinned.files, "missing": len(self.missing), "upload_bytes": size}


def prepare(manifest: Manifest, backend: Backend, *, rerun: Rerun = Rerun.NONE) -> Prepared:
    """Decide what an apply of `manifest` would do. Writes nothing."""
    pinned = pin(manifest, backend)
    cluster = cluster_of(pinned, backend)
    desired = Desired(
        digests=pinned.definition().digests(pinned.sweep),
        seq=pinned.sweep.seq,
        document=pinned.document,
        cluster=cluster.name,
    )
    job, observed = observe(manifest.name, backend)
    if job is None and backend.objects.results(manifest.name):
        raise RequestError(
            f"job {manifest.name}: results of a deleted job of this name are still there; keep them with "
            f"'sparkles fetch {manifest.name} DEST_DIR', remove them with 'sparkles delete --results {manifest.name}'"
        )
    return Prepared(
        pinned=pinned,
        plan=plan.make(manifest.name, desired, observed, rerun=rerun),
        rerun=rerun,
        desired=desired,
        job=job,
        cluster=cluster,
        missing=frozenset(backend.objects.missing(sorted(pinned.digests))),
    )


def observe(name: str, backend: Backend) -> tuple[Job | None, Observed]:
    """Read what the stores hold of a job."""
    job = find_job(backend, name)
    if job is None:
        return None, NOTHING
    stored = backend.objects.read_manifest(name, job.generation) if job.generation else None
    return job, Observed(
        tasks=backend.state.columns(name),
        document=manifests.load(stored) if stored else None,
        generation=job.generation,
        last_index=job.last_index,
        cluster=job.cluster if job.generation else "",
        cut_off=job.applying is not None,
    )


def find_job(backend: Backend, name: str) -> Job | None:
    """Return the job of this name, or None."""
    record = backend.state.read([Key.job(name)]).get(Key.job(name))
    assert record is None or isinstance(record, Job)
    return record


def cluster_of(pinned: Pinned, backend: Backend) -> Cluster:
    """Return the cluster whose nodes can serve a job."""
    spec = pinned.spec
    slots = spec.slots or backend.default_slots
    linger = backend.default_linger if spec.linger is None else spec.linger
    return Cluster(name=f"{backend.name}-{slots}-{backend.worker}", slots=slots, linger=linger)
