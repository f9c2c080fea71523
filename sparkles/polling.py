"""Polling: look at a job again and again until it has ended, no more often than that is worth.

It also heals the job: it sweeps nodes that died and starts new ones. It gives up where that does not help, with what
somebody has to mend first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from sparkles import needs, recover, results, takeover
from sparkles.errors import BackendError, RequestError
from sparkles.model import OPEN, Job, JobState, Node, TaskState
from sparkles.nodes import clusters_of, given_up, start_nodes
from sparkles.ports.backend import Backend
from sparkles.prepare import find_job
from sparkles.settle import settle

#: To count the tasks may take this part of the time at most.
_SHARE = 20

#: A job that is watched from its beginning may be over soon: pauses are short at first, and grow with this part of the
#: time, in seconds.
_FIRST_PAUSE, _EARLY = 0.1, 0.25

#: Nodes that die without having worked, before that is taken for a defect.
_BAD_STARTS = 3


def poll(
    name: str,
    backend: Backend,
    *,
    deadline: float | None = None,
    before: Callable[[Job], None] = lambda _: None,
    among: Callable[[], int] = lambda: 1,
) -> Iterator[Mapping[TaskState, int]]:
    """Yield the counts of a job's tasks whenever something may have changed, at last when all have ended.

    Heals the job meanwhile. Raises TimeoutError at `deadline`, a time.monotonic(). Calls `before` with the job before
    its tasks are counted: what that reads is no newer than the counts. `among` says of how many jobs this one is that
    are polled in turns: who looks at several looks at none less often.
    """
    healer = _Healer(name, backend)
    times, began = backend.timing, time.monotonic()
    tick: object = None
    looked = -times.longest_poll
    pause = times.poll
    while True:
        now = time.monotonic()
        job = healer.heal(now)
        fresh = backend.state.tick()
        if fresh != tick or now - looked >= times.longest_poll:
            tick, looked = fresh, now
            before(job)
            counted = time.monotonic()
            counts = backend.state.counts(name)
            usual = min(times.poll, _FIRST_PAUSE + _EARLY * (now - began))
            pause = max(usual, _SHARE * (time.monotonic() - counted))
            yield counts
            if job.applying is None and job.waiting is None and not any(counts.get(state) for state in OPEN):
                settle(name, backend)
                if _were_its_last(job, backend):
                    results.tidy(name, backend)  # whoever was told that the job ended finds its results
                    return
        if deadline is not None and now >= deadline:
            raise TimeoutError
        time.sleep(min(pause, times.longest_poll) / among())


def _were_its_last(job: Job, backend: Backend) -> bool:
    """Say whether the tasks of a job, which have all ended, are all that there will be.

    Not if they were its first ones, and the others go on when these have succeeded, or have gone on since.
    """
    if job.canary is None:
        return True
    current = find_job(backend, job.name)
    return current is None or (current.canary is not None and not current.holds_back)


class BlockedError(BackendError):
    """A job that waits, and will go on waiting until somebody does something."""

    exit_code = 1


class _Healer:
    """Heals a job now and then; gives up when nodes do not come up at all."""

    def __init__(self, name: str, backend: Backend) -> None:
        self._name = name
        self._backend = backend
        self._pause = backend.timing.heal
        self._healed = -self._pause
        self._bad_starts = 0

    def heal(self, now: float) -> Job:
        job = find_job(self._backend, self._name)
        if job is None:
            raise RequestError(f"job {self._name} was deleted")
        if now - self._healed >= self._pause:
            self._healed = now
            # Counted before others are started, so that giving up leaves none behind.
            for node in recover.sweep(clusters_of(job, self._backend), self._backend):
                self._note(node)
            self._heal_needs(job)
            settle(job.name, self._backend)
            start_nodes(job, self._backend)
            self._give_up_if_stuck()
        return job

    def _heal_needs(self, job: Job) -> None:
        """See to what the job waits for, the farthest first."""
        for name in reversed(needs.waited_for(job, self._backend)):
            needed = find_job(self._backend, name)
            if needed and needed.state is JobState.WAITING:
                settle(name, self._backend)
            elif needed:
                recover.heal(needed, self._backend)

    def _give_up_if_stuck(self) -> None:
        """Do not wait for what somebody has to mend first."""
        job = find_job(self._backend, self._name)
        if job is None:
            return
        if takeover.is_cut_off(job, now=time.time()) and not self._backend.state.is_open(job.name):
            raise BackendError(f"job {job.name}: its last sub or apply was cut off; run that again to complete it")
        if why := needs.stuck(job, self._backend):
            raise BlockedError(why)
        if given_up(job, self._backend):
            raise BackendError(
                f"job {job.name}: no node has begun a task, however often one was started, so no more are started; "
                f"mend what is said above, and run sub or apply again"
            )

    def _note(self, node: Node) -> None:
        self._bad_starts += not node.worked and node.instance is None  # those of VMs are counted in their cluster
        if self._bad_starts >= _BAD_STARTS:
            words = self._backend.compute.last_words(node).strip()
            raise BackendError(f"{_BAD_STARTS} nodes died before they did anything; the last one said:\n{words}")
