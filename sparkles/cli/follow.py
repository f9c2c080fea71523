"""`sparkles watch` and `sparkles wait`: staying until a job has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import partial

import click

from sparkles import lineup, names, polling, spec, watch
from sparkles.cli import live, phases
from sparkles.cli.again import scaled
from sparkles.cli.context import Chosen, hint, with_backend
from sparkles.cli.side_by_side import follow_all
from sparkles.cli.submission import beside, exit_code, follow, require_owner
from sparkles.errors import RequestError
from sparkles.model import TaskState
from sparkles.ports.backend import Backend

#: Exit code of a wait that was too long; timeout(1) has the same.
_TIMED_OUT = 124


@click.command("watch")
@click.option(
    "--nodes", type=click.IntRange(min=1), metavar="N", help="Let at most N nodes serve the job, as scale does."
)
@click.option("--yes", is_flag=True, help="With --nodes: also for jobs of others.")
@click.argument("job", default=names.LAST)
@with_backend
def watch_cmd(chosen: Chosen, job: str, nodes: int | None, yes: bool) -> None:
    """Follow a job until it has ended.

    Ctrl-C leaves the job running. Exits with 0 if all tasks succeeded, else with 1. Of a whole all jobs are followed;
    where some may run at the same time, each line says of which it is.

    \b
    Examples:
      sparkles watch LAST
      sparkles watch fit --nodes 20
    """
    backend = chosen.open()
    found = lineup.current(lineup.one_or_whole(job, backend.state.jobs(), backend))
    if nodes:
        for one in found:
            require_owner(one, yes=yes)
        for one in found:
            hint(scaled(one, nodes, backend))
    if phases.are_phases(found):
        sys.exit(phases.follow(found, backend))
    if len(found) > 1:
        follow_all(found, backend, quiet=False)
    name = found[0].name
    sys.exit(follow(name, backend, watch.Watcher(name, backend, live.screen())))


@click.command("wait")
@click.option("--timeout", metavar="TIME", help="Give up after this long, e.g. 30s or 2h, with exit code 124.")
@click.argument("job", default=names.LAST)
@with_backend
def wait_cmd(chosen: Chosen, job: str, timeout: str | None) -> None:
    """Wait until a job has ended, without a word but for why tasks failed.

    \b
    Example:
      sparkles wait --timeout 2h fit && sparkles fetch fit results
    """
    deadline = None if timeout is None else time.monotonic() + _seconds(timeout)
    backend = chosen.open()
    found = lineup.current(lineup.one_or_whole(job, backend.state.jobs(), backend))
    try:
        if len(found) == 1:
            sys.exit(_waited(found[0].name, backend, deadline))
        sys.exit(max(beside(partial(_waited, one.name, backend, deadline)) for one in found))
    except TimeoutError:
        what = f"job {found[0].name}" if len(found) == 1 else found[0].whole
        hint(f"{what} has not ended after {timeout}; it goes on")
        sys.exit(_TIMED_OUT)


def _waited(name: str, backend: Backend, deadline: float | None) -> int:
    """Wait for a job to end; return its exit code."""
    counts: Mapping[TaskState, int] = {}
    *_, counts = polling.poll(name, backend, deadline=deadline)
    if set(counts) - {TaskState.SUCCEEDED}:
        from sparkles.cli.failures import say_causes  # most jobs need none of it

        say_causes(name, backend, counts)
    return exit_code(name, backend, counts)


def _seconds(text: str) -> float:
    if not spec.is_duration(text):
        raise RequestError(f"--timeout {text}: expected a time with its unit, like 30s, 10m or 2h")
    return spec.seconds(text)
