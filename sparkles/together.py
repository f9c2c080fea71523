"""Together: several jobs are marked as being applied before any of them is changed: all of them, or none.

Nor is a job made and a whole of its name, by two at once: one of them, or both, will see the other's mark.

Until its turn has come nobody else applies one of them, and one that waited does not begin as it was meant before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from sparkles import mark, marking, names, wholes
from sparkles.errors import BackendError
from sparkles.manifest import Manifest
from sparkles.marking import Submitter
from sparkles.model import Applying, Writes
from sparkles.ports.backend import Backend
from sparkles.prepare import Prepared


class Together:
    """Jobs that are marked, and wait for their turn."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: dict[str, tuple[Prepared, Applying]] = {}
        self._is_over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="marks", daemon=True)

    def mark(self, prepared: Prepared, submitter: Submitter | None, *, force: bool) -> None:
        """Mark a job."""
        self._waiting[prepared.name] = prepared, marking.put_mark(prepared, self._backend, submitter, force=force)

    def keep(self) -> None:
        """See to it that the marks stay: who goes first may upload, and wait for nodes, for long."""
        if len(self._waiting) > 1:
            self._renewing.start()

    def turn(self, prepared: Prepared) -> Applying:
        """Return the mark of a job that is changed now."""
        _, applying = self._waiting.pop(prepared.name)
        return applying

    def end(self) -> None:
        """Leave the jobs that had no turn as they were."""
        self._is_over.set()
        if self._renewing.is_alive():
            self._renewing.join()
        for prepared, applying in self._waiting.values():
            marking.withdraw(prepared, self._backend, applying)

    def _renew(self) -> None:
        """Say every few seconds that the jobs are still being applied."""
        if self._is_over.wait(mark.RENEWAL):
            return
        backend = self._backend.reopen()
        with closing(backend.state):
            while True:
                for name, (_, applying) in list(self._waiting.items()):
                    with suppress(BackendError):  # if another has taken a job over, its turn will find that out
                        mark.Marked(name, applying, backend).commit(([], lambda _: Writes()))
                if self._is_over.wait(mark.RENEWAL):
                    return


def _require_names(prepared: Sequence[Prepared], backend: Backend) -> None:
    """Raise RequestError if a job and a whole of one name are both new: each is marked first, and then looks around."""
    new = [one for one in prepared if one.job is None and (one.whole or not names.is_generated(one.name))]
    if new:
        manifests = [
            Manifest(document=one.pinned.document, source=f"job {one.name}", base=one.pinned.base) for one in new
        ]
        wholes.require_names(manifests, backend.state.open_jobs())  # what has ended was seen before


@contextmanager
def together(
    prepared: Sequence[Prepared], backend: Backend, submitter: Submitter | None, *, force: bool
) -> Iterator[Together]:
    """Mark jobs, all or none; in the end withdraw from those that had no turn."""
    marked = Together(backend)
    try:
        for one in prepared:
            marked.mark(one, submitter, force=force)
        _require_names(prepared, backend)
        marked.keep()
        yield marked
    finally:
        marked.end()
