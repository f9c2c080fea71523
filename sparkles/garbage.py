"""Garbage: what is kept and nobody needs any more. Whoever is about to use something finds it there.

An apply counts on what it has found before anything says so: it may take a while from when it asks whether a blob is
there until its manifest names it. So whoever finds an old blob touches it, and what was touched lately is never
garbage, whether something names it or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sparkles.model import Cluster, Job, JobState, Key, Node, Records, Writes
from sparkles.ports.backend import Backend
from sparkles.ports.keeping import Keeper, Kept

_HOUR, _DAY = 3600.0, 86_400.0

#: Seconds for which nothing of a kind is garbage. A client believes for a day that a blob is there which it has seen,
#: and it may have been two days old then.
AGES = {
    "blob": 7 * _DAY,
    "boot log": 30 * _DAY,
    "probe": _DAY,
    "trash": _DAY,
    "node folder": _DAY,
    "group": _HOUR,
    "VM": _HOUR,
}

#: Seconds that records of nodes stay, for people who ask what became of one; and those of clusters.
NODE_AGE, CLUSTER_AGE = 7 * _DAY, _DAY

#: What names a blob, wherever it stands in a manifest.
_SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """Something that nobody needs."""

    kind: str
    name: str
    #: Seconds; None where that is not known.
    age: float | None
    #: Bytes; None where that is no question.
    size: int | None
    why: str
    remove: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class _InUse:
    """What jobs and nodes need."""

    blobs: frozenset[str]
    #: Clusters that have something to do, or nodes.
    clusters: frozenset[str]
    nodes: frozenset[str]


def find(backend: Backend, keepers: Sequence[Keeper], *, now: float) -> Iterator[Garbage]:
    """Yield what nobody needs. Changes nothing.

    What is kept is listed first and what is used after that: what comes into use meanwhile is not taken for garbage.
    """
    listed = [(keeper, list(keeper.kept())) for keeper in keepers]
    used = _in_use(backend)
    for keeper, things in listed:
        yield from (_garbage(thing, why, keeper) for thing in things if (why := _why(thing, used)))
    yield from _records(backend, used, [thing for _, things in listed for thing in things], now=now)


def _in_use(backend: Backend) -> _InUse:
    jobs, nodes, clusters = backend.state.jobs(), backend.state.nodes(), backend.state.clusters()
    busy = {job.cluster for job in jobs if _is_busy(job, backend)} | {node.cluster for node in nodes}
    return _InUse(
        blobs=frozenset(_named_blobs(backend, clusters)),
        clusters=frozenset(busy | {each.name for each in clusters if backend.state.pending(each.name, limit=1)}),
        nodes=frozenset(node.name for node in nodes),
    )


def _is_busy(job: Job, backend: Backend) -> bool:
    is_to_run = job.applying is not None or job.state in (JobState.WAITING, JobState.ACTIVE)
    return is_to_run or backend.state.is_open(job.name)


def _named_blobs(backend: Backend, clusters: Sequence[Cluster]) -> Iterator[str]:
    """Yield all that could be the name of a blob in a manifest, and the blobs that nodes start from."""
    for text in backend.objects.manifests():
        yield from _SHA256.findall(text)
    for cluster in clusters:
        if cluster.machine:
            program = cluster.machine.program
            yield from (digest for digest in (program.sha256, program.wheels) if digest)


def _why(thing: Kept, used: _InUse) -> str | None:
    """Return why something is garbage; None if it is not.

    >>> used = _InUse(blobs=frozenset(["a"]), clusters=frozenset(), nodes=frozenset())
    >>> _why(Kept(kind="blob", name="a", age=1e9), used)
    >>> _why(Kept(kind="blob", name="b", age=1e9), used)
    'no manifest names it'
    >>> _why(Kept(kind="blob", name="b", age=1e5), used)
    """
    if thing.age < AGES[thing.kind]:
        return None
    match thing.kind:
        case "blob":
            return None if thing.name in used.blobs else "no manifest names it"
        case "node folder":
            return None if thing.name in used.nodes else "its node is gone"
        case "group":
            return None if thing.cluster in used.clusters else "no job and no node needs it"
        case "VM":
            return None if thing.cluster in used.clusters else "its group is gone"
        case _:
            return "it is old"


def _garbage(thing: Kept, why: str, keeper: Keeper) -> Garbage:
    return Garbage(
        kind=thing.kind,
        name=thing.name,
        age=thing.age,
        size=thing.size,
        why=f"{why}; it has {thing.machines} VMs, which cost money"
        if thing.machines and thing.kind == "group"
        else why,
        remove=lambda: keeper.drop([thing]),
    )


def _records(backend: Backend, used: _InUse, kept: Sequence[Kept], *, now: float) -> Iterator[Garbage]:
    """Yield records that nobody needs: of nodes that are gone for long, and of clusters that nobody points to."""
    for node in backend.state.past_nodes():
        age = now - node.created if node.silence is None else node.silence
        if age > NODE_AGE and not backend.state.held(node.name):
            yield _record("node", node, backend, age=age, why=f"it is {node.state.value}")
    clusters = backend.state.clusters()  # before the jobs: one that gets a job from now on is written, too
    owned = {job.cluster for job in backend.state.jobs()} | {thing.cluster for thing in kept} | used.clusters
    for cluster in clusters:
        is_old = cluster.silence is None or cluster.silence > CLUSTER_AGE
        if is_old and cluster.name not in owned:
            yield _record("cluster", cluster, backend, age=cluster.silence, why="no job names it")


def _record(kind: str, record: Node | Cluster, backend: Backend, *, age: float | None, why: str) -> Garbage:
    return Garbage(
        kind=kind,
        name=record.name,
        age=age,
        size=None,
        why=why,
        remove=lambda: _forget(record, backend),
    )


def _forget(record: Node | Cluster, backend: Backend) -> None:
    """Remove a record, unless it has been written since it was read."""
    key: Key = record.key

    def move(records: Records) -> Writes:
        current = records.get(key)
        return Writes(remove=[key]) if current and current.version == record.version else Writes()

    backend.state.change([key], move)
