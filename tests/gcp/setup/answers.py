"""What the APIs for setting up answer: a table of methods for each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import ApiError, invalid, not_found
from ..service import Answer, Call
from .project import Project, exists


class Services:
    """Answers serviceusage.*."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.answers: Mapping[str, Answer] = {
            "serviceusage.services.batchGet": self.batch_get,
            "serviceusage.services.batchEnable": self.batch_enable,
            "serviceusage.operations.get": lambda call: project.operation(call.values["name"]),
        }

    def batch_get(self, call: Call) -> dict[str, Any]:
        """Say which services are on."""
        self._project.need("serviceusage.services.get")
        names = [value for name, value in call.request.query if name == "names"]
        return {"services": [self._shown(name) for name in names]}

    def batch_enable(self, call: Call) -> dict[str, Any]:
        """Turn services on."""
        self._project.need("serviceusage.services.enable")
        self._project.enabled |= set(call.body["serviceIds"])
        self._project.made()
        return self._project.begin("", {"@type": "type.googleapis.com/BatchEnableServicesResponse"})

    def _shown(self, name: str) -> dict[str, Any]:
        service = name.rpartition("/")[2]
        state = "ENABLED" if service in self._project.enabled else "DISABLED"
        return {"name": name, "config": {"name": service}, "state": state}


class Accounts:
    """Answers iam.*: service accounts and roles."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.answers: Mapping[str, Answer] = {
            "iam.projects.serviceAccounts.get": self.get,
            "iam.projects.serviceAccounts.create": self.create,
            "iam.projects.serviceAccounts.testIamPermissions": self.test,
            "iam.projects.roles.get": self.get_role,
            "iam.projects.roles.create": self.create_role,
            "iam.projects.roles.patch": self.patch_role,
            "iam.projects.roles.undelete": self.undelete_role,
        }

    def get(self, call: Call) -> dict[str, Any]:
        """Return an account."""
        self._project.need("iam.serviceAccounts.get")
        return self._account(call.values["name"])

    def create(self, call: Call) -> dict[str, Any]:
        """Make an account."""
        self._project.need("iam.serviceAccounts.create")
        name = call.body["accountId"]
        if not re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", name):
            raise invalid(f"{name} does not have a valid format")
        email = f"{name}@{self._project.name}.iam.gserviceaccount.com"
        if email in self._project.accounts:
            raise exists(email)
        full = f"projects/{self._project.name}/serviceAccounts/{email}"
        self._project.made()
        self._project.accounts[email] = {"name": full, "email": email, **call.body.get("serviceAccount", {})}
        return self._project.accounts[email]

    def test(self, call: Call) -> dict[str, Any]:
        """Say what the caller may do with an account."""
        self._account(call.values["resource"])
        return self._project.held(call.body["permissions"])

    def get_role(self, call: Call) -> dict[str, Any]:
        """Return a role."""
        self._project.need("iam.roles.get")
        return self._role(call.values["name"])

    def create_role(self, call: Call) -> dict[str, Any]:
        """Make a role."""
        self._project.need("iam.roles.create")
        name = f"projects/{self._project.name}/roles/{call.body['roleId']}"
        if name in self._project.roles:
            raise exists(name)
        self._project.roles[name] = {"name": name, **call.body["role"]}
        return self._project.roles[name]

    def patch_role(self, call: Call) -> dict[str, Any]:
        """Change what a mask names of a role."""
        self._project.need("iam.roles.update")
        role = self._role(call.values["name"])
        role |= {name: call.body[name] for name in call.values["updateMask"].split(",")}
        return role

    def undelete_role(self, call: Call) -> dict[str, Any]:
        """Bring a role back."""
        self._project.need("iam.roles.undelete")
        role = self._role(call.values["name"])
        role.pop("deleted", None)
        return role

    def _account(self, name: str) -> dict[str, Any]:
        email = name.rpartition("/")[2]
        if email not in self._project.accounts:
            raise not_found(f"Unknown service account {email}")
        return self._project.accounts[email]

    def _role(self, name: str) -> dict[str, Any]:
        if name not in self._project.roles:
            raise not_found(f"The role named {name} was not found.")
        return self._project.roles[name]


class Projects:
    """Answers cloudresourcemanager.*."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.answers: Mapping[str, Answer] = {
            "cloudresourcemanager.projects.get": self.get,
            "cloudresourcemanager.projects.getIamPolicy": self.get_policy,
            "cloudresourcemanager.projects.setIamPolicy": self.set_policy,
            "cloudresourcemanager.projects.testIamPermissions": self.test,
        }

    def get(self, call: Call) -> dict[str, Any]:
        """Return the project."""
        self._project.need("resourcemanager.projects.get")
        return {"name": "projects/1234567890", "projectId": self._named(call.values["name"]), "state": "ACTIVE"}

    def get_policy(self, call: Call) -> dict[str, Any]:
        """Return who may do what."""
        self._named(call.values["resource"])
        self._project.need("resourcemanager.projects.getIamPolicy")
        return self._project.policy(call.values["resource"])

    def set_policy(self, call: Call) -> dict[str, Any]:
        """Say who may do what."""
        self._named(call.values["resource"])
        self._project.need("resourcemanager.projects.setIamPolicy")
        return self._project.set_policy(call.values["resource"], call.body["policy"])

    def test(self, call: Call) -> dict[str, Any]:
        """Say what the caller may do."""
        self._named(call.values["resource"])
        return self._project.held(call.body["permissions"])

    def _named(self, name: str) -> str:
        """Refuse other projects, as Google does: whether they exist is nobody's business."""
        project = name.partition("/")[2]
        if project != self._project.name:
            raise ApiError(403, "forbidden", f"The caller does not have permission on {name}, or it does not exist.")
        return project


class Repositories:
    """Answers artifactregistry.*."""

    def __init__(self, project: Project) -> None:
        self._project = project
        base = "artifactregistry.projects.locations."
        self.answers: Mapping[str, Answer] = {
            f"{base}repositories.get": self.get,
            f"{base}repositories.create": self.create,
            f"{base}repositories.getIamPolicy": self.get_policy,
            f"{base}repositories.setIamPolicy": self.set_policy,
            f"{base}operations.get": lambda call: project.operation(call.values["name"]),
        }

    def get(self, call: Call) -> dict[str, Any]:
        """Return a repository."""
        self._project.need("artifactregistry.repositories.get")
        return self._repository(call.values["name"])

    def create(self, call: Call) -> dict[str, Any]:
        """Make a repository."""
        self._project.need("artifactregistry.repositories.create")
        name = f"{call.values['parent']}/repositories/{call.values['repositoryId']}"
        if name in self._project.repositories:
            raise exists(name)
        self._project.repositories[name] = {"name": name, **call.body}
        return self._project.begin(f"{call.values['parent']}/", {"@type": "Repository"})

    def get_policy(self, call: Call) -> dict[str, Any]:
        """Return who may do what."""
        self._project.need("artifactregistry.repositories.getIamPolicy")
        return self._project.policy(self._repository(call.values["resource"])["name"])

    def set_policy(self, call: Call) -> dict[str, Any]:
        """Say who may do what."""
        self._project.need("artifactregistry.repositories.setIamPolicy")
        return self._project.set_policy(self._repository(call.values["resource"])["name"], call.body["policy"])

    def _repository(self, name: str) -> dict[str, Any]:
        if name not in self._project.repositories:
            raise not_found(f"Requested entity was not found: {name}")
        return self._project.repositories[name]


class Databases:
    """Answers firestore.*, as far as it is about whole databases."""

    def __init__(self, project: Project) -> None:
        self._project = project
        base = "firestore.projects.databases."
        self.answers: Mapping[str, Answer] = {
            f"{base}get": self.get,
            f"{base}create": self.create,
            f"{base}operations.get": lambda call: project.operation(call.values["name"]),
        }

    def get(self, call: Call) -> dict[str, Any]:
        """Return a database."""
        self._project.need("datastore.databases.get")
        name = call.values["name"]
        if name not in self._project.databases:
            raise not_found(f"Project '{self._project.name}' or database '{name.rpartition('/')[2]}' does not exist.")
        return self._project.databases[name]

    def create(self, call: Call) -> dict[str, Any]:
        """Make a database."""
        self._project.need("datastore.databases.create")
        name = f"{call.values['parent']}/databases/{call.values['databaseId']}"
        if name in self._project.databases:
            raise exists(name)
        self._project.databases[name] = {"name": name, **call.body}
        return self._project.begin(f"{name}/", {"@type": "Database"})
