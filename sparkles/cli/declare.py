"""`sparkles apply` and `sparkles diff`: manifests from files. (Two jobs are compared in `compare`.)"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sparkles.cli import compare
from sparkles.cli.context import Chosen, with_backend
from sparkles.cli.documents import documents_of, left_out, prepare_all
from sparkles.cli.execute import carry_out, hint_at_waits
from sparkles.cli.side_by_side import follow_all
from sparkles.cli.sources import Asked, Source, with_sources
from sparkles.cli.submission import make_ready, show_all
from sparkles.errors import BackendError, RequestError
from sparkles.plan import Rerun
from sparkles.prepare import Prepared
from sparkles.settle import settle_waiting

_RERUN = click.option(
    "--rerun", type=click.Choice([r.value for r in Rerun]), default=Rerun.NONE.value,
    help="Which unchanged tasks run again (none).",
)  # fmt: skip
_REFRESH = click.option(
    "--refresh-image", is_flag=True, help="Take the image that the name means now, not the one that the job has."
)
_VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Leave nothing out of the plan.")
_OUTPUT = click.option(
    "-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="How to print: for people, if not given."
)


@click.command("apply")
@with_sources("FILE...")
@_RERUN
@_REFRESH
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
@click.option("--render", is_flag=True, help="Print the manifests, templates as they are rendered, and do nothing.")
@with_backend
def apply_cmd(
    chosen: Chosen, asked: Asked, rerun: str, refresh_image: bool, form: str | None, verbose: bool, wait: bool,
    dry_run: bool, force: bool, check_generation: int | None, yes: bool, render: bool,
) -> None:  # fmt: skip
    """Make jobs what their manifests say.

    \b
    Examples:
      sparkles apply job.yaml
      sparkles apply job.yaml.j2 --values genes.yaml --set seeds=10
      sparkles sub --seq 3 --dry-run -o yaml echo '{index}' | sparkles apply --wait -f -
    """
    sources = asked.read()
    if render:
        _print(sources)
        return
    documents = documents_of(sources)
    backend = chosen.open(write=not dry_run)
    if not dry_run:
        settle_waiting(backend)
    prepared = prepare_all(documents, backend, Rerun(rerun), refresh_image=refresh_image)
    _check_generation(prepared, check_generation)
    show_all(prepared, form, verbose=verbose)
    ending = left_out(documents, prepared, backend)
    if dry_run:
        return
    make_ready(prepared, backend, yes=yes)
    carry_out(prepared, backend, force=force, yes=yes, ending=ending)
    hint_at_waits(prepared, backend)
    if wait:
        follow_all(prepared, backend, quiet=form is not None)


@click.command("diff")
@with_sources("FILE... | JOB1 JOB2")
@_RERUN
@_REFRESH
@_OUTPUT
@_VERBOSE
@with_backend
def diff_cmd(chosen: Chosen, asked: Asked, rerun: str, refresh_image: bool, form: str | None, verbose: bool) -> None:
    """Show what apply would do, and do nothing.

    The names of two jobs, instead of files, compare these: what they are, row by row, and how their tasks ended.
    Exits with 0 if there is nothing to do, or no difference, with 1 if there is.

    \b
    Examples:
      sparkles diff job.yaml
      sparkles diff fit-monday LAST
    """
    if asked.are_jobs:
        if rerun != Rerun.NONE.value or refresh_image:
            flag = "--refresh-image" if refresh_image else "--rerun"
            raise RequestError(f"{flag} goes with a manifest, not with two jobs")
        compared = compare.compare(*asked.paths, backend=chosen.open(write=False))
        compare.show(compared, form, verbose=verbose)
        sys.exit(int(not compared.is_empty))
    documents = documents_of(asked.read())
    backend = chosen.open(write=False)
    prepared = prepare_all(documents, backend, Rerun(rerun), refresh_image=refresh_image)
    show_all(prepared, form, verbose=verbose)
    ending = left_out(documents, prepared, backend)
    sys.exit(int(bool(ending) or any(not one.plan.is_empty for one in prepared)))


def _print(sources: Sequence[Source]) -> None:
    """Print the texts, one as it is, several as the documents of one YAML text."""
    for number, source in enumerate(sources):
        if number:
            click.echo("---")
        click.echo(source.text, nl=len(sources) > 1 and not source.text.endswith("\n"))


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
