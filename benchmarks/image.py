"""Image: a tiny one to run containers in, made of this machine's busybox; nothing is fetched."""

from __future__ import annotations

import functools
import io
import shutil
import subprocess
import tarfile

from benchmarks import needed

NAME = "sparkles-benchmark"


@functools.cache
def missing() -> str:
    """Make the image; return why that cannot be done, or nothing."""
    if why := needed.program("docker", "docker.io")():
        return why
    if not (busybox := shutil.which("busybox")):
        return "busybox is not installed: apt-get install busybox-static"
    made = _run("import", "-", NAME, content=_archive(busybox))
    return made or _run("run", "--rm", NAME, "busybox", "true")


def _archive(busybox: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as archive:
        archive.add(busybox, "bin/busybox")
    return buffer.getvalue()


def _run(*words: str, content: bytes = b"") -> str:
    done = subprocess.run(["docker", *words], input=content, capture_output=True, check=False)
    said = done.stderr.decode(errors="replace").strip() or f"docker {words[0]}: exit {done.returncode}"
    return said.partition("\n")[0] if done.returncode else ""
