"""Scaler: who starts nodes of a cluster holds a lease on it meanwhile, so that two never start the same ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from sparkles.model import Cluster, Records, Writes
from sparkles.ports import StateStore

#: Seconds after which a lease that nobody has given back is free again, by the store's clock.
_LEASE = 60.0

#: Seconds between two looks whether it is free.
_PAUSE = 0.5


class Lease:
    """The lease, while it is held."""

    def __init__(self) -> None:
        #: Nodes that were asked for under it.
        self.asked = 0


@contextmanager
def scaling(cluster: Cluster, state: StateStore, *, patience: float = _LEASE + 5.0) -> Iterator[Lease | None]:
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
        if not isinstance(current, Cluster) or not _is_free(current):
            return Writes()
        return Writes(put=[replace(current, scaler=token)])

    while cluster.key not in state.change([cluster.key], move):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _is_free(cluster: Cluster) -> bool:
    return cluster.scaler is None or (cluster.silence is not None and cluster.silence > _LEASE)


def _freed(cluster: Cluster, token: str, lease: Lease) -> Callable[[Records], Writes]:
    def move(records: Records) -> Writes:
        current = records.get(cluster.key)
        if not isinstance(current, Cluster) or current.scaler != token:
            return Writes()
        freed = replace(current, scaler=None)
        if lease.asked:
            freed = replace(freed, drain=0, boots=current.boots + lease.asked)
        return Writes(put=[freed])

    return move
