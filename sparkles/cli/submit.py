"""`sparkles sub`: flags become a manifest, and that is applied and watched."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sparkles import authoring, names, resolve, wholes
from sparkles import manifest as manifests
from sparkles.authoring import Flags
from sparkles.cli import submit_foreach, submit_job
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.output import print_document
from sparkles.cli.submission import show_all
from sparkles.cli.submit_job import Asked
from sparkles.errors import RequestError
from sparkles.manifest import Manifest, describe
from sparkles.parts import GETARGS, PHASES
from sparkles.plan import Rerun

#: Flags of other schedulers → ours.
_FOREIGN = {
    "--array": "--seq N, or --params FILE",
    "--mem": "--memory 4G, or -m MACHINE_TYPE",
    "--cpus-per-task": "-m MACHINE_TYPE",
    "--time": "--timeout 2h",
    "--dependency": "--needs JOB",
    "-hold_jid": "--needs JOB",
}


def _refuse(_: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        flag = option.opts[0]
        raise RequestError(f"{flag} is another scheduler's flag; here it is {_FOREIGN[flag]}")


def _foreign(command: Any) -> Any:
    for flag in _FOREIGN:
        command = click.option(flag, hidden=True, expose_value=False, callback=_refuse)(command)
    return command


class _Wrapper(click.Command):
    """A command with another one at its end, whose words are its own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return what a word that is typed may belong to: behind the first word of COMMAND only to COMMAND."""
        params = super().get_params(ctx)
        return [param for param in params if param.name == "command"] if self._is_at_command(ctx) else params

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete what begins like an option: behind the first word of COMMAND it is none of ours."""
        if self._is_at_command(ctx):
            return self.get_params(ctx)[0].shell_complete(ctx, incomplete)
        return super().shell_complete(ctx, incomplete)

    def _is_at_command(self, ctx: click.Context) -> bool:
        return ctx.resilient_parsing and bool(ctx.params.get("command"))


@click.command("sub", cls=_Wrapper, context_settings={"allow_interspersed_args": False})
@click.option("-n", "--name", help=describe("metadata.name"))
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help=describe("metadata.labels"))
@click.option("-i", "--image", help=describe("spec.image"))
@click.option("-u", "--upload", "uploads", multiple=True, metavar="SRC[:DEST]|@LIST", help=describe("spec.uploads"))
@click.option("--seq", type=click.IntRange(min=1), metavar="N", help=describe("spec.parameters.seq"))
@click.option("--params", metavar="CSV", help=describe("spec.parameters.csv"))
@click.option("--matrix", multiple=True, metavar="NAME=V,V,…", help=describe("spec.parameters.matrix"))
@click.option("--env", multiple=True, metavar="NAME=VALUE", help=describe("spec.env"))
@click.option("--cd", metavar="FOLDER", help=describe("spec.workingDir"))
@click.option("-m", "--machine-type", metavar="TYPE", help=describe("spec.resources.machineType"))
@click.option("--slots", type=click.IntRange(min=1), metavar="N", help=describe("spec.resources.slots"))
@click.option("--memory", metavar="SIZE", help=describe("spec.resources.memory"))
@click.option("--nodes", type=click.IntRange(min=1), metavar="N", help=describe("spec.nodes.max"))
@click.option(
    "--preemptable", "--preemptible", "--spot", "spot", is_flag=True, help=describe("spec.nodes.provisioning")
)
@click.option("--timeout", metavar="TIME", help=describe("spec.timeout"))
@click.option("--retries", type=click.IntRange(min=0), metavar="N", help=describe("spec.retries.limit"))
@click.option("--fail-fast", metavar="N|P%", help=describe("spec.failFast.maxFailures"))
@click.option("--canary", type=click.IntRange(min=1), metavar="K", help=describe("spec.canary"))
@click.option("--needs", multiple=True, metavar="JOB", help=describe("spec.needs"))
@click.option("--results", multiple=True, metavar="PATTERN", help=describe("spec.outputs.include"))
@click.option("--ignore", multiple=True, metavar="PATTERN", help=describe("spec.outputs.exclude"))
@click.option("--foreach", is_flag=True, help="Run the functions of a script: COMMAND is SCRIPT ARGS...")
@click.option("--foreach-batch-size", type=click.IntRange(min=1), metavar="N", help=describe("foreach.spec.batchSize"))
@click.option("--getargs-function", metavar="NAME", help=describe("foreach.spec.functions.getargs"))
@click.option("--foreach-function", metavar="NAME", help=describe("foreach.spec.functions.foreach"))
@click.option("--gather-function", metavar="NAME", help=describe("foreach.spec.functions.gather"))
@click.option("--no-gather", is_flag=True, help="End with the results of foreach.")
@click.option("--interpreter", metavar="WORDS", help=describe("foreach.spec.interpreter"))
@click.option("--start-at", type=click.Choice(PHASES), help="With --foreach: keep what the phases before left.")
@click.option("--no-wait", is_flag=True, help="Return when the job is submitted.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing. With -o: print the manifest.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="With --dry-run: the manifest.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the manifest there; run nothing.")
@click.option("--rerun", type=click.Choice([r.value for r in Rerun]), help="Which unchanged tasks run again (all).")
@click.option("--force", is_flag=True, help="Take over from a sub or apply of the job that has not ended.")
@click.option("--yes", is_flag=True, help="Do not ask before something is lost.")
@_foreign
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@with_backend
def sub_cmd(
    chosen: Chosen, dry_run: bool, form: str | None, save: Path | None, no_wait: bool, rerun: str | None,
    force: bool, yes: bool, start_at: str | None, **flags: Any,
) -> None:  # fmt: skip
    """Submit COMMAND as a job and watch it.

    Options end at the first word of COMMAND. {name} in it stands for a parameter, {index} for the task's number.

    \b
    Examples:
      sparkles sub echo hello world
      sparkles sub --seq 3 echo I am task '{index}'
      sparkles sub -n fit -u fit.py --params grid.csv python3 fit.py '{lambda}'
      sparkles sub -n sample --foreach sample-scatter.py 2.0
    """
    if start_at and not flags["foreach"]:
        raise RequestError("--start-at goes with --foreach")
    manifest = _manifest(flags, chosen)
    if form and not dry_run:
        raise RequestError(f"-o {form} goes with --dry-run: it prints the manifest instead of running it")
    if save or form:
        for job in wholes.expand(manifest):
            resolve.check(job, chosen.open(write=False))
        if save and save.exists() and not yes:
            raise RequestError(f"--save {save}: there is such a file already; to replace it add --yes")
        _write(manifest, save, form)
        return
    backend = chosen.open(write=not dry_run)
    asked = Asked(
        rerun=Rerun(rerun) if rerun else Rerun.ALL, explicit=rerun is not None, start_at=start_at or GETARGS,
        force=force, yes=yes, no_wait=no_wait,
    )  # fmt: skip
    use = submit_foreach if flags["foreach"] else submit_job
    if dry_run:
        show_all(use.prepared(manifest, backend, asked))
        return
    sys.exit(use.submit(manifest, backend, asked))


def _manifest(flags: dict[str, Any], chosen: Chosen) -> Manifest:
    cwd = Path.cwd()
    name = flags.pop("name")
    if name is None:  # an empty one is a mistake, of an unset variable perhaps
        name = names.generated(datetime.now().astimezone(), os.urandom(2).hex())
    built = authoring.document(
        Flags(name=name, defaults=chosen.settings.defaults, **flags),
        is_file=lambda word: _is_file(cwd, word),
    )
    return manifests.check(built, source="sub", base=cwd)


def _is_file(cwd: Path, word: str) -> bool:
    try:
        return bool(word) and (cwd / word).exists()
    except (OSError, ValueError):
        return False


def _write(manifest: Manifest, save: Path | None, form: str | None) -> None:
    if save is None:
        print_document(manifest.document, form or "yaml")
        return
    prefix = os.path.relpath(manifest.base, save.absolute().parent)
    document = manifest.document if prefix == "." else authoring.rebased(manifest.document, prefix)
    try:
        save.parent.mkdir(parents=True, exist_ok=True)
        save.write_text(manifests.dump(document), encoding="utf-8")
    except OSError as error:
        raise RequestError(f"--save {save}: {error.strerror}") from None
    hint(f"saved; run it with 'sparkles apply {save}'")
