"""Draft: the decision for each row, and for each task that has none any more; and why."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import compress, repeat
from typing import Any

from sparkles.changes import Change
from sparkles.indices import from_runs
from sparkles.model import OPEN, TaskState
from sparkles.parts import FOREACH
from sparkles.plan import likeness, matching
from sparkles.plan.causes import DETAILED, Causes, common
from sparkles.plan.decisions import DECISIONS, Decision, Relation, loss_of
from sparkles.plan.gate import RUNS, Gate
from sparkles.plan.matching import LABEL_SIZE, NO_LABELS, Labels
from sparkles.plan.nouns import BYTES, Action, Desired, Loss, Observed, Rerun, Verb
from sparkles.plan.wishes import Wishes

F, K = TaskState.FAILED, TaskState.KILLED
P = TaskState.PENDING

#: Verbs that run nothing now.
_NOT_RUN = (Verb.KEEP, Verb.RECORD, Verb.HOLD, Verb.STOP)

#: Why an unchanged task is touched.
_RETRY, _MOVES = "retry", "resources"


class Draft:
    """What becomes of each row and of each task that has none: the numbers of a plan, before its words."""

    def __init__(
        self, desired: Desired, observed: Observed, *, rerun: Rerun, retry: Collection[int], is_same: bool
    ) -> None:
        self._desired, self._observed = desired, observed
        self._rerun = rerun
        self._wishes = Wishes(rerun, retry=retry, canary=observed.canary, begun=observed.begun)
        self._moves = bool(observed.cluster) and observed.cluster != desired.cluster
        self._groups: defaultdict[tuple[Verb, str, Loss | None], array[int]] = defaultdict(lambda: array("q"))
        #: Places in the sweep of rows whose task has another digest.
        self._changed = array("q")
        #: Places in the sweep of rows that differ from what is recorded of their task, which stays as it is.
        self._recorded_anew = array("q")
        self._labels = self._read_labels()
        # Rows that are as they were are what they were: those that are held back cannot be told by their tasks.
        self.assigned = from_runs(observed.order) if is_same and rerun is not Rerun.ALL else self._assign()
        self.verbs = bytearray(len(self.assigned))
        #: Tasks that stay as they are, and have yet to end.
        self.still_open = 0
        #: Tasks that stay as they are, and have failed or were killed.
        self.still_failed = 0
        #: Those of them that have failed.
        self.failed = 0
        self._gate = Gate(desired.canary, rows=len(self.assigned))
        self._left = bytearray(b"\1") * len(observed.tasks)
        self._decide_rows()

    @property
    def highest(self) -> int:
        """The highest index of any row, but for those that are held back: they are given theirs when they go on."""
        if not self._gate.holds:
            return max(self.assigned)
        return max(index for index, verb in zip(self.assigned, self.verbs, strict=True) if verb != BYTES[Verb.HOLD])

    @property
    def to_run(self) -> int:
        """How many tasks run, or run again."""
        return len(self.verbs) - sum(self.verbs.count(BYTES[verb]) for verb in _NOT_RUN)

    @property
    def first(self) -> Sequence[int]:
        """The indices of the rows that are tried first, if others are held back for them."""
        return self.assigned[: self._gate.first] if self._gate.holds else ()

    @property
    def rerun_held(self) -> Rerun:
        """Which unchanged ones of those that are held back run again when they go on."""
        return self._wishes.of_held if self._gate.holds else Rerun.NONE

    @property
    def done(self) -> Sequence[int]:
        """The tasks that are made to run since that was asked for, now or before."""
        if not self._gate.holds:
            return ()
        run = {BYTES[verb] for verb in RUNS}
        return self._wishes.done(index for index, verb in zip(self.first, self.verbs, strict=False) if verb in run)

    def _assign(self) -> Sequence[int]:
        """Return the index of each row."""
        if self._desired.seq or self._wishes.are_for_all:
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
            first = self._gate.first
            rest = len(self.assigned) - first
            self.verbs = bytearray([BYTES[Verb.ADD]]) * first + bytearray([BYTES[Verb.HOLD]]) * rest
            self._gate.holds = rest > 0
            return
        place = matching.places(self._observed.tasks.indices)
        for row, index in enumerate(self.assigned):
            position = place(index)
            is_new = position == matching.NOWHERE
            verb = self._decide_new(row, index) if is_new else self._decide_row(row, index, position)
            self.verbs[row] = BYTES[verb]

    def _decide_new(self, row: int, index: int) -> Verb:
        decision = self._gate.pass_on(row, Decision(Verb.ADD), state=None)
        self._add(decision, self._gate.cause(decision), index)
        return decision.verb

    def _decide_row(self, row: int, index: int, position: int) -> Verb:
        """Decide about a row that has a task. If that has changed, the cause is found later, for all at once."""
        tasks = self._observed.tasks
        state = tasks.states[position]
        self._left[position] = 0
        same = matching.digest_at(tasks.digests, position) == matching.digest_at(self._desired.digests, row)
        asked = self._wishes.of(index)
        if not same and asked is not Rerun.ALL:
            decision, cause = DECISIONS[Relation.CHANGED, state], ""
        else:
            decision, cause = self._decide_same(index, state, asked)
        if self._gate.tries:  # most jobs have none
            passed = self._gate.pass_on(row, decision, state=state, moves=cause == _MOVES)
            if passed is not decision:
                self._add(passed, self._gate.cause(passed), index)
                return passed.verb
        if not same and asked is not Rerun.ALL:
            self._changed.append(row)
            return decision.verb
        return self._note_same(row, index, position, decision, cause)

    def _note_same(self, row: int, index: int, position: int, decision: Decision, cause: str) -> Verb:
        """Take note of a row that has the task that it had."""
        state = self._observed.tasks.states[position]
        if decision.verb is Verb.KEEP and self._is_recorded_anew(row, position):
            decision = Decision(Verb.RECORD)
        stays = decision.verb in (Verb.KEEP, Verb.RECORD)
        self.still_open += stays and state in OPEN
        if stays and state in (F, K):
            self.still_failed += 1
            self.failed += state is F
        if decision.verb is Verb.RECORD:
            self._recorded_anew.append(row)
        else:
            self._add(decision, cause, index)
        return decision.verb

    def _is_recorded_anew(self, row: int, position: int) -> bool:
        desired, observed = self._labels
        return bool(desired) and matching.label_at(desired, row) != matching.label_at(observed, position)

    def _decide_same(self, index: int, state: TaskState, asked: Rerun) -> tuple[Decision, str]:
        if index in self._wishes.retry:
            return Decision(Verb.RERUN), _RETRY
        if asked is Rerun.ALL or (asked is Rerun.FAILED and state in (F, K)):
            return Decision(Verb.RERUN, loss_of(Relation.CHANGED, state, asked)), f"--rerun {asked.value}"
        if state is P and self._moves:
            return Decision(Verb.CHANGE), _MOVES
        return DECISIONS[Relation.SAME, state], ""

    def _add(self, decision: Decision, cause: str, index: int) -> None:
        self._groups[decision.verb, cause, decision.loss].append(index)

    def actions(self, differences: Sequence[Change]) -> Sequence[Action]:
        """Return as few actions as there are different (verb, cause, loss), those that keep first."""
        if not len(self._observed.tasks):
            first = self._gate.first
            held = Action(verb=Verb.HOLD, indices=self.assigned[first:], cause=self._gate.cause(Decision(Verb.HOLD)))
            new = Action(verb=Verb.ADD, indices=self.assigned[:first], cause="")
            return [new, held] if held.indices else [new]
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
