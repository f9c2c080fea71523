"""A simulated project: what set-up makes in one, and who may do what. Knows no HTTP.

Ours, so it shows what is asked of Google and in which order, and nothing of what Google does.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ApiError, not_found


class Project:
    """One project. Whoever asks is its owner, but for what a test denies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.Lock()
        #: APIs, such as `iam.googleapis.com`.
        self.enabled = {"serviceusage.googleapis.com"}
        #: Email → account; full name → each of the others.
        self.accounts: dict[str, dict[str, Any]] = {}
        self.roles: dict[str, dict[str, Any]] = {}
        self.databases: dict[str, dict[str, Any]] = {}
        self.repositories: dict[str, dict[str, Any]] = {}
        self.operations: dict[str, dict[str, Any]] = {}
        #: Full name of what is guarded → its policy.
        self.policies: dict[str, dict[str, Any]] = {}
        #: Permissions that the caller lacks.
        self.denied: set[str] = set()
        #: Looks at an operation before it has been done.
        self.slowness = 0
        #: Requests for which what was just made, an API or an account, is not known yet everywhere.
        self.lateness = 0
        self._late = 0
        self._numbers = itertools.count(1)

    def made(self) -> None:
        """Note that something was made which takes a while to be known."""
        self._late = self.lateness

    def is_known(self) -> bool:
        """Say whether what was made last is known by now to whoever asks."""
        self._late = max(0, self._late - 1)
        return self._late == 0

    def need(self, *permissions: str) -> None:
        """Raise if the caller lacks a permission."""
        for permission in permissions:
            if permission in self.denied:
                raise ApiError(
                    403, "forbidden", f"Permission '{permission}' denied on resource "
                    f"'projects/{self.name}' (or it may not exist)."
                )  # fmt: skip

    def held(self, asked: Iterable[str]) -> dict[str, Any]:
        """Return which of some permissions the caller has."""
        held = [each for each in asked if each not in self.denied]
        return {"permissions": held} if held else {}

    def begin(self, prefix: str, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Begin what takes long; it is in effect at once, and said to be so later."""
        name = f"{prefix}operations/op-{next(self._numbers)}"
        self.operations[name] = {"looks": self.slowness, "answer": answer}
        return self.operation(name)

    def operation(self, name: str) -> dict[str, Any]:
        """Return how far something is."""
        known = self.operations.get(name)
        if known is None:
            raise not_found(f"operation {name} not found")
        if known["looks"]:
            known["looks"] -= 1
            return {"name": name}
        return {"name": name, "done": True, "response": known["answer"]}

    def policy(self, resource: str) -> dict[str, Any]:
        """Return who may do what with something."""
        return self.policies.setdefault(resource, {"version": 1, "etag": self._etag(), "bindings": []})

    def set_policy(self, resource: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Say who may do what with something, if nobody has said so since it was read."""
        with self.lock:
            if policy.get("etag") not in (None, self.policy(resource)["etag"]):
                raise ApiError(409, "aborted", "There were concurrent policy changes. Please retry the whole "
                               "read-modify-write with exponential backoff.")  # fmt: skip
            for binding in policy.get("bindings", ()):
                self._require_known(binding["members"])
            self.policies[resource] = {**policy, "etag": self._etag()}
            return self.policies[resource]

    def _require_known(self, members: Iterable[str]) -> None:
        for member in members:
            kind, _, name = member.partition(":")
            if kind == "serviceAccount" and name.endswith(f"@{self.name}.iam.gserviceaccount.com"):
                self._require_account(name)

    def _require_account(self, name: str) -> None:
        if name not in self.accounts or not self.is_known():
            raise ApiError(400, "invalid", f"Service account {name} does not exist.")

    def _etag(self) -> str:
        return f"BwYTe{next(self._numbers):05d}A="


def exists(name: str) -> ApiError:
    """Something of that name is there already."""
    return ApiError(409, "alreadyExists", f"Resource {name} already exists")
