"""Make `worker.lock` anew, from the newest releases of what the worker imports: `python templates/make_worker_lock.py`.

It is run in a checkout, with pip and a network. What `pip` is told to prefer it prefers here, too.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent
sys.path.insert(0, str(TEMPLATES.parent))

from sparkles.backends.gcp.delivery.archive import archive  # noqa: E402 - of this checkout
from sparkles.backends.gcp.delivery.wheels import download  # noqa: E402
from sparkles.backends.gcp.delivery.worker_lock import NAME  # noqa: E402

#: What the program imports on a node: tests/backends/gcp/delivery/test_worker_lock.py finds out.
WANTED = ["docker", "google-cloud-compute", "google-cloud-datastore", "google-cloud-storage", "pyyaml"]

KINDS = ("amd64", "arm64")

HEAD = """\
# What `python -m sparkles.node` imports on a node, and nothing else: for CPython 3.13 on Linux, as wheels.
# Made by templates/make_worker_lock.py. The sha256 of the archive of all of them, for each kind of processor:
"""


def main() -> None:
    """Write the lock."""
    with tempfile.TemporaryDirectory() as scratch:
        found = {kind: _download(kind, Path(scratch, kind)) for kind in KINDS}
        archives = {kind: archive((path.name, path) for path in found[kind])[1] for kind in KINDS}
        hashes: dict[str, list[str]] = {}
        for path in sorted({path.name: path for kind in KINDS for path in found[kind]}.values()):
            hashes.setdefault(_requirement(path), []).append(hashlib.sha256(path.read_bytes()).hexdigest())
    (TEMPLATES / NAME).write_text(_text(archives, hashes), encoding="utf-8")


def _download(kind: str, into: Path) -> list[Path]:
    download(WANTED, kind, into=into)
    return list(into.iterdir())


def _requirement(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version}"


def _text(archives: dict[str, str], hashes: dict[str, list[str]]) -> str:
    lines = [f"# {kind} {digest}\n" for kind, digest in archives.items()]
    for requirement, digests in sorted(hashes.items()):
        each = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(digests))
        lines.append(f"{requirement}{each}\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    main()
