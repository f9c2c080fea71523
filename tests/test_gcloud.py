"""Gcloud: what its environment and its files say; what cannot be read says nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sparkles.gcloud import own_settings

DEFAULT = "[core]\nproject = default-project\naccount = me@example.com\n\n[compute]\nregion = default-region\n"
OTHER = "[core]\nproject = other-project\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of gcloud's files, as it is after `gcloud init` and one more configuration."""
    folder = tmp_path / ".config" / "gcloud"
    (folder / "configurations").mkdir(parents=True)
    (folder / "configurations" / "config_default").write_text(DEFAULT)
    (folder / "configurations" / "config_other").write_text(OTHER)
    (folder / "active_config").write_text("default")
    return folder


FILE_REGION = ("default-region", "gcloud (configuration default)")


@pytest.mark.parametrize(
    ("environment", "project", "region"),
    [
        pytest.param({}, ("default-project", "gcloud (configuration default)"), FILE_REGION, id="the files"),
        pytest.param(
            {"GOOGLE_CLOUD_PROJECT": "p"}, ("p", "GOOGLE_CLOUD_PROJECT"), FILE_REGION, id="Google's libraries' variable"
        ),
        pytest.param(
            {"GOOGLE_CLOUD_PROJECT": "p", "CLOUDSDK_CORE_PROJECT": "q"}, ("q", "CLOUDSDK_CORE_PROJECT"), FILE_REGION,
            id="gcloud's variable first",
        ),
        pytest.param(
            {"CLOUDSDK_CORE_PROJECT": "", "CLOUDSDK_COMPUTE_REGION": "r"},
            ("default-project", "gcloud (configuration default)"), ("r", "CLOUDSDK_COMPUTE_REGION"),
            id="an empty variable is none",
        ),
        pytest.param(
            {"CLOUDSDK_ACTIVE_CONFIG_NAME": "other"}, ("other-project", "gcloud (configuration other)"), None,
            id="another configuration",
        ),
        pytest.param({"CLOUDSDK_ACTIVE_CONFIG_NAME": "NONE"}, None, None, id="no configuration"),
        pytest.param({"CLOUDSDK_CONFIG": "/nowhere"}, None, None, id="another folder"),
    ],
)  # fmt: skip
def test_the_environment_goes_before_the_files(folder, tmp_path, environment, project, region) -> None:
    expected = {"project": project, "region": region}

    found = own_settings(environment, tmp_path)

    assert found == {name: value for name, value in expected.items() if value}


@pytest.mark.parametrize(
    ("active", "project"),
    [("other", "other-project"), ("other\n", "other-project"), ("", "default-project"), (None, "default-project")],
)
def test_the_active_configuration_counts(folder, tmp_path, active, project) -> None:
    (folder / "active_config").unlink()
    if active is not None:
        (folder / "active_config").write_text(active)

    assert own_settings({}, tmp_path)["project"][0] == project


def test_the_files_may_be_elsewhere(folder, tmp_path) -> None:
    elsewhere = folder.rename(tmp_path / "elsewhere")

    assert own_settings({}, tmp_path) == {}
    assert own_settings({"CLOUDSDK_CONFIG": str(elsewhere)}, tmp_path)["region"] == FILE_REGION


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.unlink(), id="not there"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
        pytest.param(lambda path: path.write_bytes(b"[core]\nproject = \xff"), id="no text"),
        pytest.param(lambda path: path.write_text("project = p"), id="no section"),
        pytest.param(lambda path: path.write_text("[core]\nproject = p\n???"), id="no INI"),
        pytest.param(lambda path: path.write_text("[core]\nproject = p\nproject = q"), id="a project twice"),
        pytest.param(lambda path: path.write_text("[core]\nproject =\n"), id="an empty project"),
        pytest.param(lambda path: path.write_text("[other]\nproject = p\n"), id="another section"),
    ],
)
def test_what_cannot_be_read_says_nothing(folder, tmp_path, make) -> None:
    make(folder / "configurations" / "config_default")

    assert own_settings({}, tmp_path) == {}


@pytest.mark.parametrize("name", ["active_config", "configurations"])
def test_what_is_not_what_it_should_be_says_nothing(folder, tmp_path, name) -> None:
    shutil.move(folder / name, folder / "away")
    (folder / name).write_bytes(b"\xff\0")

    assert own_settings({}, tmp_path).keys() <= {"project", "region"}


def test_a_percent_sign_is_one(folder, tmp_path) -> None:
    (folder / "configurations" / "config_default").write_text("[core]\nproject = 100%(sure)s\n")

    assert own_settings({}, tmp_path)["project"][0] == "100%(sure)s"


@pytest.mark.process
def test_it_is_what_gcloud_itself_says(tmp_path) -> None:
    if not shutil.which("gcloud"):
        pytest.skip("needs gcloud, which comes with the Google Cloud CLI")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}

    def gcloud(*words: str) -> str:
        done = subprocess.run(["gcloud", *words], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    gcloud("config", "configurations", "create", "mine")
    gcloud("config", "set", "project", "my-project")
    with (tmp_path / ".config/gcloud/configurations/config_mine").open("a") as file:
        file.write("\n[compute]\nregion = europe-west1\n")  # gcloud would ask the network whether there is such a one

    assert own_settings({}, tmp_path) == {
        "project": (gcloud("config", "get-value", "project"), "gcloud (configuration mine)"),
        "region": (gcloud("config", "get-value", "compute/region"), "gcloud (configuration mine)"),
    }
