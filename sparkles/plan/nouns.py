"""The nouns of planning: what is wanted, what there is, and the plan that leads from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sparkles.compile import DIGEST_SIZE, Row
from sparkles.model import Canary, Node, TaskColumns, Waiting


class Verb(str, Enum):
    """What is done with a task."""

    KEEP = "keep"
    #: It gets a new definition, and runs (again).
    CHANGE = "change"
    #: It runs again as it is.
    RERUN = "rerun"
    #: It stays as it is, but for parameters that nothing depends on.
    RECORD = "record"
    ADD = "add"
    REMOVE = "remove"
    #: It is to run, but not before the first ones have succeeded: until then nothing is done with it.
    HOLD = "hold"
    #: The same of one that has not ended: it is stopped until then.
    STOP = "stop"


#: A verb as a byte: its place among them.
BYTES = {verb: number for number, verb in enumerate(Verb)}


class Loss(str, Enum):
    """What an action takes away, so that the user is asked."""

    #: What a task has computed.
    RESULT = "result"
    #: What a task is computing.
    RUN = "run"


class Rerun(str, Enum):
    """Which unchanged tasks run again."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What the manifest wants."""

    #: 32 bytes a row, in the order of the sweep.
    digests: bytes
    #: In a `seq` sweep a row's number is its index.
    seq: bool = False
    #: The pinned document, without `status`.
    document: Mapping[str, Any]
    cluster: str
    #: Tasks that a node of the cluster runs at once.
    slots: int = 1
    #: Nodes that the backend can have for the job at all; None if the manifest decides.
    most_nodes: int | None = None
    #: Returns the rows at these places of the sweep, which ascend.
    rows: Callable[[Collection[int]], Iterable[Row]]
    #: Returns the labels of all rows (see `matching.Labels`).
    labels: Callable[[], bytes] = lambda: b""
    #: The jobs that must succeed first: until then nobody knows the tasks.
    waits: Sequence[str] = ()
    #: How many rows are tried before all others run; None for no such trial.
    canary: int | None = None

    def __len__(self) -> int:
        return len(self.digests) // DIGEST_SIZE

    @property
    def max_nodes(self) -> int:
        """What the manifest says of `nodes.max`."""
        most: int = self.document["spec"]["nodes"]["max"]
        return most


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the stores hold of a job."""

    tasks: TaskColumns
    #: The pinned document of the current generation, with `status`; None for a new job.
    document: Mapping[str, Any] | None = None
    generation: int = 0
    last_index: int = 0
    cluster: str = ""
    #: Whether an apply of the job has begun and not ended.
    cut_off: bool = False
    #: There if the job waits for others.
    waiting: Waiting | None = None
    #: There if tasks are held back for the first ones, or were when these failed.
    canary: Canary | None = None
    #: The tasks that have been written already by those who began to let them go on, and were cut off.
    begun: frozenset[int] = frozenset()
    #: Whether the job was killed, with tasks or while it waited.
    killed: bool = False
    #: What `scale` has put in the place of the manifest's `nodes.max`.
    scaled: int | None = None
    #: Those of the desired cluster.
    nodes: Sequence[Node] = ()
    #: Returns how many further ones are on their way.
    coming: Callable[[], int] = lambda: 0
    #: Returns the rows of these tasks, by index.
    rows: Callable[[Collection[int]], Mapping[int, Row]] = lambda _: {}
    #: Returns the labels of all tasks.
    labels: Callable[[], bytes] = lambda: b""

    @property
    def order(self) -> str:
        """The index of each row, as runs, as the rows stood when their tasks were last known."""
        status = self.document.get("status", {}) if self.document else {}
        order: str = status.get("indices", status.get("order", ""))
        return order


#: What is observed of a job that does not exist.
NOTHING = Observed(tasks=TaskColumns([], b"", []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Some tasks, what is done with them, and why."""

    verb: Verb
    indices: Sequence[int]
    cause: str
    loss: Loss | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """The nodes that an apply starts."""

    start: int
    #: Nodes that are there already.
    running: int
    #: Tasks that are to run.
    tasks: int
    #: The most nodes that the job may have.
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that an apply will do."""

    job: str
    #: The one that is observed.
    generation: int
    actions: Sequence[Action] = ()
    #: Changes that run nothing, e.g. "nodes.max 1 → 4".
    settings: Sequence[str] = ()
    #: The index of each row, in the order of the sweep.
    assigned: Sequence[int] = ()
    #: What is done with the task of each row: a byte each.
    verbs: bytes = b""
    last_index: int = 0
    #: The indices of the rows that are tried first, if others are held back for them.
    first: Sequence[int] = ()
    #: Which unchanged ones of those run again when they go on.
    rerun_held: Rerun = Rerun.NONE
    #: The tasks that have been made to run since that was asked for.
    done: Sequence[int] = ()
    #: How many tasks have failed and stay as they are.
    failed: int = 0
    #: What `scale` has set and this apply leaves; None if the manifest's `nodes.max` holds.
    scaled: int | None = None
    #: Whether that no longer holds, because the manifest's own `nodes.max` has changed.
    unscales: bool = False
    staff: Staff | None = None
    #: The jobs that must succeed before the tasks are known; nothing is done with tasks before.
    waits: Sequence[str] = ()
    #: How the rows of a job that waits stood when they were known.
    order: str = ""
    #: How many tasks of a job that waits stay as they are until then.
    kept: int = 0
    hints: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether the world is as the manifest wants it."""
        return self.generation > 0 and not self.settings and self.keeps_all

    @property
    def keeps_all(self) -> bool:
        """Say whether every task stays as it is."""
        return all(action.verb in (Verb.KEEP, Verb.HOLD) for action in self.actions)

    @property
    def touches_tasks(self) -> bool:
        """Say whether any task runs, runs again or goes."""
        return any(action.verb not in (Verb.KEEP, Verb.RECORD, Verb.HOLD) for action in self.actions)

    @property
    def runs(self) -> int:
        """How many tasks will run."""
        return self.count(Verb.ADD, Verb.CHANGE, Verb.RERUN)

    @property
    def held(self) -> int:
        """How many tasks are held back until the first ones have succeeded."""
        return self.count(Verb.HOLD, Verb.STOP)

    @property
    def asks(self) -> Sequence[Action]:
        """The actions that lose something."""
        return [action for action in self.actions if action.loss]

    def count(self, *verbs: Verb) -> int:
        """Return how many tasks these verbs concern."""
        return sum(len(action.indices) for action in self.actions if action.verb in verbs)

    def indices(self, *verbs: Verb) -> Iterator[int]:
        """Yield the indices that these verbs concern."""
        for action in self.actions:
            if action.verb in verbs:
                yield from action.indices

    def rows(self, *verbs: Verb) -> bytes:
        """Say for each row, in the order of the sweep, whether one of these verbs is what happens to its task."""
        wanted = {BYTES[verb] for verb in verbs}
        return self.verbs.translate(bytes(byte in wanted for byte in range(256)))
