"""Private environments: kept by hash, and readable by nobody else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sparkles.backends.local.environments import PrivateEnvironments
from sparkles.paths import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def environments(home: Home) -> PrivateEnvironments:
    return PrivateEnvironments(home)


def test_an_environment_is_read_back_by_its_name(environments) -> None:
    environment = {"PATH": "/bin", "ODD": "ä\nb", "EMPTY": ""}

    name = environments.write(environment)

    assert environments.read(name) == environment
    assert environments.write(dict(reversed(environment.items()))) == name
    assert environments.write({**environment, "MORE": "x"}) != name


def test_an_environment_is_for_its_owner_alone(environments, home) -> None:
    name = environments.write({"TOKEN": "secret"})

    path = home.environment(name)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file for file in home.root.rglob("*") if file.is_file() and b"secret" in file.read_bytes()] == [path]
