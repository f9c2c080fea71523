"""Jobs on VMs, as their owner sees them: the lines, the reasons, what is reused, and that nothing is left.

The VMs are processes of this machine, and their tasks containers of its docker engine: quick, and true as far as the
client, the startup script and the worker go. `test_in_boxes.py` has VMs that are shut off from this machine.
"""

from __future__ import annotations

import json
import re
from typing import Any

import engine
import pytest
from conftest import ROOT, User, eventually

pytestmark = pytest.mark.in_cloud


def shape(printed: str) -> list[str]:
    """Return what was printed without what differs each time."""
    text = re.sub(r"\d\d:\d\d:\d\d", "TIME", printed)
    text = re.sub(r"\(\d+ bytes\)", "(B bytes)", text)
    return re.sub(r"gs://\S+", "URL", text).splitlines()


def gone(machines: Any) -> Any:
    return machines.wait_until(lambda: not machines.instances, within=60)


def test_the_quick_start(owner: User, machines: Any) -> None:
    printed = owner.ok("sub", "echo", "hello", "world", timeout=100)

    slow = ("claimed", "running", "[starting tail", "Processes running")  # what only a slow machine shows
    assert [line for line in shape(printed) if not any(word in line for word in slow)] == [
        "1 files (B bytes) out of 1 files will be uploaded",
        "tasks: pending (1), worker nodes:",
        "tasks: pending (1), worker nodes: staging (1)",
        "[TIME] hello world",
        "Job finished. 1 tasks completed successfully, 0 tasks failed",
        "Done waiting for job. You can download results via 'gsutil rsync -r URL DEST_DIR'",
    ]
    gone(machines)
    machines.wait_until(lambda: not machines.groups, within=10)  # a group goes a moment after its last machine


def test_a_sweep_with_a_file_on_several_nodes(owner: User, machines: Any) -> None:
    owner.write("parameters.csv", "lambda,size\n0.1,small\n1.0,large\n")
    owner.write("files.txt", "fit.sh\n")
    owner.write("fit.sh", "echo fit $1 $2\n")

    owner.ok(
        "sub", "-n", "fit", "--nodes", "2", "-u", "@files.txt", "--params", "parameters.csv",
        "sh", "fit.sh", "{lambda}", "{size}", timeout=100,
    )  # fmt: skip

    assert [owner.log(f"fit.{index}") for index in (1, 2)] == ["fit 0.1 small\n", "fit 1.0 large\n"]
    assert machines.count("compute.regionInstanceGroupManagers.resize") == 1
    machines.wait_until(lambda: len(machines.instances) == 1, within=60)  # one lingers: `keep` is 1


def test_a_job_of_the_same_name_runs_on_the_node_that_lingers(owner: User, machines: Any) -> None:
    owner.ok("sub", "-n", "fit", "echo", "1", timeout=100)
    (first,) = [each.vm.id for each in machines.instances]

    owner.ok("sub", "-n", "fit", "echo", "2", timeout=100)

    assert [each.vm.id for each in machines.instances] == [first]
    assert owner.log("fit.1") == "2\n"


@pytest.fixture(scope="module")
def other_tools(registry: Any, api: Any) -> str:
    """Another image than the usual one, with the same programs."""
    name = "sparkles-test/other-tools"
    engine.import_image(api, name, {**engine.busybox_files(), "etc/other": b""})
    pushed = registry.push(api, name, name="other-tools")
    engine.remove_images(api, name)
    api.pull(pushed.pinned)
    return str(pushed.tagged)


def test_another_image_does_not_reuse_the_node(owner: User, machines: Any, other_tools: str) -> None:
    owner.ok("sub", "-n", "fit", "echo", "1", timeout=100)
    (first,) = [each.vm.id for each in machines.instances]

    owner.ok("sub", "-n", "fit", "-i", other_tools, "ls", "/etc/other", timeout=100)

    assert len({*(each.vm.id for each in machines.instances), first}) == 2
    assert owner.log("fit.1") == "/etc/other\n"


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param({"gpus": {"type": "nvidia-tesla-t4", "count": 1}}, id="a GPU"),
        pytest.param({"disks": [{"sizeGb": 10, "mount": "/scratch"}]}, id="a disk"),
        pytest.param({"bootDisk": {"sizeGb": 60}}, id="a larger disk to boot from"),
    ],
)
def test_what_no_waiting_node_has_asks_for_another_one(
    owner: User, machines: Any, tools: str, resources: dict[str, Any]
) -> None:
    machines.run_instead("#!/bin/sh\nexec sleep 600\n")
    write_job(owner, tools, tasks=1)
    owner.ok("apply", "job.json", timeout=100)

    write_job(owner, tools, tasks=1, resources=resources)
    planned = owner("diff", "job.json").stdout
    owner.ok("apply", "job.json", "--yes", timeout=100)

    assert "+ 1 node " in planned
    assert len({each.vm.attributes["sparkles-group"] for each in machines.instances}) == 2


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["-m", "n1-standard-2"], id="another machine type"),
        pytest.param(["--spot"], id="spot"),
        pytest.param(["--label", "project=depmap"], id="another label"),
        pytest.param(["--slots", "2"], id="another number of slots"),
    ],
)
def test_what_needs_another_machine_does_not_reuse_the_node(owner: User, machines: Any, flags: list[str]) -> None:
    owner.ok("sub", "-n", "fit", "echo", "1", timeout=100)
    (first,) = [each.vm.id for each in machines.instances]

    owner.ok("sub", "-n", "fit", *flags, "echo", "2", timeout=100)

    assert first in [each.vm.id for each in machines.instances]
    assert len({*(each.vm.id for each in machines.instances), first}) == 2


def test_a_job_grows_and_is_killed(owner: User, machines: Any) -> None:
    owner.ok("sub", "-n", "long", "--no-wait", "--seq", "4", "sleep", "1000", timeout=100)
    eventually(lambda: owner.job("long")["claimed"] == 1, within=60)

    owner.ok("scale", "long", "2", timeout=100)
    eventually(lambda: owner.job("long")["claimed"] == 2, within=60)
    owner.ok("kill", "long", timeout=100)

    assert owner.wait_for("long", killed=4)["state"] == "killed"
    machines.wait_until(lambda: len(machines.instances) == 1, within=60)


def test_a_kill_takes_back_what_was_asked_for(owner: User, machines: Any) -> None:
    machines.stockout()
    owner.ok("sub", "-n", "fit", "--no-wait", "--seq", "5", "--nodes", "5", "echo", "{index}", timeout=100)
    (group,) = machines.groups.values()
    asked = group.target

    owner.ok("kill", "fit", timeout=100)

    assert (asked, group.target) == (5, 0)


# Reasons. No VM has to boot for them.


def test_a_stockout_is_said_while_the_job_waits(owner: User, machines: Any) -> None:
    machines.stockout()
    process = owner.start("sub", "-n", "fit", "echo", "1")

    lines = []
    while "Google has no n1-standard-1 free" not in (line := process.stdout.readline().decode()):
        assert line, process.stderr.read().decode()
        lines.append(line)
    machines.restock()
    out, _ = process.communicate(timeout=100)

    assert process.returncode == 0
    assert any("submitted (1)" in line for line in [*lines, out.decode()])


def test_why_machines_did_not_start_is_said_and_no_more_are_started(
    owner: User, machines: Any, lose_images: Any, worker: Any
) -> None:
    owner.set_timing(heal=0.3)
    lose_images(worker.pinned)

    done = owner("sub", "-n", "fit", "echo", "1", timeout=100)

    assert done.returncode == 3
    assert "worker nodes: a node did not start: image" in done.stdout
    assert "push it again" in done.stdout
    assert "no more are started" in done.stderr
    assert machines.count("compute.regionInstanceGroupManagers.resize") == 3


def test_a_machine_type_that_does_not_exist_changes_nothing(owner: User, machines: Any) -> None:
    done = owner("sub", "-n", "fit", "-m", "n1-standrad-1", "echo", "1")

    assert done.returncode == 2
    assert "did you mean 'n1-standard-1'" in done.stderr
    assert owner.rows("status") == []


@pytest.mark.parametrize("kind", ["t2a-standard-1", "c4a-standard-1"])
def test_an_image_that_is_not_made_for_the_machines_changes_nothing(owner: User, machines: Any, kind: str) -> None:
    done = owner("sub", "-n", "fit", "-m", kind, "echo", "1")

    assert done.returncode == 2
    assert "is made for linux/amd64; nodes of this machine type run linux/arm64: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert owner.rows("status") == []


def test_a_zone_that_does_not_exist_changes_nothing(owner: User, machines: Any) -> None:
    owner.env["SPARKLES_ZONES"] = "us-central1-z"

    done = owner("sub", "-n", "fit", "echo", "1")

    assert done.returncode == 2
    assert "there is no zone 'us-central1-z'; 'gcloud compute zones list' shows them" in done.stderr
    assert owner.rows("status") == []


def test_a_missing_right_changes_nothing(owner: User, machines: Any) -> None:
    machines.rights.denied.add("compute.instanceTemplates.create")

    done = owner("sub", "-n", "fit", "echo", "1")

    assert done.returncode == 3
    assert "compute.instanceTemplates.create" in done.stderr
    assert owner.rows("status") == []


def test_a_job_without_an_image_is_refused(owner: User, machines: Any) -> None:
    owner.write(".sparkles.yaml", "{}\n")

    done = owner("sub", "echo", "1")

    assert done.returncode == 2
    assert "add -i IMAGE" in done.stderr


def test_without_a_region_there_can_be_no_node(owner: User, machines: Any) -> None:
    del owner.env["SPARKLES_REGION"]

    done = owner("sub", "echo", "1")

    assert done.returncode == 3
    assert "needs a region" in done.stderr


def test_the_plan_counts_nodes_that_are_on_their_way(owner: User, machines: Any, tools: str) -> None:
    machines.run_instead("#!/bin/sh\nexec sleep 600\n")
    write_job(owner, tools, tasks=3)

    first = owner("diff", "job.json").stdout
    owner.ok("apply", "job.json", timeout=100)
    write_job(owner, tools, tasks=4)
    second = owner("diff", "job.json").stdout

    assert "+ 3 nodes" in first
    assert "nodes" not in second


def write_job(owner: User, image: str, *, tasks: int, **more: Any) -> None:
    spec = {"image": image, "command": ["echo", "{index}"], "parameters": {"seq": tasks}, "nodes": {"max": 3}, **more}
    job = {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "fit"}, "spec": spec}
    owner.write("job.json", json.dumps(job))


def test_the_parts_of_a_whole_share_their_nodes(owner: User, machines: Any, tools: str) -> None:
    owner.write(
        "flow.yaml",
        "apiVersion: sparkles/v1\nkind: Workflow\nmetadata: {name: flow}\nspec:\n"
        f"  image: '{tools}'\n"
        "  steps:\n"
        "    - {name: make, command: echo made > made.txt}\n"
        "    - {name: take, needs: [make], uploads: ['{results.make}/1/made.txt'], command: cat make/1/made.txt}\n",
    )

    owner.ok("apply", "--wait", "flow.yaml", timeout=100)

    assert owner.log("flow-take.1") == "made\n"
    assert machines.count("compute.regionInstanceGroupManagers.insert") == 1
    assert machines.count("compute.regionInstanceGroupManagers.resize") == 1


def test_the_phases_of_a_script_run_on_one_node(owner: User, machines: Any, registry: Any, api: Any) -> None:
    if not engine.has_image(api, "sparkles-test/python2"):
        pytest.skip("needs the image sparkles-test/python2: bash tests/images/python2")
    python = registry.push(api, "sparkles-test/python2", name="python", tag="2.7-alpine").tagged
    owner.write("sample-scatter.py", (ROOT / "examples" / "foreach" / "sample-scatter.py").read_text())

    printed = owner.ok("sub", "-i", python, "-n", "sample", "--foreach", "sample-scatter.py", "2.0", timeout=200)

    assert [line for line in printed.splitlines() if line.startswith("Submitting")] == [
        "Submitting job named sample-getargs to execute sample-getargs('2.0')",
        "Submitting job named sample to evaluate foreach on 4 elements",
        "Submitting job named sample-gather to evaluate gather",
    ]
    assert owner.log("sample-gather.1") == "[2.0, 4.0, 6.0, 8.0]\n"
    assert machines.count("compute.regionInstanceGroupManagers.insert") == 1
    assert len(machines.instances) == 1
