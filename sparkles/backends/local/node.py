"""What the process of a node at home works with."""

from __future__ import annotations

from sparkles.backends.docker.engine import Engine
from sparkles.backends.docker.runtime import DockerRuntime
from sparkles.backends.local.backend import home_folder, local_backend
from sparkles.backends.local.compute import NodePlace
from sparkles.backends.local.runtime import HostRuntime
from sparkles.paths import Home
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place


def local_node(name: str) -> tuple[Backend, Place]:
    """Return the backend as the node of this name uses it, and its place."""
    home = Home(home_folder())
    place = NodePlace(home, name)
    containers = DockerRuntime(Engine(), place.containers, node=name)
    return local_backend(home, write=True, host=HostRuntime(place.running), containers=containers), place
