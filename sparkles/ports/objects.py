"""Objects: blobs, manifests, logs and results, in a folder or a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

#: Bytes of a log that are read at once.
LOG_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file that a task leaves: where it is now, and its name in the result folder."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """All that one attempt publishes."""

    job: str
    index: int
    claim: str
    #: stdout and stderr together, complete.
    log: Path
    outputs: Sequence[Output]
    #: The content of result.json.
    document: Mapping[str, Any]
    #: An empty folder that nobody needs any more, for the store to have if it can use one.
    spare: Path | None = None


class Moved(NamedTuple):
    """What has come since the last time: bytes, and files that are complete."""

    size: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What became of the files of results that were wanted."""

    #: How many were copied, and their bytes.
    files: int = 0
    size: int = 0
    #: How many were there already.
    there: int = 0

    def __add__(self, other: Fetched) -> Fetched:
        """Add up."""
        return Fetched(files=self.files + other.files, size=self.size + other.size, there=self.there + other.there)


class ObjectStore(Protocol):
    """Blobs by hash, results in numbered folders, logs, manifests."""

    #: Calls that are worth having under way at once; more than one where they take long, since they go far.
    streams: int

    def url(self, job: str) -> str:
        """Return where the results of `job` are, for people."""
        ...

    def download_line(self, job: str) -> str:
        """Return the command that copies the results of `job` to a folder, DEST_DIR."""
        ...

    def missing(self, digests: Sequence[str]) -> set[str]:
        """Return those of the sha256 `digests` (hex) that the store does not hold."""
        ...

    def put_blobs(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """Store the content of files under their sha256, once and for good; several at once where that is quicker.

        Yields as bytes move, and at least about once a second, even if nothing moves. What was yielded adds up to all
        the files, and to no more than their bytes. Whoever stops iterating stops it.

        Raises BackendError if content does not have its hash: it changed while it was read. Under a hash there is
        nothing or the whole of the right content, at any moment.
        """
        ...

    def read_blob(self, digest: str) -> bytes:
        """Return the content of a small blob. Raises BackendError if the store does not hold it."""
        ...

    def stage(self, digest: str, destination: Path, *, executable: bool) -> None:
        """Make a private, writable copy of a blob at `destination`, whose folder exists."""
        ...

    def write_manifest(self, job: str, generation: int, text: str) -> None:
        """Keep the pinned manifest of one generation of a job."""
        ...

    def read_manifest(self, job: str, generation: int) -> str | None:
        """Return the pinned manifest of one generation of a job; None if it is not there (any more)."""
        ...

    def manifests(self) -> Iterator[str]:
        """Yield every manifest that is kept, of all jobs."""
        ...

    def open_log(self, job: str, index: int, claim: str) -> Path:
        """Return the file that the attempt's output is to be appended to."""
        ...

    def read_log(
        self, job: str, index: int, claim: str, *, start: int, limit: int = LOG_PIECE, whole: bool = False
    ) -> bytes:
        """Return up to `limit` bytes of the attempt's output from byte `start` on, as far as it has come in.

        `claim` is the attempt's, or the result generation of what it published. A negative `start` counts from the
        end of that; before the beginning there is nothing.
        Works while the task runs and after its result is published; empty if there is none (yet). With `whole` its
        result is known to be committed: then that is where it is looked for first, and there is no more of it if less
        than `limit` comes.
        """
        ...

    def log_size(self, job: str, index: int, claim: str) -> int:
        """Return how many bytes of the attempt's output have come in."""
        ...

    def complete_logs(self, *, patience: float) -> None:
        """Wait until the logs of attempts that were discarded here are where they stay, for so many seconds at most.

        To be called before what holds the files of `open_log` goes.
        """
        ...

    def publish(self, result: Result, *, holds: Callable[[], bool]) -> str:
        """Bring in a result; may move the files. Returns its result generation.

        It is the task's only once the task's record names its result generation, so to be committed after this. A
        store that can put a whole result into its place in one step leaves an older one as it is until `promote`; in
        one that cannot, the older one may be gone from now on.

        `holds` says whether this node's lease still holds. Without it nobody may write where others may be writing:
        raises BackendError, as for all else that keeps a result from being stored. Whoever still has the lease may
        try again, with the same result.
        """
        ...

    def promote(self, job: str, index: int, result_generation: str) -> None:
        """Make a published result the task's result folder, if it is not that yet. To be called after the commit.

        Removes what only an attempt that has not ended needs. Idempotent. Does nothing where that result is not there
        any more: a later one has replaced it.
        """
        ...

    def discard(self, job: str, index: int, claim: str) -> None:
        """Remove the result of an attempt that will not be committed, if it has published one. Its log stays.

        Another attempt's result stays as it is. It may take a while until all of that is done.
        """
        ...

    def unpromoted(self, job: str) -> Sequence[tuple[int, str]]:
        """Return (index, result generation) of the results that are not in their place until they are promoted."""
        ...

    def results(self, job: str) -> Sequence[int]:
        """Return the indices for which `job` has a result folder."""
        ...

    def jobs_with_results(self, prefix: str) -> Sequence[str]:
        """Return the names of the jobs that have result folders and are called something that begins so."""
        ...

    def read_result(self, job: str, index: int) -> tuple[str, dict[str, Any]] | None:
        """Return (result generation, content of result.json), or None without a whole result.

        It is the task's result only if the task's record names this generation. Of files it may say more than it was
        given: where they are, and what they hold.
        """
        ...

    def read_output(self, job: str, index: int, name: str) -> bytes:
        """Return the content of a small file of a result. Raises BackendError if it is not there."""
        ...

    def output_sha256(self, job: str, index: int, name: str) -> str:
        """Return the sha256 (hex) of a file of a result. Raises BackendError if it is not there."""
        ...

    def keep_output(self, job: str, index: int, name: str, digest: str) -> None:
        """Store a file of a result as the blob of this sha256.

        Raises BackendError if the content does not have that hash: the result has been replaced.
        """
        ...

    def fetch(
        self,
        job: str,
        index: int,
        place: Callable[[str], Path | None],
        *,
        moved: Callable[[Moved], None],
        result_generation: str | None = None,
    ) -> Fetched | None:
        """Copy the files of a result, each to the `place` of its name, if it has one; folders are made if need be.

        Returns None without a whole result of that generation, or of any if none is said, and if another one takes its
        place meanwhile. What is there already as it is in the result is not copied again. Each file appears whole or
        not at all, result.json last of them.

        Calls `moved`, perhaps from several threads, as bytes come and with each file that is there; what that raises
        ends it. Raises BackendError for content that came damaged.
        """
        ...

    def remove_results(self, job: str, indices: Sequence[int] | None = None) -> None:
        """Remove the result folders of these tasks, or of all."""
        ...

    def remove_records(self, job: str) -> None:
        """Remove manifests, logs and unpromoted results of `job`."""
        ...
