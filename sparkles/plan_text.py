"""Plan text: what a plan looks like to people, and to programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkles.indices import to_runs
from sparkles.plan import Action, Plan, Verb

_SIGNS = {Verb.KEEP: "=", Verb.CHANGE: "~", Verb.RERUN: "~", Verb.ADD: "+", Verb.REMOVE: "-"}
_WORDS = {
    Verb.KEEP: "unchanged",
    Verb.CHANGE: "change",
    Verb.RERUN: "run again",
    Verb.ADD: "new",
    Verb.REMOVE: "gone",
}

#: Runs of indices shown on a line.
_RUNS = 8


def lines(plan: Plan, *, files: int, missing: int, upload_bytes: int) -> list[str]:
    """Return the lines that `apply` and `diff` print."""
    if plan.is_empty:
        text = f"job {plan.job}   generation {plan.generation}: nothing to do, all is as the manifest says"
        return [text, *_hints(plan)]
    shown = [f"job {plan.job}   generation {plan.generation} → {plan.generation + 1}"]
    width = max((len(str(len(action.indices))) for action in plan.actions), default=1)
    shown += [_action(action, width) for action in plan.actions]
    shown += [f"  ~ {text}" for text in plan.settings]
    if missing:
        shown.append(f"upload {missing} files ({human_bytes(upload_bytes)}) of {files}")
    shown += _hints(plan)
    run = plan.count(Verb.ADD, Verb.CHANGE, Verb.RERUN)
    shown.append(f"Plan: {run} to run, {plan.count(Verb.KEEP)} kept, {plan.count(Verb.REMOVE)} removed.")
    return shown


def document(plan: Plan, *, files: int, missing: int, upload_bytes: int) -> Mapping[str, Any]:
    """Return the plan for programs."""
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
                "asks": action.asks,
            }
            for action in plan.actions
        ],
        "settings": list(plan.settings),
        "upload": {"files": missing, "bytes": upload_bytes, "of": files},
        "hints": list(plan.hints),
    }


def question(actions: Sequence[Action]) -> str:
    """Return what is lost by the actions that ask."""
    return "; ".join(
        f"{len(action.indices)} tasks {_loss(action)} ({_some(action)}: {action.cause})" for action in actions
    )


def human_bytes(size: int) -> str:
    """Return a size for people.

    >>> human_bytes(2100)
    '2.1 kB'
    """
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def _action(action: Action, width: int) -> str:
    sign = "!" if action.asks else _SIGNS[action.verb]
    text = f"  {sign} {len(action.indices):>{width}} tasks {_WORDS[action.verb]}"
    if action.verb is Verb.KEEP:
        return text
    causes = [_some(action), *([action.cause] if action.cause else []), *([_loss(action)] if action.asks else [])]
    return f"{text:<24}  {': '.join(causes)}"


def _loss(action: Action) -> str:
    return "lose their result or are stopped" if action.verb is Verb.REMOVE else "are stopped and run anew"


def _some(action: Action) -> str:
    runs = to_runs(action.indices).split(",")
    more = f" (and {len(runs) - _RUNS} more runs)" if len(runs) > _RUNS else ""
    return ", ".join(runs[:_RUNS]) + more


def _hints(plan: Plan) -> list[str]:
    return [f"hint: {hint}" for hint in plan.hints]
