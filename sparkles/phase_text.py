"""Phase text: the lines that say that a phase of a Foreach begins. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparkles import parts, placeholders
from sparkles.foreach import RUNNERS
from sparkles.references import reference

Document = Mapping[str, Any]


def is_known_before(document: Document) -> bool:
    """Say whether the line about a phase can be written before its tasks are known."""
    return _part(document) != parts.MIDDLE


def submission_line(document: Document, *, tasks: int = 1, batch_size: int = 1) -> str:
    """Return the manual's line about a phase, given its Job document and how many tasks it has."""
    purpose = _purpose(document, tasks=tasks, batch_size=batch_size)
    return f"Submitting job named {document['metadata']['name']} to {purpose}"


def upload_line(*, missing: int, upload_bytes: int, files: int) -> str:
    """Return the manual's line about what is uploaded, of how many files."""
    return f"{missing} files ({upload_bytes} bytes) out of {files} files will be uploaded"


def files_of(document: Document) -> int:
    """Return how many files of the submitter a pinned document names, and the worker program.

    >>> files_of({"spec": {"uploads": [{"src": "fit.py"}, {"src": "{results.a}/1/x"}, {"src": "gs://bucket/y"}]}})
    2
    """
    sources = {
        file["src"] for entry in document["spec"].get("uploads", []) for file in (entry, *entry.get("files", ()))
    }
    return 1 + sum(1 for src in sources if not src.startswith("gs://") and not reference(src))


def batch_size_of(document: Document) -> int:
    """Return how many elements a task works through, given the document of the phase that makes them."""
    return int(_call(document)[1])


def _purpose(document: Document, *, tasks: int, batch_size: int) -> str:
    function, *rest = _call(document)
    match _part(document):
        case parts.GETARGS:
            arguments = ", ".join(map(repr, rest[1:]))
            return f"execute {document['metadata']['name']}({arguments})"
        case parts.MIDDLE:
            what = "elements" if batch_size == 1 else f"batches of up to {batch_size} elements"
            return f"evaluate {function} on {tasks} {what}"
    return f"evaluate {function}"


def _call(document: Document) -> Sequence[str]:
    """Return the function that a phase calls, and the words after it."""
    words: Sequence[str] = document["spec"]["command"]
    runner = next(position for position, word in enumerate(words) if word in RUNNERS)
    # After the runner stand the phase and the script. {key}, the one parameter, is the last word of foreach's.
    return [placeholders.parse(word, ["key"], "spec.command").render({"key": ""}) for word in words[runner + 3 :]]


def _part(document: Document) -> str:
    part: str = document["metadata"]["partOf"]["part"]
    return part
