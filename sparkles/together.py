"""Together: several jobs are marked as being applied before any of them is changed: all of them, or none.

Until its turn has come nobody else applies one of them, and one that waited does not begin as it was meant before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sparkles import apply
from sparkles.apply import Submitter
from sparkles.mark import Marked
from sparkles.model import Applying
from sparkles.ports import Backend
from sparkles.prepare import Prepared


class Together:
    """Jobs that are marked, and wait for their turn."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._waiting: dict[str, tuple[Prepared, Applying, Marked]] = {}

    def begin(self, prepared: Prepared, submitter: Submitter | None, *, force: bool) -> None:
        """Mark a job."""
        applying = apply.begin(prepared, self._backend, submitter, force=force)
        self._waiting[prepared.name] = prepared, applying, Marked(prepared.name, applying, self._backend)

    def turn(self, prepared: Prepared) -> Applying:
        """Return the mark of a job that is changed now."""
        self.renew()
        _, applying, _ = self._waiting.pop(prepared.name)
        return applying

    def renew(self) -> None:
        """Say that the jobs are still being applied, if that was long ago."""
        for _, _, marked in self._waiting.values():
            marked.renew()

    def withdraw(self) -> None:
        """Leave the jobs that had no turn as they were."""
        for prepared, applying, _ in self._waiting.values():
            apply.withdraw(prepared, self._backend, applying)


@contextmanager
def together(
    prepared: Sequence[Prepared], backend: Backend, submitter: Submitter | None, *, force: bool
) -> Iterator[Together]:
    """Mark jobs, all or none; in the end withdraw from those that had no turn."""
    marked = Together(backend)
    try:
        for one in prepared:
            marked.begin(one, submitter, force=force)
        yield marked
    finally:
        marked.withdraw()
