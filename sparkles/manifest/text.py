"""Text: YAML text in, its documents as trees of nodes out, or errors that name line and column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sparkles.manifest.nodes import FatalProblem, Node, Problem, Scalar, problems_error
from sparkles.manifest.tree import Builder

if TYPE_CHECKING:
    import yaml

MAX_CHARACTERS = 64 * 1024 * 1024

# Patterns are made when they are first used: to make them takes long for commands that read no YAML.
_NOT_TEXT = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_BARE_BRACES = r"(?<![$\"'{])\{[^{}\"':,]*\}"
_BARE_SIGN = r"(?:[\[,]|[:-]\s)\s*[*&!%@`|>]"


def parse(text: str, *, source: str) -> tuple[list[Node], list[Problem]]:
    """Return the documents of a text, empty ones left out, and what is wrong with them.

    Raises ProblemsError where reading cannot go on.
    """
    text = text.removeprefix("\ufeff")
    builder = Builder(text)
    try:
        for event in _events(text):
            builder.take(event)
    except FatalProblem as fatal:
        raise problems_error([*builder.problems, fatal.problem], source=source) from None
    return [node for node in builder.documents if not _is_empty(node)], builder.problems


def _is_empty(node: Node) -> bool:
    return isinstance(node, Scalar) and node.plain and node.text == ""


def _events(text: str) -> Iterator[yaml.Event]:
    """Yield the events of YAML's own parser, the fast one if it is there."""
    import yaml

    _check_characters(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        raise FatalProblem(line + 1, column + 1, _syntax_message(error, text, line)) from None
    except yaml.YAMLError as error:
        raise FatalProblem(1, 1, f"this is not YAML: {error}") from None


def _check_characters(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise FatalProblem(1, 1, f"too long: {len(text):,} characters, expected at most {MAX_CHARACTERS:,}")
    if bad := re.search(_NOT_TEXT, text):
        before = f"{text[: bad.start()]}.".splitlines()
        code = f"U+{ord(bad.group()):04X}"
        raise FatalProblem(
            len(before),
            len(before[-1]),
            f'character {code} cannot stand in YAML; write it escaped: "{_escaped(bad)}"',
        )


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _syntax_message(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    written = lines[line] if line < len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return "a tab cannot indent YAML; use spaces"
    context = f" {error.context}" if error.context else ""
    return f"this is not YAML: {error.problem}{context}{_quote_hint(written, error.problem or '')}"


def _quote_hint(written: str, problem: str) -> str:
    """Return the hint for the usual reason: text that looks like something else in YAML."""
    if "mapping values are not allowed" in problem:
        return "; text with a colon and a space in it needs quotes"
    if re.search(_BARE_BRACES, written):
        return '; text with braces needs quotes: "{name}.txt"'
    if re.search(_BARE_SIGN, written):
        return '; text that begins with one of * & ! % @ ` | > needs quotes: "*.txt"'
    return ""
