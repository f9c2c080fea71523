"""Page: subjects in, the text of an HTML page out. Values reach it as escaped text, and as JSON that is only data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from sparkles import cause_text, causes
from sparkles import manifest as manifests
from sparkles.causes import Cause
from sparkles.model import Task
from sparkles.parts import part_of
from sparkles.quantities import counted
from sparkles.report import provenance
from sparkles.report.columns import MOST_PARAMETERS, columns, lanes_of
from sparkles.report.provenance import File
from sparkles.report.subject import Subject
from sparkles.report.summary import Summary, iso, summary
from sparkles.resources import template_text

#: What a page says of who made it, near its beginning.
GENERATOR = "sparkles report"

#: In the order in which they build on each other.
_SCRIPTS = ("data", "filter", "draw", "timeline", "charts", "table", "page")

#: What could end the script that the data is in. JSON itself escapes all that is not ASCII.
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}

#: Characters of a manifest that are shown.
_MANIFEST = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """A cause as the template shows it."""

    #: How many tasks had it, and what it was.
    text: str
    example: str
    #: What the example wrote last, if that is not said already.
    said: str
    commands: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A job as the template shows it."""

    name: str
    #: What it is called among the parts of its whole.
    part: str
    summary: Summary
    causes: Sequence[_Broken]
    #: Of the causes that are not shown.
    more_causes: str
    facts: Sequence[tuple[str, str]]
    files: Sequence[File]
    more_files: int
    manifest: str
    notes: Sequence[str]
    data: str


def page(name: str, subjects: Sequence[Subject], *, now: float) -> str:
    """Return the page about a job, or about all jobs of a whole, as of `now`."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template_text("report/page.html")).render(
        generator=GENERATOR,
        name=name,
        jobs=[_shown(subject, now=now) for subject in subjects],
        now=iso(now),
        style=template_text("report/style.css"),
        scripts=[template_text(f"report/{script}.js") for script in _SCRIPTS],
    )


def _shown(subject: Subject, *, now: float) -> _Shown:
    job = subject.job
    there = lanes_of(subject.tasks, now=now)
    files, more_files = provenance.files(subject)
    broken = causes.of(subject.tasks)
    return _Shown(
        name=job.name,
        part=part_of(job.name, job.whole) if job.whole else job.name,
        summary=summary(job, subject.tasks, there, now=now),
        causes=[_broken(cause, job.name) for cause in broken.told],
        more_causes=f"… and {broken.more:,} more, of {broken.rest:,} tasks" if broken.more else "",
        facts=list(provenance.facts(subject)),
        files=files,
        more_files=more_files,
        manifest=_manifest(subject.document),
        notes=[*subject.notes, *_left_out(subject.tasks)],
        data=embedded(columns(subject, there, now=now)),
    )


def _broken(cause: Cause, job: str) -> _Broken:
    said = cause.example.said or ""
    return _Broken(
        text="; ".join(filter(None, [cause_text.headline(cause), cause_text.doubt(cause)])),
        example=cause.example.id,
        said=said if said != cause.words else "",
        commands=cause_text.commands(cause, job),
    )


def _manifest(document: Mapping[str, Any] | None) -> str:
    text = manifests.dump(dict(document)) if document else ""
    return text if len(text) <= _MANIFEST else f"{text[:_MANIFEST]}\n… {len(text) - _MANIFEST:,} more characters"


def _left_out(tasks: Sequence[Task]) -> Iterator[str]:
    parameters = len(json.loads(tasks[0].row)) if tasks else 0
    if parameters > MOST_PARAMETERS:
        yield f"Of {counted(parameters, 'parameter')} the first {MOST_PARAMETERS} are shown."


def embedded(value: Any) -> str:
    r"""Return a value as JSON that can stand in a script element, whatever its texts hold.

    >>> embedded("</script>\u2028")
    '"\\u003c/script\\u003e\\u2028"'
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)
    return text
