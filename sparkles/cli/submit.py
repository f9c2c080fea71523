"""`sparkles sub`: flags become a manifest, and that is applied and watched."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sparkles import authoring, names, resolve, watch, wholes
from sparkles import manifest as manifests
from sparkles.authoring import Flags
from sparkles.cli import live
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.output import print_document
from sparkles.cli.submission import carry_out, confirm, fetch_image, follow, require_owner, show_all, warn
from sparkles.errors import BackendError, RequestError
from sparkles.manifest import Manifest, describe
from sparkles.model import Job, JobState
from sparkles.plan import Rerun
from sparkles.ports import Backend
from sparkles.prepare import find_job, prepare
from sparkles.settle import settle

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


def _not_built(_: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        raise BackendError(f"{option.opts[0]}: not built yet")


def _foreign(command: Any) -> Any:
    for flag in _FOREIGN:
        command = click.option(flag, hidden=True, expose_value=False, callback=_refuse)(command)
    return command


@click.command("sub", context_settings={"allow_interspersed_args": False})
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
@click.option("--needs", multiple=True, metavar="JOB", help=describe("spec.needs"))
@click.option("--results", multiple=True, metavar="PATTERN", help=describe("spec.outputs.include"))
@click.option("--ignore", multiple=True, metavar="PATTERN", help=describe("spec.outputs.exclude"))
@click.option("--no-wait", is_flag=True, help="Return when the job is submitted.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing. With -o: print the manifest.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="With --dry-run: the manifest.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the manifest there; run nothing.")
@click.option("--rerun", type=click.Choice([r.value for r in Rerun]), help="Which unchanged tasks run again (all).")
@click.option("--force", is_flag=True, help="Take over from a sub or apply of the job that has not ended.")
@click.option("--yes", is_flag=True, help="Do not ask before something is lost.")
@_foreign
@click.option("--foreach", is_flag=True, hidden=True, is_eager=True, expose_value=False, callback=_not_built)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@with_backend
def sub_cmd(
    chosen: Chosen, dry_run: bool, form: str | None, save: Path | None, no_wait: bool, rerun: str | None,
    force: bool, yes: bool, **flags: Any,
) -> None:  # fmt: skip
    """Submit COMMAND as a job and watch it.

    Options end at the first word of COMMAND. {name} in it stands for a parameter, {index} for the task's number.

    \b
    Examples:
      sparkles sub echo hello world
      sparkles sub --seq 3 echo I am task '{index}'
      sparkles sub -n fit -u fit.py --params grid.csv python3 fit.py '{lambda}'
    """
    manifest = _manifest(flags, chosen)
    if form and not dry_run:
        raise RequestError(f"-o {form} goes with --dry-run: it prints the manifest instead of running it")
    if save or form:
        resolve.check(manifest, chosen.open(write=False))
        if save and save.exists() and not yes:
            raise RequestError(f"--save {save}: there is such a file already; to replace it add --yes")
        _write(manifest, save, form)
        return
    backend = chosen.open(write=not dry_run)
    chosen_rerun = Rerun(rerun) if rerun else Rerun.ALL
    if not names.is_generated(manifest.name):
        wholes.require_names([manifest], backend.state.jobs())
    if dry_run:
        prepared = prepare(manifest, backend, rerun=chosen_rerun, refresh_image=True)
        warn(prepared)
        show_all([prepared])
        return
    sys.exit(
        _submit(
            manifest, backend, rerun=chosen_rerun, explicit=rerun is not None, force=force, yes=yes, no_wait=no_wait
        )
    )


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


def _submit(
    manifest: Manifest, backend: Backend, *, rerun: Rerun, explicit: bool, force: bool, yes: bool, no_wait: bool
) -> int:
    job = find_job(backend, manifest.name)
    if job:
        settle(job.name, backend)
        _require_ended(job, backend, explicit=explicit, yes=yes)
    prepared = prepare(manifest, backend, rerun=rerun, refresh_image=True)
    warn(prepared)
    confirm(prepared, yes=yes)
    fetch_image(prepared, backend)
    upload = prepared.upload
    click.echo(
        f"{upload['missing']} files ({upload['upload_bytes']} bytes) out of {upload['files']} files will be uploaded"
    )
    watcher = watch.Watcher(manifest.name, backend, live.screen())
    if not prepared.plan.is_empty:
        carry_out(prepared, backend, force=force, yes=yes, watcher=watcher)
    if no_wait:
        waits = f" and waits for {', '.join(prepared.plan.waits)}" if prepared.plan.waits else ""
        hint(f"job {manifest.name} is submitted{waits}; see it with 'sparkles watch {manifest.name}'")
        return 0
    return follow(manifest.name, backend, watcher)


def _require_ended(job: Job, backend: Backend, *, explicit: bool, yes: bool) -> None:
    """Refuse to submit over a job that still runs, unless told what to do with its tasks."""
    require_owner(job, yes=yes)
    if not explicit and (job.state is JobState.WAITING or backend.state.is_open(job.name)):
        has = "has tasks that have not ended" if job.state is not JobState.WAITING else "waits for others"
        raise RequestError(
            f"job {job.name} {has}; follow it with 'sparkles watch {job.name}', stop it with "
            f"'sparkles kill {job.name}', choose another name with -n, or say --rerun all to start it anew"
        )
