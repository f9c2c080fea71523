"""Records: how each noun is laid down as an entity of Datastore, and read back.

What the key says is not said again. A field that is None, or has its default, takes no room. Only three properties are
indexed, each of them made for the questions that are asked: `queue`, `job_state` and `lease`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields, replace
from enum import Enum
from typing import Any, TypeVar

from sparkles.backends.gcp.datastore import FAIL, Entity, Mutation
from sparkles.errors import BackendError
from sparkles.machine import Machine, machine_from
from sparkles.model import (
    Applying,
    Canary,
    Cluster,
    Fence,
    Job,
    JobState,
    Key,
    NewTasks,
    Node,
    NodeState,
    Past,
    Reason,
    Record,
    Sample,
    Stop,
    Task,
    TaskState,
    Waiting,
)

#: The kind of each record's entity.
KINDS = {"job": "Job", "task": "Task", "node": "Node", "cluster": "Cluster", "fence": "Fence"}

_NOUNS: dict[str, type[Record]] = {"job": Job, "task": Task, "node": Node, "cluster": Cluster, "fence": Fence}

#: What the key says, or another property, or the server.
_IN_KEY = {"job": {"name", "silence"}, "task": {"job", "index", "state"}, "node": {"name", "silence"},
           "cluster": {"name", "silence"}, "fence": {"job", "shard"}}  # fmt: skip

#: What most tasks have when they are made, a hundred thousand of them perhaps.
_NEW_TASK = {"generation": 1, "version": 1}

#: Property → what it is if it is not there, for each kind.
_DEFAULTS: dict[str, dict[str, Any]] = {
    kind: {
        field.name: None if field.default is MISSING else field.default
        for field in fields(noun)
        if field.name not in _IN_KEY[kind]
    }
    | (_NEW_TASK if kind == "task" else {})
    for kind, noun in _NOUNS.items()
}

#: The properties that are indexed.
INDEXED = frozenset({"queue", "job_state", "lease"})

#: How `job_state` ends for each state: the open ones come first, so that one range holds both.
_SUFFIXES = {
    state: f"{0 if state in (TaskState.PENDING, TaskState.CLAIMED) else 1}{state.value}" for state in TaskState
}
_STATES = {suffix: state for state, suffix in _SUFFIXES.items()}

#: Seconds that one value of `lease` holds for: an index that all nodes write to is not to be written often.
_LEASE_STEP = 60

_Part = TypeVar("_Part", Applying, Waiting, Canary)

#: Properties and their values.
Properties = dict[str, Any]


def entity_name(key: Key) -> str:
    """Return the name of a record's entity.

    The tasks of a job are one range of names, and spread over it, so that not all are written to the same place.
    """
    if key.kind == "task":
        return f"{job_range(key.name)}{_hash(str(key.index), 4)}:{key.index}"
    if key.kind == "fence":
        return f"{job_range(key.name)}{key.index}"
    return key.name


def job_range(job: str) -> str:
    """Return what the names of all tasks of a job begin with. It ends in a colon; `;` is what comes after that."""
    return f"{_hash(job, 8)}:{job}:"


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def job_of(name: str) -> str:
    """Return the job of the task whose entity has this name."""
    return name.split(":", 2)[1]


def index_of(name: str) -> int:
    """Return the index of the task whose entity has this name."""
    return int(name.rpartition(":")[2])


def job_state(job: str, state: TaskState) -> str:
    """Return the property that finds the tasks of a job in a state."""
    return f"{job}/{_SUFFIXES[state]}"


def state_of(entity: Any) -> TaskState:
    """Return the state of a task's entity."""
    return _STATES[entity.properties["job_state"].string_value.partition("/")[2]]


def held_by(node: str) -> str:
    """Return the property that finds the tasks which a node holds."""
    return f"h:{node}"


def queue_of(cluster: str) -> str:
    """Return what the property begins with that finds the pending tasks of a cluster."""
    return f"p:{cluster}/"


def leases(cluster: str, *, quiet: float) -> tuple[str, str]:
    """Return between which two values the property is that finds the nodes of a cluster.

    If they are `quiet` for some seconds, those that were written within them are mostly left out.
    """
    return f"{cluster}/", _lease(cluster, time.time() - quiet + _LEASE_STEP) if quiet else f"{cluster}0"


def _lease(cluster: str, written: float) -> str:
    return f"{cluster}/{int(written) // _LEASE_STEP:010d}"


def encode(record: Record) -> Properties:
    """Return the properties of a record, but for the indexed ones."""
    kind = record.key.kind
    return {
        name: plain
        for name, default in _DEFAULTS[kind].items()
        if (plain := _plain(getattr(record, name))) != _plain(default)
    }


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case Applying() | Waiting() | Canary() | Machine():
            return json.dumps(asdict(value))
        case tuple():
            return json.dumps(value, default=asdict) if value else None
        case Mapping():
            return json.dumps(value) if value else None
        case _:
            return value


def indexed(record: Record, old: Record | None) -> Properties:
    """Return the indexed properties of a record: those that stay what they were for `old`, as None."""
    match record:
        case Task():
            return _indexed_task(record, old if isinstance(old, Task) else None)
        case Job() if record.is_open:
            return {"queue": record.cluster}
        case Node() if record.state is not NodeState.GONE:
            return {"lease": _lease(record.cluster, time.time())}
        case _:
            return {}


def _indexed_task(task: Task, old: Task | None) -> Properties:
    found: Properties = {"job_state": job_state(task.job, task.state)}
    if task.state is TaskState.PENDING:
        stays = old is not None and old.state is TaskState.PENDING and old.cluster == task.cluster
        found["queue"] = None if stays else queue_of(task.cluster) + os.urandom(4).hex()
    elif task.state is TaskState.CLAIMED:
        found["queue"] = held_by(task.node or "")
    return found


def mutation(record: Record, old: Record | None, base: int | None, commit: str) -> Any:
    """Return what writes a record: over `old` as it was read with the version `base`, or anew.

    Of an old one only what has changed is written: properties that this version of sparkles does not know stay.
    """
    after = {**encode(record), "commit": commit}
    found = Mutation()
    if old is None:
        _fill(found.insert, {**after, **indexed(record, None)})
        return found
    before = encode(old)
    now = indexed(record, old)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    changed |= {name for name in ("queue", "lease") if name in indexed(old, None) or name in now}
    changed |= {"job_state"} if isinstance(record, Task) else set()
    kept = {name for name, value in now.items() if value is None}
    _fill(found.update, {**after, **{name: value for name, value in now.items() if value is not None}})
    for name in [name for name in found.update.properties if name not in changed]:
        del found.update.properties[name]
    found.property_mask.paths.extend(sorted(changed - kept))
    found.base_version, found.conflict_resolution_strategy = base, FAIL
    return found


def _fill(entity: Any, properties: Properties) -> None:
    for name, value in properties.items():
        into = entity.properties[name]
        match value:
            case bool():
                into.boolean_value = value
            case int():
                into.integer_value = value
            case float():
                into.double_value = value
            case bytes():
                into.blob_value = value
            case _:
                into.string_value = value
        if name not in INDEXED:
            into.exclude_from_indexes = True


def insertions(tasks: NewTasks, commit: str, *, name: Callable[[Any, str], None]) -> Iterator[tuple[Key, Any]]:
    """Yield what writes each of many new tasks. What they share is made once; `name` fills in a key, given a name."""
    template = Entity()
    _fill(template, {**encode(replace(tasks.template, version=1)), "commit": commit, **indexed(tasks.template, None)})
    name(template.key, "")
    queue = queue_of(tasks.template.cluster)
    for index, row, digest in tasks.rows:
        found = Mutation()
        entity = found.insert
        entity.CopyFrom(template)
        properties = entity.properties
        properties["row"].string_value = row
        properties["row"].exclude_from_indexes = True
        properties["digest"].blob_value = digest
        properties["digest"].exclude_from_indexes = True
        properties["queue"].string_value = queue + os.urandom(4).hex()
        key = Key.task(tasks.template.job, index)
        entity.key.path[0].name = entity_name(key)
        yield key, found


class UnreadableError(BackendError):
    """A record that another version of sparkles wrote, and this one cannot read."""


def decode(key: Key, entity: Any, *, silence: float) -> Record:
    """Read a record back, passing over what is not known of it. `silence`: the seconds since it was written.

    Raises UnreadableError if what is known is not enough.
    """
    try:
        return _decode(key, entity, silence)
    except (KeyError, TypeError, ValueError):
        name = f"{key.name}.{key.index}" if key.kind == "task" else key.name
        raise UnreadableError(
            f"the record of {key.kind} {name} was written by another version of sparkles; use that version"
        ) from None


def _decode(key: Key, entity: Any, silence: float) -> Record:
    properties = {name: _value(value) for name, value in entity.properties.items()}
    known = {name: properties.get(name, default) for name, default in _DEFAULTS[key.kind].items()}
    return _DECODE[key.kind](key, known, entity, silence)


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value_type"))


def _task(key: Key, known: Properties, entity: Any, _: float) -> Task:
    stop, reason = known["stop"], known["reason"]
    found = {
        "stop": Stop(stop) if stop else None,
        "reason": Reason(reason) if reason else None,
        "history": tuple(map(_past, json.loads(known["history"] or "[]"))),
    }
    return Task(job=key.name, index=key.index, state=state_of(entity), **{**known, **found})


def _past(values: Properties) -> Past:
    return Past(**{**_known(Past, values), "reason": Reason(values["reason"])})


def _job(key: Key, known: Properties, _: Any, silence: float) -> Job:
    waiting = _part(Waiting, known["waiting"])
    found = {
        "state": JobState(known["state"]),
        "applying": _part(Applying, known["applying"]),
        "waiting": replace(waiting, needs=tuple(waiting.needs)) if waiting else None,
        "canary": _part(Canary, known["canary"]),
    }
    return Job(name=key.name, silence=silence, **{**known, **found})


def _part(noun: type[_Part], text: str | None) -> _Part | None:
    return noun(**_known(noun, json.loads(text))) if text else None


def _known(noun: type[Applying | Canary | Past | Waiting], values: Properties) -> Properties:
    """Return what this version knows of a noun's fields."""
    names = {field.name for field in fields(noun)}
    return {name: value for name, value in values.items() if name in names}


def _node(key: Key, known: Properties, _: Any, silence: float) -> Node:
    samples = {
        claim: Sample(*sample[: len(Sample._fields)]) for claim, sample in json.loads(known["samples"] or "{}").items()
    }
    phases = json.loads(known["phases"] or "{}")
    found = {"state": NodeState(known["state"]), "samples": samples, "phases": phases}
    return Node(name=key.name, silence=silence, **{**known, **found})


def _cluster(key: Key, known: Properties, _: Any, silence: float) -> Cluster:
    found = {
        "machine": machine_from(json.loads(known["machine"])) if known["machine"] else None,
        "lingerers": tuple(json.loads(known["lingerers"] or "[]")),
    }
    return Cluster(name=key.name, silence=silence, **{**known, **found})


def _fence(key: Key, known: Properties, _: Any, __: float) -> Fence:
    return Fence(job=key.name, shard=key.index, **known)


_DECODE: dict[str, Callable[[Key, Properties, Any, float], Record]] = {
    "job": _job,
    "task": _task,
    "node": _node,
    "cluster": _cluster,
    "fence": _fence,
}
