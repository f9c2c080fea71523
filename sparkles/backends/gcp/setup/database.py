"""The Datastore database."""

from __future__ import annotations

from typing import Any

from sparkles.backends.gcp.setup.api import Apis, Say, TakenError
from sparkles.backends.gcp.setup.refusals import needing
from sparkles.backends.gcp.setup.wanted import Wanted
from sparkles.errors import BackendError
from sparkles.setup import Step

_MODE = "DATASTORE_MODE"
_ROLE = "roles/datastore.owner"


def database_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that makes the database."""
    parent = f"v1/projects/{wanted.project}/databases"
    what = f"Datastore database {wanted.database} in {wanted.region}"

    def see() -> str | None:
        found = look_at_database(apis, wanted)
        return None if found is None else where(found, wanted)

    def make(say: Say) -> None:
        database = {"type": _MODE, "locationId": wanted.region}
        with needing(
            _ROLE, on=f"project {wanted.project}", command=f"projects add-iam-policy-binding {wanted.project}"
        ):
            try:
                done = apis.patiently(lambda: apis.post("firestore", parent, database, databaseId=wanted.database), say)
            except TakenError:
                if see() is None:
                    raise
                return
        apis.finish("firestore", done, say)

    return Step(what=what, see=see, make=make)


def look_at_database(apis: Apis, wanted: Wanted) -> dict[str, Any] | None:
    """Return what is said of the database; None if there is none. Raises BackendError if it is of the other kind."""
    with needing(
        "roles/datastore.viewer", on=f"project {wanted.project}",
        command=f"projects add-iam-policy-binding {wanted.project}",
    ):  # fmt: skip
        found: dict[str, Any] | None = apis.get(
            "firestore", f"v1/projects/{wanted.project}/databases/{wanted.database}"
        )
    if found and found.get("type") != _MODE:
        raise BackendError(
            f"database {wanted.database} is there, in Firestore's native mode, which stays so; name another one with "
            "'database: sparkles' in .sparkles.yaml, or SPARKLES_DATABASE=sparkles"
        )
    return found


def where(database: dict[str, Any], wanted: Wanted) -> str:
    """Return what is worth knowing of a database: that it is not where the nodes are."""
    location = database.get("locationId", "")
    return "" if location == wanted.region else f"in {location}"
