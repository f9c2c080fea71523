"""Needed: what a contestant needs that not every machine has; each says what is missing, or nothing."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable


def program(name: str, package: str) -> Callable[[], str]:
    """Return a check for a program that a package of the system brings."""

    def missing() -> str:
        return "" if shutil.which(name) else f"{name} is not installed: apt-get install {package}"

    return missing


def library(name: str) -> Callable[[], str]:
    """Return a check for a library of the extra `bench`."""

    def missing() -> str:
        return "" if importlib.util.find_spec(name) else f"{name} is not installed: pip install '.[bench]'"

    return missing
