"""The backend in Google Cloud: state in Datastore, files in Cloud Storage.

Before a module of it loads one of Google's libraries, this sees to it that they print nothing of their own: what goes
wrong becomes an error that sparkles prints.
"""

from __future__ import annotations

import os
import warnings

#: What they say of a Python that is old, or will be.
_AGE = r"You are using a (non-supported )?Python version"

#: What grpc may print. It reads that when it is loaded.
_VERBOSITY = "GRPC_VERBOSITY"


def _load_grpc() -> None:
    """Load grpc, which else prints what it retries. The environment stays as it was: tasks are given it."""
    if _VERBOSITY in os.environ:
        return
    os.environ[_VERBOSITY] = "NONE"
    try:
        import grpc  # noqa: F401
    finally:
        del os.environ[_VERBOSITY]


warnings.filterwarnings("ignore", _AGE, FutureWarning)
_load_grpc()
