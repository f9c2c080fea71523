"""Where VMs that are containers stand: a network of this machine, with Google's address of the metadata server on it.

One run of tests at a time has it. What an earlier one left behind, because it was killed, is removed first.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import IO, Any

import docker
from docker.errors import DockerException, ImageNotFound

from . import disks

IMAGE = "sparkles-test/vm"
METADATA = "169.254.169.254"

_SUBNET = "10.199"
#: This machine, as VMs see it.
HOST = f"{_SUBNET}.0.1"

#: Of the network, and of what it is on this machine.
NAME = "sparkles-vms"
_LABEL = "sparkles-test.vm"

#: What kind of machine this one is.
_PRODUCT = Path("/sys/class/dmi/id/product_name")


class MissingError(Exception):
    """This machine cannot have such VMs; the message says what it needs."""


class Ground:
    """The network, an engine that makes containers on it, and the sole right to do so. Raises MissingError."""

    def __init__(self) -> None:
        with ExitStack() as stack:
            self.engine = stack.enter_context(closing(_engine()))
            stack.enter_context(_alone())
            stack.callback(_remove_leftovers, self.engine)
            _remove_leftovers(self.engine)
            disks.remove_leftovers()
            _make_network(self.engine)
            self._held = stack.pop_all()

    def start(self, name: str, number: int, words: list[str], **host_config: Any) -> str:
        """Start a container of the image with this host name, at the address of this number; return its id."""
        networks = {NAME: self.engine.create_endpoint_config(ipv4_address=address(number))}
        config = self.engine.create_host_config(network_mode=NAME, **host_config)
        config["CgroupnsMode"] = "host"  # unknown to the library
        container: str = self.engine.create_container(
            IMAGE, words, hostname=name, volumes=["/var"], labels={_LABEL: name}, host_config=config,
            networking_config=self.engine.create_networking_config(networks),
        )["Id"]  # fmt: skip
        try:
            self.engine.start(container)
        except DockerException:
            self.remove(container)
            raise
        return container

    def remove(self, container: str) -> None:
        """Remove a container and what it wrote."""
        self.engine.remove_container(container, v=True, force=True)

    def close(self) -> None:
        """Remove all that is on it, and the network."""
        self._held.close()


def address(number: int) -> str:
    """Return an address on the network. This machine has 1.

    >>> address(2), address(300)
    ('10.199.0.2', '10.199.1.44')
    """
    return f"{_SUBNET}.{number // 256}.{number % 256}"


def _engine() -> docker.APIClient:
    """Return a connection to an engine that has the image."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise MissingError("needs root, and the program ip: apt-get install iproute2")
    if _PRODUCT.is_file() and _PRODUCT.read_text().startswith("Google"):
        raise MissingError("needs a machine that is no VM of Google's: such a one has a metadata server already")
    try:
        api = docker.from_env(max_pool_size=64).api
        api.inspect_image(IMAGE)
    except ImageNotFound as error:
        raise MissingError(f"needs the image {IMAGE}: bash tests/images/vm") from error
    except DockerException as error:
        raise MissingError(f"needs a docker engine ({error}): apt-get install docker.io, then start dockerd") from error
    return api


def _alone() -> IO[str]:
    """Wait until no other process has the ground; return what has to be closed to let others."""
    lock = (Path(tempfile.gettempdir()) / f"{NAME}.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _make_network(api: docker.APIClient) -> None:
    """Make the network. The address of the metadata server comes and goes with it."""
    pool = docker.types.IPAMPool(subnet=f"{_SUBNET}.0.0/16", gateway=HOST)
    api.create_network(
        NAME, driver="bridge", ipam=docker.types.IPAMConfig(pool_configs=[pool]), labels={_LABEL: ""},
        options={"com.docker.network.bridge.name": NAME},
    )  # fmt: skip
    words = ["ip", "address", "add", f"{METADATA}/32", "dev", NAME]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"needs an engine on this machine's own network: {' '.join(words)}: {done.stderr.strip()}")


def _remove_leftovers(api: docker.APIClient) -> None:
    """Remove all that has our label."""
    for container in api.containers(all=True, filters={"label": _LABEL}):
        with suppress(DockerException):  # it is being removed already
            api.remove_container(container["Id"], v=True, force=True)
    for network in api.networks(filters={"label": _LABEL}):
        api.remove_network(network["Id"])
