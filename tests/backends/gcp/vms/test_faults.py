"""What Compute Engine refuses: an error that says what, and the command that mends it."""

from __future__ import annotations

import pytest
from google.api_core.exceptions import Forbidden

from sparkles.backends.gcp.vms.faults import asking
from sparkles.errors import BackendError


@pytest.mark.parametrize(
    ("said", "command"),
    [
        (
            (
                "The user does not have access to service account 'node@p.iam.gserviceaccount.com'. Ask an owner "
                "to grant you the iam.serviceAccounts.actAs permission."
            ),
            (
                "gcloud iam service-accounts add-iam-policy-binding node@p.iam.gserviceaccount.com --project=p "
                "--member=user:EMAIL --role=roles/iam.serviceAccountUser"
            ),
        ),
        (
            "Permission 'iam.serviceAccounts.actAs' denied.",
            "gcloud iam service-accounts add-iam-policy-binding ACCOUNT --project=p",
        ),
        (
            "Required 'compute.instanceTemplates.create' permission",
            "gcloud projects add-iam-policy-binding p --member=user:EMAIL --role=roles/compute.instanceAdmin.v1",
        ),
        (
            "Compute Engine API has not been used in project 1 before or it is disabled.",
            "gcloud services enable compute.googleapis.com --project=p",
        ),
    ],
    ids=["an account", "some account", "a right", "the API"],
)
def test_who_is_refused_is_told_the_command_that_mends_it(said: str, command: str) -> None:
    with pytest.raises(BackendError) as refused, asking("group g", "p"):
        raise Forbidden(said)

    assert command in str(refused.value)
