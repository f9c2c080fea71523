"""Google's Firestore emulator in Datastore mode, as a process that does not outlive the one that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from .children import dying_with_parent, free_port

_JAR = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_PACKAGED_SDK = Path("/usr/lib/google-cloud-sdk")

HOW_TO_INSTALL = (
    "apt-get install default-jre-headless google-cloud-cli-firestore-emulator (from Google's apt repository), "
    "or: gcloud components install cloud-firestore-emulator; or set SPARKLES_FIRESTORE_JAR"
)


class MissingError(Exception):
    """The emulator is not on this machine; the message says how to bring it."""


class Emulator:
    """A Datastore in memory, of up to `megabytes`. Set DATASTORE_EMULATOR_HOST to its `host`."""

    def __init__(self, *, port: int = 0, start_timeout: float = 60.0, megabytes: int = 512) -> None:
        jar, java = find_jar(), find_java()
        self.port = port or free_port()
        self.host = f"127.0.0.1:{self.port}"
        with tempfile.TemporaryFile() as self._log:
            self._process = subprocess.Popen(
                dying_with_parent(
                    [java, f"-Xmx{megabytes}m", "-Duser.language=en", "-cp", str(jar), _MAIN, "start",
                     "--host=127.0.0.1", f"--port={self.port}", "--database-mode=datastore-mode"]
                ),
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._await(time.monotonic() + start_timeout)

    def reset(self) -> None:
        """Remove all entities of all projects."""
        urllib.request.urlopen(f"http://{self.host}/reset", data=b"", timeout=30).close()

    def close(self) -> None:
        """End the process and whatever it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _await(self, deadline: float) -> None:
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                self._log.seek(0)
                raise RuntimeError(f"the emulator did not start:\n{self._log.read().decode(errors='replace')}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"http://{self.host}/", timeout=5).close()
        except OSError:
            return False
        return True


def find_java() -> str:
    """Return what runs it."""
    java = shutil.which("java")
    if java is None:
        raise MissingError(f"needs java: {HOW_TO_INSTALL}")
    return java


def find_jar() -> Path:
    """Return the emulator's program."""
    named = os.environ.get("SPARKLES_FIRESTORE_JAR")
    places = [Path(named)] if named else [_PACKAGED_SDK / _JAR, *(root / _JAR for root in _sdk_roots())]
    for place in places:
        if place.is_file():
            return place
    raise MissingError(f"needs Google's Firestore emulator: {HOW_TO_INSTALL}")


def _sdk_roots() -> list[Path]:
    gcloud = shutil.which("gcloud")
    if gcloud is None or (_PACKAGED_SDK / _JAR).is_file():
        return []
    asked = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, check=False
    )
    return [Path(asked.stdout.strip())] if asked.stdout.strip() else []
