"""Config: flag before environment before file before gcloud's own before default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparkles import config
from sparkles.config import Gcp, Value
from sparkles.errors import BackendError, ProblemsError, RequestError
from sparkles.manifest.schema import fields, load


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
PROJECT = {"SPARKLES_PROJECT": "my-project"}


@pytest.mark.parametrize(
    ("flag", "environment", "file", "backend", "origin"),
    [
        pytest.param(None, {}, None, "local", "default", id="nothing"),
        pytest.param(None, {}, "{}", "local", "default", id="a file that does not say"),
        pytest.param(None, {}, "", "local", "default", id="an empty file"),
        pytest.param(None, {}, "project: my-project", "gcp", "project in ", id="a file that names a project"),
        pytest.param(None, {}, "project: my-project\nbackend: local", "local", "yaml", id="a file that says more"),
        pytest.param(None, PROJECT, None, "gcp", "project in SPARKLES_PROJECT", id="a project of the environment"),
        pytest.param(None, PROJECT, "backend: local", "local", "yaml", id="a file before a project of the environment"),
        pytest.param(None, {"SPARKLES_PROJECT": ""}, None, "local", "default", id="an empty project is none"),
        pytest.param(None, {"SPARKLES_BUCKET": "my-bucket"}, "bucket: b-1", "local", "default", id="a bucket alone"),
        pytest.param(None, {"CLOUDSDK_CORE_PROJECT": "p"}, None, "local", "default", id="a project of gcloud's"),
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


@pytest.mark.parametrize("config", [None, "below"], ids=["found", "the user's own"])
def test_a_link_to_nowhere_is_not_passed_over(settings, cwd, tmp_path, config) -> None:
    path = tmp_path / "sparkles" / "config.yaml" if config else cwd / ".sparkles.yaml"
    path.parent.mkdir(exist_ok=True)
    path.symlink_to("nowhere")

    with pytest.raises(RequestError, match=r"yaml: the configuration cannot be read: No such file"):
        settings(environment={"XDG_CONFIG_HOME": str(tmp_path)})


def test_a_place_that_cannot_be_looked_at_is_not_passed_over(settings, tmp_path) -> None:
    with pytest.raises(RequestError, match=r"config\.yaml: the configuration cannot be read: File name too long"):
        settings(environment={"XDG_CONFIG_HOME": str(tmp_path / ("x" * 300))})


# Each setting by itself

FILE = """
project: file-project
region: file-region
zones: [file-a, file-b]
bucket: file-bucket/folder/
database: file-database
account: file-account
network: file-network
subnetwork: file-subnetwork
workerImage: file-image
mountImage: file-mount-image
compute: local
"""

ENVIRONMENT = {
    "SPARKLES_PROJECT": "env-project",
    "SPARKLES_REGION": "env-region",
    "SPARKLES_ZONES": "env-a, env-b",
    "SPARKLES_BUCKET": "env-bucket/",
    "SPARKLES_DATABASE": "env-database",
    "SPARKLES_ACCOUNT": "env-account",
    "SPARKLES_NETWORK": "env-network",
    "SPARKLES_SUBNETWORK": "env-subnetwork",
    "SPARKLES_WORKER_IMAGE": "env-image",
    "SPARKLES_MOUNT_IMAGE": "env-mount-image",
    "SPARKLES_COMPUTE": "vm",
}

#: The settings of gcp.
SETTINGS = [name for name in config.VARIABLES if name != "backend"]

OF_FILE = {
    "project": "file-project", "region": "file-region", "zones": ("file-a", "file-b"), "bucket": "file-bucket/folder",
    "database": "file-database", "account": "file-account", "network": "file-network",
    "subnetwork": "file-subnetwork", "workerImage": "file-image", "mountImage": "file-mount-image", "compute": "local",
}  # fmt: skip

OF_ENVIRONMENT = {
    "project": "env-project", "region": "env-region", "zones": ("env-a", "env-b"), "bucket": "env-bucket",
    "database": "env-database", "account": "env-account", "network": "env-network",
    "subnetwork": "env-subnetwork", "workerImage": "env-image", "mountImage": "env-mount-image", "compute": "vm",
}  # fmt: skip


def as_gcp(values: dict[str, Any]) -> dict[str, Any]:
    """Return settings by the names that they have in Gcp."""
    return {name.replace("Image", "_image"): value for name, value in values.items()}


def test_what_nothing_sets_is_as_the_backend_takes_it(settings) -> None:
    found = settings()

    assert found.gcp == Gcp(
        project=None, bucket=None, region=None, zones=(), database="(default)", account=None, compute="vm",
        origins={
            **dict.fromkeys(config.VARIABLES.keys() - {"backend", "database", "compute"}, "not set"),
            **dict.fromkeys(("database", "compute"), "default"),
        },
    )  # fmt: skip
    assert found.file is None


def test_all_of_a_file_is_taken(settings, cwd) -> None:
    path = cwd / ".sparkles.yaml"
    path.write_text(FILE)

    found = settings()

    assert found.gcp == Gcp(**as_gcp(OF_FILE), origins=dict.fromkeys(SETTINGS, str(path)))
    assert found.file == path


def test_the_environment_goes_before_all_of_a_file(settings, cwd) -> None:
    (cwd / ".sparkles.yaml").write_text(FILE)

    found = settings(environment=ENVIRONMENT)

    assert found.gcp == Gcp(**as_gcp(OF_ENVIRONMENT), origins={name: config.VARIABLES[name] for name in SETTINGS})


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_one_variable_changes_one_setting(settings, cwd, variable) -> None:
    (cwd / ".sparkles.yaml").write_text(FILE)
    (name,) = (setting for setting, word in config.VARIABLES.items() if word == variable)

    found = settings(environment={variable: ENVIRONMENT[variable]})

    before = {name: Value(value=value, origin=str(cwd / ".sparkles.yaml")) for name, value in OF_FILE.items()}
    after = {**before, name: Value(value=OF_ENVIRONMENT[name], origin=variable)}
    assert {name: found.values[name] for name in OF_FILE} == after


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_an_empty_variable_is_none(settings, cwd, variable) -> None:
    (cwd / ".sparkles.yaml").write_text(FILE)

    assert settings(environment={variable: ""}) == settings()


def test_every_setting_is_there_by_its_name(settings, cwd) -> None:
    in_schema = {".".join(path) for path, _ in fields(load("config"))} - {"defaults"}
    (cwd / ".sparkles.yaml").write_text("defaults: {image: i}")

    values = settings().values

    assert values.keys() == in_schema
    assert values["backend"] == Value(value="local", origin="default")
    assert values["defaults.image"] == Value(value="i", origin=str(cwd / ".sparkles.yaml"))
    assert values["defaults.machineType"] == Value(value="", origin="not set")


def test_the_defaults_are_those_of_the_schema() -> None:
    schema = load("config")["properties"]

    assert {name: field["default"] for name, field in schema.items() if "default" in field} == {
        "database": Gcp.database,
        "compute": Gcp.compute,
    }


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("BACKEND", "gpc", ": expected one of local, gcp, found \"gpc\"; did you mean 'gcp'?"),
        ("COMPUTE", "gcp", ': expected one of vm, local, found "gcp"'),
        ("COMPUTE", "lokal", ": expected one of vm, local, found \"lokal\"; did you mean 'local'?"),
        ("BUCKET", "gs://b", ': expected a bucket name, and perhaps /folder, without gs://, found "gs://b"'),
        ("DATABASE", "x", ': expected (default), or 4 to 63 of a-z, 0-9 and -, a letter first, found "x"'),
        ("ZONES", "a,,b", "[1]: is empty, expected some text"),
        ("PROJECT", "\udcff", ": '\\udcff' is not valid Unicode text"),
    ],
)
def test_a_variable_is_checked_as_the_file_is(settings, variable, text, says) -> None:
    with pytest.raises(RequestError) as caught:
        settings(environment={f"SPARKLES_{variable}": text})

    assert str(caught.value) == f"SPARKLES_{variable}{says}"


def test_all_wrong_variables_are_said_at_once(settings) -> None:
    wrong = {"SPARKLES_BACKEND": "local", "SPARKLES_BUCKET": "B", "SPARKLES_COMPUTE": "moon"}

    with pytest.raises(ProblemsError) as caught:
        settings(backend="local", environment=wrong)

    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["SPARKLES_BUCKET", "SPARKLES_COMPUTE"]


@pytest.mark.parametrize(
    ("bucket", "right"),
    [
        ("my-bucket", True),
        ("my-bucket/", True),
        ("my-bucket/a/b c.d/", True),
        ("my-bucket/.hidden/..a", True),
        ("gs://my-bucket", False),
        ("my-bucket//a", False),
        ("my-bucket/a//", False),
        ("my-bucket/.", False),
        ("my-bucket/../other", False),
        ("my-bucket/a\nb", False),
        ("My-Bucket", False),
    ],
)
def test_a_bucket_may_have_a_folder(settings, bucket, right) -> None:
    if not right:
        with pytest.raises(RequestError, match="SPARKLES_BUCKET: expected a bucket name, and perhaps /folder"):
            settings(environment={"SPARKLES_BUCKET": bucket})
        return
    assert settings(environment={"SPARKLES_BUCKET": bucket}).gcp.bucket == bucket.removesuffix("/")


# gcloud's own


@pytest.mark.parametrize(
    ("given", "looks"),
    [
        pytest.param({"backend": "gcp"}, True, id="on gcp"),
        pytest.param({"environment": PROJECT}, True, id="on gcp by a project"),
        pytest.param({"whole": True}, True, id="to see all"),
        pytest.param({}, False, id="at home"),
    ],
)
def test_gcloud_s_own_settings_are_only_looked_at_where_they_matter(settings, given, looks) -> None:
    environment = {"CLOUDSDK_COMPUTE_REGION": "theirs", **given.get("environment", {})}

    region = settings(**{**given, "environment": environment}).values["region"]

    assert region == (Value(value="theirs", origin="CLOUDSDK_COMPUTE_REGION") if looks else UNSET)


UNSET = Value(value="", origin="not set")


@pytest.mark.parametrize(
    ("environment", "file", "project", "origin"),
    [
        ({}, "", "theirs", "CLOUDSDK_CORE_PROJECT"),
        ({}, "project: file-project", "file-project", "yaml"),
        (PROJECT, "project: file-project", "my-project", "SPARKLES_PROJECT"),
    ],
)
def test_ours_go_before_gcloud_s_own(settings, cwd, environment, file, project, origin) -> None:
    (cwd / ".sparkles.yaml").write_text(file)

    found = settings(backend="gcp", environment={"CLOUDSDK_CORE_PROJECT": "theirs", **environment})

    assert found.gcp.project == project
    assert origin in found.gcp.origins["project"]


# What gcp cannot do without

NEEDS_PROJECT = (
    "the gcp backend needs a project; set it with project: NAME in .sparkles.yaml, or SPARKLES_PROJECT, or gcloud "
    "config set project NAME"
)
NEEDS_BUCKET = "the gcp backend needs a bucket; set it with bucket: NAME in .sparkles.yaml, or SPARKLES_BUCKET"


@pytest.mark.parametrize(
    ("gcp", "says"),
    [
        (Gcp(), [NEEDS_PROJECT, NEEDS_BUCKET]),
        (Gcp(project="p"), [NEEDS_BUCKET]),
        (Gcp(bucket="b"), [NEEDS_PROJECT]),
    ],
)
def test_all_that_is_missing_is_said_at_once_with_the_ways_to_set_it(gcp, says) -> None:
    with pytest.raises(BackendError) as caught:
        config.require(gcp)

    assert str(caught.value).splitlines() == says


def test_a_project_and_a_bucket_are_enough() -> None:
    config.require(Gcp(project="p", bucket="b"))


@pytest.mark.parametrize("name", [*config.VARIABLES, *config.FILLED_IN])
def test_the_ways_to_set_a_setting_lead_there(settings, cwd, name) -> None:
    in_file, *others = config.ways(name).split(", or ")
    text = in_file.removesuffix(" in .sparkles.yaml").replace("NAME", EXAMPLES.get(name, "some-name"))
    (cwd / ".sparkles.yaml").write_text(text)

    from_file = settings().values[name].value
    variables = [word for word in others if word.startswith("SPARKLES_")]
    (cwd / ".sparkles.yaml").unlink()
    from_variable = [settings(environment={word: "".join(from_file)}).values[name].value for word in variables]

    assert from_file
    assert from_variable == [from_file] * (name in config.VARIABLES)


EXAMPLES = {"backend": "gcp", "compute": "local"}
