"""Measure: one run of one contestant, in a supervisor of its own: time, CPU of all its processes, peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Seconds after which a run is given up.
_LIMIT = 1800

#: What a run sees of the caller's environment: nothing that changes how programs work.
_KEPT = ("PATH", "LANG", "LC_ALL", "DOCKER_HOST", "VIRTUAL_ENV")


class RunFailed(Exception):  # noqa: N818 - it is not our mistake
    """A contestant did not do its work."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Commands to run in a folder: some that prepare, and the one that is measured."""

    command: Sequence[str]
    #: Not measured. What they leave running stays until the end.
    before: Sequence[Sequence[str]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    #: The command is run so often, one after the other.
    times: int = 1
    #: What is left running at the end is ended, not waited for.
    ends: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What a run took, in seconds and bytes."""

    #: From the start of the command to its end.
    wall: float
    #: CPU of the command and all that it started, detached or not, to the end of the last.
    cpu: float
    #: CPU of the command itself, and what it waited for.
    own: float
    #: The most memory that one of these processes had.
    peak: float
    #: What else was counted: by the name of a metric.
    told: Mapping[str, float] = field(default_factory=dict)


def measure(run: Run, folder: Path) -> Sample:
    """Run in `folder`; raises RunFailed."""
    os.sync()  # so that nobody pays for what the one before has written
    supervisor = Path(__file__).with_name("supervise.py")
    asked = {
        "before": [list(step) for step in run.before], "command": list(run.command),
        "times": run.times, "ends": run.ends, "limit": _LIMIT,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-S", supervisor, json.dumps(asked)],
        cwd=folder, env=_environment(run, folder), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise RunFailed(answer["failed"])
    return Sample(**answer)


def _environment(run: Run, folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HOME": str(folder), **run.env}
