"""Nouns for tests: records with only what a test says about them."""

from __future__ import annotations

import hashlib
from typing import Any

from sparkles.machine import Disk, Machine, Mount, Program
from sparkles.model import Cluster, Job, JobState, Node, NodeState, Record, Task, TaskState, Writes
from sparkles.ports.state import StateStore


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def a_job(name: str = "j", **fields: Any) -> Job:
    known: dict[str, Any] = {
        "state": JobState.ACTIVE,
        "generation": 1,
        "cluster": "c",
        "owner": "someone",
        "submitted": 1000.0,
    }
    return Job(name=name, **{**known, **fields})


def a_task(index: int = 1, **fields: Any) -> Task:
    known: dict[str, Any] = {
        "job": "j",
        "row": "{}",
        "digest": digest_of(str(index)),
        "generation": 1,
        "cluster": "c",
    }
    return Task(index=index, **{**known, **fields})


def a_claimed_task(index: int = 1, *, node: str = "n", **fields: Any) -> Task:
    return a_task(index, **{"state": TaskState.CLAIMED, "node": node, "claim": f"claim-{index}", **fields})


def a_node(name: str = "n", **fields: Any) -> Node:
    known: dict[str, Any] = {"cluster": "c", "state": NodeState.ALIVE, "slots": 1, "created": 1000.0}
    return Node(name=name, **{**known, **fields})


def a_cluster(name: str = "c", **fields: Any) -> Cluster:
    return Cluster(name=name, **{"slots": 1, "linger": 0.0, **fields})


def a_machine(**fields: Any) -> Machine:
    """Return a machine with something of everything."""
    known: dict[str, Any] = {
        "program": Program(sha256="ab" * 32, image="python@sha256:" + "1" * 64, wheels="cd" * 32),
        "image": "r-base@sha256:" + "2" * 64, "region": "us-central1", "zones": ("us-central1-a", "us-central1-b"),
        "type": "n1-standard-4", "gpu": "nvidia-tesla-t4", "gpus": 1, "boot_disk_gb": 40,
        "boot_disk_type": "pd-balanced", "disks": (Disk(size_gb=100, type="pd-ssd", mount="/scratch"),),
        "mounts": (Mount(bucket="data", path="/data"),), "spot": True, "on_demand_after": 2, "max_life": 604800.0,
        "account": "node@p.iam.gserviceaccount.com",
    }  # fmt: skip
    return Machine(**{**known, **fields})


def put(store: StateStore, *records: Record) -> None:
    """Write records as they are, over what was there."""
    store.change([record.key for record in records], lambda _: Writes(put=records))
