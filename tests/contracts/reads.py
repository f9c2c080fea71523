"""What is asked of a StateStore again and again must not read what is over. An adapter's test gives `open_store`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_cluster, a_job, a_machine, a_node, a_task, put
from contracts.state import OpenStore

from sparkles import nodes, recover
from sparkles.model import JobState, NodeState
from sparkles.ports.backend import Backend
from sparkles.ports.state import StateStore
from sparkles.settle import settle_waiting

_MANY = 300


class Counted:
    """Hands out what a StateStore does, and counts the records."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self.records = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return self._counting(method) if name in ("read", "jobs", "open_jobs", "nodes", "held", "pending") else method

    def _counting(self, method: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        def counting(*args: Any, **options: Any) -> Sequence[Any]:
            found = method(*args, **options)
            self.records += len(found)
            return found

        return counting


class ReadsContract:
    """What a look at a job costs. `open_store` is a fixture of the adapter's test."""

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[Counted]:
        with closing(open_store()) as store:
            yield Counted(store)

    @pytest.fixture
    def backend(self, store: Counted, tmp_path: Path) -> Backend:
        put(store, a_cluster(machine=a_machine()), a_job(), a_task(), a_node())
        return a_backend(tmp_path / "home", state=store)

    @pytest.mark.parametrize(
        "look",
        [
            pytest.param(lambda backend: recover.heal(a_job(), backend), id="to heal a job, as watch does"),
            pytest.param(lambda backend: recover.sweep({"c"}, backend, quiet=75.0), id="to sweep, as nodes do"),
            pytest.param(settle_waiting, id="to begin what waited, as nodes and clients do"),
            pytest.param(lambda backend: nodes.shed({"c"}, backend), id="to see whether a cluster is used"),
        ],
    )
    def test_a_look_reads_no_more_though_there_are_hundreds_of_jobs_and_nodes_that_are_gone(self, backend, store, look):
        store.records = 0
        look(backend)
        alone = store.records
        put(store, *(a_job(f"old-{n}", state=JobState.FINISHED, ended=1.0) for n in range(_MANY)))
        put(store, *(a_node(f"old-{n}", state=NodeState.GONE) for n in range(_MANY)))

        store.records = 0
        look(backend)

        assert store.records == alone < 20
