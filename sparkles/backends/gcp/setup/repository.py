"""The repository of images in Artifact Registry, and who may read it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from sparkles.backends.docker.engine import Engine
from sparkles.backends.gcp.delivery.worker_image import WorkerImage
from sparkles.backends.gcp.setup.api import Apis, Say, TakenError
from sparkles.backends.gcp.setup.policies import Guarded
from sparkles.backends.gcp.setup.refusals import needing
from sparkles.backends.gcp.setup.wanted import REPOSITORY, REPOSITORY_ROLE, Wanted
from sparkles.errors import BackendError
from sparkles.ports.images import Images
from sparkles.setup import Step

_SERVICE = "artifactregistry"


def repository_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that makes the repository."""
    parent = f"v1/projects/{wanted.project}/locations/{wanted.region}/repositories"

    def see() -> str | None:
        return None if look_at_repository(apis, wanted) is None else ""

    def make(say: Say) -> None:
        repository = {"format": "DOCKER", "description": "Images for nodes of sparkles"}
        with _needing(wanted):
            try:
                done = apis.patiently(lambda: apis.post(_SERVICE, parent, repository, repositoryId=REPOSITORY), say)
            except TakenError:
                return
        apis.finish(_SERVICE, done, say)

    return Step(what=f"docker repository {address(wanted)}", see=see, make=make)


def worker_image_step(apis: Apis, wanted: Wanted, *, name: str, images: Images, folder: Path) -> Step:
    """Return the step that builds the image that nodes work with, by this machine's docker, and pushes it.

    `folder` is where libraries that were fetched are kept.
    """
    image = WorkerImage(repository=name)

    def see() -> str | None:
        is_away = name.startswith(address(wanted)) and look_at_repository(apis, wanted) is None
        return "" if not is_away and image.is_in(images) else None

    def make(say: Say) -> None:
        image.make(Engine(), say, folder=folder)

    return Step(what=f"worker image {image.name}", see=see, make=make)


def repository_access_step(apis: Apis, wanted: Wanted) -> Step:
    """Return the step that lets nodes fetch images from the repository."""
    policy = Guarded(apis=apis, service=_SERVICE, path=f"v1/{wanted.repository}")

    def see() -> str | None:
        with _needing(wanted):
            return "" if policy.has(role=REPOSITORY_ROLE, member=wanted.member) else None

    def make(say: Say) -> None:
        with _needing(wanted):
            policy.grant(say, role=REPOSITORY_ROLE, member=wanted.member)

    return Step(what=f"{REPOSITORY_ROLE} on repository {REPOSITORY} for {wanted.account}", see=see, make=make)


def look_at_repository(apis: Apis, wanted: Wanted) -> object | None:
    """Return what is said of the repository; None if there is none. Raises BackendError if it holds no images."""
    with _needing(wanted):
        found = apis.get(_SERVICE, f"v1/{wanted.repository}")
    if found and found.get("format") != "DOCKER":
        raise BackendError(f"it is there, for {found.get('format')} packages instead of images; remove or rename it")
    return found or None


def address(wanted: Wanted) -> str:
    """Return what images of the repository begin with."""
    return f"{wanted.region}-docker.pkg.dev/{wanted.project}/{REPOSITORY}"


def _needing(wanted: Wanted) -> AbstractContextManager[None]:
    return needing(
        "roles/artifactregistry.admin",
        on=f"project {wanted.project}",
        command=f"projects add-iam-policy-binding {wanted.project}",
    )
