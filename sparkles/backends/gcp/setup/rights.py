"""What an account may do: that of whoever asks, and that of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkles.backends.gcp.setup.api import AbsentError, Apis
from sparkles.backends.gcp.setup.policies import Policy, holds
from sparkles.backends.gcp.setup.wanted import PROJECT_ROLE, Wanted
from sparkles.errors import BackendError

#: Role → the permissions that submitting jobs takes of it.
OPERATOR: Mapping[str, Sequence[str]] = {
    "roles/datastore.user": (
        "datastore.entities.create",
        "datastore.entities.delete",
        "datastore.entities.get",
        "datastore.entities.list",
        "datastore.entities.update",
    ),
    "roles/compute.instanceAdmin.v1": (
        "compute.disks.create",
        "compute.instanceGroupManagers.create",
        "compute.instanceGroupManagers.delete",
        "compute.instanceGroupManagers.get",
        "compute.instanceGroupManagers.list",
        "compute.instanceGroupManagers.update",
        "compute.instanceTemplates.create",
        "compute.instanceTemplates.delete",
        "compute.instanceTemplates.get",
        "compute.instanceTemplates.list",
        "compute.instanceTemplates.useReadOnly",
        "compute.instances.create",
        "compute.instances.delete",
        "compute.instances.list",
        "compute.instances.setLabels",
        "compute.instances.setMetadata",
        "compute.instances.setServiceAccount",
        "compute.machineTypes.get",
        "compute.regionOperations.get",
        "compute.regions.get",
        "compute.subnetworks.use",
        "compute.subnetworks.useExternalIp",
    ),
}

#: Lets its holder start machines that run as an account.
ACT_AS, USER_ROLE = "iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"


def check(apis: Apis, names: Wanted) -> str:
    """Return in words that whoever asks may do all that submitting takes. Raises BackendError with what is missing."""
    asked = [permission for permissions in OPERATOR.values() for permission in permissions]
    answer = apis.post(
        "cloudresourcemanager", f"v3/projects/{names.project}:testIamPermissions", {"permissions": asked}
    )
    held = set(answer.get("permissions", ()))
    missing = {role: sorted(set(permissions) - held) for role, permissions in OPERATOR.items()}
    words = [
        f"you lack {', '.join(some)}: 'gcloud projects add-iam-policy-binding {names.project} --member=user:YOU "
        f"--role={role}'"
        for role, some in missing.items()
        if some
    ]
    if words:
        raise BackendError("; ".join(words))
    return f"{len(asked)} permissions, as of {', '.join(OPERATOR)}"


def acting_as(apis: Apis, names: Wanted) -> str:
    """Return in words that whoever asks may start nodes that run as their account. Raises BackendError if not."""
    path = f"v1/projects/{names.project}/serviceAccounts/{names.account}:testIamPermissions"
    try:
        answer = apis.post("iam", path, {"permissions": [ACT_AS]})
    except AbsentError:
        raise BackendError(f"there is no account {names.account}; 'sparkles setup' makes it") from None
    if ACT_AS not in answer.get("permissions", ()):
        raise BackendError(
            f"you may not start machines as {names.account}: 'gcloud iam service-accounts add-iam-policy-binding "
            f"{names.account} --project={names.project} --member=user:YOU --role={USER_ROLE}'"
        )
    return f"{names.account}, and you may start nodes with it"


def lacking(policy: Policy, names: Wanted) -> Sequence[str]:
    """Return which of the roles that nodes need in the project their account has not."""
    return [role for role in (PROJECT_ROLE, names.role) if not holds(policy, role=role, member=names.member)]
