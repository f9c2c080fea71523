"""Objects in a bucket: blobs, results, logs and manifests, by the names that paths gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from google.cloud.storage import Client

from sparkles.backends.gcp.storage.blobs import Blobs, Known
from sparkles.backends.gcp.storage.bucket import PATIENCE, Bucket
from sparkles.backends.gcp.storage.copies import Copies
from sparkles.backends.gcp.storage.faults import ChangedError
from sparkles.backends.gcp.storage.logs import Logs
from sparkles.backends.gcp.storage.outputs import Outputs
from sparkles.backends.gcp.storage.publishing import Publisher
from sparkles.backends.gcp.storage.results import Results
from sparkles.backends.gcp.storage.spool import Attempt, Spool
from sparkles.backends.gcp.storage.staging import Staging
from sparkles.paths import Layout
from sparkles.ports.objects import LOG_PIECE, Fetched, Moved, Result

#: Seconds after which what a log has grown by is brought in.
_PERIOD = 2.0


class BucketObjects:
    """ObjectStore in a bucket. Safe to share among threads."""

    streams = 16

    def __init__(
        self,
        client: Client,
        bucket: str,
        prefix: str,
        *,
        known: Known,
        touch: bool = True,
        spool: Path | None = None,
        staging: Staging | None = None,
        patience: float = PATIENCE,
        period: float = _PERIOD,
    ) -> None:
        """Use what is below `prefix`.

        A node has a folder of its own for logs (`spool`), which it brings in every `period` seconds, and keeps blobs
        in `staging`. Requests are sent again for up to `patience` seconds. Who only looks does not `touch` blobs.
        """
        self._bucket = Bucket(client, bucket, patience=patience)
        self._layout = Layout(Path(prefix))
        self._blobs = Blobs(self._bucket, self._layout, known, touch=touch)
        self._staging = staging or Staging(None)
        self._results = Results(self._bucket, self._layout)
        self._copies = Copies(self._bucket)
        self._outputs = Outputs(self._bucket, self._results, self._blobs)
        self._publisher = Publisher(self._bucket, self._layout)
        self._logs = Logs(self._bucket, self._layout, self._results)
        self._spool = Spool(self._bucket, self._layout, spool, period=period) if spool else None
        #: The result generations of what was published here, and has been neither promoted nor discarded.
        self._published: dict[Attempt, str] = {}

    def url(self, job: str) -> str:
        """See ObjectStore."""
        return f"gs://{self._bucket.name}/{self._layout.results(job)}"

    def download_line(self, job: str) -> str:
        """See ObjectStore."""
        return f"gsutil rsync -r {self.url(job)} DEST_DIR"

    def missing(self, digests: Sequence[str]) -> set[str]:
        """See ObjectStore."""
        return self._blobs.missing(digests)

    def put_blobs(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """See ObjectStore."""
        return self._blobs.put(files)

    def read_blob(self, digest: str) -> bytes:
        """See ObjectStore."""
        return self._blobs.read(digest)

    def stage(self, digest: str, destination: Path, *, executable: bool) -> None:
        """See ObjectStore."""
        self._staging.stage(digest, destination, executable=executable, download=self._blobs.download)

    def write_manifest(self, job: str, generation: int, text: str) -> None:
        """See ObjectStore."""
        name, content = str(self._layout.manifest(job, generation)), text.encode()
        match = 0
        while not self._write(name, content, match=match):
            # There is one: of an apply that this one resumes, or of a try whose answer was lost.
            found = self._bucket.read(name)
            if found and found[0] == content:
                return
            match = found[1] if found else 0

    def _write(self, name: str, content: bytes, *, match: int) -> bool:
        with suppress(ChangedError):
            self._bucket.write(name, content, match=match, content_type="text/yaml; charset=utf-8")
            return True
        return False

    def read_manifest(self, job: str, generation: int) -> str | None:
        """See ObjectStore."""
        found = self._bucket.read(str(self._layout.manifest(job, generation)))
        return found[0].decode() if found else None

    def manifests(self) -> Iterator[str]:
        """See ObjectStore. Of a job's other objects only the names are looked at."""
        jobs = f"{self._layout.all_records}/"
        names = [stored.name for stored in self._bucket.below(jobs) if _is_manifest(stored.name.removeprefix(jobs))]
        for found in self._bucket.threads.each(self._bucket.read, names):
            if found:  # its job has just been deleted
                yield found[0].decode()

    def open_log(self, job: str, index: int, claim: str) -> Path:
        """See ObjectStore."""
        assert self._spool, "a client runs no attempts"
        return self._spool.open(Attempt(job, index, claim))

    def read_log(
        self, job: str, index: int, claim: str, *, start: int, limit: int = LOG_PIECE, whole: bool = False
    ) -> bytes:
        """See ObjectStore."""
        return self._logs.read(Attempt(job, index, claim), start=start, limit=limit, whole=whole)

    def log_size(self, job: str, index: int, claim: str) -> int:
        """See ObjectStore."""
        return self._logs.size(Attempt(job, index, claim))

    def complete_logs(self, *, patience: float) -> None:
        """See ObjectStore."""
        if self._spool:
            self._spool.wait(patience)

    def publish(self, result: Result, *, holds: Callable[[], bool]) -> str:
        """See ObjectStore. It is written in place, by the rules in `publishing`."""
        generation = self._publisher.publish(result, holds=holds)
        self._published[Attempt(result.job, result.index, result.claim)] = generation
        return generation

    def promote(self, job: str, index: int, result_generation: str) -> None:
        """See ObjectStore. The result is in its place; what goes are the chunks of its log, which is whole now."""
        ours = [attempt for attempt, generation in list(self._published.items()) if generation == result_generation]
        for attempt in ours:
            if self._spool and attempt[:2] == (job, index):
                del self._published[attempt]
                self._spool.remove(attempt)
                return
        mark = self._results.mark(job, index)
        if mark and str(mark.generation) == result_generation:
            folder = f"{self._layout.log_chunks(job, index, mark.metadata['claim'])}/"
            self._bucket.remove(lambda: self._bucket.below(folder))

    def discard(self, job: str, index: int, claim: str) -> None:
        """See ObjectStore. Where the attempt ran, nobody waits for that: a worker has a heartbeat to keep."""
        attempt = Attempt(job, index, claim)
        self._published.pop(attempt, None)
        remove = partial(self._results.discard, *attempt)
        if not (self._spool and self._spool.complete(attempt, then=remove)):
            remove()

    def unpromoted(self, job: str) -> Sequence[tuple[int, str]]:  # noqa: ARG002 - whatever the job
        """See ObjectStore. A result is written in its place."""
        return ()

    def results(self, job: str) -> Sequence[int]:
        """See ObjectStore."""
        return self._results.indices(job)

    def jobs_with_results(self, prefix: str) -> Sequence[str]:
        """See ObjectStore."""
        return self._results.jobs(prefix)

    def read_result(self, job: str, index: int) -> tuple[str, dict[str, Any]] | None:
        """See ObjectStore."""
        found = self._results.find(job, index)
        if found is None:
            return None
        self._outputs.remember(job, index, found)
        return str(found.generation), found.document

    def read_output(self, job: str, index: int, name: str) -> bytes:
        """See ObjectStore."""
        return self._outputs.read(job, index, name)

    def output_sha256(self, job: str, index: int, name: str) -> str:
        """See ObjectStore. It is in result.json."""
        return self._outputs.sha256(job, index, name)

    def keep_output(self, job: str, index: int, name: str, digest: str) -> None:
        """See ObjectStore. The bucket copies it by itself."""
        self._outputs.keep(job, index, name, digest)

    def fetch(
        self,
        job: str,
        index: int,
        place: Callable[[str], Path | None],
        *,
        moved: Callable[[Moved], None],
        result_generation: str | None = None,
    ) -> Fetched | None:
        """See ObjectStore."""
        found = self._results.find(job, index)
        if found is None or result_generation not in (None, str(found.generation)):
            return None
        return self._copies.fetch(found, place, moved)

    def remove_results(self, job: str, indices: Sequence[int] | None = None) -> None:
        """See ObjectStore."""
        self._results.remove(job, indices)

    def remove_records(self, job: str) -> None:
        """See ObjectStore."""
        folder = f"{self._layout.records(job)}/"
        self._bucket.remove(lambda: self._bucket.below(folder))


def _is_manifest(name: str) -> bool:
    """Say whether an object is a manifest, given its name below those of all jobs.

    >>> _is_manifest("job/3.yaml"), _is_manifest("job/logs/1/3.yaml")
    (True, False)
    """
    return name.count("/") == 1 and name.endswith(".yaml")
