"""Defaults: all of the schema's, and none of the backend's."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from sparkles.manifest import check, with_defaults


def a_job(**fields):
    return {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {"command": ["echo"], **fields},
    }


def test_every_default_of_the_schema_is_filled_in():
    document = a_job(resources={"gpus": {"type": "t4"}, "mounts": [{"bucket": "bbb", "path": "/data"}]})
    before = deepcopy(document)

    filled = with_defaults(document)

    assert document == before
    assert filled["metadata"] == {"name": "j", "labels": {}}
    assert filled["spec"] == {
        "command": ["echo"],
        "resources": {
            "gpus": {"type": "t4", "count": 1},
            "mounts": [{"bucket": "bbb", "path": "/data", "readOnly": True}],
        },
        "workingDir": ".",
        "env": {},
        "uploads": [],
        "nodes": {
            "max": 1,
            "provisioning": "standard",
            "maxLife": "7d",
            "externalIp": True,
            "credentials": "node",
        },
        "retries": {"limit": 0, "on": ["exit", "out-of-memory", "timeout"]},
        "outputs": {"include": ["**"], "exclude": []},
        "needs": [],
    }


def test_filled_defaults_are_valid_and_stay():
    filled = with_defaults(a_job())

    assert check(filled, source="sub", base=Path()).document == filled
    assert with_defaults(filled) == filled


def test_filled_defaults_are_nobody_elses():
    with_defaults(a_job())["spec"]["env"]["A"] = "x"

    assert with_defaults(a_job())["spec"]["env"] == {}
