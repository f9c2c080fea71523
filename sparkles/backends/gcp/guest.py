"""Guest: what a VM's metadata server says of it, to the programs that run there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import requests

from sparkles.errors import BackendError

_HEADERS = {"Metadata-Flavor": "Google"}

#: Seconds that an answer may take, and those that one is waited for which comes when something changes.
_TIMEOUT, _CHANGE = 10.0, 300

#: Seconds after which a server that does not answer is asked again.
_PAUSE = 5.0

#: What the server says of a machine that is being taken away.
_YES = "TRUE"


class Guest:
    """Asks the metadata server."""

    def __init__(self) -> None:
        host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
        self._root = f"http://{host}/computeMetadata/v1/instance"

    def about(self, name: str) -> str:
        """Return what is said of this machine. Raises BackendError if nobody answers."""
        try:
            answer = requests.get(f"{self._root}/{name}", headers=_HEADERS, timeout=_TIMEOUT)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise BackendError(f"the metadata server does not say what this machine is: {error}") from None
        return answer.text.strip()

    def watch(self, taken_away: Callable[[], None]) -> None:
        """Call `taken_away`, in a thread of its own, when this machine is announced to be taken away."""
        threading.Thread(target=self._watch, args=[taken_away], name="notice", daemon=True).start()

    def _watch(self, taken_away: Callable[[], None]) -> None:
        etag = ""
        while True:
            try:
                etag, said = self._change("preempted", etag)
            except requests.RequestException:
                time.sleep(_PAUSE)
                continue
            if said == _YES:
                taken_away()
                return

    def _change(self, name: str, etag: str) -> tuple[str, str]:
        """Return what is said when it is not that any more which had this `etag`; an empty one is none: at once."""
        wait = {"wait_for_change": "true", "last_etag": etag, "timeout_sec": str(_CHANGE)} if etag else {}
        answer = requests.get(f"{self._root}/{name}", params=wait, headers=_HEADERS, timeout=_CHANGE + _TIMEOUT)
        answer.raise_for_status()
        return answer.headers.get("ETag", ""), answer.text.strip()
