"""Guest: what a VM's metadata server says of it, to the programs that run there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from sparkles.errors import BackendError

_HEADERS = {"Metadata-Flavor": "Google"}

#: Seconds that an answer may take, and those that one is waited for which comes when something changes.
_TIMEOUT, _CHANGE = 10.0, 300

#: Seconds after which a server is asked again that does not answer, or cannot tell when something changes.
_PAUSE = 5.0

#: It is not there for a moment while it is renewed.
_RETRY = Retry(total=5, backoff_factor=0.5, status_forcelist=[500, 503])

#: What the server says of a machine that is being taken away.
_YES = "TRUE"


class Guest:
    """Asks the metadata server. `sleep` is how it waits between two questions."""

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
        self._root = f"http://{host}/computeMetadata/v1/instance"

    def about(self, name: str) -> str:
        """Return what is said of this machine. Raises BackendError if nobody answers."""
        try:
            with _session() as session:
                answer = session.get(f"{self._root}/{name}", timeout=_TIMEOUT)
                answer.raise_for_status()
        except requests.RequestException as error:
            raise BackendError(f"the metadata server does not say what this machine is: {error}") from None
        return answer.text.strip()

    def watch(self, taken_away: Callable[[], None]) -> None:
        """Call `taken_away`, in a thread of its own, when this machine is announced to be taken away."""
        threading.Thread(target=self._watch, args=[taken_away], name="notice", daemon=True).start()

    def _watch(self, taken_away: Callable[[], None]) -> None:
        etag, said = "", ""
        while said != _YES:
            etag, said = self._change_if_any("preempted", etag)
            if not etag and said != _YES:
                self._sleep(_PAUSE)
        taken_away()

    def _change_if_any(self, name: str, etag: str) -> tuple[str, str]:
        try:
            return self._change(name, etag)
        except requests.RequestException:
            return "", ""

    def _change(self, name: str, etag: str) -> tuple[str, str]:
        """Return what is said when it is not that any more which had this `etag`; an empty one is none: at once."""
        wait = {"wait_for_change": "true", "last_etag": etag, "timeout_sec": str(_CHANGE)} if etag else {}
        with _session() as session:
            answer = session.get(f"{self._root}/{name}", params=wait, timeout=_CHANGE + _TIMEOUT)
            answer.raise_for_status()
        return answer.headers.get("ETag", ""), answer.text.strip()


def _session() -> requests.Session:
    """Return a way to ask. No proxy of the environment is used: the server is the machine's own."""
    session = requests.Session()
    session.trust_env = False
    session.headers.update(_HEADERS)
    session.mount("http://", HTTPAdapter(max_retries=_RETRY))
    return session
