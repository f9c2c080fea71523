"""Launching: what to tell the user about a command that could not be executed. For every runtime alike."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sparkles.errors import LaunchError


def launch_error(code: int, program: str, folder: Path, *, in_image: bool = False) -> LaunchError:
    """Return the error for a `program`, started in `folder`, that the system refused with this `errno`."""
    within = " in the image" if in_image else ""
    is_here = not (in_image and program.startswith("/")) and (folder / program).exists()
    match code:
        case errno.ENOENT | errno.ENOTDIR if "/" not in program and is_here:
            return LaunchError(f"{program}: not on the PATH; to run the uploaded file write ./{program}", exit=127)
        case errno.ENOENT | errno.ENOTDIR if "/" in program and is_here:
            return LaunchError(f"{program}: the interpreter named in its first line was not found{within}", exit=127)
        case errno.ENOENT | errno.ENOTDIR:
            return LaunchError(f"{program}: command not found{within}", exit=127)
        case errno.EACCES if is_here and (folder / program).is_file():
            return LaunchError(f"{program}: not executable; chmod +x it before it is uploaded", exit=126)
        case errno.ENOEXEC:
            return LaunchError(f"{program}: neither a program of this machine nor a script with a #! line", exit=126)
        case _:
            return LaunchError(f"{program}: {os.strerror(code)}{within}", exit=126)
