"""Plan: desired tasks and observed tasks in, an ordered list of actions with their causes out. Pure.

`diff`, `--dry-run` and `apply` all print or carry out what `make` returns. It works on columns: digests,
indices and states, not on a million objects.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from sparkles import matching
from sparkles.changes import differences
from sparkles.compile import DIGEST_SIZE
from sparkles.indices import from_runs, to_runs
from sparkles.model import TaskColumns, TaskState

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


class Verb(str, Enum):
    """What is done with a task."""

    KEEP = "keep"
    #: An open task gets its new definition.
    CHANGE = "change"
    #: A task that has ended runs again.
    RERUN = "rerun"
    ADD = "add"
    REMOVE = "remove"


class Relation(str, Enum):
    """How an observed task relates to the manifest."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


class Decision(NamedTuple):
    """What to do with a task, and whether that loses something, so that the user is asked."""

    verb: Verb
    asks: bool = False


DECISIONS: Mapping[tuple[Relation, TaskState], Decision] = {
    (Relation.SAME, P): Decision(Verb.KEEP),
    (Relation.SAME, C): Decision(Verb.KEEP),
    (Relation.SAME, S): Decision(Verb.KEEP),
    (Relation.SAME, F): Decision(Verb.KEEP),
    (Relation.SAME, K): Decision(Verb.KEEP),
    (Relation.CHANGED, P): Decision(Verb.CHANGE),
    (Relation.CHANGED, C): Decision(Verb.CHANGE, asks=True),
    (Relation.CHANGED, S): Decision(Verb.RERUN),
    (Relation.CHANGED, F): Decision(Verb.RERUN),
    (Relation.CHANGED, K): Decision(Verb.RERUN),
    (Relation.GONE, P): Decision(Verb.REMOVE),
    (Relation.GONE, C): Decision(Verb.REMOVE, asks=True),
    (Relation.GONE, S): Decision(Verb.REMOVE, asks=True),
    (Relation.GONE, F): Decision(Verb.REMOVE),
    (Relation.GONE, K): Decision(Verb.REMOVE),
}


class Rerun(str, Enum):
    """Which unchanged tasks run again."""

    NONE = "none"
    FAILED = "failed"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Desired:
    """What the manifest wants."""

    #: 32 bytes a row, in the order of the sweep.
    digests: bytes
    #: In a `seq` sweep a row's number is its index.
    seq: bool
    #: The pinned document, without `status`.
    document: Mapping[str, Any]
    cluster: str

    def __len__(self) -> int:
        return len(self.digests) // DIGEST_SIZE


@dataclass(frozen=True, slots=True)
class Observed:
    """What the store holds of a job."""

    tasks: TaskColumns
    #: The pinned document of the current generation, with `status`; None for a new job.
    document: Mapping[str, Any] | None
    generation: int
    last_index: int
    cluster: str
    #: Whether an apply of the job has begun and not ended.
    cut_off: bool = False


_COMPLETES = "completes an apply that was cut off"

#: What is observed of a job that does not exist.
NOTHING = Observed(TaskColumns([], b"", []), None, 0, 0, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Some tasks, what is done with them, and why."""

    verb: Verb
    indices: Sequence[int]
    cause: str
    asks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that an apply will do."""

    job: str
    #: The one that is observed.
    generation: int
    actions: Sequence[Action]
    #: Changes that run nothing, e.g. "nodes.max 1 → 4".
    settings: Sequence[str]
    #: The index of each row, in the order of the sweep.
    assigned: Sequence[int]
    last_index: int
    hints: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether the world is as the manifest wants it."""
        return not self.settings and all(action.verb is Verb.KEEP for action in self.actions)

    @property
    def asks(self) -> Sequence[Action]:
        """The actions that lose something."""
        return [action for action in self.actions if action.asks]

    def count(self, *verbs: Verb) -> int:
        """Return how many tasks these verbs concern."""
        return sum(len(action.indices) for action in self.actions if action.verb in verbs)

    def indices(self, *verbs: Verb) -> Iterator[int]:
        """Yield the indices that these verbs concern."""
        for action in self.actions:
            if action.verb in verbs:
                yield from action.indices


def make(job: str, desired: Desired, observed: Observed, *, rerun: Rerun = Rerun.NONE) -> Plan:
    """Decide what makes the observed job what the manifest wants."""
    assigned = _assign(desired, observed, rerun)
    highest = max(assigned)
    found = _Grouping()
    states = dict(zip(observed.tasks.indices, observed.tasks.states, strict=True))
    digest_of = matching.digests_by_index(observed.tasks)
    changes = differences(observed.document, desired.document)
    definition = ", ".join(text for text, policy in changes if policy == "rerun") or "its definition"
    moves = bool(observed.cluster) and observed.cluster != desired.cluster
    for position, index in enumerate(assigned):
        state = states.pop(index, None)
        if state is None:
            found.add(Verb.ADD, index, "")
            continue
        same = digest_of(index) == matching.digest_at(desired.digests, position)
        again = _again(rerun, state) if same else None
        if again:
            found.add(again.verb, index, f"--rerun {rerun.value}", asks=again.asks)
        elif same and state is P and moves:
            found.add(Verb.CHANGE, index, "resources")
        else:
            decision = DECISIONS[Relation.SAME if same else Relation.CHANGED, state]
            found.add(decision.verb, index, "" if same else definition, asks=decision.asks)
    for index, state in states.items():
        decision = DECISIONS[Relation.GONE, state]
        # Replacing a finished job as a whole is what `--rerun all` says: only running tasks are asked about.
        asks = decision.asks and (rerun is not Rerun.ALL or state is C)
        found.add(decision.verb, index, "no longer in the manifest", asks=asks)
    return Plan(
        job=job,
        generation=observed.generation,
        actions=found.actions(),
        settings=_settings(changes, observed, assigned),
        assigned=assigned,
        last_index=max(observed.last_index, highest),
        hints=_hints(observed, rerun),
    )


def _assign(desired: Desired, observed: Observed, rerun: Rerun) -> Sequence[int]:
    """Return the index of each row."""
    if desired.seq or rerun is Rerun.ALL:
        return range(1, len(desired) + 1)
    status = (observed.document or {}).get("status", {})
    return matching.assign(
        desired.digests,
        observed.tasks,
        order=from_runs(status.get("indices", "")),
        last_index=observed.last_index,
    )


def _again(rerun: Rerun, state: TaskState) -> Decision | None:
    if rerun is Rerun.ALL:
        return DECISIONS[Relation.CHANGED, state]
    if rerun is Rerun.FAILED and state in (F, K):
        return Decision(Verb.RERUN)
    return None


class _Grouping:
    """Collects tasks into as few actions as there are (verb, cause, asks)."""

    def __init__(self) -> None:
        self._groups: defaultdict[tuple[Verb, str, bool], array[int]] = defaultdict(lambda: array("q"))

    def add(self, verb: Verb, index: int, cause: str, *, asks: bool = False) -> None:
        self._groups[verb, cause, asks].append(index)

    def actions(self) -> Sequence[Action]:
        order = list(Verb)
        groups = sorted(self._groups.items(), key=lambda group: order.index(group[0][0]))
        return [Action(verb=verb, indices=indices, cause=cause, asks=asks) for (verb, cause, asks), indices in groups]


def _settings(changes: Sequence[tuple[str, str]], observed: Observed, assigned: Sequence[int]) -> list[str]:
    """Return the changes that the tasks' own actions do not carry."""
    if observed.document is None:
        return [_COMPLETES] if observed.cut_off else []
    definitions = [text for text, policy in changes if policy == "rerun"]
    settings = [text for text, policy in changes if policy != "rerun"] + definitions
    if not definitions and to_runs(assigned) != observed.document.get("status", {}).get("indices"):
        settings.append("order of the rows")
    return [*settings, _COMPLETES] if observed.cut_off else settings


def _hints(observed: Observed, rerun: Rerun) -> list[str]:
    failed = sum(state in (F, K) for state in observed.tasks.states)
    if failed and rerun is Rerun.NONE:
        return [f"{failed} tasks failed or were killed before; --rerun failed runs them again"]
    return []
