"""Scaler: who starts nodes of a cluster holds a lease on it meanwhile, so that two never start the same ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sparkles import staffing
from sparkles.model import Cluster, Records, Writes
from sparkles.ports import StateStore
from sparkles.staffing import SCALER_LEASE

#: Seconds between two looks whether it is free.
_PAUSE = 0.5


class Lease:
    """The lease, while it is held."""

    def __init__(self) -> None:
        #: Nodes that were asked for under it.
        self.asked = 0


@contextmanager
def scaling(cluster: Cluster, state: StateStore, *, patience: float = SCALER_LEASE + 5.0) -> Iterator[Lease | None]:
    """Hold the lease on a cluster; None without one: another has had it for as long as the `patience`.

    At its end the cluster's record says how many nodes were asked for; none is told to go any more if there were any.
    """
    token = os.urandom(8).hex()
    if not _taken(cluster, state, token, patience=patience):
        yield None
        return
    lease = Lease()
    try:
        yield lease
    finally:
        state.change([cluster.key], _freed(cluster, token, lease))


def _taken(cluster: Cluster, state: StateStore, token: str, *, patience: float) -> bool:
    deadline = time.monotonic() + patience

    def move(records: Records) -> Writes:
        current = records.get(cluster.key)
        taken = staffing.take_scaler(current, token=token) if isinstance(current, Cluster) else None
        return Writes(put=[taken] if taken else [])

    while cluster.key not in state.change([cluster.key], move):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _freed(cluster: Cluster, token: str, lease: Lease) -> Callable[[Records], Writes]:
    def move(records: Records) -> Writes:
        current = records.get(cluster.key)
        if not isinstance(current, Cluster):
            return Writes()
        freed = staffing.free_scaler(current, token=token, asked=lease.asked)
        return Writes(put=[freed] if freed else [])

    return move
