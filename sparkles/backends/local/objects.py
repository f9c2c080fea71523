"""Local objects: a directory laid out as the bucket is.

A result is published beside the results and renamed into place after the task's commit. If a process dies
between the two, whoever reads the result next completes the rename: the task's record names it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from sparkles.backends.local.copies import copy_result
from sparkles.backends.local.hashes import PIECE, sha256_of
from sparkles.backends.replacing import replacing
from sparkles.backends.result_text import result_text
from sparkles.errors import BackendError
from sparkles.paths import LOG_NAME, RESULT_NAME, Home, Layout
from sparkles.ports.backend import Hashes
from sparkles.ports.objects import LOG_PIECE, Fetched, Moved, Output, Result

#: Seconds after which it is noted that a blob is still used, when somebody asks for it (see `sparkles.garbage`).
_TOUCHED = 2 * 86_400.0


class DirectoryObjects:
    """ObjectStore in a directory."""

    streams = 1

    def __init__(self, home: Home, hashes: Hashes | None = None) -> None:
        """Use the folder of `home`; `hashes` spare reading the same output again and again."""
        self._home = home
        self._hashes = hashes
        self._layout = Layout(home.objects)

    def url(self, job: str) -> str:
        """See ObjectStore."""
        return str(self._layout.results(job))

    def download_line(self, job: str) -> str:
        """See ObjectStore."""
        return f"sparkles fetch {job} DEST_DIR"

    def missing(self, digests: Sequence[str]) -> set[str]:
        """See ObjectStore. Asking the disk is as quick as a cache of the answers would be, and never stale."""
        blobs = self._layout.blobs
        return {digest for digest in digests if not _is_there(blobs / digest)}

    def put_blobs(self, files: Sequence[tuple[Path, str]]) -> Iterator[Moved]:
        """See ObjectStore. One after the other: a disk is no quicker with several at once."""
        for source, digest in files:
            if not _is_there(self._layout.blob(digest)):
                yield from self._copy_in(source, digest)
            yield Moved(0, 1)

    def _copy_in(self, source: Path, digest: str) -> Iterator[Moved]:
        import hashlib  # those who only look at jobs do not need it

        with replacing(self._layout.blob(digest)) as partial, source.open("rb") as reader, partial.open("wb") as writer:
            found = hashlib.sha256()
            while chunk := reader.read(PIECE):
                found.update(chunk)
                writer.write(chunk)
                yield Moved(len(chunk), 0)
            if found.hexdigest() != digest:
                raise BackendError(f"{source}: changed while it was read; submit again when it is complete")
            partial.chmod(0o444)

    def read_blob(self, digest: str) -> bytes:
        """See ObjectStore."""
        try:
            return self._layout.blob(digest).read_bytes()
        except FileNotFoundError:
            raise BackendError(f"the content with sha256 {digest} is not in {self._home.objects}") from None

    def stage(self, digest: str, destination: Path, *, executable: bool) -> None:
        """See ObjectStore."""
        import shutil

        try:
            shutil.copyfile(self._layout.blob(digest), destination)
        except FileNotFoundError:
            raise BackendError(f"the content with sha256 {digest} is not in {self._home.objects}") from None
        destination.chmod(0o755 if executable else 0o644)

    def write_manifest(self, job: str, generation: int, text: str) -> None:
        """See ObjectStore."""
        with replacing(self._layout.manifest(job, generation)) as partial:
            partial.write_text(text, encoding="utf-8")

    def read_manifest(self, job: str, generation: int) -> str | None:
        """See ObjectStore."""
        try:
            return self._layout.manifest(job, generation).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def manifests(self) -> Iterator[str]:
        """See ObjectStore."""
        for path in self._layout.all_records.glob("*/*.yaml"):
            with suppress(FileNotFoundError):  # its job has just been deleted
                yield path.read_text(encoding="utf-8")

    def open_log(self, job: str, index: int, claim: str) -> Path:
        """See ObjectStore."""
        path = self._layout.log(job, index, claim)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def read_log(
        self,
        job: str,
        index: int,
        claim: str,
        *,
        start: int,
        limit: int = LOG_PIECE,
        whole: bool = False,  # noqa: ARG002 - to look where it may be costs nothing here
    ) -> bytes:
        """See ObjectStore."""
        with self._log(job, index, claim) as file:
            file.seek(start if start >= 0 else max(0, file.seek(0, os.SEEK_END) + start))
            return file.read(limit)

    def log_size(self, job: str, index: int, claim: str) -> int:
        """See ObjectStore."""
        with self._log(job, index, claim) as file:
            return file.seek(0, os.SEEK_END)

    def _log(self, job: str, index: int, claim: str) -> BinaryIO:
        """Open the output of an attempt, wherever it is; an empty file if it is nowhere."""
        places = [
            self._layout.log(job, index, claim),
            self._layout.published(job, index, claim) / LOG_NAME,
        ]
        # In this order, because that is the way a log goes.
        for place in places:
            with suppress(FileNotFoundError):
                return place.open("rb")
        found = self.read_result(job, index)
        with suppress(FileNotFoundError):
            if found and found[0] == claim:
                return (self._layout.result(job, index) / LOG_NAME).open("rb")
        return BytesIO()

    def complete_logs(self, *, patience: float) -> None:
        """See ObjectStore. They are written where they stay."""

    def publish(self, result: Result, *, holds: Callable[[], bool]) -> str:  # noqa: ARG002 - it is out of the way
        """See ObjectStore. Brought in beside the results; nobody else writes there, lease or not."""
        folder = self._layout.published(result.job, result.index, result.claim)
        _make(folder, result.spare)
        # Links first: what they lead to may be an output, which is about to be moved.
        for output in sorted(result.outputs, key=lambda output: not output.path.is_symlink()):
            _take(output, folder / output.name)
        (folder / RESULT_NAME).write_bytes(result_text(result.document))
        return result.claim

    def promote(self, job: str, index: int, result_generation: str) -> None:
        """See ObjectStore."""
        published = self._layout.published(job, index, result_generation)
        if not published.exists():
            return
        with self._locked(job):
            log = self._layout.log(job, index, result_generation)
            with suppress(FileNotFoundError):
                log.rename(published / LOG_NAME)
            if not published.exists():
                return
            self._put_in_place(published, self._layout.result(job, index))
            self._drop_published(published.parent, index)

    def _drop_published(self, folder: Path, index: int) -> None:
        """Remove what is published of a task that has its result now: it came too late."""
        with suppress(FileNotFoundError):  # the job was deleted
            for name in os.listdir(folder):  # noqa: PTH208 - paths of them all would cost more than all the rest
                if name.startswith(f"{index}."):
                    self._empty(self._to_trash(folder / name))

    def _put_in_place(self, published: Path, target: Path) -> None:
        """Make a published result the one at `target`."""
        try:
            published.rename(target)
        except FileNotFoundError:  # the first result of the job
            target.parent.mkdir(parents=True, exist_ok=True)
            published.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            old = self._to_trash(target)
            published.rename(target)
            # It may be huge, and the caller has a heartbeat to keep.
            threading.Thread(target=self._empty, args=[old]).start()

    def discard(self, job: str, index: int, claim: str) -> None:
        """See ObjectStore."""
        self._empty(self._to_trash(self._layout.published(job, index, claim)))

    def unpromoted(self, job: str) -> Sequence[tuple[int, str]]:
        """See ObjectStore."""
        found = (path.name.split(".") for path in (self._layout.records(job) / "published").glob("*.*"))
        return [(int(index), claim) for index, claim in found]

    def results(self, job: str) -> Sequence[int]:
        """See ObjectStore."""
        folder = self._layout.results(job)
        if not folder.is_dir():
            return []
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())

    def jobs_with_results(self, prefix: str) -> Sequence[str]:
        """See ObjectStore."""
        with suppress(FileNotFoundError):
            return sorted(path.name for path in self._layout.root.iterdir() if path.name.startswith(prefix))
        return []

    def read_result(self, job: str, index: int) -> tuple[str, dict[str, Any]] | None:
        """See ObjectStore."""
        try:
            text = (self._layout.result(job, index) / RESULT_NAME).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        document: dict[str, Any] = json.loads(text)
        return document["claim"], document

    def read_output(self, job: str, index: int, name: str) -> bytes:
        """See ObjectStore."""
        with _named(job, index, name):
            return (self._layout.result(job, index) / name).read_bytes()

    def output_sha256(self, job: str, index: int, name: str) -> str:
        """See ObjectStore."""
        path = self._layout.result(job, index) / name
        with _named(job, index, name):
            return self._hashes.sha256(path) if self._hashes else sha256_of(path)

    def keep_output(self, job: str, index: int, name: str, digest: str) -> None:
        """See ObjectStore."""
        with _named(job, index, name):
            for _ in self.put_blobs([(self._layout.result(job, index) / name, digest)]):
                pass

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
        before = self.read_result(job, index)
        if before is None or result_generation not in (None, before[0]):
            return None
        fetched = copy_result(self._layout.result(job, index), place, moved)
        return fetched if self.read_result(job, index) == before else None

    def remove_results(self, job: str, indices: Sequence[int] | None = None) -> None:
        """See ObjectStore."""
        if indices is None:
            self._empty(self._to_trash(self._layout.results(job)))
            return
        for index in indices:
            self._empty(self._to_trash(self._layout.result(job, index)))

    def remove_records(self, job: str) -> None:
        """See ObjectStore."""
        self._empty(self._to_trash(self._layout.records(job)))

    @contextmanager
    def _locked(self, job: str) -> Iterator[None]:
        """Let one process at a time move results of `job` into place."""
        path = self._layout.records(job) / "lock"
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _to_trash(self, path: Path) -> Path | None:
        """Take `path` away in one step; return where it is now, or None if there was nothing."""
        doomed = self._layout.trash / os.urandom(8).hex()
        try:
            path.rename(doomed)
        except FileNotFoundError:
            if not os.path.lexists(path):
                return None
            doomed.parent.mkdir(parents=True, exist_ok=True)
            path.rename(doomed)
        return doomed

    def _empty(self, doomed: Path | None) -> None:
        import shutil  # takes as long to load as a look at the state: here and elsewhere for those alone who need it

        if doomed:
            shutil.rmtree(doomed, ignore_errors=True)


def _is_there(blob: Path) -> bool:
    """Say whether there is a blob. What nobody has asked for lately it notes to be used: whoever tidies up asks."""
    try:
        if time.time() - blob.stat().st_mtime > _TOUCHED:
            os.utime(blob)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _named(job: str, index: int, name: str) -> Iterator[None]:
    """Say of which result a file is that is not there."""
    try:
        yield
    except FileNotFoundError:
        raise BackendError(f"the result of {job}.{index} has no file {name!r} any more") from None


def _make(folder: Path, spare: Path | None) -> None:
    """Make a folder, if possible of a spare one: to make folders and to remove them is what costs."""
    try:
        if spare:
            spare.rename(folder)
        else:
            folder.mkdir()
    except OSError:  # the first result of the job, or a try of this one that failed later
        folder.mkdir(parents=True, exist_ok=True)


def _take(output: Output, target: Path) -> None:
    """Move an output into the result; a link's target is copied, since it may be an output itself."""
    import shutil

    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and not output.path.exists():
        return  # taken by an earlier try, which failed later
    if output.path.is_symlink():
        shutil.copyfile(output.path, target)
        return
    with suppress(OSError):  # the task's own choice of mode must not keep anyone from fetching the result
        output.path.chmod(output.path.stat().st_mode | 0o600)
    shutil.move(output.path, target)
