"""Authoring: the flags of `sub` become the document of a manifest. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from sparkles import shell_line
from sparkles.errors import RequestError
from sparkles.foreach import place
from sparkles.references import reference
from sparkles.spec import upload_of


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What `sparkles sub` was given. Each field is a flag; None or empty where it was not."""

    name: str
    command: Sequence[str]
    labels: Sequence[str] = ()
    image: str | None = None
    uploads: Sequence[str] = ()
    seq: int | None = None
    params: str | None = None
    matrix: Sequence[str] = ()
    env: Sequence[str] = ()
    cd: str | None = None
    machine_type: str | None = None
    slots: int | None = None
    memory: str | None = None
    nodes: int | None = None
    spot: bool = False
    timeout: str | None = None
    retries: int | None = None
    fail_fast: str | None = None
    canary: int | None = None
    needs: Sequence[str] = ()
    results: Sequence[str] = ()
    ignore: Sequence[str] = ()
    foreach: bool = False
    foreach_batch_size: int | None = None
    getargs_function: str | None = None
    foreach_function: str | None = None
    gather_function: str | None = None
    no_gather: bool = False
    interpreter: str | None = None
    #: What the configuration says where no flag does: image, machineType.
    defaults: Mapping[str, str] = field(default_factory=dict)


def document(flags: Flags, *, is_file: Callable[[str], bool]) -> dict[str, Any]:
    """Return the document that the flags stand for; not validated yet.

    `is_file` says whether a name is a file in the current folder. Raises RequestError for flags that contradict
    each other or cannot be read.
    """
    return _foreach(flags, is_file) if flags.foreach else _job(flags, is_file)


def _job(flags: Flags, is_file: Callable[[str], bool]) -> dict[str, Any]:
    if stray := [flag for flag, given in _foreach_flags(flags).items() if given]:
        raise RequestError(f"{stray[0]} goes with --foreach")
    command, carried = _command(flags.command, is_file)
    uploads = [*dict.fromkeys(flags.uploads), *(_upload(name) for name in carried if name not in flags.uploads)]
    program = {"command": command, "workingDir": flags.cd}
    return _document("Job", flags, program, uploads=uploads, parameters=_parameters(flags))


def _foreach(flags: Flags, is_file: Callable[[str], bool]) -> dict[str, Any]:
    _refuse_beside_foreach(flags)
    if not flags.command:
        raise RequestError("there is no script to run; for example: sparkles sub --foreach sample-scatter.py 2.0")
    script, *args = flags.command
    if not is_file(script):
        raise RequestError(f"--foreach: no file {script!r} here; options of sub stand before the script's name")
    functions = _given(
        getargs=flags.getargs_function,
        foreach=flags.foreach_function,
        gather="none" if flags.no_gather else flags.gather_function,
    )
    program = {
        "script": script,
        "args": args,
        "functions": functions,
        "batchSize": flags.foreach_batch_size,
        "interpreter": shlex.split(flags.interpreter) if flags.interpreter else None,
    }
    return _document("Foreach", flags, program, uploads=list(dict.fromkeys(flags.uploads)))


def _refuse_beside_foreach(flags: Flags) -> None:
    """Refuse flags that say what the script says, or that would have no effect."""
    given = {"--seq": flags.seq, "--params": flags.params, "--matrix": flags.matrix}
    if sources := [flag for flag, value in given.items() if value not in (None, ())]:
        raise RequestError(f"{sources[0]} and --foreach exclude each other: the script makes the elements")
    if flags.cd is not None:
        raise RequestError("--cd and --foreach exclude each other: the functions may change the folder themselves")
    if flags.no_gather and flags.gather_function:
        raise RequestError("--no-gather and --gather-function exclude each other")


def _foreach_flags(flags: Flags) -> dict[str, Any]:
    return {
        "--foreach-batch-size": flags.foreach_batch_size,
        "--getargs-function": flags.getargs_function,
        "--foreach-function": flags.foreach_function,
        "--gather-function": flags.gather_function,
        "--no-gather": flags.no_gather,
        "--interpreter": flags.interpreter,
    }


def _document(
    kind: str, flags: Flags, program: Mapping[str, Any], *, uploads: list[Any], parameters: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of some kind: what it runs, and around that the fields that all kinds have."""
    metadata: dict[str, Any] = {"name": flags.name, "labels": _pairs(flags.labels, "--label", "KEY=VALUE")}
    spec: dict[str, Any] = {
        "image": flags.defaults.get("image") if flags.image is None else flags.image,
        **program,
        "env": _pairs(flags.env, "--env", "NAME=VALUE"),
        "uploads": uploads,
        "parameters": parameters,
        "resources": _given(
            machineType=flags.machine_type or flags.defaults.get("machineType"), slots=flags.slots, memory=flags.memory
        ),
        "nodes": _given(max=flags.nodes, provisioning="spot" if flags.spot else None),
        "retries": _given(limit=flags.retries),
        "failFast": _given(maxFailures=flags.fail_fast),
        "canary": flags.canary,
        "timeout": flags.timeout,
        "needs": list(dict.fromkeys(need for text in flags.needs for need in text.split(","))),
        "outputs": _given(include=list(flags.results), exclude=list(flags.ignore)),
    }
    return {"apiVersion": "sparkles/v1", "kind": kind, "metadata": _given(**metadata), "spec": _given(**spec)}


def _upload(name: str) -> Any:
    """Return the entry for a file of exactly this name; as text, `a:b` would be two names and `@a` a list."""
    return {"src": name} if ":" in name or name.startswith("@") else name


def rebased(job: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the document with its relative paths put below `prefix`, for a manifest that is saved elsewhere."""
    spec = dict(job["spec"])
    if "script" in spec:
        spec["script"] = _rebased_script(spec["script"], prefix)
    if "uploads" in spec:
        spec["uploads"] = [_rebased_upload(entry, prefix) for entry in spec["uploads"]]
    if "csv" in spec.get("parameters", {}):
        spec["parameters"] = {**spec["parameters"], "csv": _below(prefix, spec["parameters"]["csv"])}
    return {**job, "spec": spec}


def _rebased_upload(entry: str | Mapping[str, Any], prefix: str) -> Any:
    if isinstance(entry, str) and entry.startswith("@"):
        # The lines of a list are relative to the manifest's folder, so it cannot simply be named from elsewhere.
        raise RequestError(f"--save: -u {entry}: save the manifest beside the list, or name its files with -u")
    upload = upload_of(entry)
    if upload.src.startswith(("gs://", "/")) or reference(upload.src):
        return entry
    dest = str(PurePosixPath(upload.src)) if upload.dest is None else upload.dest
    return {"src": _below(prefix, upload.src), "dest": dest}


def _rebased_script(script: str, prefix: str) -> str:
    """Return the script as it is named from elsewhere; its place in the work directory must stay the same."""
    moved = _below(prefix, script)
    if place(moved) != place(script):
        raise RequestError(
            f"--save: {script} stays in its folder, beside what it imports: save the manifest above that"
        )
    return moved


def _below(prefix: str, path: str) -> str:
    return path if path.startswith("/") or reference(path) else str(PurePosixPath(prefix) / path)


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None and value not in ([], {})}


def _command(words: Sequence[str], is_file: Callable[[str], bool]) -> tuple[str | list[str], list[str]]:
    """Return the command, and the files that `^F` words name."""
    if not words:
        raise RequestError("there is no command to run; for example: sparkles sub echo hello world")
    if shell_line.is_line(words):
        if is_file(words[0]):
            raise RequestError(
                f"{words[0]!r} reads as a line for the shell, but is also a file here; to run the file, "
                f"write a manifest with the list form: command: [{words[0]!r}]"
            )
        return words[0], []
    carried = [word[1:] for word in words if word.startswith("^") and word[1:2] != "^" and is_file(word[1:])]
    return [_word(word, carried) for word in words], list(dict.fromkeys(carried))


def _word(word: str, carried: Sequence[str]) -> str:
    if word.startswith("^^"):
        return word[1:]
    return word[1:] if word.startswith("^") and word[1:] in carried else word


def _pairs(texts: Sequence[str], flag: str, form: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise RequestError(f"{flag} {text}: expected {form}")
        if name in pairs:
            raise RequestError(f"{flag} {text}: {name} is given twice")
        pairs[name] = value
    return pairs


def _parameters(flags: Flags) -> dict[str, Any] | None:
    given = {
        "--seq": flags.seq is not None,
        "--params": flags.params is not None,
        "--matrix": bool(flags.matrix),
    }
    chosen = [flag for flag, there in given.items() if there]
    if len(chosen) > 1:
        raise RequestError(f"{' and '.join(chosen)} exclude each other: a job has one source of parameters")
    if flags.seq is not None:
        return {"seq": flags.seq}
    if flags.params is not None:
        return {"csv": flags.params}
    if flags.matrix:
        pairs = _pairs(flags.matrix, "--matrix", "NAME=VALUE,VALUE,…")
        return {"matrix": {name: values.split(",") for name, values in pairs.items()}}
    return None
