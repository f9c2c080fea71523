"""Explain: what the schema says about a field, as help for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sparkles.errors import RequestError
from sparkles.manifest.findings import unknown_hint
from sparkles.manifest.schema import WORDS, Schema, branch, branches, children, fields, load

POLICIES = {
    "live": "takes effect at once; no task runs again",
    "next-attempt": "counts for tasks that have yet to start; running ones finish as they are",
    "rerun": "tasks that it changes run again",
}

#: First word of a path → the schema it is about. Without one of them it is about a job.
_SUBJECTS = {"job": "job", "foreach": "foreach", "workflow": "workflow", "config": "config"}


def explain(path: str) -> str:
    """Return the help text of the field at a path such as `spec.nodes.max`; an empty path is the whole."""
    steps, field, policy = _find(path)
    return "\n".join(_lines(".".join(steps), field, policy)) + "\n"


def known_fields() -> Iterator[str]:
    """Yield the paths that `explain` takes: of a job's fields also without their first word."""
    job = [path for path, _ in fields(load("job"))]
    yield from map(".".join, job)
    yield from (".".join(path[1:]) for path in job if path[0] in ("spec", "metadata") and path[1:])
    for subject, name in _SUBJECTS.items():
        yield from (".".join((subject, *path)) for path, _ in fields(load(name)))


def describe(path: str) -> str:
    """Return what the field at a path is, in one sentence."""
    return str(_find(path)[1]["description"])


def update_policy(field: str) -> str:
    """Return how a change of a field of `spec`, or of `labels`, is taken up: a key of POLICIES."""
    policy = _find(field)[2]
    if policy is None:
        raise RequestError(f"{field}: has no update policy")
    return policy


def _find(path: str) -> tuple[tuple[str, ...], Schema, str | None]:
    """Return the full path, the schema and the update policy of a field."""
    steps = tuple(step.removesuffix("[]") for step in path.split(".")) if path else ()
    subject = "job"
    if steps and steps[0].lower() in _SUBJECTS:
        subject, steps = steps[0].lower(), steps[1:]
    schema = load(_SUBJECTS[subject])
    for prefix in ((), ("spec",), ("metadata",)):
        if (found := _walk(schema, (*prefix, *steps))) is not None:
            named = (subject,) if subject != "job" else ()
            return (*named, *prefix, *steps), *found
    raise RequestError(_unknown(schema, steps) + (_elsewhere(steps) if subject == "job" else ""))


def _elsewhere(steps: tuple[str, ...]) -> str:
    """Return where a field is that a job does not have."""
    found = [
        f"{subject}.{'.'.join((*prefix, *steps))}"
        for subject in ("foreach", "workflow")
        for prefix in ((), ("spec",), ("spec", "steps"))
        if _walk(load(subject), (*prefix, *steps)) is not None
    ]
    return f"; there is {' and '.join(found)}" if found else ""


def _walk(schema: Schema, steps: tuple[str, ...]) -> tuple[Schema, str | None] | None:
    policy = None
    for step in steps:
        below = children(schema).get(step)
        if below is None:
            return None
        schema, policy = below, below.get("x-update", policy)
    return schema, policy


def _unknown(schema: Schema, steps: tuple[str, ...]) -> str:
    """Return the message for a path that leads nowhere: where it stops, and what is near."""
    spec = children(schema).get("spec", schema)
    known = children(schema)
    at = known if steps[0] in known else {**known, **children(spec)}
    reached: list[str] = []
    for step in steps:
        if step not in at:
            return f"{'.'.join((*reached, step))}: unknown field{unknown_hint(step, at, schema)}"
        reached.append(step)
        at = children(at[step])
    return f"{'.'.join(steps)}: unknown field"


def _lines(path: str, field: Schema, policy: str | None) -> Iterator[str]:
    yield f"{path or field['title']}: {type_words(field)}"
    yield f"  {field['description']}"
    for label, text in _facts(field, policy):
        yield f"  {label + ':':<10}{text}"
    if below := children(field):
        width = max(map(len, below)) + 2
        yield "Fields:"
        for name, child in below.items():
            needed = " (required)" if name in _required(field) else ""
            yield f"  {name:<{width}}{child['description']}{needed}"


def _required(field: Schema) -> list[str]:
    """Return the fields that a mapping, or each mapping of a list, must have."""
    items = (branch(field, "array") or {}).get("items", {})
    found: list[str] = (branch(field, "object") or branch(items, "object") or {}).get("required", [])
    return found


def _facts(field: Schema, policy: str | None) -> Iterator[tuple[str, str]]:
    if allowed := allowed_words(field):
        yield "Allowed", allowed
    if names := field.get("propertyNames", {}).get("x-words"):
        yield "Names", names
    if default := default_words(field):
        yield "Default", default
    if policy is not None:
        yield "Changes", f"{policy}: {POLICIES[policy]}"
    examples = field.get("examples", [])
    if any(isinstance(example, list | dict) for example in examples):
        yield from (("Example", _inline(example)) for example in examples)
    elif examples:
        yield "Example", ", ".join(map(_inline, examples))


def type_words(field: Schema) -> str:
    """Return the type of a field in words, such as `list of strings` or `duration`."""
    shapes = sorted(branches(field), key=lambda shape: shape.get("type") == "array")
    return " or ".join(map(_type_words, shapes))


def _type_words(shape: Schema) -> str:
    if "title" in shape and shape.get("type") == "string":
        return str(shape["title"])
    match shape.get("type"):
        case "array":
            return "list of " + " or ".join(_plural(_type_words(part)) for part in branches(shape["items"]))
        case "object" if isinstance(shape.get("additionalProperties"), dict):
            return f"mapping from name to {type_words(shape['additionalProperties'])}"
        case str(name):
            return WORDS[name] if name == "boolean" else WORDS[name].split(" ", 1)[1]
    return "string"


def _plural(words: str) -> str:
    head, joint, rest = words.partition(" of " if words.startswith("list") else " from ")
    return f"{head}s{joint}{rest}"


def allowed_words(field: Schema) -> str:
    """Return which values a field may have, or nothing if its type says it all."""
    if "const" in field:
        return str(field["const"])
    choices = field.get("enum") or field.get("items", {}).get("enum")
    if choices:
        return ", ".join(choices)
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None:
        return f"{low} to {high}" if high is not None else f"at least {low}"
    return _pattern_words(field)


def _pattern_words(field: Schema) -> str:
    if "pattern" not in field or "minLength" in field:
        return ""
    forbidden = field.get("not", {}).get("const")
    return str(field["x-words"]) + (f"; not {forbidden}" if forbidden else "")


def default_words(field: Schema) -> str:
    """Return the default of a field, or nothing if it has none."""
    if "default" in field and field["default"] != {}:
        return _inline(field["default"])
    return str(field.get("x-default", ""))


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
