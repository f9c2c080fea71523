"""Make: desired and observed in, a plan out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sparkles import changes, presence, staffing
from sparkles.changes import Change, without_results
from sparkles.indices import to_runs
from sparkles.model import TaskState
from sparkles.plan.draft import Draft
from sparkles.plan.nouns import Desired, Observed, Plan, Rerun, Staff
from sparkles.staffing import Load

_COMPLETES = "completes an apply that was cut off"


def make(
    job: str, desired: Desired, observed: Observed, *, rerun: Rerun = Rerun.NONE, retry: Collection[int] = ()
) -> Plan:
    """Decide what makes the observed job what the manifest wants.

    `rerun` says which unchanged tasks run again; `retry` holds the indices of others that do.
    """
    unscales = observed.document is not None and _max_nodes(observed.document) != desired.max_nodes
    scaled = None if unscales else observed.scaled
    if desired.waits:
        return _waiting(job, desired, observed, rerun, scaled)
    differences = changes.between(observed.document, desired.document) if observed.document else []
    is_same = observed.canary is not None and all(change.policy != "rerun" for change in differences)
    draft = Draft(desired, observed, rerun=rerun, retry=retry, is_same=is_same)
    made = Plan(
        job=job,
        generation=observed.generation,
        actions=draft.actions(differences),
        assigned=draft.assigned,
        verbs=bytes(draft.verbs),
        last_index=max(observed.last_index, draft.highest),
        first=draft.first,
        rerun_held=draft.rerun_held,
        done=draft.done,
        failed=draft.failed,
        scaled=scaled,
        unscales=unscales,
        staff=_staff(draft, desired, observed, most=scaled or desired.max_nodes),
        hints=[*_scaled(scaled), *_hints(job, 0 if retry or rerun is not Rerun.NONE else draft.still_failed)],
    )
    return replace(made, settings=_settings(differences, observed, made))


def _waiting(job: str, desired: Desired, observed: Observed, rerun: Rerun, scaled: int | None) -> Plan:
    """Plan for a job whose tasks are not known yet: those that are there stay as they are until then."""
    settings = []
    if observed.document:
        differences = changes.between(without_results(observed.document), without_results(desired.document))
        settings = [change.text for change in differences]
        if not observed.waiting:
            settings.append(f"waits for {', '.join(desired.waits)}")
    asked = observed.waiting.rerun if observed.waiting else None
    if rerun is not Rerun.NONE and observed.document and rerun.value != asked:
        settings.append(f"--rerun {rerun.value} when it begins")
    return Plan(
        job=job,
        generation=observed.generation,
        settings=[*settings, *_completes(observed)],
        last_index=observed.last_index,
        scaled=scaled,
        unscales=observed.scaled is not None and scaled is None,
        order=observed.order,
        waits=desired.waits,
        kept=len(observed.tasks),
        hints=_scaled(scaled),
    )


def _max_nodes(document: Mapping[str, Any]) -> Any:
    return document["spec"]["nodes"]["max"]


def _completes(observed: Observed) -> list[str]:
    return [_COMPLETES] if observed.cut_off else []


def _settings(differences: Sequence[Change], observed: Observed, made: Plan) -> list[str]:
    """Return the changes that the tasks' own actions do not carry."""
    if observed.document is None:
        return _completes(observed)
    settings = [change.text for change in differences if change.policy != "rerun"]
    if observed.scaled is not None and made.scaled is None:
        settings.append(f"no longer scaled to {observed.scaled} nodes")
    if observed.waiting:
        settings.append("begins")
    elif observed.killed and all(state is TaskState.SUCCEEDED for state in observed.tasks.states):
        settings.append("was killed")
    if made.keeps_all:
        if to_runs(made.assigned) != observed.document.get("status", {}).get("indices"):
            settings.append("order of the rows")
        else:
            settings += [change.text for change in differences if change.policy == "rerun"]
    return [*settings, *_completes(observed)]


def _staff(draft: Draft, desired: Desired, observed: Observed, *, most: int) -> Staff | None:
    """Return the nodes that have to be started for what is to run; None if there are enough."""
    tasks = draft.still_open + draft.to_run
    limit = most if desired.most_nodes is None else min(most, desired.most_nodes)
    wanted = staffing.wanted([Load(open_tasks=tasks, most=limit)], slots=desired.slots)
    start = presence.missing_nodes(observed.nodes, wanted=wanted)
    if start:  # most plans need not ask for those on their way
        start = max(0, start - observed.coming())
    running = presence.standing(observed.nodes)
    return Staff(start=start, running=running, tasks=tasks, most=most) if start else None


def _scaled(nodes: int | None) -> list[str]:
    return [f"it is scaled to {nodes} nodes, whatever nodes.max says until that is changed"] if nodes else []


def _hints(job: str, failed: int) -> list[str]:
    if not failed:
        return []
    text = "1 task failed or was" if failed == 1 else f"{failed} tasks failed or were"
    return [f"{text} killed before; --rerun failed runs such tasks again, and so does 'sparkles retry {job}'"]
