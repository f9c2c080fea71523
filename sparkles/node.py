"""Node: the process of a node. Gives the worker its backend, and tells it when its machine is taken away.

On a machine of its own it is started by the startup script, which goes by the exit code: 0 is a node that is gone, and
whose machine has to go, too.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from sparkles.backends.local.runtime import lead_session
from sparkles.backends.registry import open_node
from sparkles.model import Reason
from sparkles.presence import FencedError
from sparkles.worker.loop import Worker

#: A process that was given up by others says so with this exit code.
_FENCED = 3

#: And one whose machine is made anew with this one. To have it removed then might remove what comes in its place.
_COMES_ANEW = 75


def main(name: str | None = None) -> None:
    """Serve as the node of this name, or as the one of this machine, until there is nothing to do."""
    lead_session()
    backend, place = open_node(name)
    worker = Worker(backend, place, backend.timing)

    def terminate(*_: Any) -> None:
        worker.terminate()

    def take_away() -> None:
        worker.terminate(Reason.PREEMPTED)

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place.watch(take_away)
    try:
        worker.run()
    except FencedError:
        print(f"node {place.name}: given up by others, or out of touch for too long", flush=True)  # noqa: T201
        os._exit(_FENCED)  # a slot may be busy: nothing of it counts any more
    backend.state.close()
    backend.objects.complete_logs(patience=backend.timing.log_patience)
    place.leave()
    sys.exit(_COMES_ANEW if worker.comes_anew else 0)


if __name__ == "__main__":
    main()
