"""References: `{results.JOB}/INDEX/FILE` names what the tasks of another job left. Pure.

`{sparkles.templates}/FILE` names a file of sparkles itself, wherever it is installed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_REFERENCE = re.compile(r"\{results\.(?P<job>[^{}]+)\}(?P<path>(?:/.*)?)", re.DOTALL)

_SHIPPED = "{sparkles.templates}/"

#: What makes a path a pattern.
_MAGIC = re.compile(r"[*?\[]")


class Reference(NamedTuple):
    """Files of another job's results."""

    job: str
    #: Below the job's results: "", or an index, a file's or folder's name below it, or a pattern of such.
    path: str

    @property
    def name(self) -> str:
        """All of it in one: `JOB/INDEX/FILE`."""
        return f"{self.job}/{self.path}"

    @property
    def pattern(self) -> str:
        """What chooses the files, among names that begin with the job's."""
        return f"{self.job}/{self.path or '**'}"

    @property
    def root(self) -> str:
        """The folder that the files are named from: the whole path, or what stands before its first wildcard."""
        fixed = _MAGIC.split(self.path, maxsplit=1)[0]
        below = self.path if fixed == self.path else fixed.rpartition("/")[0]
        return f"{self.job}/{below}".rstrip("/")


def reference(src: str) -> Reference | None:
    """Return what a src, or the name of a CSV file, refers to; None if it is a file of another kind.

    >>> reference("{results.prepare}/1/grid.csv")
    Reference(job='prepare', path='1/grid.csv')
    """
    match = _REFERENCE.fullmatch(src)
    return Reference(match["job"], match["path"].strip("/")) if match else None


def written(name: str) -> str:
    """Return the src that refers to a result by its name, `JOB/INDEX/FILE`.

    >>> written("prepare/1/grid.csv")
    '{results.prepare}/1/grid.csv'
    """
    job, _, rest = name.partition("/")
    return f"{{results.{job}}}/{rest}"


def shipped(name: str) -> str:
    """Return the src that names a file of sparkles itself.

    >>> shipped("foreach.py")
    '{sparkles.templates}/foreach.py'
    """
    return _SHIPPED + name


def shipped_name(src: str) -> str | None:
    """Return the name of the file of sparkles itself that a src names; None if it names something else."""
    return src.removeprefix(_SHIPPED) if src.startswith(_SHIPPED) else None
