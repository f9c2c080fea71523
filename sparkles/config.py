"""Config: where jobs run, and what `sub` fills in. Layers: flag, environment, file, gcloud's own, default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles.errors import BackendError, ProblemsError, RequestError

FILE_NAME = ".sparkles.yaml"
BACKENDS = ("local", "gcp")

#: What the worker of a node runs in, where the settings name nothing else. `setup` names it for tasks, too: nodes then
#: fetch one image and no more.
STOCK_IMAGE = "python:3.13-slim"

#: What shows buckets as folders to tasks, where the settings name nothing else.
MOUNT_IMAGE = "rclone/rclone:1.72.1"

#: Setting → the environment variable that sets it.
VARIABLES = {
    **{
        name: f"SPARKLES_{name.upper()}"
        for name in (
            "backend", "project", "region", "zones", "bucket", "database", "account", "network", "subnetwork"
        )
    },
    "workerImage": "SPARKLES_WORKER_IMAGE",
    "mountImage": "SPARKLES_MOUNT_IMAGE",
    "compute": "SPARKLES_COMPUTE",
}  # fmt: skip

#: Settings that say what `sub` fills in. Only a file has them.
FILLED_IN = ("defaults.image", "defaults.machineType")

#: Setting → what `gcloud config set` calls it.
_GCLOUD = {"project": "project", "region": "compute/region"}


@dataclass(frozen=True, kw_only=True)
class Value:
    """One setting and where it comes from."""

    #: Empty if nothing sets it.
    value: str | Sequence[str]
    #: `flag`, `default`, a variable, the path of a file, or `gcloud (configuration NAME)`.
    origin: str


@dataclass(frozen=True, kw_only=True)
class Gcp:
    """What the gcp backend has to know. `require` sees to it that the project and the bucket are there."""

    project: str | None = None
    #: Perhaps with a folder: `bucket/folder`, without gs:// and without a slash at its end.
    bucket: str | None = None
    region: str | None = None
    #: None at all stands for every zone of the region.
    zones: Sequence[str] = ()
    #: The Datastore database.
    database: str = "(default)"
    #: The service account of the nodes.
    account: str | None = None
    #: The VPC network of the nodes, and the part of it. None for the project's own `default` one.
    network: str | None = None
    subnetwork: str | None = None
    #: The image that the worker program runs in, by a name of any kind; None for the usual one.
    worker_image: str | None = None
    #: The image of rclone, which shows buckets as folders; None for the usual one.
    mount_image: str | None = None
    #: What runs tasks: `vm`, or `local` for processes of this machine.
    compute: str = "vm"
    #: Where each of these comes from, so that an error can name the place to mend.
    origins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for one command."""

    backend: str
    #: Where `backend` comes from, for people.
    origin: str
    #: Fields that `sub` writes into a manifest where no flag does.
    defaults: Mapping[str, str] = field(default_factory=dict)
    gcp: Gcp = field(default_factory=Gcp)
    #: Every setting by its name, those that nothing sets as well.
    values: Mapping[str, Value] = field(default_factory=dict)
    #: The file that was read, if there is one.
    file: Path | None = None


_UNSET = Value(value="", origin="not set")

#: The lowest layer.
_DEFAULTS = {
    **dict.fromkeys((*VARIABLES, *FILLED_IN), _UNSET),
    "database": Value(value=Gcp.database, origin="default"),
    "compute": Value(value=Gcp.compute, origin="default"),
}


def settings(
    *,
    backend: str | None,
    config: Path | None,
    environment: Mapping[str, str],
    cwd: Path,
    home: Path,
    whole: bool = False,
) -> Settings:
    """Return the settings, from the flags `backend` and `config`, the environment, and files.

    The file is `config`, or `.sparkles.yaml` in `cwd` or a folder above it, or the user's own in `home`. gcloud's own
    are only looked at if they matter, on gcp, or if the `whole` is asked for. Raises RequestError for a file that
    cannot be read: falling back could send work to the wrong place.
    """
    path = config or _find(cwd, environment, home)
    document = _read(path) if path else {}
    ours = {**_from_file(document, origin=str(path)), **_from_environment(environment)}
    chosen = _choose(backend, ours)
    theirs = _from_gcloud(environment, home) if whole or chosen.value == "gcp" else {}
    values = {**_DEFAULTS, **theirs, **ours, "backend": chosen}
    return Settings(
        backend=str(chosen.value),
        origin=chosen.origin,
        defaults=document.get("defaults", {}),
        gcp=_gcp(values),
        values=values,
        file=path,
    )


def require(gcp: Gcp) -> None:
    """Raise BackendError if a setting is missing that the gcp backend cannot do without."""
    missing = [name for name in ("project", "bucket") if not getattr(gcp, name)]
    if missing:
        raise BackendError("\n".join(f"the gcp backend needs a {name}; set it with {ways(name)}" for name in missing))


def ways(name: str) -> str:
    """Return the ways to set a setting, for people."""
    group, _, inner = name.rpartition(".")
    if group:
        return f"{group}: {{{inner}: NAME}} in {FILE_NAME}"
    value = "[NAME]" if name == "zones" else "NAME"
    gcloud = f", or gcloud config set {_GCLOUD[name]} NAME" if name in _GCLOUD else ""
    return f"{name}: {value} in {FILE_NAME}, or {VARIABLES[name]}{gcloud}"


def user_file(environment: Mapping[str, str], home: Path) -> Path:
    """Return the place of the user's own file, which counts where no folder has one."""
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "sparkles" / "config.yaml"


def _choose(flag: str | None, ours: Mapping[str, Value]) -> Value:
    """Return the backend. A project counts only where it is set for us: gcloud's may be there for other things."""
    if flag:
        return Value(value=flag, origin="flag")
    if "backend" in ours:
        return ours["backend"]
    if "project" in ours:
        return Value(value="gcp", origin=f"project in {ours['project'].origin}")
    return Value(value="local", origin="default")


def _gcp(values: Mapping[str, Value]) -> Gcp:
    def text(name: str) -> str:
        return str(values[name].value)

    return Gcp(
        project=text("project") or None,
        bucket=text("bucket") or None,
        region=text("region") or None,
        zones=tuple(values["zones"].value),
        database=text("database"),
        account=text("account") or None,
        network=text("network") or None,
        subnetwork=text("subnetwork") or None,
        worker_image=text("workerImage") or None,
        mount_image=text("mountImage") or None,
        compute=text("compute"),
        origins={name: values[name].origin for name in VARIABLES if name != "backend"},
    )


# The layers


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    given = {
        name: _listed(environment[variable]) if name == "zones" else environment[variable]
        for name, variable in VARIABLES.items()
        if environment.get(variable)
    }
    if given not in ({}, {"backend": "local"}):  # at home no schema has to be loaded
        _check(given)
    return {name: _value(name, value, origin=VARIABLES[name]) for name, value in given.items()}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _check(given: Mapping[str, str | list[str]]) -> None:
    from sparkles import manifest as manifests

    problems = [
        VARIABLES[name] + problem.removeprefix(name)
        for name, value in given.items()
        for problem in manifests.check_setting(name, value)
    ]
    if problems:
        raise ProblemsError(problems)


def _from_file(document: Mapping[str, Any], *, origin: str) -> dict[str, Value]:
    filled_in = {f"defaults.{name}": value for name, value in document.get("defaults", {}).items()}
    flat = {**{name: value for name, value in document.items() if name != "defaults"}, **filled_in}
    return {name: _value(name, value, origin=origin) for name, value in flat.items()}


def _value(name: str, value: str | list[str], *, origin: str) -> Value:
    if isinstance(value, list):
        return Value(value=tuple(value), origin=origin)
    return Value(value=value.removesuffix("/") if name == "bucket" else value, origin=origin)


def _from_gcloud(environment: Mapping[str, str], home: Path) -> dict[str, Value]:
    from sparkles import gcloud  # not needed at home

    found = gcloud.own_settings(environment, home)
    return {name: Value(value=value, origin=origin) for name, (value, origin) in found.items()}


# The file


def _find(cwd: Path, environment: Mapping[str, str], home: Path) -> Path | None:
    candidates = [folder / FILE_NAME for folder in (cwd, *cwd.parents)]
    return next((path for path in [*candidates, user_file(environment, home)] if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    """Say whether there is something at a path. A link that leads nowhere is: it must not be passed over."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from None
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: the configuration is not UTF-8 text") from None
    from sparkles import manifest as manifests  # most commands run without a file, and start sooner without this

    return manifests.read_config(text, source=str(path))


def _unreadable(path: Path, error: OSError) -> RequestError:
    return RequestError(f"{path}: the configuration cannot be read: {error.strerror}")
