"""The stand-in cloud: Google's Firestore emulator in Datastore mode and our own Cloud Storage simulator.

    python -m tests.gcp.cloud up

prints the environment that makes sparkles use it, and stays until Ctrl-C.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from .emulator import Emulator, MissingError
from .storage import StorageSimulator

PROJECT = "sparkles-test"

#: What the emulator may use when somebody works with it for long: some hundred thousand tasks.
_MEGABYTES = 3072


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Both services, and a bucket of one's own."""

    emulator: Emulator
    storage: StorageSimulator
    bucket: str
    project: str = PROJECT

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes Google's clients, and sparkles, use it."""
        return {
            "DATASTORE_EMULATOR_HOST": self.emulator.host,
            "STORAGE_EMULATOR_HOST": self.storage.url,
            "GOOGLE_CLOUD_PROJECT": self.project,
            "SPARKLES_BACKEND": "gcp",
            "SPARKLES_PROJECT": self.project,
            "SPARKLES_BUCKET": self.bucket,
            "SPARKLES_COMPUTE": "local",
        }


def gcloud_environment(storage: StorageSimulator, folder: Path) -> Mapping[str, str]:
    """Return what makes gcloud use the simulator, without credentials and away from the user's own configuration."""
    return {
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"{storage.url}/storage/v1/",
    }


def fresh_bucket(storage: StorageSimulator) -> str:
    """Make a bucket; return its name."""
    name = f"bucket-{secrets.token_hex(4)}"
    storage.make_bucket(name, PROJECT)
    return name


def main(words: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.gcp.cloud", description=__doc__.splitlines()[0])
    command = parser.add_subparsers(dest="command", required=True)
    up = command.add_parser("up", help="start it, print the environment, stay until Ctrl-C")
    up.add_argument("--bucket", default="sparkles-test-bucket", help="name of the bucket to make")
    up.add_argument("--datastore-port", type=int, default=0, help="a free one without this")
    up.add_argument("--storage-port", type=int, default=0, help="a free one without this")
    try:
        return _up(parser.parse_args(words))
    except MissingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3


def _up(asked: argparse.Namespace) -> int:
    stopped = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopped)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparkles-cloud-")))
        emulator = stack.enter_context(closing(Emulator(port=asked.datastore_port, megabytes=_MEGABYTES)))
        storage = stack.enter_context(closing(StorageSimulator(folder / "objects", port=asked.storage_port)))
        storage.make_bucket(asked.bucket, PROJECT)
        cloud = Cloud(emulator=emulator, storage=storage, bucket=asked.bucket)
        for name, value in {**cloud.environment, **gcloud_environment(storage, folder / "gcloud")}.items():
            print(f"export {name}={value}")
        print("# Ctrl-C ends it and forgets all.", flush=True)
        signal.sigwait(stopped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
