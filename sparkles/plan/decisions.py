"""Decisions: what is done with a task, by how it relates to the manifest and where it stands; a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from sparkles.model import TaskState
from sparkles.plan.nouns import Loss, Rerun, Verb

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
