"""Prepare: pin a manifest, observe the stores, plan. Everything is decided here, and nothing is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import TypedDict

from sparkles import canonical, names, needs, plan, results
from sparkles import manifest as manifests
from sparkles.checkout import without_git
from sparkles.compile import Row, row_writer
from sparkles.errors import BackendError, RequestError
from sparkles.machine import Machine
from sparkles.manifest import Manifest
from sparkles.model import Cluster, Job, JobState, Key, Node, Task
from sparkles.nodes import find_cluster, staffing_of
from sparkles.parts import whole_of
from sparkles.plan import NOTHING, Desired, Observed, Plan, Rerun
from sparkles.plan.matching import LABEL_SIZE
from sparkles.ports.backend import Backend
from sparkles.quantities import human_bytes
from sparkles.resolve import NO_IMAGES, Pinned, pin
from sparkles.sweep import Sweep


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
    #: Plans again, from the job as it is then observed.
    planned: Callable[[Observed], Plan]
    rerun: Rerun
    desired: Desired
    #: The job as observed; None for a new one.
    job: Job | None
    cluster: Cluster
    #: sha256 of the pinned document: an apply of the same one is resumed.
    digest: str
    #: The highest index ever given, before this apply gives any.
    last_index: int
    #: The jobs that it has to wait for, if it has to wait.
    needs: tuple[str, ...]
    #: sha256 → file of what nodes need of the store to start.
    supplies: Mapping[str, Path]
    #: sha256 of the blobs that the store lacks.
    missing: frozenset[str]

    @property
    def name(self) -> str:
        """Return the job's name."""
        name: str = self.pinned.document["metadata"]["name"]
        return name

    @property
    def whole(self) -> str | None:
        """Return the name of the whole that the job is a part of."""
        return whole_of(self.pinned.document)

    def source(self, digest: str) -> Path:
        """Return the file of one of those that are `local`."""
        return self.pinned.sources.get(digest) or self.supplies[digest]

    @property
    def local(self) -> Sequence[str]:
        """The sha256 of what is to be uploaded from here; what else is missing are results in the store."""
        return sorted(self.missing.intersection((*self.pinned.sources, *self.supplies)))

    @property
    def libraries(self) -> str | None:
        """The sha256 of the libraries of nodes, if they are to be uploaded: once for all jobs, and not counted."""
        wheels = self.cluster.machine.program.wheels if self.cluster.machine else None
        return wheels if wheels in self.missing else None

    @property
    def upload(self) -> Upload:
        """Return how much is to be uploaded, of how many files: the worker program and the local files."""
        counted = [digest for digest in self.local if digest != self.libraries]
        size = sum(self.source(digest).stat().st_size for digest in counted)
        return {"files": 1 + self.pinned.files, "missing": len(counted), "upload_bytes": size}


def prepare(
    manifest: Manifest,
    backend: Backend,
    *,
    rerun: Rerun = Rerun.NONE,
    changing: Collection[str] = (),
    refresh_image: bool = False,
) -> Prepared:
    """Decide what an apply of `manifest` would do. Writes nothing; but hashes of files that were read are kept.

    `changing` names jobs whose results will be others, because they are applied before this one. The image stays the
    one that the job has, as long as its name does, unless told to `refresh_image`.
    """
    waits = needs.unmet(manifest.document, backend, changing=changing)
    has_image = "image" in manifest.document["spec"]
    images = _image_of(manifest.name, backend) if has_image and not refresh_image else NO_IMAGES
    pinned = pin(manifest, backend, waits=waits, images=images)
    backend.hashes.keep()
    cluster = cluster_of(pinned, backend)
    job, observed = observe(manifest.name, backend, cluster=cluster.name)
    if job is None and backend.objects.results(manifest.name):
        raise RequestError(
            f"job {manifest.name}: results of a deleted job of this name are still there; keep a copy with "
            f"'sparkles fetch {manifest.name} DEST_DIR', then remove them with 'sparkles delete --results "
            f"{manifest.name}'"
        )
    return _prepared(pinned, cluster, job, observed, backend, rerun=rerun)


def prepare_stored(job: Job, backend: Backend, *, rerun: Rerun = Rerun.NONE, retry: Collection[int] = ()) -> Prepared:
    """Decide what an apply of a job's own stored manifest would do now, on the nodes that it was meant for.

    One that has begun has all that it needed pinned, so it does not wait again.
    """
    document = results.manifest(job, backend)
    manifest = Manifest(document=document, source=f"job {job.name}", base=Path("/"))
    waits = () if "indices" in document["status"] else needs.unmet(document, backend, changing=())
    cluster = find_cluster(job.cluster, backend)
    if cluster is None:
        raise BackendError(f"job {job.name}: its cluster {job.cluster} is not on record; apply its manifest again")
    pinned = replace(pin(manifest, backend, waits=waits), image=document["status"].get("image"))
    _, observed = observe(job.name, backend, cluster=cluster.name)
    prepared = _prepared(pinned, cluster, job, observed, backend, rerun=rerun, retry=retry)
    if job.applying and not job.applying.begins and job.applying.digest != prepared.digest:
        raise RequestError(f"job {job.name}: its last apply was cut off, or is under way; apply that manifest again")
    return prepared


def _image_of(name: str, backend: Backend) -> Mapping[str, str]:
    """Return (name → pinned) of the image that a job has."""
    job = find_job(backend, name)
    stored = backend.objects.read_manifest(name, job.generation) if job and job.generation else None
    document = manifests.load(stored) if stored else {}
    image = document.get("status", {}).get("image")
    return {image: document["spec"]["image"]} if image else NO_IMAGES


def _prepared(
    pinned: Pinned,
    cluster: Cluster,
    job: Job | None,
    observed: Observed,
    backend: Backend,
    *,
    rerun: Rerun,
    retry: Collection[int] = (),
) -> Prepared:
    _require_short_rows(pinned.sweep, backend)
    desired = Desired(
        digests=b"" if pinned.waits else pinned.definition().digests(pinned.sweep),
        seq=pinned.sweep.seq,
        document=pinned.document,
        cluster=cluster.name,
        slots=cluster.slots,
        most_nodes=backend.most_nodes,
        rows=lambda places: _rows_at(pinned.sweep, places),
        labels=lambda: _labels(map(row_writer(pinned.sweep.columns), pinned.sweep)),
        waits=pinned.waits,
        canary=pinned.spec.canary,
    )

    digest = canonical.sha256(without_git(pinned.document))
    supplies = backend.compute.supplies(cluster)
    if job and job.applying and job.applying.digest == digest:
        observed = replace(observed, last_index=job.applying.last_index)

    def planned(observed: Observed) -> Plan:
        return plan.make(pinned.document["metadata"]["name"], desired, observed, rerun=rerun, retry=retry)

    return Prepared(
        pinned=pinned,
        plan=planned(observed),
        planned=planned,
        rerun=rerun,
        desired=desired,
        job=job,
        cluster=cluster,
        digest=digest,
        last_index=observed.last_index,
        needs=needs.present(pinned.document, backend, waits=pinned.waits),
        supplies=supplies,
        missing=frozenset(backend.objects.missing(sorted({*pinned.digests, *supplies}))),
    )


def _require_short_rows(sweep: Sweep, backend: Backend) -> None:
    """Raise RequestError for a row that is longer than what the state can keep of a task."""
    limit = backend.state.row_limit
    if limit is None:
        return
    row = row_writer(sweep.columns)
    for number, values in enumerate(sweep, start=1):
        if sum(map(len, values)) > limit // 8 and (size := len(row(values).encode())) > limit:
            raise RequestError(
                f"spec.parameters: row {number} takes {human_bytes(size)}; the backend {backend.name} keeps at most "
                f"{human_bytes(limit)} of a task: put the values into a file, and its name into the row"
            )


def _rows_at(sweep: Sweep, places: Collection[int]) -> Iterator[Row]:
    wanted = bytearray(len(sweep))
    for place in places:
        wanted[place] = 1
    return (dict(zip(sweep.columns, values, strict=True)) for values in compress(sweep, wanted))


def observe(name: str, backend: Backend, *, cluster: str) -> tuple[Job | None, Observed]:
    """Read what the stores hold of a job that `cluster` is to serve."""
    nodes = backend.state.nodes(cluster)
    coming = partial(_coming, cluster, nodes, backend)
    job = find_job(backend, name)
    if job is None:
        return None, replace(NOTHING, nodes=nodes, coming=coming)
    stored = backend.objects.read_manifest(name, job.generation) if job.generation else None
    return job, Observed(
        tasks=backend.state.columns(name),
        document=manifests.load(stored) if stored else None,
        generation=job.generation,
        last_index=job.last_index,
        cluster=job.cluster if job.generation else "",
        cut_off=job.applying is not None,
        waiting=job.waiting,
        canary=job.canary,
        begun=_begun(job, backend),
        killed=job.state is JobState.KILLED,
        scaled=job.scaled,
        nodes=nodes,
        coming=coming,
        rows=lambda indices: _stored_rows(name, indices, backend),
        labels=lambda: _labels(backend.state.rows(name)),
    )


def _begun(job: Job, backend: Backend) -> frozenset[int]:
    if not (job.canary and job.applying and job.applying.begins):
        return frozenset()
    return frozenset(task.index for task in backend.state.tasks(job.name) if task.generation == job.applying.generation)


def _coming(cluster: str, nodes: Sequence[Node], backend: Backend) -> int:
    found = staffing_of(cluster, nodes, backend)
    return found.submitted + found.staging


def _labels(rows: Iterable[str]) -> bytes:
    labels = bytearray()
    for row in rows:
        labels += hashlib.blake2b(row.encode(), digest_size=LABEL_SIZE).digest()
    return bytes(labels)


def _stored_rows(name: str, indices: Collection[int], backend: Backend) -> Mapping[int, Row]:
    found = backend.state.read([Key.task(name, index) for index in indices])
    return {task.index: json.loads(task.row) for task in found.values() if isinstance(task, Task)}


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
    machine = backend.compute.machine(spec, spec.image)
    if machine is None:
        name = f"{backend.name}-{slots}-{backend.worker()}"
        return Cluster(name=name, slots=slots, linger=linger, keep=spec.keep)
    owner = whole_of(pinned.document) or pinned.document["metadata"]["name"]
    return Cluster(
        name=_name_for(machine, slots=slots, place=backend.objects.url(owner), worker=backend.worker()),
        slots=slots,
        linger=linger,
        machine=machine,
        owner_job=owner,
        keep=_keep(owner) if spec.keep is None else spec.keep,
    )


def _name_for(machine: Machine, *, slots: int, place: str, worker: str) -> str:
    """Return the name of the cluster of such machines for one job or whole, which has a `place` of its own."""
    facts = {"place": place, "slots": slots, "worker": worker, "machine": asdict(machine)}
    return f"s-{canonical.sha256(facts)[:16]}"


def _keep(job: str) -> int:
    """Return how many nodes linger where nobody says: nobody can reuse those of a job whose name was generated."""
    return 0 if names.is_generated(job) else 1
