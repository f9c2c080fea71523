"""The service account of nodes, their role, and what they may do in the project."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress

from sparkles.backends.gcp.setup.api import Apis, Say, TakenError
from sparkles.backends.gcp.setup.policies import Guarded
from sparkles.backends.gcp.setup.refusals import needing
from sparkles.backends.gcp.setup.wanted import NODE_PERMISSIONS, NODE_ROLE, Wanted
from sparkles.setup import Step

_TITLE = "Nodes of sparkles"


def account_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that makes the service account."""
    parent = f"v1/projects/{wanted.project}/serviceAccounts"

    def see() -> str | None:
        with _needing("roles/iam.serviceAccountAdmin", wanted):
            return None if apis.get("iam", f"{parent}/{wanted.account}") is None else ""

    def make(say: Say) -> None:
        account = {"accountId": wanted.account_id, "serviceAccount": {"displayName": _TITLE}}
        with _needing("roles/iam.serviceAccountAdmin", wanted), suppress(TakenError):
            apis.patiently(lambda: apis.post("iam", parent, account), say)
        apis.settle()

    return Step(what=f"service account {wanted.account}", see=see, make=make)


def role_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that makes the nodes' role, or gives it exactly the permissions that it should have."""

    def see() -> str | None:
        with _needing("roles/iam.roleAdmin", wanted):
            role = apis.get("iam", f"v1/{wanted.role}")
        is_whole = (
            role and not role.get("deleted") and set(role.get("includedPermissions", ())) == set(NODE_PERMISSIONS)
        )
        return "" if is_whole else None

    def make(say: Say) -> None:
        with _needing("roles/iam.roleAdmin", wanted):
            role = apis.get("iam", f"v1/{wanted.role}")
            if role is None:
                apis.patiently(lambda: apis.post("iam", f"v1/projects/{wanted.project}/roles", _new_role()), say)
                return
            if role.get("deleted"):
                apis.post("iam", f"v1/{wanted.role}:undelete")
            change = {"includedPermissions": list(NODE_PERMISSIONS)}
            apis.send("PATCH", "iam", f"v1/{wanted.role}", change, updateMask="includedPermissions")

    return Step(what=f"role {NODE_ROLE} ({', '.join(NODE_PERMISSIONS)})", see=see, make=make)


def project_access_step(apis: Apis, wanted: Wanted, role: str) -> Step:
    """Return the step that gives nodes a role in the project."""
    policy = project_policy(apis, wanted)

    def see() -> str | None:
        with _needing("roles/resourcemanager.projectIamAdmin", wanted):
            return "" if policy.has(role=role, member=wanted.member) else None

    def make(say: Say) -> None:
        with _needing("roles/resourcemanager.projectIamAdmin", wanted):
            policy.grant(say, role=role, member=wanted.member)

    return Step(what=f"{role} in project {wanted.project} for {wanted.account}", see=see, make=make)


def project_policy(apis: Apis, wanted: Wanted) -> Guarded:
    """Return who may do what in the project."""
    return Guarded(apis=apis, service="cloudresourcemanager", path=f"v3/projects/{wanted.project}")


def _new_role() -> dict[str, object]:
    role = {"title": _TITLE, "includedPermissions": list(NODE_PERMISSIONS), "stage": "GA"}
    return {"roleId": NODE_ROLE, "role": role}


def _needing(role: str, wanted: Wanted) -> AbstractContextManager[None]:
    return needing(role, on=f"project {wanted.project}", command=f"projects add-iam-policy-binding {wanted.project}")
