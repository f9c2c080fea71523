"""`sparkles apply` and `sparkles diff`: manifests from files. (Two jobs are compared in `compare`.)"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import click

from sparkles import manifest as manifests
from sparkles.cli import compare
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.submission import carry_out_or_heal, confirm, follow_all, show_all, warn
from sparkles.errors import BackendError, RequestError, SparklesError
from sparkles.manifest import Manifest
from sparkles.plan import Rerun
from sparkles.ports import Backend
from sparkles.prepare import Prepared, prepare
from sparkles.settle import begin_waiting

_SUFFIXES = {".yaml", ".yml"}

_RERUN = click.option(
    "--rerun", type=click.Choice([r.value for r in Rerun]), default=Rerun.NONE.value,
    help="Which unchanged tasks run again (none).",
)  # fmt: skip
_FILES = click.option("-f", "--filename", "files", multiple=True, metavar="FILE", help="A manifest, a folder, or -.")
_VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Leave nothing out of the plan.")
_OUTPUT = click.option(
    "-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="How to print: for people, if not given."
)


@click.command("apply")
@_FILES
@_RERUN
@_OUTPUT
@_VERBOSE
@click.option("--wait", is_flag=True, help="Watch the jobs until they have ended.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--force", is_flag=True, help="Take over from an apply of the job that has not ended.")
@click.option(
    "--check-generation",
    type=click.IntRange(min=0),
    metavar="N",
    help="Refuse if the job is not at this generation (0: not there yet): somebody has changed it meanwhile.",
)
@click.option("--yes", is_flag=True, help="Do not ask before something is lost.")
@click.argument("paths", nargs=-1)
@with_backend
def apply_cmd(
    chosen: Chosen, files: Sequence[str], paths: Sequence[str], rerun: str, form: str | None, verbose: bool,
    wait: bool, dry_run: bool, force: bool, check_generation: int | None, yes: bool,
) -> None:  # fmt: skip
    """Make jobs what their manifests say.

    \b
    Examples:
      sparkles apply job.yaml
      sparkles sub --seq 3 --dry-run -o yaml echo '{index}' | sparkles apply --wait -f -
    """
    documents = _read([*paths, *files])
    backend = chosen.open(write=not dry_run)
    if not dry_run:
        begin_waiting(backend)
    prepared = _prepare_all(documents, backend, Rerun(rerun))
    _check_generation(prepared, check_generation)
    show_all(prepared, form, verbose=verbose)
    if dry_run:
        return
    for one in prepared:
        confirm(one, yes=yes)
    for one in prepared:
        carry_out_or_heal(one, backend, force=force)
    if wait:
        follow_all([one.name for one in prepared], backend, quiet=form is not None)


@click.command("diff")
@_FILES
@_RERUN
@_OUTPUT
@_VERBOSE
@click.argument("paths", nargs=-1, metavar="FILE... | JOB1 JOB2")
@with_backend
def diff_cmd(
    chosen: Chosen, files: Sequence[str], paths: Sequence[str], rerun: str, form: str | None, verbose: bool
) -> None:
    """Show what apply would do, and do nothing.

    The names of two jobs, instead of files, compare these: what they are, row by row, and how their tasks ended.
    Exits with 0 if there is nothing to do, or no difference, with 1 if there is.

    \b
    Examples:
      sparkles diff job.yaml
      sparkles diff fit-monday LAST
    """
    if not files and _are_jobs(paths):
        if rerun != Rerun.NONE.value:
            raise RequestError("--rerun goes with a manifest, not with two jobs")
        compared = compare.compare(*paths, backend=chosen.open(write=False))
        compare.show(compared, form, verbose=verbose)
        sys.exit(int(not compared.is_empty))
    prepared = _prepare_all(_read([*paths, *files]), chosen.open(write=False), Rerun(rerun))
    show_all(prepared, form, verbose=verbose)
    sys.exit(int(any(not one.plan.is_empty for one in prepared)))


def _are_jobs(words: Sequence[str]) -> bool:
    """Say whether these are the names of two jobs to compare. Raises RequestError for a file and a name."""
    names = [word for word in words if not _is_path(word) and not Path(word).exists()]
    there = [word for word in words if Path(word).exists()]
    if len(words) == 2 and len(names) == len(there) == 1:
        raise RequestError(
            f"{there[0]!r} is here as a file or folder, and {names[0]!r} is not; write 'sparkles diff {there[0]}' to "
            "compare manifests with the jobs that they describe, or the names of two jobs"
        )
    return len(words) == len(names) == 2


def _is_path(word: str) -> bool:
    return word == "-" or "/" in word or Path(word).suffix in (*_SUFFIXES, ".j2", ".json")


def _read(names: Sequence[str]) -> list[Manifest]:
    """Return the manifests of all files, all of them validated before anything is done with one."""
    if not names:
        raise RequestError("name a manifest: a file, a folder, or - for standard input")
    found: list[Manifest] = []
    for name in names:
        for source, text, base in _texts(name):
            found += manifests.read(text, source=source, base=base)
    if not found:
        raise RequestError(f"{', '.join(names)}: there is no document in it")
    seen: dict[str, str] = {}
    for manifest in found:
        if manifest.name in seen:
            raise RequestError(
                f"job {manifest.name} is described twice: in {seen[manifest.name]} and {manifest.source}"
            )
        seen[manifest.name] = manifest.source
    return found


def _texts(name: str) -> list[tuple[str, str, Path]]:
    """Return (source, text, folder of its relative paths) of a file, of those in a folder, or of stdin."""
    if name == "-":
        return [("<stdin>", _decode(sys.stdin.buffer.read(), "<stdin>"), Path.cwd())]
    path = Path(name)
    if not path.is_dir():
        return [(name, _decode(_bytes(path), name), path.absolute().parent)]
    inside = sorted(child for child in path.iterdir() if child.suffix in (*_SUFFIXES, ".j2") and child.is_file())
    if not inside:
        raise RequestError(f"{name}: there is no *.yaml or *.yml in this folder")
    return [(str(child), _decode(_bytes(child), str(child)), path.absolute()) for child in inside]


def _bytes(path: Path) -> bytes:
    if path.suffix == ".j2":
        raise BackendError(f"{path}: templates are not built yet; render it and apply the result")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RequestError(f"no file {str(path)!r} in {Path.cwd()}") from None
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from None


def _decode(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise RequestError(f"{source}:{line}: byte {error.start} is not UTF-8 text") from None


def _prepare_all(documents: Sequence[Manifest], backend: Backend, rerun: Rerun) -> list[Prepared]:
    """Prepare all documents, each after those that it needs."""
    prepared: list[Prepared] = []
    changing: set[str] = set()
    for manifest in _in_order(documents):
        one = _prepare(manifest, backend, rerun, changing)
        warn(one)
        prepared.append(one)
        if one.plan.touches_tasks or one.plan.waits:
            changing.add(one.name)
    return prepared


def _in_order(documents: Sequence[Manifest]) -> list[Manifest]:
    """Return the documents as they were given, but each after those that it needs."""
    by_name = {manifest.name: manifest for manifest in documents}
    sorter = TopologicalSorter({name: [need for need in one.needs if need in by_name] for name, one in by_name.items()})
    try:
        return [by_name[name] for name in sorter.static_order()]
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise RequestError(f"spec.needs: these jobs need each other in a circle: {circle}") from None


def _check_generation(prepared: Sequence[Prepared], expected: int | None) -> None:
    if expected is None:
        return
    if len(prepared) != 1:
        raise RequestError(f"--check-generation goes with one manifest; here are {len(prepared)}")
    found = prepared[0].plan.generation
    if found != expected:
        raise BackendError(
            f"job {prepared[0].name}: somebody has changed it: it is at generation {found}, not {expected}; look at "
            f"it with 'sparkles get {prepared[0].name}'"
        )


def _prepare(manifest: Manifest, backend: Backend, rerun: Rerun, changing: Collection[str]) -> Prepared:
    """Prepare one of several; whatever is wrong with it is said with its file."""
    try:
        return prepare(manifest, backend, rerun=rerun, changing=changing)
    except SparklesError as error:
        error.args = ("\n".join(f"{manifest.source}: {line}" for line in str(error).splitlines()),)
        raise
