"""Needed files: what other jobs left as results and a manifest refers to, by content. Reads; writes nothing.

Only committed results of tasks that succeeded count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple

from sparkles import patterns, results
from sparkles.errors import BackendError, RequestError, nearest
from sparkles.folders import Folders
from sparkles.model import Task
from sparkles.paths import LOG_NAME, RESULT_NAME
from sparkles.ports.backend import Backend
from sparkles.references import Reference, reference, written


class ResultFile(NamedTuple):
    """A file of a result."""

    job: str
    index: int  # type: ignore[assignment] # the word of the docs; nobody needs tuple.index of a file
    name: str


class NeededFiles:
    """The results that a manifest refers to; says what is wrong with them through `problem`."""

    def __init__(self, needs: Collection[str], backend: Backend, problem: Callable[[str, str], None]) -> None:
        #: sha256 → a file with that content.
        self.found: dict[str, ResultFile] = {}
        self._needs = needs
        self._backend = backend
        self._problem = problem
        #: Job → name (`JOB/INDEX/FILE`) → what result.json says of the file.
        self._names: dict[str, dict[str, dict[str, Any]]] = {}
        self._folders: dict[str, Folders] = {}

    def refer(self, src: str, where: str) -> Reference | None:
        """Return what a src refers to, or None. Raises RequestError if that job is not among the needs."""
        found = reference(src)
        if found and found.job not in self._needs:
            raise RequestError(
                f"{where}: {src!r} needs the results of job {found.job}: add it to spec.needs, or to sub as "
                f"--needs {found.job}{nearest(found.job, self._needs)}"
            )
        return found

    def one(self, src: str, where: str) -> tuple[bytes, str]:
        """Return the content of the one small file that a src refers to, and its sha256."""
        names = list(self.below(src, where))
        if len(names) > 1:
            self._problem(where, f"{src!r} is {len(names)} files; expected one")
        if len(names) != 1:
            return b"", ""
        return self._backend.objects.read_output(*_file(names[0])), self.pinned(names[0], where)[0]

    def below(self, src: str, where: str) -> Iterator[str]:
        """Yield each file that a src stands for, as a src of its own."""
        refers = reference(src)
        assert refers is not None
        known = self._of(refers.job)
        if refers.name in known:
            yield written(refers.name)
            return
        if flaw := patterns.flaw(refers.pattern):
            self._problem(where, f"{src!r} is not a pattern: {flaw}")
            return
        names = self._folders[refers.job].chosen(refers)
        chosen = [name for name in names if refers.path.endswith(LOG_NAME) or not _is_ours(name)]
        if not chosen:
            near = nearest(src, map(written, known))
            self._problem(where, f"no result of job {refers.job} is {src!r}{near}")
        yield from map(written, chosen)

    def pinned(self, src: str, where: str) -> tuple[str, bool]:  # noqa: ARG002 - as LocalFiles has it
        """Return the hash of a file that `below` yielded, and whether the task left it as a program."""
        file = _file(src)
        listed = self._of(file.job)[f"{file.job}/{file.index}/{file.name}"]
        digest = listed.get("sha256") or self._backend.objects.output_sha256(*file)
        self.found[digest] = file
        return digest, bool(listed.get("executable"))

    def _of(self, job: str) -> dict[str, dict[str, Any]]:
        if job not in self._names:
            self._names[job] = dict(self._read(job))
            self._folders[job] = Folders(self._names[job])
        return self._names[job]

    def _read(self, job: str) -> Iterator[tuple[str, dict[str, Any]]]:
        tasks = list(self._backend.state.tasks(job))
        documents = results.each(lambda task: _document(task, self._backend), tasks, self._backend)
        for task, document in zip(tasks, documents, strict=True):
            for file in (*document["files"], {"name": LOG_NAME}, {"name": RESULT_NAME}):
                yield f"{job}/{task.index}/{file['name']}", file


def _document(task: Task, backend: Backend) -> dict[str, Any]:
    found = results.in_place(task, backend)
    if found is None:
        raise BackendError(f"{task.id}: its result is about to be moved into its place; run this again")
    return found


def _file(src: str) -> ResultFile:
    found = reference(src)
    assert found is not None
    index, _, name = found.path.partition("/")
    return ResultFile(found.job, int(index), name)


def _is_ours(name: str) -> bool:
    """Say whether sparkles itself wrote a file: it holds times, and would make all that takes it run again."""
    return name.split("/", 2)[2] in (LOG_NAME, RESULT_NAME)
