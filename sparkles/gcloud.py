"""Gcloud: the project and the region that Google's own command is set to, from its environment or else its files.

They are read where `gcloud` reads them, and without it: starting it takes a second. What cannot be read counts as
nothing, since the files are not ours.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path

#: Setting → the variables that have it, the first that is set counts.
_VARIABLES = {
    "project": ("CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    "region": ("CLOUDSDK_COMPUTE_REGION",),
}

#: Setting → the section and the name that it has in a file.
_PROPERTIES = {"project": ("core", "project"), "region": ("compute", "region")}


def own_settings(environment: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    """Return `project` and `region`, those that are set, each with where it comes from."""
    return {**_from_files(environment, home), **_from_environment(environment)}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    given = {name: [word for word in words if environment.get(word)] for name, words in _VARIABLES.items()}
    return {name: (environment[words[0]], words[0]) for name, words in given.items() if words}


def _from_files(environment: Mapping[str, str], home: Path) -> dict[str, tuple[str, str]]:
    folder = Path(environment.get("CLOUDSDK_CONFIG") or home / ".config" / "gcloud")
    name = environment.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or _text(folder / "active_config").strip() or "default"
    properties = _properties(_text(folder / "configurations" / f"config_{name}"))
    return {setting: (value, f"gcloud (configuration {name})") for setting, value in properties.items()}


def _properties(text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {}
    found = {name: parser.get(*place, fallback="") for name, place in _PROPERTIES.items()}
    return {name: value for name, value in found.items() if value}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # the latter for what is not UTF-8
        return ""
