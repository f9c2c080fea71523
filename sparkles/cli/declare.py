"""`sparkles apply` and `sparkles diff`: manifests from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from sparkles import manifest as manifests
from sparkles import recover, watch
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.sources import Asked, Source, with_sources
from sparkles.cli.submission import carry_out, confirm, exit_code, follow, show, warn
from sparkles.errors import RequestError, SparklesError
from sparkles.manifest import Manifest
from sparkles.plan import Rerun
from sparkles.ports import Backend
from sparkles.prepare import Prepared, prepare

_RERUN = click.option(
    "--rerun", type=click.Choice([r.value for r in Rerun]), default=Rerun.NONE.value,
    help="Which unchanged tasks run again (none).",
)  # fmt: skip
_OUTPUT = click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="Print the plan as this.")


@click.command("apply")
@with_sources
@_RERUN
@_OUTPUT
@click.option("--wait", is_flag=True, help="Watch the jobs until they have ended.")
@click.option("--dry-run", is_flag=True, help="Show the plan, and do nothing.")
@click.option("--force", is_flag=True, help="Take over from an apply of the job that has not ended.")
@click.option("--yes", is_flag=True, help="Do not ask before something is lost.")
@click.option("--render", is_flag=True, help="Print the manifests, templates as they are rendered, and do nothing.")
@with_backend
def apply_cmd(
    chosen: Chosen, asked: Asked, rerun: str, form: str | None, wait: bool, dry_run: bool, force: bool, yes: bool,
    render: bool,
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
    documents = _manifests(sources)
    backend = chosen.open(write=not dry_run)
    prepared = _prepare_all(documents, backend, Rerun(rerun))
    for one in prepared:
        show(one, form)
    if dry_run:
        return
    for one in prepared:
        confirm(one, yes=yes)
    for one in prepared:
        if not one.plan.is_empty:
            carry_out(one, backend, force=force)
        elif one.job:
            recover.heal(one.job, backend)
    if wait:
        # A document that was asked for stays the only thing on stdout.
        say = hint if form else click.echo
        codes = [exit_code(follow(one.name, backend, watch.Watcher(one.name, backend, say))) for one in prepared]
        sys.exit(max(codes, default=0))


@click.command("diff")
@with_sources
@_RERUN
@_OUTPUT
@with_backend
def diff_cmd(chosen: Chosen, asked: Asked, rerun: str, form: str | None) -> None:
    """Show what apply would do, and do nothing.

    Exits with 0 if there is nothing to do, with 1 if there are changes.

    \b
    Example:
      sparkles diff job.yaml
    """
    prepared = _prepare_all(_manifests(asked.read()), chosen.open(write=False), Rerun(rerun))
    for one in prepared:
        show(one, form)
    sys.exit(int(any(not one.plan.is_empty for one in prepared)))


def _print(sources: Sequence[Source]) -> None:
    """Print the texts, one as it is, several as the documents of one YAML text."""
    for number, source in enumerate(sources):
        if number:
            click.echo("---")
        click.echo(source.text, nl=len(sources) > 1 and not source.text.endswith("\n"))


def _manifests(sources: Sequence[Source]) -> list[Manifest]:
    """Return the manifests of all texts, all of them validated before anything is done with one."""
    found: list[Manifest] = []
    for source in sources:
        found += manifests.read(source.text, source=source.name, base=source.base)
    if not found:
        raise RequestError(f"{', '.join(source.name for source in sources)}: there is no document in it")
    seen: dict[str, str] = {}
    for manifest in found:
        if manifest.name in seen:
            raise RequestError(
                f"job {manifest.name} is described twice: in {seen[manifest.name]} and {manifest.source}"
            )
        seen[manifest.name] = manifest.source
    return found


def _prepare_all(documents: Sequence[Manifest], backend: Backend, rerun: Rerun) -> list[Prepared]:
    prepared = [_prepare(manifest, backend, rerun) for manifest in documents]
    for one in prepared:
        warn(one)
    return prepared


def _prepare(manifest: Manifest, backend: Backend, rerun: Rerun) -> Prepared:
    """Prepare one of several; whatever is wrong with it is said with its file."""
    try:
        return prepare(manifest, backend, rerun=rerun)
    except SparklesError as error:
        error.args = ("\n".join(f"{manifest.source}: {line}" for line in str(error).splitlines()),)
        raise
