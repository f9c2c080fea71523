"""What the process of a node works with that runs on this machine, while state and files are in the cloud."""

from __future__ import annotations

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.backends.gcp.backend import Node, gcp_backend
from sparkles.backends.local.backend import home_folder
from sparkles.backends.local.compute import NodePlace
from sparkles.backends.local.runtime import HostRuntime
from sparkles.backends.process import time_passed
from sparkles.config import Gcp
from sparkles.paths import Home
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place


def process_node(name: str, gcp: Gcp) -> tuple[Backend, Place]:
    """Return the backend as the node of this name uses it, and its place."""
    place = NodePlace(Home(home_folder()), name, clock=time_passed)
    node = Node(
        name=name,
        host=HostRuntime(place.running),
        containers=DockerRuntime(Engine(), place.containers, node=name),
    )
    return gcp_backend(gcp, write=True, node=node), place
