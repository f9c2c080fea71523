"""Docker runtime: commands as containers, whose output is read from the engine as it comes.

A record with the container's name is written before the engine is asked to make it. So whoever finds this worker dead
knows exactly what it left running; what the engine made but was never told to start runs nothing.

The command is started by the engine's own init, so that signals have their usual effect: the first process of a
container ignores those that it does not handle.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkles.backends.docker.engine import Engine, EngineError, load, reached
from sparkles.backends.docker.gauge import Gauge
from sparkles.backends.docker.images import DockerImages
from sparkles.backends.docker.outfit import PLAIN, Outfit
from sparkles.backends.docker.output import OutputCopy
from sparkles.backends.docker.ownership import reclaim
from sparkles.backends.launching import launch_error
from sparkles.backends.process import boot_id
from sparkles.errors import BackendError, LaunchError, SparklesError
from sparkles.model import Sample
from sparkles.ports.runtime import Ending, Launch, Running

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds for which an engine that does not answer is waited for: it may be restarted for an upgrade.
_PATIENCE, _PAUSE = 60.0, 1.0

#: The exit codes of a shell, and of the engine's init.
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127

#: Where an engine looks for programs if an image does not say.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What the engine's init says if it cannot execute the command, and what the words mean.
_REFUSED = re.compile(rb"\[FATAL tini \([0-9]+\)\] exec .* failed: ([A-Za-z ]+)\n", re.DOTALL)
_LONGEST_REFUSAL = 200_000
_ERRORS = {
    b"No such file or directory": errno.ENOENT,
    b"Not a directory": errno.ENOTDIR,
    b"Permission denied": errno.EACCES,
    b"Exec format error": errno.ENOEXEC,
    b"Argument list too long": errno.E2BIG,
}


def container_name(claim: str) -> str:
    """Return the name of the container in which an attempt runs."""
    return f"sparkles-{claim}"


class DockerRuntime:
    """Runtime with an image."""

    def __init__(self, engine: Engine, records: Path, *, node: str, outfit: Outfit = PLAIN) -> None:
        """`records`: the folder for a file for each container that there may be."""
        self._engine = engine
        self._records = records
        self._node = node
        self._outfit = outfit

    def start(self, launch: Launch) -> Running:
        """See Runtime. An engine that does not answer is waited for."""
        load()
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._start(launch)
            except LaunchError:
                raise
            except SparklesError as error:
                if not isinstance(error, EngineError) or time.monotonic() > deadline:
                    raise LaunchError(str(error), exit=_NOT_EXECUTABLE) from None
            time.sleep(_PAUSE)

    def _start(self, launch: Launch) -> Running:
        from docker.errors import APIError

        name, record = container_name(launch.claim), self._records / launch.claim
        record.write_text(json.dumps({"engine": self._engine.address, "boot": boot_id()}), encoding="utf-8")
        may_run = False
        try:
            with reached(), ExitStack() as stack:
                self._create(name, launch)
                output = OutputCopy(self._engine.api, name, launch.log)
                stack.callback(output.close)
                may_run = True
                self._engine.api.start(name)
                found = self._engine.api.inspect_container(name)
                gauge = Gauge(found["Id"], found["State"]["Pid"])
                stack.callback(gauge.close)
                output.begin(gauge)
                stack.pop_all()
        except BaseException as error:
            if may_run or isinstance(error, EngineError | APIError):  # otherwise the engine was not asked for it
                _insist_on_removal(self._engine, name, is_dead=lambda: not may_run)
            record.unlink()
            if isinstance(error, APIError):
                raise LaunchError(f"image {launch.image}: {error.explanation}", exit=_NOT_EXECUTABLE) from None
            raise
        return Container(self._engine, launch, output, gauge, record)

    def _create(self, name: str, launch: Launch) -> None:
        from docker.errors import ImageNotFound

        settings = self._settings(launch)
        try:
            self._engine.api.create_container(name=name, **settings)
        except ImageNotFound:  # removed since it was fetched
            assert launch.image
            DockerImages(self._engine).fetch(launch.image, lambda *_: None)
            self._engine.api.create_container(name=name, **settings)

    def _settings(self, launch: Launch) -> dict[str, Any]:
        """Return what the engine is to make."""
        from docker.types import Mount

        facts, outfit = self._engine.facts, self._outfit
        memory = launch.memory or outfit.memory
        binds = [
            Mount(bind.target, bind.source, type="bind", read_only=bind.read_only, propagation=bind.propagation)
            for bind in outfit.binds
        ]
        work = str(launch.work or launch.folder)
        host = self._engine.api.create_host_config(
            init=True,
            mounts=[Mount(target=work, source=work, type="bind"), *binds],
            devices=[f"{device}:{device}:rwm" for device in outfit.devices],
            log_config={"Type": "none"},
            mem_limit=memory,
            memswap_limit=memory,  # no swap beside it
            userns_mode="host" if facts.remaps_users else None,
            # Nobody becomes another user inside, so all files are the submitter's.
            security_opt=["no-new-privileges", *(["label=disable"] if facts.has_selinux else [])],
        )
        return {
            "image": launch.image,
            "entrypoint": [launch.argv[0]],
            "command": list(launch.argv[1:]),
            "environment": self._environment(launch),
            "working_dir": str(launch.folder),
            "user": facts.user,
            "labels": self._labels(launch),
            "host_config": host,
        }

    def _labels(self, launch: Launch) -> Mapping[str, str]:
        machine = {"sparkles.machine": self._outfit.machine} if self._outfit.machine else {}
        return {
            "sparkles.node": self._node, "sparkles.task": launch.task, "sparkles.claim": launch.claim, **machine
        }  # fmt: skip

    def _environment(self, launch: Launch) -> Mapping[str, str]:
        # A signal goes to the command's whole group. A user whom the image does not know has no home.
        home = {"HOME": "/tmp"} if self._is_stranger() else {}  # noqa: S108
        return {"TINI_KILL_PROCESS_GROUP": "1", **home, **launch.env, **self._folders(launch)}

    def _folders(self, launch: Launch) -> Mapping[str, str]:
        """Return the variables to which the machine adds folders, whoever else has set them."""
        if not self._outfit.folders:
            return {}
        assert launch.image
        found = DockerImages(self._engine).inspect(launch.image) or {}
        said = dict(line.split("=", 1) for line in (found.get("Config") or {}).get("Env") or ())
        known = {"PATH": _PATH, **said, **launch.env}
        return {name: _joined(known.get(name), folder) for name, folder in self._outfit.folders.items()}

    def _is_stranger(self) -> bool:
        return self._engine.facts.user not in (None, "0:0")


def _joined(folders: str | None, last: str) -> str:
    """Return a list of folders with one more; an empty word in it would stand for the folder one is in."""
    return f"{folders}:{last}" if folders else last


class Container:
    """A command that runs in a container."""

    def __init__(self, engine: Engine, launch: Launch, output: OutputCopy, gauge: Gauge, record: Path) -> None:
        self._engine = engine
        self._launch = launch
        self._output = output
        self._gauge = gauge
        self._record = record
        self._name = container_name(launch.claim)
        self._is_over = False

    def wait(self) -> Ending:
        """See Running."""
        try:
            return self._ending(self._output.end())
        finally:
            self._is_over = True
            self._clean_up()

    def _clean_up(self) -> None:
        """Leave nothing of the container, and all files to the submitter."""
        with closing(self._gauge):
            _insist_on_removal(self._engine, self._name, is_dead=self._gauge.has_ended)
        if self._engine.facts.leaves_foreign_files and self._launch.work and self._launch.image:
            reclaim(self._launch.work, self._launch.image, self._engine.api, owner="0:0")
        self._record.unlink()

    def _ending(self, peak: int | None) -> Ending:
        from docker.errors import APIError

        try:
            with reached():
                code = self._engine.api.wait(self._name, timeout=None)["StatusCode"]
                state = self._engine.api.inspect_container(self._name)["State"]
        except (EngineError, APIError) as error:
            raise BackendError(f"task {self._launch.task}: its container was lost: {error}") from None
        if code and (refused := self._output.take_back(_REFUSED, _LONGEST_REFUSAL)):
            raise self._refusal(refused[1])
        # The kernel may have ended one process of several, and the command lived on.
        return Ending(exit=code, peak_memory=peak, out_of_memory=code != 0 and bool(state["OOMKilled"]))

    def _refusal(self, why: bytes) -> LaunchError:
        program, image = self._launch.argv[0], self._launch.image
        if why not in _ERRORS:
            return LaunchError(f"{program}: {why.decode()}", exit=_NOT_EXECUTABLE)
        if _ERRORS[why] == errno.ENOEXEC:
            machine = f"another kind of machine than this one ({os.uname().machine})"
            return LaunchError(f"{program}: made for {machine}, and so perhaps all of the image", exit=_NOT_EXECUTABLE)
        error = launch_error(_ERRORS[why], program, self._launch.folder, in_image=True)
        found = DockerImages(self._engine).inspect(image) if image else None
        entrypoint = ((found or {}).get("Config") or {}).get("Entrypoint")
        if error.exit != _NOT_FOUND or not entrypoint:
            return error
        words = " ".join([*entrypoint, program])
        hint = f"the image's entrypoint is not run by itself; to use it, write it first: {words} …"
        return LaunchError(f"{error}; {hint}", exit=error.exit)

    def signal(self, number: int) -> None:
        """See Running. The engine may take long to answer, and the worker has a heart to beat: it is told beside."""
        if number == signal.SIGKILL:
            self._output.let_go()
        threading.Thread(target=self._send, args=[number], daemon=True).start()

    def _send(self, number: int) -> None:
        from docker.errors import APIError

        # If it has ended, or does as soon as the engine comes back, there is nobody to be told.
        with suppress(APIError, BackendError), reached(), closing(Engine(self._engine.address)) as engine:
            if not self._is_over:
                engine.api.kill(self._name, number)

    def sample(self) -> Sample | None:
        """See Running."""
        return None if self._is_over else self._gauge.sample()


def _insist_on_removal(engine: Engine, name: str, *, is_dead: Callable[[], bool]) -> None:
    """Remove a container, however long that takes: as long as it may run, its task cannot be given back.

    What is dead for certain is not worth waiting for long.
    """
    deadline = time.monotonic() + _PATIENCE
    while not _is_removed(engine, name):
        if is_dead() and time.monotonic() > deadline:
            return
        time.sleep(_PAUSE)


def _is_removed(engine: Engine, name: str) -> bool:
    try:
        remove(engine.api, name)
    except BackendError:
        return False
    return True


def remove(api: APIClient, name: str) -> None:
    """End a container and remove it with all its own storage. Does nothing if there is none."""
    from docker.errors import APIError, NotFound

    with reached():
        try:
            api.remove_container(name, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            raise BackendError(f"container {name} cannot be removed: {error.explanation}") from None
