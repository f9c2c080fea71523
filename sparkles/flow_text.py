"""Flow text: what the jobs of a whole, and what they need of each other, look like to people and programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkles import lifecycle
from sparkles.model import Job, JobState, TaskState
from sparkles.quantities import counted

#: How a job looks in a diagram, by how it stands.
_STYLES = {
    "waiting": "fill:#eee,stroke:#999,stroke-dasharray:4",
    "active": "fill:#cfe2ff,stroke:#3366cc",
    "succeeded": "fill:#d1e7dd,stroke:#2e7d32",
    "failed": "fill:#f8d7da,stroke:#c62828",
    "killed": "fill:#e2d9f3,stroke:#6a4c93",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of a whole, as it stands."""

    #: What it is called in its whole.
    name: str
    job: Job
    #: The steps of the same whole that it needs.
    needs: Sequence[str]
    counts: Mapping[TaskState, int]

    @property
    def state(self) -> str:
        """How it stands, in one word: as its job, or if that has ended, how."""
        if self.job.applying:
            return "active"
        if self.job.state is JobState.FINISHED:
            return "succeeded" if lifecycle.has_succeeded(self.job, self.counts) else "failed"
        state: str = self.job.state.value
        return state


def row(step: Step) -> dict[str, Any]:
    """Return a step as a row of a table."""
    return {
        "step": step.name,
        "job": step.job.name,
        "needs": list(step.needs),
        "state": step.state,
        **{state.value: step.counts.get(state, 0) for state in TaskState},
    }


#: The columns of the rows.
COLUMNS = ["step", "job", "needs", "state", *(state.value for state in TaskState)]


def mermaid(steps: Sequence[Step]) -> Iterator[str]:
    """Yield the lines of a diagram, which has a colour for each way to stand."""
    numbers = {step.name: f"s{number}" for number, step in enumerate(steps, start=1)}
    yield "flowchart TD"
    for step in steps:
        yield f'    {numbers[step.name]}["{step.name}<br/>{_words(step)}"]:::{step.state}'
    for step in steps:
        yield from (f"    {numbers[need]} --> {numbers[step.name]}" for need in step.needs)
    for state in dict.fromkeys(step.state for step in steps):
        yield f"    classDef {state} {_STYLES[state]}"


def _words(step: Step) -> str:
    """Return how far a step is.

    Of tasks that are not known yet there is nothing to say.
    """
    total = sum(step.counts.values())
    done = step.counts.get(TaskState.SUCCEEDED, 0)
    if not total:
        return step.state
    return f"{step.state}, {counted(total, 'task')}" if done == total else f"{step.state}, {done} of {total} tasks"
