"""The bucket, and who may use it."""

from __future__ import annotations

from sparkles.backends.gcp.setup.api import Apis, RefusedError, Say, TakenError
from sparkles.backends.gcp.setup.policies import Guarded
from sparkles.backends.gcp.setup.refusals import needing
from sparkles.backends.gcp.setup.wanted import BUCKET_ROLE, Wanted
from sparkles.errors import BackendError
from sparkles.setup import Step

_PATH = "storage/v1/b"
_ROLE = "roles/storage.admin"


def bucket_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that makes the bucket: nobody outside may read it, and objects have no rights of their own."""

    def see() -> str | None:
        found = look_at_bucket(apis, wanted)
        return None if found is None else where(found, wanted)

    def make(say: Say) -> None:
        bucket = {
            "name": wanted.bucket,
            "location": wanted.region,
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": True},
                "publicAccessPrevention": "enforced",
            },
        }
        with needing(_ROLE, on=f"project {wanted.project}", command=_project_command(wanted)):
            try:
                apis.patiently(lambda: apis.post("storage", _PATH, bucket, project=wanted.project), say)
            except TakenError:
                if look_at_bucket(apis, wanted) is None:
                    raise

    return Step(what=f"bucket gs://{wanted.bucket} in {wanted.region}", see=see, make=make)


def bucket_access_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that lets nodes use the bucket, and no other."""
    policy = Guarded(apis=apis, service="storage", path=f"{_PATH}/{wanted.bucket}")

    def see() -> str | None:
        with needing(_ROLE, on=f"project {wanted.project}", command=_project_command(wanted)):
            return "" if policy.has(role=BUCKET_ROLE, member=wanted.member) else None

    def make(say: Say) -> None:
        with needing(_ROLE, on=f"project {wanted.project}", command=_project_command(wanted)):
            policy.grant(say, role=BUCKET_ROLE, member=wanted.member)

    return Step(what=f"{BUCKET_ROLE} on gs://{wanted.bucket} for {wanted.account}", see=see, make=make)


def look_at_bucket(apis: Apis, wanted: Wanted) -> dict[str, object] | None:
    """Return what is said of the bucket; None if there is none. Raises BackendError if it is somebody else's."""
    try:
        found: dict[str, object] | None = apis.get(
            "storage", f"{_PATH}/{wanted.bucket}", fields="name,location,iamConfiguration"
        )
    except RefusedError as error:
        raise BackendError(
            f"{error.words.rstrip('.')}; if the bucket is somebody else's, choose another name with --bucket; if it is "
            f"yours, you need {_ROLE} on it"
        ) from None
    return found


def where(bucket: dict[str, object], wanted: Wanted) -> str:
    """Return what is worth knowing of a bucket: that it is elsewhere than the nodes, which costs money and time."""
    location = str(bucket.get("location", "")).lower()
    return "" if location == wanted.region else f"in {location}; nodes in {wanted.region} pay for reading from there"


def _project_command(wanted: Wanted) -> str:
    return f"projects add-iam-policy-binding {wanted.project}"
