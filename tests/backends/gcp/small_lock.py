"""A lock with one small library, and that library as a wheel: so pip can be run for real, and asks nobody."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

from sparkles.backends.gcp.delivery.archive import archive
from sparkles.backends.gcp.delivery.worker_lock import Lock, read_lock

WHEEL = "tiny-1.0-py3-none-any.whl"

_FILES = {
    "tiny.py": b"answer = 42\n",
    "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}


def a_lock(shelf: Path) -> Lock:
    """Put the wheel on the shelf, where pip is to be told to look; return the lock."""
    shelf.mkdir(exist_ok=True)
    with zipfile.ZipFile(shelf / WHEEL, "w") as wheel:
        for name, content in _FILES.items():
            wheel.writestr(name, content)
        wheel.writestr("tiny-1.0.dist-info/RECORD", "".join(_record(*item) for item in _FILES.items()))
    _, digest = archive([(WHEEL, shelf / WHEEL)])
    content = hashlib.sha256((shelf / WHEEL).read_bytes()).hexdigest()
    return read_lock(f"# amd64 {digest}\n# arm64 {digest}\ntiny==1.0 \\\n    --hash=sha256:{content}\n")


def _record(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{name},sha256={digest},{len(content)}\n"
