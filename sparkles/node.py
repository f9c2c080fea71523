"""Node: the process of a node on this machine. Gives the worker its backend."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from sparkles.backends.local.runtime import lead_session
from sparkles.backends.registry import open_node
from sparkles.lifecycle import FencedError
from sparkles.worker.loop import Worker

#: A process that was given up by others says so with this exit code.
_FENCED = 3


def main(name: str) -> None:
    """Serve as the node of this name until there is nothing to do."""
    lead_session()
    backend, place = open_node(name)
    worker = Worker(backend, place, backend.timing)

    def terminate(*_: Any) -> None:
        worker.terminate()

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker.run()
    except FencedError:
        print(f"node {name}: given up by others, or out of touch for too long", flush=True)  # noqa: T201
        os._exit(_FENCED)  # a slot may be busy: nothing of it counts any more
    backend.state.close()
    place.leave()
    sys.exit(0)
