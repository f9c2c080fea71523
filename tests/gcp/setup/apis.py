"""Google's set-up APIs at a port of this machine, each below its own host's name: for GOOGLEAPIS_EMULATOR_HOST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain

from ..discovery import Document
from ..errors import ApiError, not_found
from ..faults import Faults
from ..server import Reply, Request, Server
from ..service import Call, Seen, Service
from .answers import Accounts, Databases, Projects, Repositories, Services
from .project import Project

#: API → its document, and who answers it.
_APIS = {
    "artifactregistry": ("artifactregistry.v1", Repositories),
    "cloudresourcemanager": ("cloudresourcemanager.v3", Projects),
    "firestore": ("firestore.v1", Databases),
    "iam": ("iam.v1", Accounts),
    "serviceusage": ("serviceusage.v1", Services),
}

#: Verbs and endings of methods that change nothing.
_READING = (".get", ".batchGet", ".getIamPolicy", ".testIamPermissions", ".list")


class SetupApis:
    """The APIs of one project."""

    def __init__(self, project: str, *, port: int = 0) -> None:
        self.project = Project(project)
        self._services = {
            f"{name}.googleapis.com": Service(
                Document.load(document), answers(self.project).answers, guard=self._guard(f"{name}.googleapis.com")
            )
            for name, (document, answers) in _APIS.items()
        }
        self._server = Server(self._answer, port=port)
        self.url = self._server.url

    @property
    def requests(self) -> list[Seen]:
        """Return all requests, those of each API in their order."""
        return list(chain.from_iterable(tuple(each.requests) for each in self._services.values()))

    @property
    def changes(self) -> list[str]:
        """Return the methods that were asked to change something."""
        return [each.method for each in self.requests if not each.method.endswith(_READING)]

    @property
    def violations(self) -> list[str]:
        """What did not fit the discovery documents. A test wants none."""
        return list(chain.from_iterable(each.violations for each in self._services.values()))

    def faults(self, api: str) -> Faults:
        """Return the faults of an API such as `iam`."""
        return self._services[f"{api}.googleapis.com"].faults

    def forget(self) -> None:
        """Forget the requests. What was made stays."""
        for service in self._services.values():
            service.requests.clear()

    def close(self) -> None:
        """Stop."""
        self._server.close()

    def _guard(self, host: str) -> Callable[[Call], None]:
        def guard(call: Call) -> None:
            is_first = host == "serviceusage.googleapis.com"
            if host not in self.project.enabled or not (is_first or self.project.is_known()):
                raise ApiError(
                    403, "forbidden", f"{host} API has not been used in project {self.project.name} before or it is "
                    "disabled. Enable it by visiting the console, then retry."
                )  # fmt: skip

        return guard

    def _answer(self, request: Request) -> Reply:
        host, _, path = request.path.removeprefix("/").partition("/")
        service = self._services.get(host)
        if service is None:
            return not_found(f"no API at {host}").reply()
        return service.answer(replace(request, path=f"/{path}"))
