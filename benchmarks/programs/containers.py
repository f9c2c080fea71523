"""Runs `echo task I` for I = 1..N in a container each, one after the other: create, start, wait, logs, remove."""

import sys
from pathlib import Path

import docker

image, count = sys.argv[1], int(sys.argv[2])
engine = docker.from_env().api
for index in range(1, count + 1):
    container = engine.create_container(image, ["busybox", "echo", "task", str(index)])["Id"]
    engine.start(container)
    if engine.wait(container)["StatusCode"]:
        sys.exit(1)
    Path("out", str(index)).write_bytes(engine.logs(container))
    engine.remove_container(container)
