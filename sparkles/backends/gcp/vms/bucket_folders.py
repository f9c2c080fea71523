"""Bucket folders: a task sees a bucket as it is when the task begins, and has ended when all that it wrote is there.

The startup script runs a program for each bucket that shows it as a folder: rclone. It remembers what is in a folder,
and sends a file after it has been closed; so it is told to look anew, and asked what is still to be sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from typing import Any

import requests

from sparkles.errors import LaunchError
from sparkles.machine import Machine
from sparkles.model import Sample
from sparkles.ports.runtime import Ending, Launch, Running, Runtime
from sparkles.startup import mount_port

#: Seconds that a program which is not there is waited for: docker starts it again.
_PATIENCE = 60.0

#: Seconds between two questions. A file is in the queue for longer than that before it is sent: none slips through.
_PAUSE = 0.05

#: Seconds that an answer may take.
_TIMEOUT = 10.0

#: The exit codes of what could not be started, and of what could not be written.
_NOT_EXECUTABLE, _NOT_WRITTEN = 126, 74


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketFolder:
    """A bucket that is shown as a folder."""

    bucket: str
    read_only: bool
    port: int

    def look_anew(self) -> None:
        """Have what is remembered of the bucket forgotten. Raises requests.RequestException if nobody answers."""
        self._ask("vfs/forget")

    def unsent(self) -> int:
        """Return how many files are still to be sent. Raises requests.RequestException if nobody answers."""
        if self.read_only:
            return 0
        found = self._ask("vfs/stats")["diskCache"]
        return int(found["uploadsInProgress"]) + int(found["uploadsQueued"])

    def _ask(self, what: str) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # no proxy: it is on this machine
            answer = session.post(f"http://127.0.0.1:{self.port}/{what}", timeout=_TIMEOUT)
            answer.raise_for_status()
            return answer.json()


def folders_of(machine: Machine) -> Sequence[BucketFolder]:
    """Return the buckets that a machine shows as folders."""
    return tuple(
        BucketFolder(bucket=mount.bucket, read_only=mount.read_only, port=mount_port(number))
        for number, mount in enumerate(machine.mounts)
    )


class BucketRuntime:
    """Runtime whose commands find buckets as folders."""

    def __init__(self, runtime: Runtime, folders: Sequence[BucketFolder], *, patience: float) -> None:
        """`patience`: the seconds after its end for which what a command wrote may be on its way."""
        self._runtime = runtime
        self._folders = folders
        self._patience = patience

    def start(self, launch: Launch) -> Running:
        """See Runtime."""
        for folder in self._folders:
            _insist_on_a_look(folder)
        return _Command(self._runtime.start(launch), self._folders, log=launch.log, patience=self._patience)


class _Command:
    """A command that may write into buckets."""

    def __init__(self, running: Running, folders: Sequence[BucketFolder], *, log: Path, patience: float) -> None:
        self._running = running
        self._folders = folders
        self._log = log
        self._patience = patience
        self._is_given_up = threading.Event()

    def wait(self) -> Ending:
        """See Running. It has not ended before what it wrote is in the buckets."""
        ending, deadline = self._running.wait(), time.monotonic() + self._patience
        for folder in self._folders:
            if not self._is_sent(folder, deadline):
                with suppress(OSError), self._log.open("a", encoding="utf-8") as log:
                    log.write(f"sparkles: what was written into gs://{folder.bucket} could not all be sent there\n")
                ending = replace(ending, exit=ending.exit or _NOT_WRITTEN)
        return ending

    def _is_sent(self, folder: BucketFolder, deadline: float) -> bool:
        """Wait until nothing is to be sent, twice in a row: what was closed at the very end may be a moment late."""
        empty = 0
        while empty < 2:
            with suppress(requests.RequestException):  # it is being started again, with what it had not sent
                empty = 0 if folder.unsent() else empty + 1
            if time.monotonic() > deadline or self._is_given_up.wait(_PAUSE):
                return False
        return True

    def signal(self, number: int) -> None:
        """See Running."""
        if number == SIGKILL:
            self._is_given_up.set()
        self._running.signal(number)

    def sample(self) -> Sample | None:
        """See Running."""
        return self._running.sample()


def _insist_on_a_look(folder: BucketFolder) -> None:
    """Have a folder looked at anew; wait for the program if it is not there."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return folder.look_anew()
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                words = f"gs://{folder.bucket} is not shown as a folder any more: {error}"
                raise LaunchError(words, exit=_NOT_EXECUTABLE) from None
        time.sleep(_PAUSE)
