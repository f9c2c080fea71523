"""All steps of setting up a project, in the order in which each finds what it stands on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sparkles.backends.gcp.images import RegistryImages, insecure_registries
from sparkles.backends.gcp.setup.accounts import account_step, project_access_step, role_step
from sparkles.backends.gcp.setup.api import Apis
from sparkles.backends.gcp.setup.database import database_step
from sparkles.backends.gcp.setup.repository import address, repository_access_step, repository_step, worker_image_step
from sparkles.backends.gcp.setup.services import services_step
from sparkles.backends.gcp.setup.storage import bucket_access_step, bucket_step
from sparkles.backends.gcp.setup.wanted import PROJECT_ROLE, Wanted
from sparkles.setup import Step


def steps(wanted: Wanted, *, worker_image: str | None = None, folder: Path | None = None) -> Sequence[Step]:
    """Return what a project needs; with the name of a `worker_image` that one, too, by what is kept in a `folder`."""
    apis = Apis(wanted.project)
    last = []
    if worker_image and folder:
        images = RegistryImages(ours=address(wanted), plain=insecure_registries(os.environ))
        last = [worker_image_step(apis, wanted, name=worker_image, images=images, folder=folder)]
    return [
        services_step(apis),
        bucket_step(apis, wanted),
        database_step(apis, wanted),
        account_step(apis, wanted),
        role_step(apis, wanted),
        project_access_step(apis, wanted, PROJECT_ROLE),
        project_access_step(apis, wanted, wanted.role),
        bucket_access_step(apis, wanted),
        repository_step(apis, wanted),
        repository_access_step(apis, wanted),
        *last,
    ]
