"""Plan text: what a plan looks like to people, and to programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import lt
from typing import Any

from sparkles.indices import to_runs
from sparkles.plan import Action, Loss, Plan, Verb
from sparkles.quantities import counted, human_bytes

_SIGNS = {Verb.KEEP: "=", Verb.CHANGE: "~", Verb.RERUN: "~", Verb.RECORD: "~", Verb.ADD: "+", Verb.REMOVE: "-",
          Verb.HOLD: "?", Verb.STOP: "~"}  # fmt: skip
_WORDS = {
    Verb.KEEP: "unchanged",
    Verb.CHANGE: "change",
    Verb.RERUN: "run again",
    Verb.RECORD: "recorded anew",
    Verb.ADD: "new",
    Verb.REMOVE: "gone",
    Verb.HOLD: "held back",
    Verb.STOP: "stopped",
}

#: Runs of indices, and causes, that are shown of each kind of action.
_RUNS, _CAUSES = 8, 5

#: Stands between the first and the last of a run.
_DASH = "\u2013"

#: Width of what stands before the reasons.
_WIDTH = 24


def lines(plan: Plan, *, files: int, missing: int, upload_bytes: int, verbose: bool = False) -> list[str]:
    """Return the lines that `apply` and `diff` print; with `verbose` nothing is left out of them."""
    if plan.is_empty:
        waits = f"; it waits for {', '.join(plan.waits)}" if plan.waits else ""
        held = f"; {counted(plan.held, 'task')} {_held_until(plan)}" if plan.held else ""
        text = f"job {plan.job}   generation {plan.generation}: nothing to do, all is as the manifest says{waits}{held}"
        return [text, *_hints(plan)]
    shown = [f"job {plan.job}   generation {plan.generation} → {plan.generation + 1}"]
    shown += _actions(plan.actions, verbose=verbose)
    if plan.waits:
        shown.append(f"  ? tasks known after {', '.join(plan.waits)}{_kept(plan.kept)}")
    shown += _staff(plan)
    shown += [f"  ~ {text}" for text in plan.settings]
    if missing:
        shown.append(f"upload {counted(missing, 'file')} ({human_bytes(upload_bytes)}) of {files}")
    shown += _hints(plan)
    run = plan.runs
    numbers = f"{run} to run, {plan.count(Verb.KEEP, Verb.RECORD)} kept, {plan.count(Verb.REMOVE)} removed"
    numbers += f", {plan.held} held back" if plan.held else ""
    shown.append(f"Plan: waits for {', '.join(plan.waits)}." if plan.waits else f"Plan: {numbers}.")
    return shown


def _kept(tasks: int) -> str:
    match tasks:
        case 0:
            return ""
        case 1:
            return "; until then the task of now stays as it is"
        case _:
            return f"; until then the {tasks} tasks of now stay as they are"


def document(plan: Plan, *, files: int, missing: int, upload_bytes: int) -> Mapping[str, Any]:
    """Return the plan for programs: all of it."""
    staff = plan.staff
    return {
        "version": 1,
        "job": plan.job,
        "generation": plan.generation,
        "changes": not plan.is_empty,
        "actions": [
            {
                "verb": action.verb.value,
                "count": len(action.indices),
                "indices": to_runs(action.indices),
                "cause": action.cause,
                "loses": action.loss.value if action.loss else None,
            }
            for action in plan.actions
        ],
        "run": plan.count(Verb.ADD, Verb.CHANGE, Verb.RERUN),
        "keep": plan.count(Verb.KEEP, Verb.RECORD),
        "remove": plan.count(Verb.REMOVE),
        "hold": plan.held,
        "waits": list(plan.waits),
        "settings": list(plan.settings),
        "nodes": {"start": staff.start if staff else 0, "scaled": plan.scaled},
        "upload": {"files": missing, "bytes": upload_bytes, "of": files},
        "hints": list(plan.hints),
    }


def _held_until(plan: Plan) -> str:
    cause = next(action.cause for action in plan.actions if action.verb in (Verb.HOLD, Verb.STOP))
    return f"{'is' if plan.held == 1 else 'are'} held back {cause}"


def question(actions: Sequence[Action]) -> str:
    """Return what is lost by the actions that ask."""
    return "; ".join(
        f"{counted(len(action.indices), 'task')} {_WORDS[action.verb]} "
        f"({_some(action, verbose=False)}: {action.cause}): {_loss(action)}"
        for action in actions
    )


def _actions(actions: Sequence[Action], *, verbose: bool) -> Iterator[str]:
    """Yield a line for each kind of action with its count, and one for each further cause."""
    kinds = [list(group) for _, group in groupby(actions, key=lambda action: (action.verb, action.loss))]
    counts = [sum(len(action.indices) for action in kind) for kind in kinds]
    width = max((len(str(count)) for count in counts), default=1)
    for kind, count in zip(kinds, counts, strict=True):
        sign = "!" if kind[0].loss else _SIGNS[kind[0].verb]
        head = f"  {sign} {' ' * (width - len(str(count)))}{counted(count, 'task')} {_WORDS[kind[0].verb]}"
        for position, text in enumerate(_reasons(kind, verbose=verbose)):
            yield f"{'' if position else head:<{_WIDTH}}  {text}".rstrip()


def _reasons(kind: Sequence[Action], *, verbose: bool) -> list[str]:
    """Return which tasks an action concerns and why: a text for each cause."""
    if kind[0].verb is Verb.KEEP:
        return [""]
    shown = kind if verbose else kind[:_CAUSES]
    reasons = [_reason(action, verbose=verbose) for action in shown]
    if more := sum(len(action.indices) for action in kind[len(shown) :]):
        reasons.append(f"({more} more; -v shows all)")
    return reasons


def _reason(action: Action, *, verbose: bool) -> str:
    loss = f"; {_loss(action)}" if action.loss else ""
    return ": ".join(filter(None, [_some(action, verbose=verbose), action.cause])) + loss


def _loss(action: Action) -> str:
    one = len(action.indices) == 1
    if action.verb is Verb.STOP:
        return "it is stopped, and runs anew then" if one else "they are stopped, and run anew then"
    if action.loss is Loss.RESULT:
        return "its result is removed" if one else "their results are removed"
    stopped = "it is stopped" if one else "they are stopped"
    return stopped if action.verb is Verb.REMOVE else f"{stopped} and run{'s' if one else ''} anew"


def _some(action: Action, *, verbose: bool) -> str:
    indices = action.indices if _ascends(action.indices) else sorted(action.indices)
    runs = to_runs(indices).replace("-", _DASH).split(",")
    if verbose or len(runs) <= _RUNS:
        return ", ".join(runs)
    shown = runs[:_RUNS]
    more = len(action.indices) - sum(_size(run) for run in shown)
    return f"{', '.join(shown)} ({more} more)"


def _ascends(indices: Sequence[int]) -> bool:
    """Say whether indices are sorted, as nearly all are: a million of them are not copied for nothing."""
    return all(map(lt, indices, islice(indices, 1, None)))


def _size(run: str) -> int:
    first, _, last = run.partition(_DASH)
    return int(last or first) - int(first) + 1


def _staff(plan: Plan) -> list[str]:
    if plan.staff is None:
        return []
    head = f"  + {counted(plan.staff.start, 'node')}"
    most = f"scaled to {plan.scaled}" if plan.scaled else f"nodes.max {plan.staff.most}"
    return [f"{head:<{_WIDTH}}  {plan.staff.running} running, {counted(plan.staff.tasks, 'task')} to run, {most}"]


def _hints(plan: Plan) -> list[str]:
    return [f"hint: {hint}" for hint in plan.hints]
