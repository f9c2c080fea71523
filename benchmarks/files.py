"""Files: what a job uploads to the cloud, beside Google's own client, which sends the same files and knows no more."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import standin
from benchmarks.measure import Run, RunFailed
from benchmarks.nouns import Comparison, Metric, Row
from benchmarks.subject import HOME, PROGRAMS, Subject
from benchmarks.submission import BLOCKER, SETTLED

if TYPE_CHECKING:
    from tests.gcp.cloud import Cloud

_BARE, _AGAIN = "google-cloud-storage", "sparkles, once more"

_MANIFEST = """\
apiVersion: sparkles/v1
kind: Job
metadata: {name: j}
spec: {command: ["true"], uploads: [data], resources: {slots: 1}}
"""

#: Of each of many files; a line of text is in it, so that no two are alike.
_SIZE = 1000


def many(subject: Subject, count: int) -> Row:
    """Return the row of many small files."""

    def make(folder: Path) -> Run:
        _write_files(folder / "data", count)
        return _apply(subject, folder)

    def tell(_: Path, cloud: Cloud) -> Mapping[str, float]:
        return _told(cloud, _SIZE * count)

    def bare(folder: Path) -> Run:
        _write_files(folder / "data", count)
        return _by_hand("upload_many.py")

    return Row(
        name="uploads-cloud-10k", group="cloud", title=f"{count:,} files of {_SIZE:,} bytes to the cloud", rounds=3,
        contestants=[
            standin.contestant("sparkles", make, tell=tell),
            standin.contestant(_AGAIN, lambda folder: _apply(subject, folder, again=True), before=make, tell=tell),
            standin.contestant(_BARE, bare, tell=tell),
        ],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, than=_BARE),
            Comparison(of="sparkles", metric=Metric.OWN, than=_BARE),
            Comparison(of="sparkles", metric=Metric.PEAK, than=_BARE),
            Comparison(of="sparkles", metric=Metric.REQUESTS, than=_BARE),
            Comparison(of=_AGAIN, metric=Metric.WALL),
            Comparison(of=_AGAIN, metric=Metric.REQUESTS),
            Comparison(of=_AGAIN, metric=Metric.UPLOADS, at_most=0),
        ],
    )  # fmt: skip


def large(subject: Subject, size: int) -> Row:
    """Return the row of one large file."""

    def make(folder: Path) -> Run:
        _write_large(folder / "data", size)
        return _apply(subject, folder)

    def tell(_: Path, cloud: Cloud) -> Mapping[str, float]:
        return _told(cloud, size)

    def bare(folder: Path) -> Run:
        _write_large(folder / "data", size)
        return _by_hand("upload_one.py")

    return Row(
        name="upload-cloud-5gb", group="cloud", title=f"one file of {size / 1e9:g} GB to the cloud",
        rounds=3, long=True,
        contestants=[
            standin.contestant("sparkles", make, tell=tell),
            standin.contestant(_BARE, bare, tell=tell),
        ],
        comparisons=[
            Comparison(of="sparkles", metric=Metric.WALL, than=_BARE),
            Comparison(of="sparkles", metric=Metric.OWN, than=_BARE),
            Comparison(of="sparkles", metric=Metric.PEAK, at_most=200e6),
            Comparison(of=_BARE, metric=Metric.PEAK),
        ],
    )  # fmt: skip


def _apply(subject: Subject, folder: Path, *, again: bool = False) -> Run:
    """Return the run that submits the files, while the node has something else to do."""
    (folder / "job.yaml").write_text(_MANIFEST, encoding="utf-8")
    (folder / HOME).mkdir(mode=0o700, exist_ok=True)  # hashes are only remembered in a home that is there
    before = [] if again else [BLOCKER]
    return subject.run(folder, "apply", "job.yaml", before=before, ends=True)


def _by_hand(program: str) -> Run:
    return Run(command=[sys.executable, str(PROGRAMS / program), "data"])


def _told(cloud: Cloud, size: int) -> Mapping[str, float]:
    """Return what was asked of the bucket, which must hold so many bytes by now."""
    storage = cloud.storage
    held = sum(stored.content.size for stored in storage.holdings.buckets[cloud.bucket].objects.values())
    if held < size:
        raise RunFailed(f"{held} bytes of {size}")
    uploads = storage.count("storage.objects.insert")
    return {Metric.REQUESTS.value: len(storage.requests), Metric.UPLOADS.value: uploads}


def _write_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for index in range(count):
        (folder / f"{index}.txt").write_text(f"file {index}\n".ljust(_SIZE), encoding="utf-8")
    _settle()


def _write_large(folder: Path, size: int) -> None:
    """Write a file that takes no place on the disk, which has enough to do with the object."""
    folder.mkdir()
    with (folder / "large").open("wb") as file:
        file.truncate(size)
    _settle()


def _settle() -> None:
    os.sync()
    time.sleep(SETTLED)
