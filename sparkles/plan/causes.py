"""Causes: why the tasks that a plan changes are not what they were. Pure.

A task changes because its row did, or because something did that all rows share, or both. Which it was is found
exactly: by what the old definition would make of the new row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sparkles.changes import Change, arrow
from sparkles.compile import Definition, Row
from sparkles.errors import SparklesError
from sparkles.spec import spec_of

#: From this many changed tasks on, causes are told of all of them at once.
DETAILED = 10_000


def common(changes: Sequence[Change]) -> str:
    """Return what changed for all tasks alike; of the parameters only that they did."""
    texts = [change.text for change in changes if change.policy == "rerun" and change.field != "parameters"]
    return ", ".join(texts) or "parameters"


class Causes:
    """Tells the cause for each task, given how the document that defined it has changed."""

    def __init__(self, changes: Sequence[Change], document: Mapping[str, Any] | None) -> None:
        self._common = common(changes)
        self._shared = self._common if self._common != "parameters" else ""
        self._digest = self._old_definition(document) if document and self._shared else None

    def of(self, before: Row, after: Row, *, index: int, digest: bytes) -> str:
        """Return why the task whose row was `before` and is `after` has a new `digest`."""
        row = ", ".join(
            arrow(f"parameters.{name}", before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        )
        if not row:
            return self._common
        shared = self._shared if self._digest and self._digest(after, index) != digest else ""
        return ", ".join(filter(None, [shared, row]))

    @staticmethod
    def _old_definition(document: Mapping[str, Any]) -> Callable[[Row, int], bytes | None]:
        """Return what tells the digest that the old document would give a row; None if it could not take it."""
        spec = spec_of(document)
        definition = cache(lambda columns: Definition(spec, columns=columns, seq="seq" in spec.parameters))

        def digest(row: Row, index: int) -> bytes | None:
            try:
                return definition(tuple(row)).digest(row, index)
            except SparklesError:
                return None  # for example a sample whose file was not uploaded before

        return digest
