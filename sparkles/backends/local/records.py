"""Records: how each noun is laid down in a SQLite table, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, fields
from typing import Any

from sparkles.model import (
    Applying,
    Canary,
    Cluster,
    Fence,
    Job,
    JobState,
    Key,
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

#: Raised by one with each change of `SCHEMA`; an older file is migrated, a newer one refused.
SCHEMA_VERSION = 6

#: What makes a file of each version one of the next.
MIGRATIONS = {
    1: ["ALTER TABLE job ADD COLUMN scaled INTEGER", "ALTER TABLE job ADD COLUMN waiting TEXT"],
    2: ["DROP INDEX task_state", 'CREATE INDEX task_state ON task(job, state, "index")'],
    3: ["ALTER TABLE node ADD COLUMN more TEXT", "ALTER TABLE cluster ADD COLUMN more TEXT"],
    4: ["ALTER TABLE job ADD COLUMN whole TEXT"],
    5: [
        "ALTER TABLE job ADD COLUMN more TEXT",
        "ALTER TABLE task ADD COLUMN killed_by TEXT",
        "ALTER TABLE task ADD COLUMN history TEXT",
        "ALTER TABLE task ADD COLUMN queued REAL",
        "ALTER TABLE task ADD COLUMN said TEXT",
    ],
}

SCHEMA = """
CREATE TABLE job (
  name TEXT PRIMARY KEY, state TEXT NOT NULL, generation INTEGER NOT NULL, cluster TEXT NOT NULL,
  owner TEXT NOT NULL, submitted REAL NOT NULL, ended REAL, last_index INTEGER NOT NULL,
  max_nodes INTEGER NOT NULL, scaled INTEGER, whole TEXT, waiting TEXT, applying TEXT,
  environment TEXT,
  version INTEGER NOT NULL, more TEXT);
CREATE TABLE task (
  job TEXT NOT NULL, "index" INTEGER NOT NULL, row TEXT NOT NULL, digest BLOB NOT NULL,
  generation INTEGER NOT NULL, cluster TEXT NOT NULL, state TEXT NOT NULL, node TEXT, claim TEXT, stop TEXT,
  killed_by TEXT, attempts INTEGER NOT NULL, failures INTEGER NOT NULL, losses INTEGER NOT NULL,
  exit INTEGER, reason TEXT, history TEXT, queued REAL, started REAL, ended REAL, said TEXT, peak_memory INTEGER,
  result_generation TEXT, version INTEGER NOT NULL);
-- Claims follow the rowid, that is, the order of submission.
CREATE UNIQUE INDEX task_key ON task(job, "index");
-- Without the index, the few tasks that run would be looked for among a million.
CREATE INDEX task_state ON task(job, state, "index");
CREATE INDEX task_pending ON task(cluster) WHERE state = 'pending';
CREATE INDEX task_held ON task(node) WHERE state = 'claimed';
CREATE TABLE node (
  name TEXT PRIMARY KEY, cluster TEXT NOT NULL, state TEXT NOT NULL, slots INTEGER NOT NULL,
  created REAL NOT NULL, beat INTEGER NOT NULL, beat_clock REAL NOT NULL, beat_boot TEXT NOT NULL,
  pid INTEGER, samples TEXT NOT NULL, worked INTEGER NOT NULL, version INTEGER NOT NULL, more TEXT);
CREATE TABLE cluster (
  name TEXT PRIMARY KEY, slots INTEGER NOT NULL, linger REAL NOT NULL, epoch INTEGER NOT NULL,
  version INTEGER NOT NULL, more TEXT);
"""

#: Looking a state or a reason up is quicker than making one of its value.
TASK_STATES = {state.value: state for state in TaskState}
_REASONS: dict[str | None, Reason | None] = {None: None, **{reason.value: reason for reason in Reason}}

_TYPES: dict[str, type[Record]] = {"job": Job, "task": Task, "node": Node, "cluster": Cluster}

#: The fields of jobs, nodes and clusters that have columns of their own; those that are mostly empty share `more`.
_OWN = {
    "job": ("name", "state", "generation", "cluster", "owner", "submitted", "ended", "last_index", "max_nodes",
            "scaled", "whole", "waiting", "applying", "environment", "version"),
    "node": ("name", "cluster", "state", "slots", "created", "beat", "beat_clock", "beat_boot", "pid", "samples",
             "worked", "version"),
    "cluster": ("name", "slots", "linger", "epoch", "version"),
}  # fmt: skip

#: Those that share it, with what they mostly are.
_MORE: dict[str, dict[str, Any]] = {
    kind: {
        field.name: {} if field.default is MISSING else field.default
        for field in fields(_TYPES[kind])
        if field.compare and field.name not in own
    }
    for kind, own in _OWN.items()
}

#: Columns of each table, in the order of the values of a row.
COLUMNS: dict[str, tuple[str, ...]] = {
    kind: (*_OWN[kind], "more") if kind in _OWN else tuple(field.name for field in fields(noun) if field.compare)
    for kind, noun in _TYPES.items()
}
QUOTED = {kind: ", ".join(f'"{column}"' for column in columns) for kind, columns in COLUMNS.items()}


def encode(record: Record) -> tuple[Any, ...]:
    """Return the values of the record's row, in the order of `COLUMNS`."""
    match record:
        case Task():
            return (
                record.job, record.index, record.row, record.digest, record.generation, record.cluster,
                record.state.value, record.node, record.claim, record.stop and record.stop.value,
                record.killed_by, record.attempts, record.failures, record.losses, record.exit,
                record.reason and record.reason.value,
                json.dumps([asdict(past) for past in record.history]) if record.history else None,
                record.queued, record.started, record.ended, record.said, record.peak_memory,
                record.result_generation, record.version,
            )  # fmt: skip
        case Job():
            return (
                record.name, record.state.value, record.generation, record.cluster, record.owner,
                record.submitted, record.ended, record.last_index, record.max_nodes,
                record.scaled, record.whole, json.dumps(asdict(record.waiting)) if record.waiting else None,
                json.dumps(asdict(record.applying)) if record.applying else None,
                record.environment, record.version, _more(record),
            )  # fmt: skip
        case Node():
            return (
                record.name, record.cluster, record.state.value, record.slots, record.created, record.beat,
                record.beat_clock, record.beat_boot, record.pid, json.dumps(record.samples),
                record.worked, record.version, _more(record),
            )  # fmt: skip
        case Cluster():
            return (record.name, record.slots, record.linger, record.epoch, record.version, _more(record))
        case Fence():
            raise AssertionError("only stores with several streams keep fences")


def _more(record: Job | Node | Cluster) -> str | None:
    """Return the fields without columns of their own, those that are not what they mostly are."""
    found = {name: value for name, usual in _MORE[record.key.kind].items() if (value := getattr(record, name)) != usual}
    return json.dumps(found, default=asdict) if found else None


def task_from(row: Sequence[Any]) -> Task:
    """Read a task back."""
    return Task(
        job=row[0], index=row[1], row=row[2], digest=row[3], generation=row[4], cluster=row[5],
        state=TASK_STATES[row[6]], node=row[7], claim=row[8], stop=Stop(row[9]) if row[9] else None,
        killed_by=row[10], attempts=row[11], failures=row[12], losses=row[13], exit=row[14],
        reason=_REASONS[row[15]], history=_history(row[16]) if row[16] else (),
        queued=row[17], started=row[18], ended=row[19], said=row[20], peak_memory=row[21],
        result_generation=row[22], version=row[23],
    )  # fmt: skip


def _history(text: str) -> tuple[Past, ...]:
    return tuple(Past(**{**past, "reason": Reason(past["reason"])}) for past in json.loads(text))


def job_from(row: Sequence[Any]) -> Job:
    """Read a job back."""
    values = dict(zip(COLUMNS["job"], row, strict=True))
    applying = Applying(**json.loads(values["applying"])) if values["applying"] else None
    waiting = json.loads(values["waiting"]) if values["waiting"] else None
    more = json.loads(values.pop("more") or "{}")
    if "canary" in more:
        more["canary"] = Canary(**more["canary"])
    return Job(
        **{
            **values,
            "state": JobState(values["state"]),
            "waiting": Waiting(**{**waiting, "needs": tuple(waiting["needs"])}) if waiting else None,
            "applying": applying,
            **more,
        }
    )


def node_from(row: Sequence[Any]) -> Node:
    """Read a node back."""
    values = dict(zip(COLUMNS["node"], row, strict=True))
    samples = {claim: Sample(*sample) for claim, sample in json.loads(values["samples"]).items()}
    more = json.loads(values.pop("more") or "{}")
    found = {"state": NodeState(values["state"]), "samples": samples, "worked": bool(values["worked"])}
    return Node(**{**values, **found, **more})


def cluster_from(row: Sequence[Any]) -> Cluster:
    """Read a cluster back."""
    values = dict(zip(COLUMNS["cluster"], row, strict=True))
    more = json.loads(values.pop("more") or "{}")
    if "machine" in more:
        from sparkles.machine import machine_from

        more["machine"] = machine_from(more["machine"])
    return Cluster(**{**values, **more, "lingerers": tuple(more.get("lingerers", ()))})


DECODE: dict[str, Callable[[Sequence[Any]], Record]] = {
    "job": job_from,
    "task": task_from,
    "node": node_from,
    "cluster": cluster_from,
}


def where(key: Key) -> tuple[str, tuple[Any, ...]]:
    """Return the condition, and its values, that select the row of `key`."""
    if key.kind == "task":
        return 'job = ? AND "index" = ?', (key.name, key.index)
    return "name = ?", (key.name,)
