"""gcloud, Google's own program, as a foreign client of the simulators."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .cloud import gcloud_environment

#: For tests that run it.
NEEDED = pytest.mark.skipif(
    shutil.which("gcloud") is None,
    reason="needs gcloud: apt-get install google-cloud-cli (from Google's apt repository)",
)


def run(*words: object, folder: Path, **urls: str) -> str:
    """Run `gcloud`; return what it printed. It keeps its settings in `folder`, and finds each service at its URL."""
    done = subprocess.run(
        ["gcloud", *map(str, words)], env={**os.environ, **gcloud_environment(folder, **urls)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
