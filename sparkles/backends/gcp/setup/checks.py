"""What is tried of a project: each part that jobs need, and each right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sparkles.backends.gcp.setup import machines, probes, rights
from sparkles.backends.gcp.setup.accounts import project_policy
from sparkles.backends.gcp.setup.api import AbsentError, Apis, RefusedError
from sparkles.backends.gcp.setup.database import look_at_database
from sparkles.backends.gcp.setup.database import where as where_database_is
from sparkles.backends.gcp.setup.repository import address, look_at_repository
from sparkles.backends.gcp.setup.services import off
from sparkles.backends.gcp.setup.storage import look_at_bucket
from sparkles.backends.gcp.setup.storage import where as where_bucket_is
from sparkles.backends.gcp.setup.wanted import PROJECT_ROLE, Wanted, wanted
from sparkles.config import Gcp, Settings, require, ways
from sparkles.errors import BackendError
from sparkles.ports.images import Images
from sparkles.validate import Check, UnknownError

#: What a job gets that says nothing.
_MACHINE_TYPE = "n1-standard-1"


def checks(settings: Settings, images: Callable[[], Images | None]) -> Sequence[Check]:
    """Return all that is tried for these settings, what others stand on first."""
    gcp = settings.gcp
    first = Check(what="settings", attempt=lambda: _settings(gcp))
    if not (gcp.project and gcp.region and gcp.bucket):
        return [first]
    names, apis = wanted(gcp), Apis(gcp.project)
    machine_type = settings.defaults.get("machineType", _MACHINE_TYPE)
    return [
        first,
        Check(what="credentials", attempt=apis.account),
        *_of_project(apis, names),
        *_of_stores(apis, names, gcp),
        *_of_nodes(apis, names, gcp),
        *machines.checks(apis, gcp, machine_type, needs=("credentials", "APIs")),
        _image(settings, images),
    ]


def _settings(gcp: Gcp) -> str:
    require(gcp)
    if not gcp.region:
        raise BackendError(f"nodes need a region; set it with {ways('region')}")
    return f"project {gcp.project}, region {gcp.region}, gs://{gcp.bucket}, database {gcp.database}"


def _of_project(apis: Apis, names: Wanted) -> Sequence[Check]:
    return [
        Check(what="project", attempt=lambda: _project(apis), needs=("credentials",)),
        Check(what="APIs", attempt=lambda: _apis(apis), needs=("project",)),
        Check(what="your rights", attempt=lambda: rights.check(apis, names), needs=("project", "APIs")),
    ]


def _of_stores(apis: Apis, names: Wanted, gcp: Gcp) -> Sequence[Check]:
    return [
        Check(what="bucket", attempt=lambda: probes.bucket(gcp), needs=("credentials",)),
        Check(what="place of the bucket", attempt=lambda: _place_of_bucket(apis, names), needs=("bucket",)),
        Check(what="database", attempt=lambda: _database(apis, names), needs=("APIs",)),
        Check(what="Datastore", attempt=lambda: probes.datastore(gcp), needs=("credentials",)),
    ]


def _of_nodes(apis: Apis, names: Wanted, gcp: Gcp) -> Sequence[Check]:
    if gcp.account is None:
        return [Check(what="account of nodes", attempt=_no_account)]
    needs = ("APIs", "account of nodes")
    return [
        Check(what="account of nodes", attempt=lambda: rights.acting_as(apis, names), needs=("APIs",)),
        Check(what="rights of nodes", attempt=lambda: _rights_of_nodes(apis, names), needs=needs),
        Check(what="repository of images", attempt=lambda: _repository(apis, names), needs=("APIs",)),
    ]


def _project(apis: Apis) -> str:
    found = _asked(lambda: apis.read("cloudresourcemanager", f"v3/projects/{apis.project}"))
    if found["state"] != "ACTIVE":
        raise BackendError(f"{apis.project} is {found['state']}; restore it, or name another one")
    return str(apis.project)


def _apis(apis: Apis) -> str:
    if absent := off(apis):
        names = " ".join(f"{name}.googleapis.com" for name in absent)
        raise BackendError(
            f"not enabled: {', '.join(absent)}; 'gcloud services enable {names} --project={apis.project}'"
        )
    return "all enabled"


def _place_of_bucket(apis: Apis, names: Wanted) -> str:
    try:
        found = look_at_bucket(apis, names)
    except BackendError:
        raise UnknownError("needs storage.buckets.get, which jobs do not") from None
    return "" if found is None else where_bucket_is(found, names) or names.region


def _database(apis: Apis, names: Wanted) -> str:
    found = look_at_database(apis, names)
    if found is None:
        raise BackendError(f"there is no database {names.database}; 'sparkles setup' makes it")
    return where_database_is(found, names) or f"in Datastore mode, in {names.region}"


def _no_account() -> str:
    raise BackendError(
        "nodes would run as the project's default account, which mostly may do everything; 'sparkles setup' makes one "
        f"with few rights; or set one with {ways('account')}"
    )


def _rights_of_nodes(apis: Apis, names: Wanted) -> str:
    policy = _asked(project_policy(apis, names).read)
    lacking = rights.lacking(policy, names)
    if lacking:
        raise BackendError(f"{names.account} lacks {', '.join(lacking)}; 'sparkles setup' grants it")
    return f"{PROJECT_ROLE}, {names.role}"


def _repository(apis: Apis, names: Wanted) -> str:
    if look_at_repository(apis, names) is None:
        raise UnknownError(
            "there is none, which matters only to those who keep images there; 'sparkles setup' makes it"
        )
    return address(names)


def _image(settings: Settings, images: Callable[[], Images | None]) -> Check:
    name = settings.defaults.get("image")

    def attempt() -> str:
        known = images() if name else None
        return known.pin(name) if known and name else "none: each job has to name its own, with -i"

    return Check(what="image of jobs that name none", attempt=attempt, needs=("credentials",))


def _asked(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the answer; what may not be asked is unknown, and no fault."""
    try:
        return ask()
    except (AbsentError, RefusedError) as error:
        raise UnknownError(f"you may not look: {error}") from None
