"""Nodes: what YAML text is read into. Scalars keep their source text: the schema says what they mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from sparkles.errors import ProblemsError


@dataclass(slots=True)
class Scalar:
    """A scalar, as it is written. Lines and columns count from 1."""

    line: int
    column: int
    text: str
    #: Neither quoted nor a block nor tagged as text: `yes`, `~` and nothing at all may mean something.
    plain: bool
    size: int = 1
    height: int = 0


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)
    #: Nodes in this tree, each counted as often as aliases repeat it.
    size: int = 1
    #: How deep it nests.
    height: int = 1


@dataclass(slots=True)
class Mapping:
    """A mapping. Its keys are text; each comes with its place and its value."""

    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    size: int = 1
    height: int = 1
    #: Its source text if that is short: a hint may repeat it.
    written: str = ""


Node: TypeAlias = "Scalar | Sequence | Mapping"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place."""

    line: int
    column: int
    message: str


class FatalProblem(Exception):  # noqa: N818 - it never leaves this package
    """A problem after which there is nothing left to read."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.problem = Problem(line, column, message)
        super().__init__(message)


def problems_error(problems: list[Problem], *, source: str) -> ProblemsError:
    """Return the error that reports these problems, each once, in the order of the text."""
    ordered = sorted(problems, key=lambda problem: (problem.line, problem.column))
    lines = (f"{source}:{problem.line}:{problem.column}: {problem.message}" for problem in ordered)
    return ProblemsError(dict.fromkeys(lines))
