"""Google's set-up APIs as sparkles asks them: what is not known yet, what takes long, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from sparkles import setup
from sparkles.backends.gcp.setup import api
from sparkles.backends.gcp.setup.api import Apis
from sparkles.backends.gcp.setup.policies import Guarded
from sparkles.backends.gcp.setup.refusals import AbsentError, ApiOffError, refusal
from sparkles.backends.gcp.setup.steps import steps
from sparkles.backends.gcp.setup.wanted import Wanted
from sparkles.errors import BackendError, RequestError, UnreachableError

ACCOUNT = "sparkles-node@sparkles-test.iam.gserviceaccount.com"


@pytest.fixture
def wanted(storage: Any) -> Wanted:
    return Wanted(
        project="sparkles-test", region="us-central1", bucket="a-new-bucket", database="(default)", account=ACCOUNT
    )


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said while things take long; they take as good as no time here."""
    monkeypatch.setattr(api, "_FIRST_LOOK", 0.001)
    monkeypatch.setattr(api, "_LONGEST_LOOK", 0.001)
    return []


def carry_out(wanted: Wanted, heard: list[str]) -> list[str]:
    return list(setup.carry_out(steps(wanted), lambda step: heard.append))


def test_what_was_just_made_may_take_a_while_to_be_known(setup_apis, wanted, heard, storage):
    setup_apis.project.lateness = 6

    lines = carry_out(wanted, heard)
    storage.holdings.buckets.pop("a-new-bucket")

    assert {line[0] for line in lines} == {"+"}
    assert "waits until it is known everywhere what was just made" in heard


def test_an_api_that_stays_off_is_not_waited_for(setup_apis, heard):
    with pytest.raises(ApiOffError, match=r"gcloud services enable iam\.googleapis\.com --project=sparkles-test"):
        Apis("sparkles-test").patiently(
            lambda: Apis("sparkles-test").post("iam", "v1/projects/sparkles-test/roles", {}), heard.append
        )

    assert heard == []


def test_what_takes_long_is_awaited_with_a_word(setup_apis, wanted, heard, storage):
    setup_apis.project.slowness = 3

    carry_out(wanted, heard)
    storage.holdings.buckets.pop("a-new-bucket")

    assert [words for words in heard if words.endswith(" s")] == ["0 s"] * 9


def test_what_fails_in_the_end_is_said(setup_apis, monkeypatch, heard):
    operation = {"name": "operations/x", "done": True, "error": {"code": 9, "message": "billing is off"}}

    with pytest.raises(BackendError, match="billing is off"):
        Apis("sparkles-test").finish("serviceusage", operation, heard.append)


class _Overtaken(Guarded):
    """A policy that somebody else changes each time right after it was read."""

    def read(self) -> Any:
        policy = super().read()
        other = Guarded(apis=self.apis, service=self.service, path=self.path)
        other.grant(print, role="roles/theirs", member=f"serviceAccount:{ACCOUNT}")
        return policy


def test_two_who_grant_at_once_both_do(setup_apis, heard):
    setup_apis.project.enabled.add("cloudresourcemanager.googleapis.com")
    setup_apis.project.accounts[ACCOUNT] = {}
    policy = _Overtaken(apis=Apis("sparkles-test"), service="cloudresourcemanager", path="v3/projects/sparkles-test")

    policy.grant(heard.append, role="roles/mine", member=f"serviceAccount:{ACCOUNT}")

    bindings = setup_apis.project.policy("projects/sparkles-test")["bindings"]
    assert {each["role"]: len(each["members"]) for each in bindings} == {"roles/theirs": 1, "roles/mine": 1}


@pytest.mark.parametrize("host", ["https://evil.example", "http://10.0.0.1:80", "https://127.0.0.1:1", "iam"])
def test_a_stand_in_is_on_this_machine(monkeypatch, host):
    monkeypatch.setenv("GOOGLEAPIS_EMULATOR_HOST", host)

    with pytest.raises(RequestError, match=r"expected http://127\.0\.0\.1:PORT"):
        Apis("p").get("iam", "v1/x")


def test_nobody_answering_is_told_from_being_refused(monkeypatch):
    monkeypatch.setattr(api, "_RETRY", api.Retry(total=0))
    monkeypatch.setenv("GOOGLEAPIS_EMULATOR_HOST", "http://127.0.0.1:9")

    with pytest.raises(UnreachableError, match="cannot be reached"):
        Apis("p").get("iam", "v1/x")


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (401, {}, BackendError),
        (403, {"error": {"message": "x", "details": [{"reason": "SERVICE_DISABLED"}]}}, ApiOffError),
        (404, {"error": {"message": "x"}}, AbsentError),
        (429, {}, UnreachableError),
        (502, "<html>", UnreachableError),
        (400, {"error": "words"}, BackendError),
    ],
)
def test_answers_that_are_no_success_are_told_apart(status, content, kind):
    assert isinstance(refusal(status, content, service="iam", project="p"), kind)
