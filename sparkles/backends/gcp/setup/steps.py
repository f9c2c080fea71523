"""All steps of setting up a project, in the order in which each finds what it stands on."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles.backends.gcp.setup.accounts import account_step, project_access_step, role_step
from sparkles.backends.gcp.setup.api import Apis
from sparkles.backends.gcp.setup.database import database_step
from sparkles.backends.gcp.setup.repository import repository_access_step, repository_step
from sparkles.backends.gcp.setup.services import services_step
from sparkles.backends.gcp.setup.storage import bucket_access_step, bucket_step
from sparkles.backends.gcp.setup.wanted import PROJECT_ROLE, Wanted
from sparkles.setup import Step


def steps(wanted: Wanted) -> Sequence[Step]:
    """Return what a project needs."""
    apis = Apis(wanted.project)
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
    ]
