"""Watch: follow a job until it has ended, and print the lines of the manual. Nothing depends on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from sparkles import guard_text, results
from sparkles.lookout import Lookout
from sparkles.model import OPEN, Canary, Job, Node, NodeState, Sample, Task, TaskState
from sparkles.nodes import staffing_of
from sparkles.polling import poll
from sparkles.ports.backend import Backend
from sparkles.ports.compute import Staffing
from sparkles.screen import Screen
from sparkles.tail import Tail

#: A task is tailed once it has been writing for this long, in seconds: quick ones would only flicker by.
_TAIL_AGE = 1.0

#: Claimed tasks that are considered for the tail.
_CANDIDATES = 4

#: Seconds that a state with claimed tasks must last to be worth a line: most are over at once.
_FLICKER = 0.3

#: Seconds without a line after which a state that is over at once is worth one, too. Where looks are far apart, or
#: tasks are quick, no state is seen twice.
_SILENCE = 5.0

#: Every node has its record.
_ALL_HERE = Staffing()

_NODE_WORDS = {NodeState.STARTING: "staging", NodeState.LEAVING: "running", NodeState.LOST: "lost"}


def status_line(counts: Mapping[TaskState, int], nodes: Sequence[Node], staffing: Staffing = _ALL_HERE) -> str:
    """Return the manual's line about tasks and nodes.

    >>> status_line({TaskState.PENDING: 1}, [])
    'tasks: pending (1), worker nodes:'
    """
    tasks = ", ".join(f"{state.value} ({counts[state]})" for state in TaskState if counts.get(state))
    staffed = ", ".join(f"{word} ({number})" for word, number in by_word(nodes, staffing).items())
    return f"tasks: {tasks}, worker nodes: {staffed}".rstrip()


def by_word(nodes: Sequence[Node], staffing: Staffing = _ALL_HERE) -> dict[str, int]:
    """Return how many nodes are in each state, as it is printed, with those that are yet to report."""
    words = ["submitted"] * staffing.submitted + ["staging"] * staffing.staging + [node_word(node) for node in nodes]
    return {word: words.count(word) for word in sorted(set(words), reverse=True)}


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
    total, data, shared, resident = (f"{size / 1e9:.3f} GB" for size in sample.use[1:])
    return (
        f"Processes running in container: {sample.processes}, total memory used: {total}, "
        f"data memory used: {data}, shared used {shared}, resident {resident}"
    )


class Watcher:
    """Shows a job's progress, line by line and at a glance."""

    def __init__(self, name: str, backend: Backend, screen: Screen, *, among: Callable[[], int] = lambda: 1) -> None:
        """Watch a job; `among` says how many are watched in turns, see `poll`."""
        self._name = name
        self._among = among
        #: How many of its tasks are in each state.
        self.counts: Mapping[TaskState, int] = {}
        self._backend = backend
        self.screen = screen
        self._lookout = Lookout(backend)
        #: The last line printed; and the one that holds now, with its time.
        self._line = self._coming = ""
        self._since = 0.0
        #: When the last line was printed.
        self._said = time.monotonic()
        #: What was held back when that was last looked at.
        self._canary: Canary | None = None
        self._tail: Tail | None = None
        self._tailed = False
        #: Why nodes do not come, as far as it was said: without numbers, which change all the time.
        self._troubles: set[str] = set()
        #: Claim → when its attempt was first seen to have written something.
        self._seen: dict[str | None, float] = {}

    def run(self) -> Mapping[TaskState, int]:
        """Watch until the job has ended; return the counts of its tasks."""
        for _ in self.looks():
            pass
        return self.counts

    def looks(self) -> Iterator[None]:
        """Watch until the job has ended, and let others do something after each look at it."""
        job: Job
        nodes: Sequence[Node] = ()
        coming = _ALL_HERE

        def before(found: Job) -> None:
            """A node that has worked is never shown beside counts of before that."""
            nonlocal job, nodes, coming
            job, nodes = found, self._backend.state.nodes(found.cluster)
            coming = staffing_of(found.cluster, nodes, self._backend)

        for counts in poll(self._name, self._backend, before=before, among=self._among):
            self.counts = counts
            self._say_what_is_held(job)
            if any(counts.get(state) for state in OPEN):
                self.status(counts, nodes, coming)
                self._say_troubles(coming)
            elif job.waiting:
                self._say_once(f"waiting for {', '.join(job.waiting.needs)}")
            self._follow(nodes)
            self.screen.show(
                partial(
                    self._lookout.look,
                    job,
                    counts,
                    by_word(nodes, coming),
                    self._tail,
                    now=time.time(),
                    asked=coming.asked,
                )
            )
            yield
        if not self._tailed and sum(self.counts.values()) == 1:
            self._print_whole()
        killed = f"Job {self._name} was killed while it waited."
        self.screen.say(finished_line(self.counts) if self.counts else killed)

    def _say_what_is_held(self, job: Job) -> None:
        """Say that tasks are held back for the first ones, and that they go on, each once."""
        earlier, self._canary = self._canary, job.canary if job.holds_back else None
        if self._canary and not earlier:
            self.screen.say(str(guard_text.holds(job)))
        elif earlier and job.canary is None:
            self.screen.say(guard_text.goes_on(earlier))

    def status(self, counts: Mapping[TaskState, int], nodes: Sequence[Node], coming: Staffing = _ALL_HERE) -> None:
        """Print the line about tasks and nodes if it has changed."""
        if not counts:  # a job that waits has no tasks yet
            return
        line, now = status_line(counts, nodes, coming), time.monotonic()
        if line != self._coming:
            self._coming, self._since = line, now
        if not counts.get(TaskState.CLAIMED) or now - self._since >= _FLICKER or now - self._said >= _SILENCE:
            self._say_once(line)

    def _say_once(self, line: str) -> None:
        if line != self._line and not self.screen.is_live:
            self._line, self._said = line, time.monotonic()
            self.screen.say(line)

    def _say_troubles(self, coming: Staffing) -> None:
        """Say each reason why nodes do not come, once."""
        for trouble in coming.troubles:
            kind = re.sub(r"\d+", "", trouble)
            if kind not in self._troubles:
                self._troubles.add(kind)
                self.screen.say(f"worker nodes: {trouble}")

    def _follow(self, nodes: Sequence[Node]) -> None:
        """Print what the tailed task has written; choose another when it has ended."""
        if self._tail is None and (task := self._choose()):
            self._tailed = True
            self.screen.say_log(f"[starting tail of log {task.id}]")
            self._tail = Tail(task, self._backend)
        if self._tail is not None:
            over = self._tail.is_over()  # asked before reading: what it has written by then is all
            for line in self._tail.lines(over=over):
                self.screen.say_log(line)
            if (sample := self._tail.new_sample(nodes)) and not self.screen.is_live:
                self.screen.say_log(sample_line(sample))
            if over:
                self._tail = None

    def _choose(self) -> Task | None:
        """Return a task that has been writing for a while. Nodes take tasks by index, so the first ones run."""
        now = time.monotonic()
        claimed = self._backend.state.some(self._name, TaskState.CLAIMED, limit=_CANDIDATES)
        writing = [task for task in claimed if results.read_log(task, self._backend, limit=1)]
        self._seen = {task.claim: self._seen.get(task.claim, now) for task in writing}
        return next((task for task in writing if now - self._seen[task.claim] >= _TAIL_AGE), None)

    def _print_whole(self) -> None:
        for task in self._backend.state.tasks(self._name):
            for line in Tail(task, self._backend).lines(over=True):
                self.screen.say_log(line)
