"""Plan: desired tasks and observed tasks in, an ordered list of actions with their causes out. Pure.

`diff`, `--dry-run` and `apply` all print or carry out what `make` returns. It works on columns: digests,
indices and states, not on a million objects.
"""

from sparkles.plan.decisions import DECISIONS, Relation, loss_of
from sparkles.plan.make import make
from sparkles.plan.nouns import NOTHING, Action, Desired, Loss, Observed, Plan, Rerun, Staff, Verb

__all__ = [
    "DECISIONS",
    "NOTHING",
    "Action",
    "Desired",
    "Loss",
    "Observed",
    "Plan",
    "Relation",
    "Rerun",
    "Staff",
    "Verb",
    "loss_of",
    "make",
]
