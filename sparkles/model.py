"""The nouns: what the stores keep. Frozen values; every change is a new value made by `lifecycle`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # at home there is none
    from sparkles.machine import Machine


class JobState(str, Enum):
    """Where a job stands."""

    WAITING = "waiting"
    ACTIVE = "active"
    FINISHED = "finished"
    KILLED = "killed"


class TaskState(str, Enum):
    """Where a task stands. Pending and claimed are open; the others are final."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    KILLED = "killed"

    @property
    def is_final(self) -> bool:
        """Whether a task in this state has ended."""
        return self not in OPEN


OPEN = frozenset({TaskState.PENDING, TaskState.CLAIMED})


class NodeState(str, Enum):
    """Where a node stands. A starting node is a reservation that its process has yet to adopt."""

    STARTING = "starting"
    ALIVE = "alive"
    LEAVING = "leaving"
    LOST = "lost"
    GONE = "gone"


class Reason(str, Enum):
    """How an attempt ended."""

    EXIT = "exit"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    PREEMPTED = "preempted"
    NODE_LOST = "node-lost"
    NODE_LIMIT = "node-limit"
    KILLED = "killed"
    UPLOAD = "upload"


class Stop(str, Enum):
    """Why a running attempt should end early."""

    KILLED = "killed"
    REPLACED = "replaced"


#: Who kills what nobody asked to kill: a job that waits and is no part any more of what it was a part of, one of which
#: too many tasks have failed, and tasks that have to wait for the first ones of their job.
LEFT_OUT, FAIL_FAST, CANARY = "leftOut", "failFast", "canary"


class Key(NamedTuple):
    """The address of one record. `index` is only used by tasks and fences."""

    kind: str
    name: str
    index: int = 0  # type: ignore[assignment] # the word of the docs; nobody needs tuple.index of a key

    @staticmethod
    def job(name: str) -> Key:
        """Return the key of the job of this name."""
        return Key("job", name)

    @staticmethod
    def task(job: str, index: int) -> Key:
        """Return the key of task `index` (from 1) of `job`."""
        return Key("task", job, index)

    @staticmethod
    def node(name: str) -> Key:
        """Return the key of the node of this name."""
        return Key("node", name)

    @staticmethod
    def cluster(name: str) -> Key:
        """Return the key of the cluster of this name."""
        return Key("cluster", name)

    @staticmethod
    def fence(job: str, shard: int) -> Key:
        """Return the key of one of the fences of an apply of `job`."""
        return Key("fence", job, shard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applying:
    """An apply that has begun and not ended. It guards every commit of that apply."""

    token: str
    #: sha256 of the pinned manifest that is being applied: the same one resumes.
    digest: str
    #: The generation that the job will have.
    generation: int
    #: The highest index ever given before this apply: who resumes it gives the same ones.
    last_index: int = 0
    #: Whether it is the begin of a job that waited: whoever settles may complete it.
    begins: bool = False
    #: Wall clock, seconds: when this apply last committed something.
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What a job waits for, and what is to be done when the wait is over."""

    #: The jobs that must succeed first.
    needs: tuple[str, ...]
    #: Which unchanged tasks run again then (see `plan.Rerun`).
    rerun: str = "none"
    #: Whether what is lost by it may be lost: results of rows that are gone, the runs of tasks that change.
    may_lose: bool = False
    #: Why its tasks could not be made although its needs were met; None while that was not tried.
    problem: str | None = None
    #: What its needs were when that was found out: it is tried again when they are not the same any more.
    tried: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What is held back until the tasks of the first rows have succeeded, and what is to be done with it then."""

    #: The indices of the tasks that are first, as runs.
    first: str
    #: How many tasks are held back. Those that are new have no records yet.
    held: int
    #: Which unchanged ones of them run again then (see `plan.Rerun`).
    rerun: str = "none"
    #: The tasks that have been made to run since that was asked for, as runs: they do not once more.
    done: str = ""
    #: Whether what is lost by it may be lost.
    may_lose: bool = False
    #: Why they could not go on although the first ones have succeeded; None while that was not tried.
    problem: str | None = None
    #: Whether that stays so until somebody does something.
    is_stuck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one manifest describes."""

    name: str
    state: JobState
    #: Counts the applies that changed the job; the manifest of each is kept as an object.
    generation: int
    cluster: str
    owner: str
    #: Wall clock, seconds: when the last apply that changed the job began.
    submitted: float
    ended: float | None = None
    #: The highest index ever given to a task: an index is never used again.
    last_index: int = 0
    #: The most nodes that may serve the job, by its manifest.
    max_nodes: int = 1
    #: The most nodes that may serve the job, by `scale`; None if the manifest holds.
    scaled: int | None = None
    #: The Foreach or Workflow that the job is a part of; None if it is one by itself.
    whole: str | None = None
    #: There while the job waits for others.
    waiting: Waiting | None = None
    #: There while tasks are held back for the first ones, and after these have failed.
    canary: Canary | None = None
    #: How many tasks may fail: the job is stopped when more have; None for any number.
    max_failures: int | None = None
    #: Tasks that had failed before it was last begun, and are not counted.
    failed_before: int = 0
    applying: Applying | None = None
    #: sha256 of the submitting shell's environment (jobs without an image, at home).
    environment: str | None = None
    #: Who killed it, as `owner` names people; None if nobody did.
    killed_by: str | None = None
    #: Seconds since this was written, by the store's own clock, when it was read; None where the store has none.
    silence: float | None = field(default=None, compare=False)
    version: int = 0

    @property
    def key(self) -> Key:
        """Return the address of this record."""
        return Key.job(self.name)

    @property
    def is_left_out(self) -> bool:
        """Whether its wait was ended since its whole does without it."""
        return self.state is JobState.KILLED and self.killed_by == LEFT_OUT

    @property
    def holds_back(self) -> bool:
        """Whether tasks of it are held back for its first ones, and may yet run: it has not ended without them."""
        return self.canary is not None and self.state is JobState.ACTIVE

    @property
    def has_more(self) -> bool:
        """Whether tasks of it are yet to be made, when other jobs or its own first tasks have succeeded."""
        return self.waiting is not None or self.holds_back

    @property
    def is_open(self) -> bool:
        """Whether it has not ended: it has open tasks, or waits for them, or nobody has seen yet that it has none."""
        return self.ended is None or self.state in (JobState.ACTIVE, JobState.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An attempt that did not end its task: the task went back, to be tried again."""

    #: Its log can still be read under this.
    claim: str
    node: str
    reason: Reason
    exit: int | None = None
    #: Wall clock, seconds; None if that is not known.
    started: float | None = None
    ended: float
    #: As in `Task`.
    said: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One command to run to completion."""

    job: str
    #: The task's identity for good, from 1.
    index: int
    #: The parameters of this task: canonical JSON of an object of strings.
    row: str
    #: sha256 of everything that decides what the task computes (32 bytes).
    digest: bytes
    #: The job's generation whose manifest defines this task.
    generation: int
    cluster: str
    state: TaskState = TaskState.PENDING
    #: The node that holds the task; of one that has ended the node of its last attempt.
    node: str | None = None
    #: Random token of this claim; only its holder may finish the task.
    claim: str | None = None
    stop: Stop | None = None
    #: Who asked for its end, as `Job.owner` names people; None if nobody did.
    killed_by: str | None = None
    #: Executions begun.
    attempts: int = 0
    #: Executions that count against `retries.limit`.
    failures: int = 0
    #: Times the task lost its node.
    losses: int = 0
    exit: int | None = None
    reason: Reason | None = None
    #: The attempts that did not end the task, oldest first: the last few of them.
    history: tuple[Past, ...] = ()
    #: Wall clock, seconds: since when it has waited for a node, or had waited for the last one.
    queued: float | None = None
    #: Wall clock, seconds, of the last attempt.
    started: float | None = None
    ended: float | None = None
    #: The last line that the last attempt wrote, see `said`; None if it succeeded, or wrote none.
    said: str | None = None
    #: Bytes: the most that one process of the last attempt had resident.
    peak_memory: int | None = None
    #: Names the published result that belongs to this record; any other is not to be trusted.
    result_generation: str | None = None
    version: int = 0

    @property
    def key(self) -> Key:
        """Return the address of this record."""
        return Key.task(self.job, self.index)

    @property
    def id(self) -> str:
        """Return `<job>.<index>`."""
        return f"{self.job}.{self.index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine, or at home a process, that runs a worker."""

    name: str
    cluster: str
    state: NodeState
    slots: int
    #: Wall clock, seconds.
    created: float
    #: Counts the worker's commits: heartbeat and fence in one.
    beat: int = 0
    #: The lease clock of the machine (see `beat_boot`) at the last beat, seconds.
    beat_clock: float = 0.0
    #: Names the boot that `beat_clock` counts from.
    beat_boot: str = ""
    pid: int | None = None
    #: Claim → latest memory sample of that attempt.
    samples: Mapping[str, Sample] = field(default_factory=dict)
    #: Whether the node has claimed a task since it started.
    worked: bool = False
    #: On Compute Engine: the instance, by its name and by the number that no other ever has, and where it is.
    instance: str | None = None
    instance_id: str | None = None
    zone: str | None = None
    #: Whether it is a spot machine, which may be taken away at any time.
    spot: bool = False
    #: Phase of its start (`boot`, `image`, …) → the seconds that it took.
    phases: Mapping[str, float] = field(default_factory=dict)
    #: Seconds since this was written, by the store's own clock, when it was read; None where the store has none.
    silence: float | None = field(default=None, compare=False)
    version: int = 0

    @property
    def key(self) -> Key:
        """Return the address of this record."""
        return Key.node(self.name)


class Sample(NamedTuple):
    """What the processes of one attempt use, in bytes, but for the first and the last field."""

    processes: int
    total: int
    data: int
    shared: int
    resident: int
    #: Seconds for which they had run.
    seconds: float = 0.0

    @property
    def use(self) -> tuple[int, ...]:
        """What they use, without the time."""
        return self[:5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The nodes that may serve a job."""

    name: str
    #: Tasks that each node runs at once.
    slots: int
    #: Seconds that a node without work waits for more.
    linger: float
    #: Moves when there is something for the nodes to look at: new tasks, or tasks to stop.
    epoch: int = 0
    #: What its nodes are made of; None where they are processes of a machine that is there anyway.
    machine: Machine | None = None
    #: The job, or the whole that it is a part of, which the cluster is for; None where it serves all of them.
    owner_job: str | None = None
    #: Nodes that may linger at the same time; None for all.
    keep: int | None = None
    #: The nodes that do.
    lingerers: tuple[str, ...] = ()
    #: Nodes that should leave as soon as what they run has ended: there are more than there may be.
    drain: int = 0
    #: Token of the client or node that starts nodes just now; nobody else does meanwhile.
    scaler: str | None = None
    #: Nodes asked for since one of them last claimed a task.
    boots: int = 0
    #: Wall clock, seconds, of who asked: when nodes were asked for the last time.
    asked: float | None = None
    #: Spot nodes that were taken away since then.
    preemptions: int = 0
    #: Seconds since this was written, by the store's own clock, when it was read; None where the store has none.
    silence: float | None = field(default=None, compare=False)
    version: int = 0

    @property
    def key(self) -> Key:
        """Return the address of this record."""
        return Key.cluster(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Guards the commits of one of the streams in which an apply writes tasks, as the job's own mark would.

    It is there as long as that apply goes on.
    """

    job: str
    #: From 1.
    shard: int
    #: That of the apply (see `Applying`).
    token: str
    version: int = 0

    @property
    def key(self) -> Key:
        """Return the address of this record."""
        return Key.fence(self.job, self.shard)


Record = Job | Task | Node | Cluster | Fence
Records = Mapping[Key, Record]


class NewTasks(NamedTuple):
    """Many new tasks that differ only in index, row and digest."""

    template: Task
    #: (index, row, digest) of each.
    rows: Iterable[tuple[int, str, bytes]]


@dataclass(frozen=True, slots=True)
class Writes:
    """What one commit writes."""

    put: Sequence[Record] = ()
    remove: Sequence[Key] = ()
    add: NewTasks | None = None


@dataclass(frozen=True, slots=True)
class TaskColumns:
    """All tasks of a job as columns, ordered by index: what the planner works on."""

    indices: Sequence[int]
    #: 32 bytes a task, in the order of `indices`.
    digests: bytes
    states: Sequence[TaskState]

    def __len__(self) -> int:
        return len(self.indices)
