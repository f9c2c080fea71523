"""Documents: YAML text, or a document built in code, in; validated manifests out."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sparkles.errors import ProblemsError
from sparkles.manifest.nodes import problems_error
from sparkles.manifest.text import parse
from sparkles.manifest.validation import validate_node, validate_plain
from sparkles.parts import whole_of


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One validated document."""

    #: As written: defaults are not filled in.
    document: dict[str, Any]
    #: Where it was read from, for messages.
    source: str
    #: The folder that its relative paths are relative to.
    base: Path
    #: Field → what it is called where this was read, if that is the document of a whole.
    places: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name in its metadata."""
        return str(self.document["metadata"]["name"])

    @property
    def whole(self) -> str | None:
        """The name of the whole that it is a part of; None if it is a job by itself."""
        return whole_of(self.document)

    @property
    def needs(self) -> list[str]:
        """The jobs that must succeed before this one."""
        found: list[str] = self.document["spec"].get("needs", [])
        return found


def read(text: str, *, source: str, base: Path) -> list[Manifest]:
    """Return the manifests of a YAML text, none if it is empty; all that is wrong is one ProblemsError."""
    documents = _validated(text, source=_shown(source), schema=None)
    return [Manifest(document=document, source=_shown(source), base=base) for document in documents]


def read_config(text: str, *, source: str) -> dict[str, Any]:
    """Return the settings of a `.sparkles.yaml`."""
    documents = _validated(text, source=source, schema="config")
    if len(documents) > 1:
        raise ProblemsError([f"{source}: expected one document, found {len(documents)}"])
    return documents[0] if documents else {}


def check_setting(name: str, value: Any) -> list[str]:
    """Return what is wrong with a setting that no file has: sentences that begin with its name."""
    return validate_plain({name: value}, "config")


def check(document: dict[str, Any], *, source: str, base: Path) -> Manifest:
    """Return the manifest of a document that was built in code."""
    if problems := validate_plain(document):
        raise ProblemsError(problems)
    return Manifest(document=document, source=_shown(source), base=base)


def _shown(source: str) -> str:
    return "<stdin>" if source == "-" else source


def _validated(text: str, *, source: str, schema: str | None) -> list[dict[str, Any]]:
    with _no_collection():
        nodes, problems = parse(text, source=source)
        validated = [validate_node(node, schema) for node in nodes]
    found = [*problems, *(problem for _, wrong in validated for problem in wrong)]
    if found:
        raise problems_error(found, source=source)
    return [document for document, _ in validated]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Pause the search for cycles: a tree that is being read has none, and the search takes half the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
