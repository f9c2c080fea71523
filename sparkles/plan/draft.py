"""Draft: the decision for each row, and for each task that has none any more; and why."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from itertools import compress, repeat
from typing import Any, NamedTuple

from sparkles.changes import Change
from sparkles.indices import from_runs
from sparkles.model import OPEN, TaskState
from sparkles.parts import FOREACH
from sparkles.plan import likeness, matching
from sparkles.plan.causes import DETAILED, Causes, common
from sparkles.plan.matching import LABEL_SIZE, NO_LABELS, Labels
from sparkles.plan.nouns import BYTES, Action, Desired, Loss, Observed, Rerun, Verb

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED


class Relation(str, Enum):
    """How an observed task relates to the manifest."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"


class Decision(NamedTuple):
    """What to do with a task, and what is lost by it."""

    verb: Verb
    loss: Loss | None = None


DECISIONS: Mapping[tuple[Relation, TaskState], Decision] = {
    (Relation.SAME, P): Decision(Verb.KEEP),
    (Relation.SAME, C): Decision(Verb.KEEP),
    (Relation.SAME, S): Decision(Verb.KEEP),
    (Relation.SAME, F): Decision(Verb.KEEP),
    (Relation.SAME, K): Decision(Verb.KEEP),
    (Relation.CHANGED, P): Decision(Verb.CHANGE),
    (Relation.CHANGED, C): Decision(Verb.CHANGE, Loss.RUN),
    (Relation.CHANGED, S): Decision(Verb.CHANGE),
    (Relation.CHANGED, F): Decision(Verb.CHANGE),
    (Relation.CHANGED, K): Decision(Verb.CHANGE),
    (Relation.GONE, P): Decision(Verb.REMOVE),
    (Relation.GONE, C): Decision(Verb.REMOVE, Loss.RUN),
    (Relation.GONE, S): Decision(Verb.REMOVE, Loss.RESULT),
    (Relation.GONE, F): Decision(Verb.REMOVE),
    (Relation.GONE, K): Decision(Verb.REMOVE),
}


def loss_of(relation: Relation, state: TaskState, rerun: Rerun) -> Loss | None:
    """Return what is lost by what is done with a task, and has to be asked about.

    Replacing a finished job as a whole is what `--rerun all` says: only running tasks are asked about.
    """
    loss = DECISIONS[relation, state].loss
    return None if rerun is Rerun.ALL and loss is Loss.RESULT else loss


class Draft:
    """What becomes of each row and of each task that has none: the numbers of a plan, before its words."""

    def __init__(self, desired: Desired, observed: Observed, *, rerun: Rerun, retry: Collection[int]) -> None:
        self._desired, self._observed = desired, observed
        self._rerun, self._retry = rerun, retry
        self._moves = bool(observed.cluster) and observed.cluster != desired.cluster
        self._groups: defaultdict[tuple[Verb, str, Loss | None], array[int]] = defaultdict(lambda: array("q"))
        #: Places in the sweep of rows whose task has another digest.
        self._changed = array("q")
        #: Places in the sweep of rows that differ from what is recorded of their task, which stays as it is.
        self._recorded_anew = array("q")
        self._labels = self._read_labels()
        self.assigned = self._assign()
        self.verbs = bytearray(len(self.assigned))
        #: Tasks that stay as they are, and have yet to end.
        self.still_open = 0
        #: Tasks that stay as they are, and have failed or were killed.
        self.still_failed = 0
        self._left = bytearray(b"\1") * len(observed.tasks)
        self._decide_rows()

    @property
    def highest(self) -> int:
        """The highest index of any row."""
        return max(self.assigned)

    @property
    def to_run(self) -> int:
        """How many tasks run, or run again."""
        return len(self.verbs) - self.verbs.count(BYTES[Verb.KEEP]) - self.verbs.count(BYTES[Verb.RECORD])

    def _assign(self) -> Sequence[int]:
        """Return the index of each row."""
        if self._desired.seq or self._rerun is Rerun.ALL:
            return range(1, len(self._desired) + 1)
        return matching.assign(
            self._desired.digests,
            self._observed.tasks,
            order=from_runs(self._observed.order),
            last_index=self._observed.last_index,
            labels=self._labels,
            alike=self._alike,
        )

    def _alike(self, rows: Sequence[int], indices: Sequence[int]) -> list[tuple[int, int]]:
        after = dict(zip(rows, self._desired.rows(rows), strict=True))
        return likeness.pairs(after, self._observed.rows(indices), self._desired.rows(range(len(self._desired))))

    def _read_labels(self) -> Labels:
        """Return the labels if the sweep has changed. If not, no row has."""
        old = self._observed.document
        if old is None or _sweep_of(old) == _sweep_of(self._desired.document) or self._desired.seq:
            return NO_LABELS
        labels = Labels(self._desired.labels(), self._observed.labels())
        # Read a moment later than the tasks: if somebody else has changed these since, the plan is void anyway.
        return labels if len(labels.observed) == LABEL_SIZE * len(self._observed.tasks) else NO_LABELS

    def _decide_rows(self) -> None:
        if not len(self._observed.tasks):
            self.verbs = bytearray([BYTES[Verb.ADD]]) * len(self.assigned)
            return
        place = matching.places(self._observed.tasks.indices)
        for row, index in enumerate(self.assigned):
            position = place(index)
            verb = Verb.ADD if position == matching.NOWHERE else self._decide_row(row, index, position)
            self.verbs[row] = BYTES[verb]
            if verb is Verb.ADD:
                self._add(Decision(verb), "", index)

    def _decide_row(self, row: int, index: int, position: int) -> Verb:
        """Decide about a row that has a task. If that has changed, the cause is found later, for all at once."""
        tasks = self._observed.tasks
        state = tasks.states[position]
        self._left[position] = 0
        same = matching.digest_at(tasks.digests, position) == matching.digest_at(self._desired.digests, row)
        if not same and self._rerun is not Rerun.ALL:
            self._changed.append(row)
            return DECISIONS[Relation.CHANGED, state].verb
        decision, cause = self._decide_same(index, state)
        if decision.verb is Verb.KEEP and self._is_recorded_anew(row, position):
            decision = Decision(Verb.RECORD)
        stays = decision.verb in (Verb.KEEP, Verb.RECORD)
        self.still_open += stays and state in OPEN
        self.still_failed += stays and state in (F, K)
        if decision.verb is Verb.RECORD:
            self._recorded_anew.append(row)
        else:
            self._add(decision, cause, index)
        return decision.verb

    def _is_recorded_anew(self, row: int, position: int) -> bool:
        desired, observed = self._labels
        return bool(desired) and matching.label_at(desired, row) != matching.label_at(observed, position)

    def _decide_same(self, index: int, state: TaskState) -> tuple[Decision, str]:
        if index in self._retry:
            return Decision(Verb.RERUN), "retry"
        if self._rerun is Rerun.ALL or (self._rerun is Rerun.FAILED and state in (F, K)):
            return Decision(Verb.RERUN, loss_of(Relation.CHANGED, state, self._rerun)), f"--rerun {self._rerun.value}"
        if state is P and self._moves:
            return Decision(Verb.CHANGE), "resources"
        return DECISIONS[Relation.SAME, state], ""

    def _add(self, decision: Decision, cause: str, index: int) -> None:
        self._groups[decision.verb, cause, decision.loss].append(index)

    def actions(self, differences: Sequence[Change]) -> Sequence[Action]:
        """Return as few actions as there are different (verb, cause, loss), those that keep first."""
        if not len(self._observed.tasks):
            return [Action(verb=Verb.ADD, indices=self.assigned, cause="")]
        self._decide_changed(differences)
        self._decide_gone()
        order = list(Verb)
        groups = sorted(self._groups.items(), key=lambda group: (order.index(group[0][0]), group[0][2] or ""))
        return [Action(verb=verb, indices=indices, cause=cause, loss=loss) for (verb, cause, loss), indices in groups]

    def _decide_changed(self, differences: Sequence[Change]) -> None:
        tasks, place = self._observed.tasks, matching.places(self._observed.tasks.indices)
        for index, cause in self._causes(self._changed, differences):
            self._add(DECISIONS[Relation.CHANGED, tasks.states[place(index)]], cause, index)
        for index, cause in self._causes(self._recorded_anew, ()):
            self._add(Decision(Verb.RECORD), cause, index)

    def _causes(self, rows: Sequence[int], differences: Sequence[Change]) -> Iterator[tuple[int, str]]:
        """Yield the index of each of these rows, and why it is not what it was."""
        if not rows:
            return
        indices = [self.assigned[row] for row in rows]
        if len(indices) > DETAILED:
            yield from zip(indices, repeat(common(differences)), strict=False)
            return
        causes = Causes(differences, self._observed.document)
        before = self._observed.rows(indices)
        for row, index, values in zip(rows, indices, self._desired.rows(rows), strict=True):
            digest = matching.digest_at(self._desired.digests, row)
            yield index, causes.of(before.get(index, values), values, index=index, digest=digest)

    def _decide_gone(self) -> None:
        tasks = self._observed.tasks
        source = _source_of(self._desired.document)
        for index, state in compress(zip(tasks.indices, tasks.states, strict=True), self._left):
            decision = Decision(Verb.REMOVE, loss_of(Relation.GONE, state, self._rerun))
            anew = self._rerun is Rerun.ALL
            self._add(decision, "--rerun all numbers anew from 1" if anew else f"no longer {source}", index)


def _source_of(document: Mapping[str, Any]) -> str:
    """Return where rows come from, as people know it: those of a Foreach are elements."""
    if document["metadata"].get("partOf", {}).get("kind") == FOREACH:
        return "among the elements"
    return f"in {document['spec'].get('parameters', {}).get('csv', 'the manifest')}"


def _sweep_of(document: Mapping[str, Any]) -> Any:
    return document["spec"].get("parameters")
