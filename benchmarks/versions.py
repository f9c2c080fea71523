"""Versions: what was measured, and on what; a number without them means nothing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

#: What is looked up of the environment's packages.
_LIBRARIES = ("click", "docker", "google-cloud-datastore", "google-cloud-storage", "grpcio", "huey", "joblib")

#: What each program prints its version with; the first line counts.
_PROGRAMS = {
    "cc": ["cc", "--version"],
    "xargs": ["xargs", "--version"],
    "parallel": ["parallel", "--version"],
    "java": ["java", "--version"],
    "docker engine": ["docker", "version", "--format", "{{.Server.Version}}"],
}


def versions(checkout: Path, folder: Path) -> dict[str, str]:
    """Return name → version of all that has a part in the figures; what is not there is left out."""
    found = {
        "date": date.today().isoformat(),  # noqa: DTZ011 - the day, as people here write it
        "sparkles": _first_line(["git", "-C", str(checkout), "describe", "--always", "--dirty"]),
        "CPU": f"{_cpu_model()}, {os.cpu_count()} CPUs",
        "kernel": platform.release(),
        "file system": _first_line(["findmnt", "-n", "-o", "FSTYPE", "-T", str(folder)]),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: _library(name) for name in _LIBRARIES},
        **{name: _first_line(command) for name, command in _PROGRAMS.items()},
    }
    return {name: version for name, version in found.items() if version}


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.partition("\n")[0]


def _library(name: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(name)
    return ""


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
