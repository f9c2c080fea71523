"""Timing: all the seconds of the protocol in one place, so that tests can run it quickly."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds. See PROTOCOL §2 and §3 for what each guards."""

    #: A worker that could not commit for this long must not touch anything any more.
    lease: float = 120.0
    #: Before the end of the lease: no new claim; SIGTERM; SIGKILL and exit.
    claim_margin: float = 45.0
    term_margin: float = 30.0
    kill_margin: float = 15.0
    #: The longest between two heartbeats.
    beat: float = 5.0
    #: After which a worker tries again what the store refused.
    retry: float = 1.0
    #: Between two commits of a worker, in the long run; a few may come sooner.
    commit_gap: float = 0.0
    #: How often a busy worker looks whether there is something to stop. One that has become idle looks less and less
    #: often at its cluster, and asks for work that nobody told it of this often.
    look: float = 5.0
    idle_look: float = 30.0
    #: Between two looks of a worker for nodes of its cluster that died; 0 where others see to that.
    sweep: float = 0.0
    #: A node that has not written for this long, by the store's own clock, is lost.
    silence: float = 150.0
    #: A live process without a beat for this long is hung.
    hung: float = 60.0
    #: Between two sweeps of a watched job's nodes.
    heal: float = 2.0
    #: The shortest pause between two looks at a watched job, and the longest.
    poll: float = 0.02
    longest_poll: float = 0.5
    #: Between SIGTERM and SIGKILL.
    grace: float = 10.0
    #: Work that a worker claims ahead.
    ahead: float = 5.0
    #: How long the upload of a result is tried again.
    upload_patience: float = 1800.0
    #: How long a node that goes waits for the rest of logs to be brought in. A spot VM has 30 s from its notice on.
    log_patience: float = 15.0


def timing(**usual: float) -> Timing:
    """Return the times of a backend, given how its `usual` ones differ.

    SPARKLES_TIMING, a JSON object, changes some for tests.
    """
    return Timing(**{**usual, **json.loads(os.environ.get("SPARKLES_TIMING", "{}"))})
