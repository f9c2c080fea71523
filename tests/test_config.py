"""Config: flag before environment before file before default."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkles import config
from sparkles.errors import RequestError


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    cwd = tmp_path / "project" / "sub" / "folder"
    cwd.mkdir(parents=True)
    return cwd


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def settings(cwd: Path, home: Path):
    def settings(**given):
        known = {"backend": None, "config": None, "environment": {}, "cwd": cwd, "home": home}
        return config.settings(**{**known, **given})

    return settings


GCP = {"SPARKLES_BACKEND": "gcp"}


@pytest.mark.parametrize(
    ("flag", "environment", "file", "backend", "origin"),
    [
        pytest.param(None, {}, None, "local", "default", id="nothing"),
        pytest.param(None, {}, "{}", "local", "default", id="a file that does not say"),
        pytest.param(None, {}, "", "local", "default", id="an empty file"),
        pytest.param(None, {}, "project: my-project", "gcp", "project in ", id="a file that names a project"),
        pytest.param(None, {}, "project: my-project\nbackend: local", "local", "yaml", id="a file that says more"),
        pytest.param(None, GCP, "backend: local", "gcp", "SPARKLES_BACKEND", id="environment before file"),
        pytest.param(None, {"SPARKLES_BACKEND": ""}, "backend: gcp", "gcp", "yaml", id="an empty variable is none"),
        pytest.param("local", GCP, "backend: gcp", "local", "flag", id="flag before environment"),
    ],
)
def test_the_backend_is_chosen_by_the_first_that_says_so(
    settings, cwd, flag, environment, file, backend, origin
) -> None:
    if file is not None:
        (cwd / ".sparkles.yaml").write_text(file)

    chosen = settings(backend=flag, environment=environment)

    assert chosen.backend == backend
    assert origin in chosen.origin


def test_the_nearest_file_counts_alone(settings, cwd, home, tmp_path) -> None:
    user = home / ".config" / "sparkles" / "config.yaml"
    user.parent.mkdir(parents=True)
    found = []
    for path, image in [
        (user, "user"),
        (tmp_path / "project" / ".sparkles.yaml", "above"),
        (cwd / ".sparkles.yaml", "here"),
    ]:
        path.write_text(f"defaults: {{image: {image}}}")
        found.append(settings().defaults["image"])

    assert found == ["user", "above", "here"]


def test_a_file_that_is_named_counts_alone(settings, cwd, tmp_path) -> None:
    (cwd / ".sparkles.yaml").write_text("project: other\ndefaults: {image: other}")
    (tmp_path / "mine.yaml").write_text("defaults: {machineType: n1}")

    chosen = settings(config=tmp_path / "mine.yaml")

    assert (chosen.backend, dict(chosen.defaults)) == ("local", {"machineType": "n1"})


def test_the_users_file_is_where_their_system_keeps_such_files(settings, tmp_path) -> None:
    path = tmp_path / "xdg" / "sparkles" / "config.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("backend: gcp")

    assert settings(environment={"XDG_CONFIG_HOME": str(tmp_path / "xdg")}).backend == "gcp"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_text("backend: moon"), id="a value that cannot be"),
        pytest.param(lambda path: path.write_text("bakend: gcp"), id="an unknown field"),
        pytest.param(lambda path: path.write_text("a: [1"), id="no YAML"),
        pytest.param(lambda path: path.write_text("[]"), id="no mapping"),
        pytest.param(lambda path: path.write_text("{}\n---\n{}"), id="two documents"),
        pytest.param(lambda path: path.write_bytes(b"project: \xff"), id="no text"),
        pytest.param(lambda path: path.mkdir(), id="a folder"),
    ],
)
@pytest.mark.parametrize("backend", [None, "local"])
def test_a_file_that_cannot_be_read_is_never_passed_over(settings, cwd, make, backend) -> None:
    make(cwd / ".sparkles.yaml")

    with pytest.raises(RequestError, match=r"\.sparkles\.yaml"):
        settings(backend=backend)


def test_a_named_file_that_is_not_there_is_an_error(settings, tmp_path) -> None:
    with pytest.raises(RequestError, match=r"none\.yaml: the configuration cannot be read: No such file"):
        settings(config=tmp_path / "none.yaml")


def test_an_unknown_backend_in_the_environment_is_an_error(settings) -> None:
    with pytest.raises(RequestError, match=r"SPARKLES_BACKEND=gpc: expected local or gcp; did you mean 'gcp'"):
        settings(environment={"SPARKLES_BACKEND": "gpc"})
