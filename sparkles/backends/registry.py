"""Registry: the backends by name."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkles.config import Gcp, Settings
from sparkles.ports.backend import Backend
from sparkles.ports.keeping import Keeper
from sparkles.ports.place import Place
from sparkles.ports.state import StateStore

if TYPE_CHECKING:  # most commands do without it
    from sparkles.setup import Step
    from sparkles.validate import Check


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


def open_unchanged(settings: Settings) -> StateStore:
    """Return the state of the backend that the settings choose, for a look that is to leave it as it is.

    Raises BackendError where it would have to be brought up to date first.
    """
    if settings.backend != "local":
        return open_backend(settings, write=False).state
    from sparkles.backends.local.backend import home_folder
    from sparkles.backends.local.state import SqliteState
    from sparkles.paths import Home

    home = Home(home_folder())
    return SqliteState(home.state if home.state.exists() else None, fixed=True)


def open_node(name: str | None) -> tuple[Backend, Place]:
    """Return the backend as the process of the node of this name uses it, and its place.

    A node without a name has a machine of its own, which says what it is.
    """
    if name is None:
        from sparkles.backends.gcp.vms.node import vm_node

        return vm_node()
    if (facts := os.environ.get("SPARKLES_NODE")) is None:
        from sparkles.backends.local.node import local_node

        return local_node(name)
    from sparkles.backends.gcp.node import process_node

    return process_node(name, Gcp(**json.loads(facts)))


def project_steps(gcp: Gcp, *, worker_image: bool) -> tuple[Gcp, Sequence[Step]]:
    """Return the settings with all that they leave open filled in, and the steps that make what they ask for.

    Raises RequestError if they do not say enough.
    """
    from sparkles.backends.gcp.setup.repository import address
    from sparkles.backends.gcp.setup.steps import steps
    from sparkles.backends.gcp.setup.wanted import wanted
    from sparkles.backends.local.backend import home_folder
    from sparkles.paths import Home

    names = wanted(gcp)
    image = (gcp.worker_image or f"{address(names)}/worker") if worker_image else None
    filled = replace(
        gcp, bucket=gcp.bucket or names.bucket, account=names.account, worker_image=image or gcp.worker_image
    )
    return filled, steps(names, worker_image=image, folder=Home(home_folder()).wheels)


def backend_checks(settings: Settings) -> Sequence[Check]:
    """Return what is tried of the backend that the settings choose, to know whether jobs could run there."""
    if settings.backend == "local":
        from sparkles.backends.local.backend import home_folder
        from sparkles.backends.local.checks import checks as checks_at_home
        from sparkles.paths import Home

        return checks_at_home(Home(home_folder()))
    from sparkles.backends.gcp.setup.checks import checks

    return checks(settings, lambda: open_backend(settings, write=False).images)


def keepers(settings: Settings) -> Sequence[Keeper]:
    """Return who keeps what may outlive its use, for the backend that the settings choose."""
    from sparkles.backends.local.backend import home_folder
    from sparkles.backends.local.keeping import DirectoryKeeper, HomeKeeper
    from sparkles.paths import Home

    home = Home(home_folder())
    if settings.backend == "local":
        return [DirectoryKeeper(home), HomeKeeper(home)]
    from sparkles.backends.gcp.keeping import BucketKeeper
    from sparkles.backends.gcp.storage.bucket import Bucket
    from sparkles.backends.gcp.storage.client import storage_client

    gcp = settings.gcp
    name, _, prefix = (gcp.bucket or "").partition("/")
    bucket = BucketKeeper(Bucket(storage_client(gcp.project), name), prefix)
    if gcp.compute != "vm":
        return [bucket, HomeKeeper(home)]
    from sparkles.backends.gcp.group_keeper import GroupKeeper
    from sparkles.backends.gcp.setup.api import Apis

    return [bucket, HomeKeeper(home), GroupKeeper(Apis(gcp.project or ""), gcp)]
