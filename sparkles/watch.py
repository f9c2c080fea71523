"""Watch: follow a job until it has ended, and print the lines of the manual.

Watching also heals: it sweeps nodes that died and starts new ones. Nothing depends on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from sparkles import lifecycle, needs, recover, results
from sparkles.errors import BackendError, RequestError
from sparkles.lifecycle import is_final
from sparkles.model import OPEN, Job, JobState, Node, NodeState, Sample, Task, TaskState
from sparkles.nodes import clusters_of, start_nodes
from sparkles.ports import LOG_PIECE, Backend
from sparkles.prepare import find_job
from sparkles.settle import settle
from sparkles.timing import timing

Say = Callable[[str], None]

#: Seconds: the shortest pause between two looks, and the longest that nothing is looked at.
_PAUSE, _LONGEST = 0.02, 0.5

#: A look may take this part of the time at most.
_SHARE = 20

#: A task is tailed once it has been writing for this long, in seconds: quick ones would only flicker by.
_TAIL_AGE = 1.0

#: Claimed tasks that are considered for the tail.
_CANDIDATES = 4

#: Seconds that a state with claimed tasks must last to be worth a line: most are over at once.
_FLICKER = 0.3

#: Nodes that die without having worked, before that is taken for a defect.
_BAD_STARTS = 3

_NODE_WORDS = {NodeState.STARTING: "staging", NodeState.LEAVING: "running", NodeState.LOST: "lost"}


def status_line(counts: Mapping[TaskState, int], nodes: Sequence[Node]) -> str:
    """Return the manual's line about tasks and nodes.

    >>> status_line({TaskState.PENDING: 1}, [])
    'tasks: pending (1), worker nodes:'
    """
    tasks = ", ".join(f"{state.value} ({counts[state]})" for state in TaskState if counts.get(state))
    words = [node_word(node) for node in nodes]
    staffed = ", ".join(f"{word} ({words.count(word)})" for word in sorted(set(words), reverse=True))
    return f"tasks: {tasks}, worker nodes: {staffed}".rstrip()


def node_word(node: Node) -> str:
    """Return the state of a node as it is printed."""
    return _NODE_WORDS.get(node.state, "running" if node.worked else "staging")


def finished_line(counts: Mapping[TaskState, int]) -> str:
    """Return the manual's closing line; killed tasks are only mentioned if there are any."""
    killed = counts.get(TaskState.KILLED, 0)
    return (
        f"Job finished. {counts.get(TaskState.SUCCEEDED, 0)} tasks completed successfully, "
        f"{counts.get(TaskState.FAILED, 0)} tasks failed" + (f", {killed} tasks killed" if killed else "")
    )


def sample_line(sample: Sample) -> str:
    """Return the manual's line about memory."""
    total, data, shared, resident = (f"{size / 1e9:.3f} GB" for size in sample[1:])
    return (
        f"Processes running in container: {sample.processes}, total memory used: {total}, "
        f"data memory used: {data}, shared used {shared}, resident {resident}"
    )


def poll(name: str, backend: Backend, *, deadline: float | None = None) -> Iterator[Mapping[TaskState, int]]:
    """Yield the counts of a job's tasks whenever something may have changed, at last when all have ended.

    Heals the job meanwhile. Raises TimeoutError at `deadline`, a time.monotonic().
    """
    healer = _Healer(name, backend)
    tick: object = None
    looked = -_LONGEST
    pause = _PAUSE
    while True:
        now = time.monotonic()
        job = healer.heal(now)
        fresh = backend.state.tick()
        if fresh != tick or now - looked >= _LONGEST:
            tick, looked = fresh, now
            counts = backend.state.counts(name)
            yield counts
            if job.applying is None and job.waiting is None and not any(counts.get(state) for state in OPEN):
                settle(name, backend)
                results.tidy(name, backend)  # whoever was told that the job ended finds its results
                return
            pause = max(_PAUSE, _SHARE * (time.monotonic() - now))
        if deadline is not None and now >= deadline:
            raise TimeoutError
        time.sleep(min(pause, _LONGEST))


class BlockedError(BackendError):
    """A job that waits, and will go on waiting until somebody does something."""

    exit_code = 1


class _Healer:
    """Heals a job now and then; gives up when nodes do not come up at all."""

    def __init__(self, name: str, backend: Backend) -> None:
        self._name = name
        self._backend = backend
        self._pause = timing().heal
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
        if lifecycle.is_cut_off(job, now=time.time()) and not self._backend.state.is_open(job.name):
            raise BackendError(f"job {job.name}: its last sub or apply was cut off; run that again to complete it")
        if why := needs.stuck(job, self._backend):
            raise BlockedError(why)

    def _note(self, node: Node) -> None:
        self._bad_starts += not node.worked
        if self._bad_starts >= _BAD_STARTS:
            words = self._backend.compute.last_words(node).strip()
            raise BackendError(f"{_BAD_STARTS} nodes died before they did anything; the last one said:\n{words}")


class Watcher:
    """Prints a job's progress line by line."""

    def __init__(self, name: str, backend: Backend, say: Say) -> None:
        self._name = name
        self._backend = backend
        self.say = say
        #: The last line printed; and the one that holds now, with its time.
        self._line = self._coming = ""
        self._since = 0.0
        self._tail: _Tail | None = None
        self._tailed = False
        #: Claim → when its attempt was first seen to have written something.
        self._seen: dict[str | None, float] = {}

    def run(self) -> Mapping[TaskState, int]:
        """Watch until the job has ended; return the counts of its tasks."""
        counts: Mapping[TaskState, int] = {}
        for counts in poll(self._name, self._backend):
            job = find_job(self._backend, self._name)
            nodes = self._backend.state.nodes(job.cluster) if job else []
            if any(counts.get(state) for state in OPEN):
                self.status(counts, nodes)
            elif job and job.waiting:
                self._say_once(f"waiting for {', '.join(job.waiting.needs)}")
            self._follow(nodes)
        if not self._tailed and sum(counts.values()) == 1:
            self._print_whole()
        self.say(finished_line(counts) if counts else f"Job {self._name} was killed while it waited.")
        return counts

    def status(self, counts: Mapping[TaskState, int], nodes: Sequence[Node]) -> None:
        """Print the line about tasks and nodes if it has changed."""
        if not counts:  # a job that waits has no tasks yet
            return
        line, now = status_line(counts, nodes), time.monotonic()
        if line != self._coming:
            self._coming, self._since = line, now
        if not counts.get(TaskState.CLAIMED) or now - self._since >= _FLICKER:
            self._say_once(line)

    def _say_once(self, line: str) -> None:
        if line != self._line:
            self._line = line
            self.say(line)

    def _follow(self, nodes: Sequence[Node]) -> None:
        """Print what the tailed task has written; choose another when it has ended."""
        if self._tail is None and (task := self._choose()):
            self._tailed = True
            self.say(stamped(f"[starting tail of log {task.id}]"))
            self._tail = _Tail(task, self._backend)
        if self._tail is not None:
            over = self._tail.is_over()  # asked before reading: what it has written by then is all
            for line in self._tail.lines(over=over):
                self.say(stamped(line))
            for line in self._tail.memory(nodes):
                self.say(stamped(line))
            if over:
                self._tail = None

    def _choose(self) -> Task | None:
        """Return a task that has been writing for a while. Nodes take tasks by index, so the first ones run."""
        now = time.monotonic()
        claimed = self._backend.state.tasks(self._name, states=[TaskState.CLAIMED])
        writing = [task for task in islice(claimed, _CANDIDATES) if results.read_log(task, self._backend, limit=1)]
        self._seen = {task.claim: self._seen.get(task.claim, now) for task in writing}
        return next((task for task in writing if now - self._seen[task.claim] >= _TAIL_AGE), None)

    def _print_whole(self) -> None:
        for task in self._backend.state.tasks(self._name):
            for line in _Tail(task, self._backend).lines(over=True):
                self.say(stamped(line))


class _Tail:
    """The output of one attempt, line by line as it comes."""

    def __init__(self, task: Task, backend: Backend) -> None:
        self._task = task
        self._backend = backend
        self._position = 0
        self._rest = b""
        self._sample: Sample | None = None

    def is_over(self) -> bool:
        current = self._backend.state.read([self._task.key]).get(self._task.key)
        return not isinstance(current, Task) or current.claim != self._task.claim or is_final(current.state)

    def lines(self, *, over: bool) -> Iterator[str]:
        """Yield the new lines; an unfinished one only when the attempt is `over`."""
        for piece in results.read_whole_log(self._task, self._backend, start=self._position):
            self._position += len(piece)
            *whole, self._rest = (self._rest + piece).split(b"\n")
            # Only whole lines are decoded, so no character is ever cut.
            yield from (line.decode("utf-8", "replace") for line in whole)
            if len(self._rest) > LOG_PIECE:  # no line that a person would read
                yield self._rest.decode("utf-8", "replace")
                self._rest = b""
        if over and self._rest:
            yield self._rest.decode("utf-8", "replace")
            self._rest = b""

    def memory(self, nodes: Sequence[Node]) -> Iterator[str]:
        """Yield the line about the attempt's memory if there is a new sample."""
        for node in nodes:
            sample = node.samples.get(self._task.claim or "")
            if sample and sample != self._sample:
                self._sample = sample
                yield sample_line(sample)


def stamped(line: str) -> str:
    """Return a line of a log with the time of day before it."""
    return f"[{datetime.now().astimezone():%H:%M:%S}] {line}"
