"""Generate: the pages of this folder that say what the schemas, the commands and the state machine say.

`python docs/generate.py` writes them, `python docs/generate.py --check` fails if one is stale.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import click

from sparkles import config, lifecycle, manifest, presence
from sparkles.cli import COMMANDS, main
from sparkles.manifest.explain import POLICIES, allowed_words, default_words, type_words
from sparkles.manifest.schema import Schema, children, fields, load
from sparkles.model import JobState, NodeState, TaskState

DOCS = Path(__file__).resolve().parent

_NOTE = "<!-- Written by docs/generate.py. Change what it is made of, not this page. -->"

_MANIFEST = """\
# The manifest

Every job is described by a manifest: a YAML document with the four fields `apiVersion`, `kind`, `metadata` and `spec`.
`sparkles sub` writes one from its flags (`sparkles sub --dry-run -o yaml …` shows it); `sparkles apply` takes one from
a file. On the command line, `sparkles explain spec.nodes.max` says what this page says.

```yaml
apiVersion: sparkles/v1
kind: Job
metadata:
  name: lambda-sweep
spec:
  command: [python3, fit.py, --lambda, "{lambda}"]
  uploads: [fit.py]
  parameters:
    csv: parameters.csv
```

Where a field wants text, what you write is what you get: `0.10` stays 0.10 and `yes` stays yes. Text that begins with
`{` needs quotes, because YAML would read it as a mapping: `"{name}"`. More examples, all of them tested, are in
[examples/jobs](../examples/jobs/README.md).

A file that ends in `.j2` is a template: values, loops and conditions are filled in first. See
[templates](templates.md).

On the machine you are on, the fields about other machines are accepted and not used: all of `resources` but `slots` and
`memory`, all of `nodes` but `linger`; `gs://` uploads are refused. What they are elsewhere is said in [files of a
bucket](buckets.md); what `image` needs, and what a task finds in one, in [jobs in docker images](images.md).

How one job takes what another left, `needs` and `{results.JOB}`, is on a page of its own: [jobs that need
jobs](pipelines.md). Two other kinds of document, at the end of this page, stand for several jobs: [foreach and
workflows](workflows.md).

## What a change does

A manifest can be changed and applied again; [changing a job](changing-jobs.md) shows that. What is affected depends on
the field:

"""

_CLI = """\
# The commands

Each command says this and no more with `--help`.

Exit codes: 0, all is well · 1, a task failed or was killed, or `diff` found changes · 2, the request is wrong, and
nothing was changed · 3, something stands against it: a backend, an engine, or somebody else's job · 124, `wait`
took longer than its `--timeout` · 130, interrupted with Ctrl-C (a job that was submitted goes on).

Wherever a job is named, `LAST` stands for your newest one. Results, plans and logs go to stdout; warnings, hints and
questions to stderr.
"""


def pages() -> dict[Path, str]:
    """Return the content that each page should have."""
    architecture = DOCS / "architecture.md"
    configuration = DOCS / "configuration.md"
    return {
        DOCS / "manifest.md": manifest_page(),
        DOCS / "cli.md": cli_page(),
        architecture: with_diagrams(architecture.read_text(encoding="utf-8")),
        configuration: with_settings(configuration.read_text(encoding="utf-8")),
    }


def _between(page: str, mark: str, text: str) -> str:
    """Return the page with this text between `<!-- MARK -->` and the next `<!-- end -->`."""
    before, start, rest = page.partition(f"<!-- {mark} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    assert end, f"no place for {mark}"
    return before + start + text + end + after


# The manifest


def manifest_page() -> str:
    """Return the reference of all fields of a job."""
    job = load("job")
    policies = "".join(f"- **{name}**: {text}.\n" for name, text in POLICIES.items())
    parts = [_NOTE + "\n", _MANIFEST + policies, *_section("metadata", children(job)["metadata"])]
    for name, field in children(children(job)["spec"]).items():
        parts += _section(f"spec.{name}", field)
    parts += _section("status", children(job)["status"])
    parts += _whole("foreach", "As in a job: {}.")
    parts += _whole(
        "workflow", "As in a job, for each step that does not say otherwise: {}. A step has all fields of a job."
    )
    return "\n".join(parts)


def _whole(name: str, rest: str) -> Iterator[str]:
    """Describe a kind of document that stands for several jobs: what is its own, and what is as in a job."""
    schema, of_job = load(name), children(children(load("job"))["spec"])
    yield f"## kind: {schema['title']}\n"
    yield f"{_text(schema['description'])} See [foreach and workflows](workflows.md).\n"
    below = [
        (path, field)
        for path, field in fields(children(schema)["spec"])
        if not any(step in of_job and step != "needs" for step in path)
    ]
    yield "| field | type | default | what it is |\n|---|---|---|---|"
    yield "".join(f"{_row(('spec', *path), field)}\n" for path, field in below)
    same = [key for key in children(children(schema)["spec"]) if key in of_job and key != "needs"]
    yield rest.format(", ".join(f"`{key}`" for key in same)) + "\n"


def _section(path: str, field: Schema) -> Iterator[str]:
    yield f"## {path}\n"
    yield f"{_text(field['description'])}\n"
    if "x-update" in field:
        yield f"Changes: **{field['x-update']}**. Type: {_type(field)}.{_default_sentence(field)}\n"
    key = path.rpartition(".")[2]
    for example in field.get("examples", [])[:3]:
        yield f"```yaml\n{manifest.dump({key: example})}```\n"
    below = list(fields(field))
    if below:
        yield "| field | type | default | what it is |\n|---|---|---|---|"
        yield "".join(f"{_row(names, child)}\n" for names, child in below)


def _row(names: tuple[str, ...], field: Schema) -> str:
    cells = [f"`{'.'.join(names)}`", _type(field), _code(default_words(field)), _text(field["description"])]
    return f"| {' | '.join(cells)} |"


def _type(field: Schema) -> str:
    words = type_words(field)
    allowed = allowed_words(field)
    return _text(f"{words} ({allowed})" if allowed else words)


def _default_sentence(field: Schema) -> str:
    default = default_words(field)
    return f" Default: {_code(default)}." if default else ""


def _code(default: str) -> str:
    """Return a default as code if it is a value, as text if it is a description."""
    return _text(default) if " " in default and not default.startswith("[") else f"`{default}`" if default else ""


def _text(words: str) -> str:
    """Return words so that Markdown leaves them alone."""
    return re.sub(r"([*|<>\[\]_])", r"\\\1", words)


# The configuration


def with_settings(page: str) -> str:
    """Return the page with its table of the settings made anew, between `<!-- settings -->` and `<!-- end -->`."""
    rows = [_setting(".".join(path), field) for path, field in fields(load("config")) if not children(field)]
    header = "| setting | variable | type | default | what it is |\n|---|---|---|---|---|\n"
    return _between(page, "settings", header + "".join(f"{row}\n" for row in rows))


def _setting(name: str, field: Schema) -> str:
    variable = f"`{config.VARIABLES[name]}`" if name in config.VARIABLES else ""
    cells = [f"`{name}`", variable, _type(field), _code(default_words(field)), _text(field["description"])]
    return f"| {' | '.join(cells)} |"


# The commands


def cli_page() -> str:
    """Return the reference of all commands."""
    parts = [_NOTE + "\n", _CLI]
    for name in COMMANDS:
        parts += _command(name)
    return "\n".join(parts)


def _command(name: str) -> Iterator[str]:
    context = click.Context(main)
    command = main.get_command(context, name)
    assert command is not None
    words, examples = _help(command)
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    arguments = [argument for argument in command.params if isinstance(argument, click.Argument)]
    yield f"## sparkles {name}\n"
    yield f"{_text(words)}\n"
    usage = " ".join(["sparkles", name, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)])
    yield f"```text\n{usage}\n```\n"
    yield f"Examples:\n\n```sh\n{examples}\n```\n"
    if options:
        yield "| option | what it does |\n|---|---|"
        yield "".join(f"| {_names(option)} | {_text(option.help or '')} |\n" for option in options)


def _help(command: click.Command) -> tuple[str, str]:
    """Return the text of a command's help, and its examples."""
    text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    words, _, examples = re.sub(r"\nExamples?:\n", "\0", text).partition("\0")
    return words.strip(), inspect.cleandoc(examples)


def _argument(argument: click.Argument) -> str:
    word = argument.metavar or (argument.name or "").upper() + ("..." if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _names(option: click.Option) -> str:
    metavar = "" if option.is_flag else f" {option.metavar or _metavar(option.type)}"
    return f"`{', '.join(option.opts)}{metavar}`".replace("|", r"\|")


def _metavar(kind: Any) -> str:
    return "|".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else str(kind.name).upper()


# The state machine


def with_diagrams(page: str) -> str:
    """Return the page with its diagrams drawn anew, each between `<!-- states: NAME -->` and `<!-- end -->`."""
    machines = {
        "job": diagram(lifecycle.JOB_MOVES, start=[JobState.WAITING, JobState.ACTIVE]),
        "task": diagram(lifecycle.TASK_MOVES, start=[TaskState.PENDING]),
        "node": diagram(presence.NODE_MOVES, start=[NodeState.STARTING]),
    }
    for name, drawn in machines.items():
        page = _between(page, f"states: {name}", drawn)
    return page


def diagram(moves: Mapping[str, Mapping[Any, Any]], *, start: list[Any]) -> str:
    """Return the Mermaid diagram of a table of moves."""
    arrows: dict[tuple[Enum, Enum], list[str]] = {}
    for move, steps in moves.items():
        for before, after in steps.items():
            arrows.setdefault((before, after), []).append(move)
    lines = [f"    [*] --> {state.value}" for state in start]
    lines += [f"    {a.value} --> {b.value}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {state.value} --> [*]" for state in _ends(arrows)]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n"


def _ends(arrows: Mapping[tuple[Enum, Enum], list[str]]) -> list[Enum]:
    """Return the states that nothing leads out of."""
    return [state for state in dict.fromkeys(after for _, after in arrows) if all(a is not state for a, _ in arrows)]


def run(arguments: list[str]) -> int:
    """Write the pages, or with --check say which are stale."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write(f"unknown arguments {json.dumps(arguments)}; there is only --check\n")
        return 2
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text}
    for path, text in stale.items():
        if arguments:
            sys.stderr.write(f"{path.relative_to(DOCS.parent)} is stale; run: python docs/generate.py\n")
        else:
            path.write_text(text, encoding="utf-8")
    return int(bool(arguments and stale))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
