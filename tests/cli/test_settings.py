"""`sparkles config`: every setting, and where it comes from, for people and for programs."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

pytestmark = pytest.mark.at_home("asks no store")


def settings(user, *words):
    return {row.pop("setting"): row for row in user.rows("config", *words)}


def test_without_a_file_it_says_where_one_was_looked_for(user) -> None:
    done = user("config")

    assert done.returncode == 0
    assert done.stderr == (
        f"no file: there is no .sparkles.yaml in {user.folder} or above it, and no "
        f"{user.home}/.config/sparkles/config.yaml\n"
    )
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert lines[:2] == [["SETTING", "VALUE", "ORIGIN"], ["backend", "local", "default"]]
    assert ["bucket", "-", "not set; bucket: NAME in .sparkles.yaml, or SPARKLES_BUCKET"] in lines


@pytest.mark.parametrize("name", [".sparkles.yaml", "../.sparkles.yaml", "../home/.config/sparkles/config.yaml"])
def test_it_says_which_file_was_read(user, name) -> None:
    path = user.write(name, "bucket: my-bucket\n").resolve()

    done = user("config", "-o", "json")

    assert done.stderr == f"settings of {path}:\n"
    (bucket,) = (row for row in json.loads(done.stdout) if row["setting"] == "bucket")
    assert bucket == {"setting": "bucket", "value": "my-bucket", "origin": str(path)}


def test_every_layer_is_named(user) -> None:
    user.write("mine.yaml", "project: my-project\nzones: [a, b]\n")
    user.env |= {"SPARKLES_BUCKET": "my-bucket/", "CLOUDSDK_CONFIG": str(user.home / "gcloud")}
    user.write("../home/gcloud/configurations/config_default", "[compute]\nregion = my-region\n[core]\nproject = no\n")

    found = settings(user, "--config", "mine.yaml", "--backend", "local")

    assert found == {
        "backend": {"value": "local", "origin": "flag"},
        "project": {"value": "my-project", "origin": "mine.yaml"},
        "region": {"value": "my-region", "origin": "gcloud (configuration default)"},
        "zones": {"value": ["a", "b"], "origin": "mine.yaml"},
        "bucket": {"value": "my-bucket", "origin": "SPARKLES_BUCKET"},
        "database": {"value": "(default)", "origin": "default"},
        "account": {"value": None, "origin": "not set; account: NAME in .sparkles.yaml, or SPARKLES_ACCOUNT"},
        "network": {"value": None, "origin": "not set; network: NAME in .sparkles.yaml, or SPARKLES_NETWORK"},
        "subnetwork": {"value": None, "origin": "not set; subnetwork: NAME in .sparkles.yaml, or SPARKLES_SUBNETWORK"},
        "workerImage": {
            "value": None,
            "origin": "not set; workerImage: NAME in .sparkles.yaml, or SPARKLES_WORKER_IMAGE",
        },
        "mountImage": {
            "value": None,
            "origin": "not set; mountImage: NAME in .sparkles.yaml, or SPARKLES_MOUNT_IMAGE",
        },
        "compute": {"value": "vm", "origin": "default"},
        "defaults.image": {"value": None, "origin": "not set; defaults: {image: NAME} in .sparkles.yaml"},
        "defaults.machineType": {"value": None, "origin": "not set; defaults: {machineType: NAME} in .sparkles.yaml"},
    }


def test_the_settings_are_a_table_json_yaml_or_csv(user) -> None:
    user.write(".sparkles.yaml", "project: my-project\nzones: [a, b]\n")
    table, from_json, from_yaml, from_csv = (user.ok("config", "-o", form) for form in ("table", "json", "yaml", "csv"))

    rows = json.loads(from_json)
    assert len(table.splitlines()) == 1 + len(rows)
    assert "zones                 a, b        " in table
    assert list(yaml.safe_load_all(from_yaml)) == rows
    (zones,) = (row for row in csv.DictReader(io.StringIO(from_csv)) if row["setting"] == "zones")
    assert json.loads(zones["value"]) == ["a", "b"]


def test_it_needs_neither_google_nor_a_home(user) -> None:
    user.write(".sparkles.yaml", "project: my-project\n")
    user.write("away/google/__init__.py", "raise ImportError('not needed')")
    user.env["PYTHONPATH"] = f"{user.folder}/away:{user.environment()['PYTHONPATH']}"

    assert settings(user)["backend"]["value"] == "gcp"
    assert not user.sparkles_home.exists()


def test_a_job_that_is_not_here_may_be_on_the_other_backend(user):
    user.ok("sub", "-n", "fit", "true")
    gcp = {"SPARKLES_PROJECT": "my-project", "SPARKLES_BUCKET": "my-bucket"}

    user.env.update(gcp)
    done = user("status", "fot", "--backend", "local")

    assert done.returncode == 2
    assert "no job 'fot' here; did you mean 'fit'?; to look for it on Google Cloud add --backend gcp" in done.stderr
