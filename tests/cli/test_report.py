"""`sparkles report`: a page is written, of what there is, and over nothing else."""

from __future__ import annotations

import json
import re
import subprocess

from conftest import eventually


def data(page):
    """Return what the page's script is given of each job."""
    found = re.findall(r'<script type="application/json" class="data">(.*?)</script>', page, re.DOTALL)
    return [json.loads(text) for text in found]


FIT = """
apiVersion: sparkles/v1
kind: Job
metadata: {name: fit}
spec:
  command: '[ {x} -lt 4 ] || { echo bad value {x}; exit 3; }; printf %s {left} > metrics.json'
  parameters:
    rows:
    - {x: "1", left: '{"auc": 0.5, "model": "a", "deep": {"er": 1}}'}
    - {x: "2", left: 'no JSON'}
    - {x: "3", left: '{"auc": 0.75}'}
    - {x: "4", left: ''}
"""


def test_a_page_has_the_tasks_what_they_left_and_what_broke(warm):
    warm.write("fit.yaml", FIT)
    warm("apply", "-f", "fit.yaml", "--wait")

    done = warm("report", "fit", "--fields-from", "metrics.json")

    page = (warm.folder / "fit.html").read_text()
    (job,) = data(page)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "wrote fit.html; open it in a browser\n")
    assert job["state"] == "sssf"
    assert job["fields"] == [
        {"name": "auc", "values": ["0.5", "0.75"], "codes": [0, -1, 1, -1], "numeric": True},
        {"name": "model", "values": ["a"], "codes": [0, -1, -1, -1], "numeric": False},
    ]
    assert "1 file metrics.json holds no fields" in page
    assert "1 task failed: exit code 3, bad value" in page
    assert "<code>sparkles retry fit.4</code>" in page
    assert "[ {x} -lt 4 ]" in page  # the manifest


def test_fields_that_no_task_has_left_are_said(warm):
    warm.ok("sub", "-n", "bare", "true")

    done = warm("report", "bare", "--fields-from", "metric.json")

    assert (done.returncode, done.stdout) == (0, "")
    assert "hint: no task has left a file metric.json with fields" in done.stderr


def test_a_page_is_written_again_but_not_over_anything_else(warm):
    warm.ok("sub", "-n", "one", "true")
    warm.write("mine.html", "<html>mine")
    warm.write("empty.html", "")

    for target in ("one.html", "one.html", "empty.html"):
        warm.ok("report", "one", "-o", target)
    done = warm("report", "one", "-o", "mine.html")

    assert (done.returncode, done.stderr) == (
        2, "error: mine.html is there, and no report; choose another name with -o\n"
    )  # fmt: skip
    assert (warm.folder / "mine.html").read_text() == "<html>mine"
    assert "The task succeeded." in warm.ok("report", "one", "-o", "-")
    assert sorted(path.name for path in warm.folder.iterdir()) == ["empty.html", "mine.html", "one.html"]


def test_a_job_that_runs_has_a_page_as_well(warm):
    go = warm.folder / "go"
    warm.ok("sub", "-n", "long", "--no-wait", "--seq", "2", f"until [ -e '{go}' ]; do sleep 0.05; done")
    eventually(lambda: warm.job("long")["claimed"])

    page = warm.ok("report", "long", "-o", "-")

    go.touch()
    assert "0 of 2 tasks have ended." in page
    assert set(data(page)[0]["state"]) <= {"c", "p"}
    warm("wait", "long")


def test_a_whole_has_one_page_with_all_of_its_jobs(warm):
    warm.write(
        "w.yaml",
        """
        apiVersion: sparkles/v1
        kind: Workflow
        metadata: {name: flow}
        spec:
          steps:
          - {name: one, command: "exit 1"}
          - {name: two, command: "true", needs: [one]}
        """,
    )
    warm("apply", "-f", "w.yaml", "--wait")

    page = warm.ok("report", "flow", "-o", "-")

    assert [(job["job"], job["state"]) for job in data(page)] == [("flow-one", "f"), ("flow-two", "")]
    assert "It waits for flow-one." in page
    assert "<title>flow " in page


def test_a_manifest_says_which_commit_it_was_applied_from_and_a_new_one_changes_nothing(warm):
    def git(*words):
        command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words]
        subprocess.run(command, cwd=warm.folder, check=True, capture_output=True)

    warm.write("job.yaml", "{apiVersion: sparkles/v1, kind: Job, metadata: {name: kept}, spec: {command: 'true'}}\n")
    git("init", "-q")
    git("add", "job.yaml")
    git("commit", "-q", "-m", "the first")
    warm.ok("apply", "-f", "job.yaml", "--wait")
    first = json.loads(warm.ok("get", "kept", "-o", "json"))["metadata"]["git"]
    git("commit", "-q", "--allow-empty", "-m", "the second")

    assert first["dirty"] is False
    assert first["commit"] in warm.ok("report", "kept", "-o", "-")
    warm.ok("diff", "-f", "job.yaml")  # else it would exit with 1
    warm.ok("retry", "kept.1", "--wait")
    assert json.loads(warm.ok("get", "kept", "-o", "json"))["metadata"]["git"] == first
    warm.write("job.yaml", "{apiVersion: sparkles/v1, kind: Job, metadata: {name: kept}, spec: {command: 'true '}}\n")
    warm.ok("apply", "-f", "job.yaml", "--wait", "--yes")
    second = json.loads(warm.ok("get", "kept", "-o", "json"))["metadata"]["git"]
    assert second["commit"] != first["commit"]
    assert second["dirty"] is True
