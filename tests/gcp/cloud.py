"""The stand-in cloud: Google's Firestore emulator in Datastore mode, and our own simulators of the other services.

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
from .gce.processes import ProcessBooter
from .gce.simulator import ComputeSimulator
from .setup.apis import SetupApis
from .storage import StorageSimulator

PROJECT = "sparkles-test"

#: What the emulator may use when somebody works with it for long: some hundred thousand tasks.
_MEGABYTES = 3072


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """All services, and a bucket of one's own."""

    emulator: Emulator
    storage: StorageSimulator
    bucket: str
    #: None for a cloud without machines.
    compute: ComputeSimulator | None = None
    project: str = PROJECT

    @property
    def environment(self) -> Mapping[str, str]:
        """What makes Google's clients, and sparkles, use it."""
        return {
            "DATASTORE_EMULATOR_HOST": self.emulator.host,
            "STORAGE_EMULATOR_HOST": self.storage.url,
            **({} if self.compute is None else {"COMPUTE_EMULATOR_HOST": self.compute.url}),
            "GOOGLE_CLOUD_PROJECT": self.project,
            "SPARKLES_BACKEND": "gcp",
            "SPARKLES_PROJECT": self.project,
            "SPARKLES_BUCKET": self.bucket,
            "SPARKLES_COMPUTE": "local",
        }


def gcloud_environment(folder: Path, **urls: str) -> Mapping[str, str]:
    """Return what makes gcloud use simulators, without credentials and away from the user's own configuration.

    `storage` and `compute` are their addresses.
    """
    overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"{url}/{api}/v1/" for api, url in urls.items()}
    return {
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CORE_PROJECT": PROJECT,
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        **overrides,
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
    up.add_argument("--compute-port", type=int, default=0, help="a free one without this")
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
        booter = ProcessBooter(folder / "vms")
        compute = ComputeSimulator(booter, project=PROJECT, port=asked.compute_port)
        stack.enter_context(closing(compute))
        storage.make_bucket(asked.bucket, PROJECT)
        cloud = Cloud(emulator=emulator, storage=storage, compute=compute, bucket=asked.bucket)
        gcloud = gcloud_environment(folder / "gcloud", storage=storage.url, compute=compute.url)
        apis = stack.enter_context(closing(SetupApis(PROJECT)))
        setup = {"GOOGLEAPIS_EMULATOR_HOST": apis.url}
        for name, value in {**cloud.environment, **setup, **gcloud}.items():
            print(f"export {name}={value}")
        print("# Ctrl-C ends it and forgets all.", flush=True)
        signal.sigwait(stopped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
