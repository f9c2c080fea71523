"""Wanted: what a project needs for sparkles, by name, and which rights nodes and users have there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sparkles.config import Gcp
from sparkles.errors import RequestError

#: Google's APIs that are used, without `.googleapis.com`. The last two by `setup` and `validate` alone.
APIS = (
    "artifactregistry",
    "compute",
    "datastore",
    "firestore",
    "iam",
    "storage",
    "cloudresourcemanager",
    "serviceusage",
)

#: The custom role of nodes, and all that is in it: to find their own group, to leave it, to be made anew, to let it
#: grow, and to see that Google has done so.
NODE_ROLE = "sparklesNode"
NODE_PERMISSIONS = (
    "compute.instanceGroupManagers.get",
    "compute.instanceGroupManagers.update",
    "compute.regionOperations.get",
)

#: The roles of nodes: in the project beside their own, on the bucket, and on the repository of images.
PROJECT_ROLE = "roles/datastore.user"
BUCKET_ROLE = "roles/storage.objectAdmin"
REPOSITORY_ROLE = "roles/artifactregistry.reader"

#: The repository of images in Artifact Registry.
REPOSITORY = "sparkles"

_ACCOUNT = "sparkles-node"

#: Characters that a bucket's name may have besides letters and digits; a project's id may have others.
_ODD = re.compile(r"[^a-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The names of all that is to be there."""

    project: str
    region: str
    #: Without the folder in it that our objects are below.
    bucket: str
    database: str
    #: The service account of nodes: its email address.
    account: str

    @property
    def member(self) -> str:
        """Return what policies call the account of nodes."""
        return f"serviceAccount:{self.account}"

    @property
    def role(self) -> str:
        """Return the full name of the nodes' role."""
        return f"projects/{self.project}/roles/{NODE_ROLE}"

    @property
    def repository(self) -> str:
        """Return the full name of the repository of images."""
        return f"projects/{self.project}/locations/{self.region}/repositories/{REPOSITORY}"

    @property
    def account_id(self) -> str:
        """Return what stands before the @ of the account. Raises RequestError for one of another project."""
        name, _, home = self.account.partition("@")
        if home != f"{self.project}.iam.gserviceaccount.com":
            raise RequestError(
                f"{self.account} is no account of project {self.project}: it cannot be made here, and must be there"
            )
        return name


def wanted(gcp: Gcp) -> Wanted:
    """Return what the settings ask for, with the usual names for what they leave open.

    >>> wanted(Gcp(project="lab", region="us-east1")).bucket
    'lab-sparkles'
    """
    if not gcp.project or not gcp.region:
        raise RequestError("say in which project and region: add --project ID and --region NAME (such as us-central1)")
    return Wanted(
        project=gcp.project,
        region=gcp.region,
        bucket=(gcp.bucket or usual_bucket(gcp.project)).partition("/")[0],
        database=gcp.database,
        account=gcp.account or f"{_ACCOUNT}@{gcp.project}.iam.gserviceaccount.com",
    )


def usual_bucket(project: str) -> str:
    """Return the name of a project's bucket if the settings name none."""
    return f"{_ODD.sub('-', project)}-sparkles"
