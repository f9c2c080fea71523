"""Engine: the connection to the docker engine that the user's `docker` command uses, made when it is first needed."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkles.errors import BackendError

if TYPE_CHECKING:
    from docker import APIClient

#: Seconds that the engine may take to answer. Starting a container on a busy machine takes longest.
_ANSWER = 120

_INSTEAD = "or leave the image out, and the command runs on this machine itself"


_loading = threading.Lock()


def load() -> None:
    """Load the docker library, whose parts import each other in circles: two threads must not begin that at once."""
    with _loading:
        import docker  # noqa: F401


class EngineError(BackendError):
    """The engine does not answer now; it may later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What has to be known of an engine."""

    #: What images must be made for: amd64, arm64; None if what is made for others may run, too, emulated.
    architecture: str | None
    #: The user that containers run as, so that their files are the submitter's; None for the image's own.
    user: str | None
    #: Whether users inside have other numbers than outside, unless a container is excepted.
    remaps_users: bool
    #: Whether a container can leave files that the submitter may not touch.
    leaves_foreign_files: bool
    #: Whether a container must be excepted from SELinux to see the folders of this machine.
    has_selinux: bool


class Engine:
    """One engine. May be shared between threads: each has a connection of its own, since the library's may not be."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._own = threading.local()
        self._opened: weakref.WeakSet[APIClient] = weakref.WeakSet()
        self._facts: Facts | None = None

    @property
    def address(self) -> str:
        """Where the engine listens, as DOCKER_HOST has it."""
        if self._address is None:
            load()
            self._address = _address()
        return self._address

    @property
    def api(self) -> APIClient:
        """This thread's connection. Raises EngineError if nobody answers."""
        if not hasattr(self._own, "api"):
            self._own.api = _connected(self.address)
            self._opened.add(self._own.api)
        return self._own.api

    def close(self) -> None:
        """Close all connections. To be called when no other thread uses one."""
        for api in list(self._opened):
            api.close()
        self._own = threading.local()

    @property
    def facts(self) -> Facts:
        """What has to be known of the engine."""
        if self._facts is None:
            with reached():
                self._facts = _facts(self.api.info(), self.api.version())
        return self._facts


def _address() -> str:
    """Return the address that the `docker` command would use."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    from docker.context import ContextAPI

    with reached():
        context = ContextAPI.get_context(os.environ.get("DOCKER_CONTEXT") or None)
    if context is None:
        raise BackendError("docker's present context does not exist: choose one with 'docker context use default'")
    return str(context.Host)


def _connected(address: str) -> APIClient:
    if not address.startswith("unix://"):
        raise BackendError(
            f"the docker engine at {address} may be another machine's, which does not see the folders of this one: "
            f"let DOCKER_HOST name a socket of this machine, {_INSTEAD}"
        )
    from docker import APIClient
    from docker.errors import DockerException

    try:
        return APIClient(address, version="auto", timeout=_ANSWER)
    except DockerException as error:
        raise _absent(address, str(error)) from None


def _absent(address: str, why: str) -> BackendError:
    """Say what to do about an engine that cannot be reached."""
    if "Permission denied" in why:
        return BackendError(
            f"you may not use the docker engine at {address}: have yourself added to its group "
            f"('sudo usermod -aG docker $USER') and log in again, {_INSTEAD}"
        )
    missing = "No such file" in why or "Connection refused" in why
    return EngineError(
        f"no docker engine answers at {address}{'' if missing else f' ({why})'}: install or start docker "
        f"('sudo systemctl start docker', or Docker Desktop), {_INSTEAD}"
    )


def _facts(said: Mapping[str, Any], version: Mapping[str, Any]) -> Facts:
    options = {word for option in said.get("SecurityOptions") or [] for word in option.split(",")}
    # Docker Desktop gives all files to the user who started it.
    shares_files = sys.platform == "linux" and said.get("OperatingSystem") != "Docker Desktop"
    rootless = "name=rootless" in options  # there, root is the user who started the engine
    own = "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"
    emulates = not shares_files or any(Path("/proc/sys/fs/binfmt_misc").glob("qemu-*"))
    return Facts(
        architecture=None if emulates else version["Arch"],
        user=own if shares_files else None,
        remaps_users="name=userns" in options,
        leaves_foreign_files=shares_files and rootless,
        has_selinux="name=selinux" in options,
    )


@contextmanager
def reached() -> Iterator[None]:
    """Turn the engine's silence into an EngineError, and what the library cannot do into a BackendError.

    What the engine answers is for the caller: an APIError.
    """
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError:
        raise
    except DockerException as error:  # a program that keeps credentials, for example, cannot be run
        raise BackendError(f"docker: {error}") from None
    except OSError as error:
        raise EngineError(f"the docker engine does not answer any more: {error}") from None
