"""Scaler: who starts nodes of a cluster holds a lease on it meanwhile, so that two never start the same ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sparkles import staffing
from sparkles.model import Cluster, Records, Writes
from sparkles.ports.state import StateStore
from sparkles.staffing import SCALER_LEASE

#: Seconds between two looks whether it is free.
_PAUSE = 0.5


class Lease:
    """The lease, while it is held."""

    def __init__(self, cluster: Cluster, state: StateStore) -> None:
        self._cluster = cluster
        self._state = state
        self._token = _new_token()
        #: Nodes that were asked for under it.
        self.asked = 0

    def take(self, *, patience: float) -> bool:
        """Wait for the lease; say whether it was to be had."""
        deadline = time.monotonic() + patience
        while not self._change(lambda cluster: staffing.take_scaler(cluster, token=self._token)):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        return True

    def renew(self) -> bool:
        """Hold the lease for as long again; False if another has it: this machine may have slept for hours.

        To be asked before each request for nodes. One that comes late, with a size that was right once, would make
        the group smaller than it has become, and Google would choose which nodes go.
        """
        before, anew = self._token, _new_token()
        if self._change(lambda cluster: staffing.renew_scaler(cluster, token=before, anew=anew)):
            self._token = anew
            return True
        return False

    def free(self) -> None:
        """Give it back, and have what was asked for noted."""
        token, asked, now = self._token, self.asked, time.time()
        self._change(lambda cluster: staffing.free_scaler(cluster, token=token, asked=asked, now=now))

    def _change(self, change: Callable[[Cluster], Cluster | None]) -> bool:
        """Change the cluster; say whether that was to be done."""
        key = self._cluster.key

        def move(records: Records) -> Writes:
            current = records.get(key)
            changed = change(current) if isinstance(current, Cluster) else None
            return Writes(put=[changed] if changed else [])

        return key in self._state.change([key], move)


@contextmanager
def scaling(cluster: Cluster, state: StateStore, *, patience: float = SCALER_LEASE + 5.0) -> Iterator[Lease | None]:
    """Hold the lease on a cluster; None without one: another has had it for as long as the `patience`.

    At its end the cluster's record says how many nodes were asked for; none is told to go any more if there were any.
    """
    lease = Lease(cluster, state)
    if not lease.take(patience=patience):
        yield None
        return
    try:
        yield lease
    finally:
        lease.free()


def _new_token() -> str:
    return os.urandom(8).hex()
