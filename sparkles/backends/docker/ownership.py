"""Ownership: files that a container left in a work directory become the submitter's.

Only a rootless engine lets a container become other users of the submitter's own range; elsewhere nobody inside can.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sparkles.backends.docker.engine import EngineError, reached

if TYPE_CHECKING:
    from docker import APIClient


def reclaim(work: Path, image: str, api: APIClient, *, owner: str) -> None:
    """Give all below `work` to `owner`, as the engine numbers users, with the `chown` of the image.

    Does nothing if all of it is ours. An image without that command leaves what cannot be read where it is.
    """
    if not _has_foreign_files(work):
        return
    from docker.errors import APIError
    from docker.types import Mount

    mounts = [Mount(target=str(work), source=str(work), type="bind")]
    with suppress(APIError, EngineError), reached():
        container = api.create_container(
            image, entrypoint=["chown"], command=["-R", owner, str(work)], user="0:0", network_disabled=True,
            host_config=api.create_host_config(mounts=mounts, log_config={"Type": "none"}),
        )["Id"]  # fmt: skip
        try:
            api.start(container)
            api.wait(container)
        finally:
            api.remove_container(container, force=True, v=True)


def _has_foreign_files(work: Path) -> bool:
    ours = os.getuid()
    for folder, folders, files in os.walk(work):
        for name in (*folders, *files):
            if Path(folder, name).lstat().st_uid != ours:
                return True
    return False
