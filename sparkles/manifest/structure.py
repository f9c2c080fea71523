"""Structure: what is wrong with a document of which each field is right: names, and what refers to what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sparkles.errors import nearest
from sparkles.manifest.findings import Finding
from sparkles.parts import LONGEST, WORKFLOW, job_name, part_names
from sparkles.references import reference

Step = Mapping[str, Any]


def flaws(document: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with a document that fits its schema."""
    match document.get("kind"):
        case "Job":
            yield from _part(document["metadata"])
        case "Foreach":
            yield from _foreach(document)
        case "Workflow":
            yield from _workflow(document)


def _part(metadata: Mapping[str, Any]) -> Iterator[Finding]:
    part_of = metadata.get("partOf")
    if part_of and job_name(part_of["kind"], part_of["name"], part_of["part"]) != metadata["name"]:
        whole, part = part_of["name"], part_of["part"]
        yield Finding(
            ("metadata", "partOf"),
            f"job {metadata['name']!r} is not what the part {part!r} of {whole!r} is called; "
            "leave partOf out of a job of its own",
        )


def _foreach(document: Mapping[str, Any]) -> Iterator[Finding]:
    longest = max(part_names(document), key=len)
    if len(longest) > LONGEST:
        yield Finding(("metadata", "name"), _too_long(longest))


def _workflow(document: Mapping[str, Any]) -> Iterator[Finding]:
    steps = document["spec"]["steps"]
    yield from _names(document["metadata"]["name"], steps)
    yield from _circles(steps)
    for number, step in enumerate(steps):
        for path, src in _sources(step):
            if wrong := _stray(src, step, steps, number):
                yield Finding(("spec", "steps", number, *path), wrong)


def _names(whole: str, steps: Sequence[Step]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for number, step in enumerate(steps):
        at = ("spec", "steps", number, "name")
        if (other := first.setdefault(step["name"], number)) != number:
            yield Finding(at, f"there is a step {step['name']!r} already: spec.steps[{other}]")
        elif len(job := job_name(WORKFLOW, whole, step["name"])) > LONGEST:
            yield Finding(at, _too_long(job))


def _too_long(job: str) -> str:
    return f"its job would be called {job}: that is {len(job)} characters, and a name has at most {LONGEST}"


def _circles(steps: Sequence[Step]) -> Iterator[Finding]:
    numbers = {step["name"]: number for number, step in enumerate(steps)}
    needs = {step["name"]: [need for need in step.get("needs", []) if need in numbers] for step in steps}
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        words = " → ".join(circle)
        yield Finding(
            ("spec", "steps", numbers[circle[0]], "needs"), f"these steps need each other in a circle: {words}"
        )


def _sources(step: Step) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield each text of a step that may refer to results, and where it is."""
    for number, entry in enumerate(step.get("uploads", [])):
        yield ("uploads", number), entry if isinstance(entry, str) else entry["src"]
    yield ("parameters", "csv"), step.get("parameters", {}).get("csv", "")


def _stray(src: str, step: Step, steps: Sequence[Step], number: int) -> str | None:
    """Return what is wrong with a reference to results that the step does not wait for."""
    refers = reference(src)
    needs = step.get("needs", [])
    if refers is None or refers.job in needs:
        return None
    names = [other["name"] for other in steps]
    if refers.job in names:
        misspelt = next((need for need in needs if need not in names and nearest(need, [refers.job])), None)
        instead = f" instead of {misspelt!r}" if misspelt else ""
        return f"{src!r} needs the results of step {refers.job}: add it to spec.steps[{number}].needs{instead}"
    hint = nearest(refers.job, [*needs, *names])
    return f"{src!r} needs the results of job {refers.job}: add it to spec.steps[{number}].needs{hint}"
