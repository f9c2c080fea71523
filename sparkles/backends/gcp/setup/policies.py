"""Policies: who has which role on what. Changed as read, or read again: others change them, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkles.backends.gcp.setup.api import AbsentError, ApiOffError, Apis, Say, TakenError
from sparkles.errors import BackendError

Policy = Mapping[str, Any]

#: A policy with conditions has this version; whoever asks for an older one loses them by writing it back.
_VERSION = 3

#: Times that a policy is read anew because somebody else has changed it.
_TRIES = 8


def holds(policy: Policy, *, role: str, member: str) -> bool:
    """Say whether a member has a role, without any condition.

    >>> holds({"bindings": [{"role": "r", "members": ["user:a"]}]}, role="r", member="user:a")
    True
    """
    return any(_is_plain(each, role) and member in each.get("members", ()) for each in policy.get("bindings", ()))


def granting(policy: Policy, *, role: str, member: str) -> Policy:
    """Return the policy in which a member has a role, too.

    >>> granting({"etag": "e", "bindings": [{"role": "r", "members": ["user:a"]}]}, role="r", member="user:b")
    {'etag': 'e', 'bindings': [{'role': 'r', 'members': ['user:a', 'user:b']}], 'version': 3}
    """
    bindings = [dict(each) for each in policy.get("bindings", ())]
    plain = next((each for each in bindings if _is_plain(each, role)), None)
    if plain is None:
        bindings.append({"role": role, "members": [member]})
    else:
        plain["members"] = [*plain.get("members", ()), member]
    return {**policy, "bindings": bindings, "version": _VERSION}


def _is_plain(binding: Mapping[str, Any], role: str) -> bool:
    return bool(binding["role"] == role and not binding.get("condition"))


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """Something that has a policy, and how that is read and written there: each service does it in its own way."""

    apis: Apis
    service: str
    #: The path of the policy, or what stands in it before `:getIamPolicy`.
    path: str

    def read(self) -> Policy:
        """Return the policy. Raises AbsentError if there is nothing that could have one."""
        if self.service == "storage":
            found = self.apis.read(self.service, f"{self.path}/iam", optionsRequestedPolicyVersion=str(_VERSION))
        elif self.service == "cloudresourcemanager":
            options = {"options": {"requestedPolicyVersion": _VERSION}}
            found = self.apis.post(self.service, f"{self.path}:getIamPolicy", options)
        else:
            query = {"options.requestedPolicyVersion": str(_VERSION)}
            found = self.apis.read(self.service, f"{self.path}:getIamPolicy", **query)
        policy: Policy = found
        return policy

    def write(self, policy: Policy) -> Policy:
        """Replace the policy that was read. Raises TakenError if it has changed meanwhile."""
        if self.service == "storage":
            written: Policy = self.apis.send("PUT", self.service, f"{self.path}/iam", policy)
        else:
            written = self.apis.post(self.service, f"{self.path}:setIamPolicy", {"policy": policy})
        return written

    def has(self, *, role: str, member: str) -> bool:
        """Say whether a member has a role; nobody has one where there is nothing."""
        try:
            return holds(self.read(), role=role, member=member)
        except (AbsentError, ApiOffError):
            return False

    def grant(self, say: Say, *, role: str, member: str) -> None:
        """Give a member a role."""
        for _ in range(_TRIES):
            policy = self.apis.patiently(self.read, say)
            if holds(policy, role=role, member=member):
                return
            try:
                self.apis.patiently(lambda: self.write(granting(policy, role=role, member=member)), say)  # noqa: B023 - called at once
            except TakenError:
                continue
            return
        raise BackendError("others change who may do what there, again and again; try again")
