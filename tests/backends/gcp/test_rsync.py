"""What is printed for people to type: a foreign client brings exactly the results."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from contracts.fakes import a_backend
from contracts.nouns import a_task, put
from contracts.objects import a_result, always, append, come
from gcp.cloud import gcloud_environment

from sparkles import fetching
from sparkles.fetching import Outcome
from sparkles.model import Task, TaskState
from sparkles.ports.backend import Backend

ODD = ["ä🙂 with spaces", "deep/er/x", "#?%[1]*", "line\nbreak"]


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def fetch(tasks: list[Task], folder: Path, backend: Backend) -> Outcome:
    return fetching.fetch(fetching.folders("j", tasks, backend), fetching.Destination(folder), backend)


@pytest.fixture
def job(objects, tmp_path):
    """A job with results of tasks 1 and 12, a running task, and records."""
    objects.write_manifest("j", 1, "text")
    append(objects.open_log("j", 3, "c"), b"running\n")
    come(objects, "c", b"running\n", index=3)
    files = {name: name.encode() for name in ODD}
    return {
        index: objects.publish(
            a_result(objects, tmp_path / f"work-{index}", f"claim-{index}", index=index, log=b"out\n", files=files),
            holds=always,
        )
        for index in (1, 12)
    }


@pytest.mark.skipif(not shutil.which("gcloud"), reason="needs gcloud: https://cloud.google.com/sdk/docs/install")
def test_gcloud_rsync_brings_exactly_the_numbered_folders(objects, job, storage, tmp_path) -> None:
    environment = {**os.environ, **gcloud_environment(tmp_path / "gcloud", storage=storage.url)}
    there = tmp_path / "there"
    there.mkdir()
    line = objects.download_line("j").replace("gsutil rsync", "gcloud storage rsync").replace("DEST_DIR", str(there))

    subprocess.run(line.split(), env=environment, check=True, capture_output=True, timeout=100)

    found = {str(path.relative_to(there)) for path in files_below(there)}
    made = objects.read_result("j", 1)[1]["files"][ODD.index("line\nbreak")]["object"]
    names = {*ODD[:3], made, "stdout.txt", "result.json"}
    assert found == {f"{index}/{name}" for index in (1, 12) for name in names}
    assert (there / "12" / "deep" / "er" / "x").read_bytes() == b"deep/er/x"


def test_fetch_brings_the_same_with_the_names_that_files_had(objects, job, tmp_path) -> None:
    backend = a_backend(tmp_path / "home", objects=objects)
    tasks = [a_task(index, state=TaskState.SUCCEEDED, result_generation=job[index]) for index in job]
    put(backend.state, *tasks)

    outcome = fetch([*tasks, a_task(2)], tmp_path / "there", backend)

    found = {str(path.relative_to(tmp_path / "there")): path for path in files_below(tmp_path / "there")}
    assert (outcome.results, outcome.without) == (2, 1)
    assert outcome.files.size == sum(path.stat().st_size for path in found.values())
    assert set(found) == {f"{index}/{name}" for index in (1, 12) for name in (*ODD, "stdout.txt", "result.json")}


def test_a_result_that_is_not_the_tasks_is_not_fetched(objects, job, tmp_path: Path) -> None:
    backend = a_backend(tmp_path / "home", objects=objects)
    task = a_task(1, state=TaskState.SUCCEEDED, result_generation=job[12])
    put(backend.state, task)

    assert fetch([task], tmp_path / "there", backend) == Outcome(without=1)
    assert fetch([replace(task, index=12, result_generation="1")], tmp_path / "there", backend) == Outcome(gone=1)
    assert not (tmp_path / "there").exists()
