"""Guard text: what is said of a job whose first tasks run before all others, and of one that was stopped. Pure."""

from __future__ import annotations

from sparkles.indices import from_runs
from sparkles.model import FAIL_FAST, Canary, Job, JobState
from sparkles.quantities import counted


def holds(job: Job) -> str | None:
    """Return what a job holds back; None if it holds back nothing, or it will not go on.

    >>> from sparkles.model import Canary, Job, JobState
    >>> canary = Canary(first="1-10", held=990)
    >>> holds(Job(name="fit", state=JobState.ACTIVE, generation=1, cluster="", owner="", submitted=0, canary=canary))
    'canary: 10 tasks first; 990 more when they have succeeded'
    """
    if job.canary is None or not job.holds_back:
        return None
    first = _first(job.canary)
    they = "it has" if first == 1 else "they have"
    return f"canary: {counted(first, 'task')} first; {job.canary.held} more when {they} succeeded"


def goes_on(canary: Canary) -> str:
    """Return what is said when the tasks that were held back have been let go on.

    >>> goes_on(Canary(first="1-10", held=990))
    'canary: the first 10 tasks have succeeded; 990 more go on'
    """
    first = _first(canary)
    they = "the first task has" if first == 1 else f"the first {first} tasks have"
    return f"canary: {they} succeeded; {canary.held} more {'goes' if canary.held == 1 else 'go'} on"


def ended(job: Job) -> tuple[str, str] | None:
    """Return why not all of a job that has ended was run, and what to do; None if nothing kept it from that."""
    if job.state is JobState.KILLED and _was_a_guard(job.killed_by):
        return str(job.killed_by), _after_stop(job)
    if job.canary is None or job.holds_back:
        return None
    first, held = _first(job.canary), job.canary.held
    if job.state is JobState.KILLED:
        return f"canary: it was killed before the others began, so {_were_held(held)}", _retry(job, held)
    which = "the first task" if first == 1 else f"not all of the first {first} tasks"
    says = f"canary: {which} {'did not succeed' if first == 1 else 'succeeded'}, so {_were_held(held)}"
    return says, _retry(job, held)


def words(job: Job) -> str | None:
    """Return why not all of a job has been run, whether it goes on or has ended; None if nothing is held back."""
    found = ended(job)
    return holds(job) or (found[0] if found else None)


def _retry(job: Job, held: int) -> str:
    others = "the other" if held == 1 else f"the other {held}"
    return (
        f"'sparkles retry {job.name}' runs again what did not succeed, and then {others}; "
        f"after a change of files or command run sub or apply again"
    )


def _after_stop(job: Job) -> str:
    return (
        f"'sparkles retry {job.name}' runs again what failed or was stopped; after a change of files or command "
        f"run sub or apply again, and to let more tasks fail with a larger --fail-fast (spec.failFast.maxFailures)"
    )


def _were_held(held: int) -> str:
    return "1 other was not run" if held == 1 else f"{held} others were not run"


def _was_a_guard(killed_by: str | None) -> bool:
    """Say whether it was no person who killed a job, but one of its guards."""
    return killed_by is not None and killed_by.startswith(FAIL_FAST)


def _first(canary: Canary) -> int:
    return len(from_runs(canary.first))
