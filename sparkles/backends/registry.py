"""Registry: the backends by name."""

from __future__ import annotations

import json
import os

from sparkles.config import Gcp, Settings
from sparkles.ports import Backend, Place


def open_backend(settings: Settings, *, write: bool, slots: int | None = None) -> Backend:
    """Return the backend that the settings choose. Without `write` nothing is made that is not there yet.

    `slots` replaces the number of tasks that a node runs at once where the manifest does not say.
    """
    if settings.backend == "local":
        from sparkles.backends.local.backend import home_folder, local_backend
        from sparkles.paths import Home

        return local_backend(Home(home_folder()), write=write, slots=slots)
    from sparkles.backends.gcp.backend import gcp_backend

    return gcp_backend(settings.gcp, write=write, slots=slots)


def open_node(name: str | None) -> tuple[Backend, Place]:
    """Return the backend as the process of the node of this name uses it, and its place.

    A node without a name has a machine of its own, which says what it is.
    """
    if name is None:
        from sparkles.backends.gcp.vm import vm_node

        return vm_node()
    if (facts := os.environ.get("SPARKLES_NODE")) is None:
        from sparkles.backends.local.node import local_node

        return local_node(name)
    from sparkles.backends.gcp.node import process_node

    return process_node(name, Gcp(**json.loads(facts)))
