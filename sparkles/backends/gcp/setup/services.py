"""The APIs that a project has enabled."""

from __future__ import annotations

from collections.abc import Sequence

from sparkles.backends.gcp.setup.api import ApiOffError, Apis, Say
from sparkles.backends.gcp.setup.refusals import needing
from sparkles.backends.gcp.setup.wanted import APIS
from sparkles.setup import Step

_ROLE = "roles/serviceusage.serviceUsageAdmin"


def services_step(apis: Apis) -> Step:
    """Return the step that enables the APIs."""

    def see() -> str | None:
        return None if off(apis) else ""

    def make(say: Say) -> None:
        services = [f"{name}.googleapis.com" for name in off(apis)]
        with needing(_ROLE, on=f"project {apis.project}", command=f"projects add-iam-policy-binding {apis.project}"):
            done = apis.post(
                "serviceusage", f"v1/projects/{apis.project}/services:batchEnable", {"serviceIds": services}
            )
        apis.finish("serviceusage", done, say)
        apis.settle()

    return Step(what=f"APIs {', '.join(APIS)}", see=see, make=make)


def off(apis: Apis) -> Sequence[str]:
    """Return which of the APIs are not enabled."""
    parent = f"projects/{apis.project}"
    names = [f"{parent}/services/{name}.googleapis.com" for name in APIS]
    try:
        found = apis.read("serviceusage", f"v1/{parent}/services:batchGet", names=names)
    except ApiOffError:  # it is off itself: nothing more can be known
        return APIS
    on = {each["config"]["name"] for each in found.get("services", ()) if each.get("state") == "ENABLED"}
    return [name for name in APIS if f"{name}.googleapis.com" not in on]
