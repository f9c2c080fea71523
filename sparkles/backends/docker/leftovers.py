"""Leftovers: containers that a dead worker may have left running, by the records that it wrote before it made them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from sparkles.backends.docker.engine import Engine, EngineError, reached
from sparkles.backends.docker.runtime import container_name, remove
from sparkles.backends.process import boot_id
from sparkles.errors import BackendError

#: Seconds that the engine may take to remove a container that it has begun to remove.
_DEATH, _PAUSE = 30.0, 0.1


def remove_recorded(records: Sequence[Path], *, node: str) -> frozenset[str]:
    """Remove the containers that these records of a node name; return the claims that they ran for.

    Removes also what carries the node's label: what it had asked for when it died may have been made since.

    Raises BackendError if one may still run, because its engine cannot be asked.
    """
    named: dict[tuple[str, str], list[str]] = {}
    for record in records:
        with suppress(ValueError, FileNotFoundError):  # the worker died while it wrote: the engine had not been asked
            content = json.loads(record.read_text(encoding="utf-8"))
            named.setdefault((content["engine"], content["boot"]), []).append(container_name(record.name))
    for (address, boot), names in named.items():
        _remove_all(names, address, boot=boot, node=node)
    return frozenset(record.name for record in records)


def remove_of_machine(engine: Engine, machine: str) -> None:
    """Remove all containers of nodes that had this machine to themselves. Raises BackendError if one may still run."""
    for name in _labelled("machine", machine, engine):
        _remove(name, engine)


def _remove_all(names: Sequence[str], address: str, *, boot: str, node: str) -> None:
    """Remove what one engine has of a node."""
    try:
        with closing(Engine(address)) as engine:
            for name in (*names, *_labelled("node", node, engine)):
                _remove(name, engine)
    except EngineError:
        if boot == boot_id():  # otherwise they ended with the machine
            raise


def _labelled(kind: str, name: str, engine: Engine) -> Sequence[str]:
    with reached():
        filters = {"label": f"sparkles.{kind}={name}"}
        return [found["Id"] for found in engine.api.containers(all=True, filters=filters)]


def _remove(name: str, engine: Engine) -> None:
    deadline = time.monotonic() + _DEATH
    while True:
        try:
            return remove(engine.api, name)
        except EngineError:
            raise
        except BackendError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)
