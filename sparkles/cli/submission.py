"""Submission: what `sub` and `apply` share: the question, carrying out a plan, watching it."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import click

from sparkles import lifecycle, nodes, plan_text, polling, watch
from sparkles.cli import INTERRUPTED
from sparkles.cli.context import hint, hint_at_guards
from sparkles.cli.output import print_documents
from sparkles.cli.transfer import Transfer
from sparkles.errors import BackendError, RequestError, SparklesError
from sparkles.model import Job, TaskState
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared, find_job
from sparkles.resolve import architecture


def owner() -> str:
    """Return the name that jobs are recorded under."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a name for this user
        return str(os.getuid())


def require_owner(job: Job, *, yes: bool) -> None:
    """Refuse to touch someone else's job, unless told to."""
    if job.owner != owner() and not yes:
        raise BackendError(f"job {job.name} is {job.owner}'s; to go ahead all the same add --yes")


def make_ready(prepared: Sequence[Prepared], backend: Backend, *, yes: bool) -> None:
    """Ask what is to be asked about all that is to be carried out, and bring in images, before anything is changed."""
    for one in prepared:
        _confirm(one, yes=yes)
    for one in prepared:
        _fetch_image(one, backend)


def _confirm(prepared: Prepared, *, yes: bool) -> None:
    """Ask before anything is lost. Without a terminal to ask on, that is a wrong request."""
    if prepared.job:
        require_owner(prepared.job, yes=yes)
    asks = prepared.plan.asks
    if not asks or yes:
        return
    loss = plan_text.question(asks)
    ask(loss, about=f"job {prepared.name}: ")


def _fetch_image(prepared: Prepared, backend: Backend) -> None:
    """Bring in the image now, where people see how far it is."""
    image = prepared.pinned.spec.image
    if image and backend.images and (prepared.plan.touches_tasks or prepared.plan.waits):
        name = prepared.pinned.image
        try:
            with Transfer(f"fetching image {name}") as transfer:
                kind = architecture(prepared.pinned.document["spec"])
                backend.images.fetch(image, transfer.at, architecture=kind)
        except SparklesError as error:
            error.args = (f"job {prepared.name}, image {name!r}: {error}",)
            raise


def ask(loss: str, *, about: str = "") -> None:
    """Ask whether to go ahead; `about` is put before the loss where that cannot be asked, or the answer is no."""
    if not sys.stdin.isatty():
        raise RequestError(f"{about}{loss}; nothing was changed; to go ahead add --yes")
    try:
        agreed = agrees(f"{loss}. Go ahead?")
    except KeyboardInterrupt:
        hint("interrupted; nothing was changed")
        raise SystemExit(INTERRUPTED) from None
    if not agreed:
        raise RequestError("nothing was changed")


def agrees(question: str) -> bool:
    """Ask on the terminal. Ctrl-D is a no, and Ctrl-C is no answer: it raises KeyboardInterrupt."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        click.echo(err=True)  # the cursor was left behind the question
        if isinstance(abort.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        return False


def warn(*prepared: Prepared) -> None:
    """Say what is odd about requests that can be carried out all the same; what several share, once."""
    for warning in dict.fromkeys(warning for one in prepared for warning in one.pinned.warnings):
        hint(f"warning: {warning}")


def show_all(prepared: Sequence[Prepared], form: str | None = None, *, verbose: bool = False) -> None:
    """Print plans: for people, or as documents."""
    if form is None:
        for one in prepared:
            for line in plan_text.lines(one.plan, **one.upload, verbose=verbose):
                click.echo(line)
        return
    print_documents([plan_text.document(one.plan, **one.upload) for one in prepared], form)


def beside(follow: Callable[[], int]) -> int:
    """Return the exit code of a job that is followed beside others, which may go on although it cannot."""
    try:
        return follow()
    except polling.BlockedError as error:
        hint(f"error: {error}")
        return error.exit_code


def follow(name: str, backend: Backend, watcher: watch.Watcher, *, whole: str | None = None) -> int:
    """Watch a job to its end; print where its results are. Ctrl-C leaves it running. Returns the exit code.

    If it is the `whole` that is watched, that is what Ctrl-C speaks of.
    """
    with interrupted_ends(whole or name):
        counts = stay(name, backend, watcher)
    say_where_results_are(name, backend, watcher)
    return conclude(name, backend, counts)


def say_where_results_are(name: str, backend: Backend, watcher: watch.Watcher) -> None:
    """Say how to bring the results of a job here."""
    watcher.screen.say(f"Done waiting for job. You can download results via '{backend.objects.download_line(name)}'")


@contextmanager
def interrupted_ends(name: str) -> Iterator[None]:
    """End with what is said about a job, or a whole, when Ctrl-C ends the watching of it."""
    try:
        yield
    except KeyboardInterrupt:
        hint(f"\njob {name} goes on; come back to it with 'sparkles watch {name}', stop it with 'sparkles kill {name}'")
        raise SystemExit(INTERRUPTED) from None


def stay(name: str, backend: Backend, watcher: watch.Watcher) -> Mapping[TaskState, int]:
    """Watch a job to its end; return the counts of its tasks."""
    say_where_it_runs(name, backend)
    with closing(watcher.screen):
        return watcher.run()


def conclude(name: str, backend: Backend, counts: Mapping[TaskState, int]) -> int:
    """Say why tasks of a job that has ended failed, and clear up after it. Returns the exit code."""
    if set(counts) - {TaskState.SUCCEEDED}:
        from sparkles.cli.failures import say_causes  # most jobs need none of it

        say_causes(name, backend, counts)
    if job := find_job(backend, name):
        hint_at_guards(job)
        nodes.clear_away(job, backend)
    return exit_code(name, backend, counts)


def say_where_it_runs(name: str, backend: Backend) -> None:
    """Say why a job cannot run here, if it cannot."""
    job = find_job(backend, name)
    cluster = nodes.find_cluster(job.cluster, backend) if job else None
    if cluster and (why := backend.compute.elsewhere(cluster)):
        hint(f"hint: job {name}: {why}")


def exit_code(name: str, backend: Backend, counts: Mapping[TaskState, int]) -> int:
    """Return 0 if a job that has ended was not killed and all its tasks succeeded, else 1."""
    job = find_job(backend, name)
    return int(job is None or not lifecycle.has_succeeded(job, counts))
