"""Folding: a line that a program wrote in, its shape out: without what differs from task to task. Pure.

Times, paths, ids, numbers and the task's own parameters are places in a shape. So `line 12 of /a/b/c1.txt` and
`line 7 of /x/c2.txt` have the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

#: Stands on both sides of the name of a place. No line that is fit to print holds it.
_MARK = "\0"

#: The character that stands for the first parameter, of those that mean nothing; the next one for the second.
_FIRST = 0xE000

#: Characters of a parameter's value from which on it is told from what stands in a line by chance.
_TELLING = 3

_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|GMT|CES?T|[AP]M|[-+]\d\d:?\d\d))?\b"
_QUOTE, _UNQUOTED, _END = "['\"`\u2018\u201c]", "[^\0'\"`\u2018\u2019\u201c\u201d]", "['\"`\u2019\u201d]"
_NAME, _BEGIN = r"[\w@%+=~-]", r"(?<![\w@%+=~./-])"
#: Of a file: `txt`, `gz`, `R`. What is longer is a word of a program, as in `json.decoder.JSONDecodeError`.
_SUFFIX = r"\.[A-Za-z]\w{0,4}"

#: What stands in places, by what it is called there. Of two that begin at the same character the first counts.
_PLACES = {
    "time": [
        rf"\b\d{{4}}[-/]\d\d[-/]\d\d(?:[T_ ]{_CLOCK})?",
        rf"\b(?:{_DAY},? )?{_MONTH} +\d{{1,2}},? {_CLOCK}(?: \d{{4}})?",
        rf"\b{_CLOCK}",
    ],
    "file": [
        rf"{_BEGIN}[a-z][a-z0-9+.-]*://[^\s'\"`<>|,;)\]]*{_NAME}",
        # Not the modules that Python does not find, as in: No module named 'xml.dom'
        rf"(?<!named ){_QUOTE}{_UNQUOTED}*(?:/{_UNQUOTED}*|{_SUFFIX}){_END}",
        rf"{_BEGIN}[\w.@%+=~-]*/[\w.@%+=~/-]*{_NAME}",
        rf"{_BEGIN}(?<!named ['\"]){_NAME}+{_SUFFIX}\b(?![.(])",
    ],
    "id": [
        r"\b0x[0-9a-fA-F]+\b",
        r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
        r"\b(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,}\b",
    ],
    "n": [r"(?:(?<![\w.)\]])[-+])?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+\b)?"],
}
_ANY = re.compile(
    "|".join([
        f"{_MARK}(?P<parameter>.){_MARK}",
        *(f"(?P<{name}>{'|'.join(patterns)})" for name, patterns in _PLACES.items()),
    ])
)  # fmt: skip
_PLACE = re.compile(f"{_MARK}([^{_MARK}]*){_MARK}")

#: Shapes do not depend on which digits stand where, and so one is found out once for most of the lines that have it.
_ALIKE = str.maketrans("123456789", "000000000")

#: What any part looks like that may stand in a place.
_LIKE = {"<file>": ".*[/.].*", "<id>": "[-0-9a-fA-Fx]+", "<n>": "[-+0-9.,eE]+"}

#: What means something else in a regular expression.
_SPECIAL = re.compile(r"[.^$*+?{}\[\]|()\\]")


class Folded(NamedTuple):
    """A line, taken apart."""

    #: The same for lines that say the same.
    shape: str
    #: What stood in each place.
    parts: Sequence[str] = ()


#: Stands for lines of which each has a shape of its own.
VARIOUS = Folded(f"{_MARK}<various last lines>{_MARK}", ("",))


def fold(line: str, row: Mapping[str, str]) -> Folded:
    """Take a line apart that a task with these parameters wrote.

    >>> fold("line 12 of /a/b/c1.txt", {}).shape == fold("line 7 of /x/c2.txt", {}).shape
    True
    """
    known = _with_parameters(line.replace(_MARK, ""), row)
    shape, spans = _shape(known.translate(_ALIKE), tuple(row))
    values = list(row.values())
    found = (known[begin:end] for begin, end in spans)
    return Folded(shape, tuple(values[ord(part[1]) - _FIRST] if part[0] == _MARK else part for part in found))


@lru_cache(maxsize=10_000)
def _shape(line: str, names: Sequence[str]) -> tuple[str, Sequence[tuple[int, int]]]:
    """Return the shape of a line that has places for parameters, and from where to where its parts stand."""
    spans: list[tuple[int, int]] = []

    def place(match: re.Match[str]) -> str:
        spans.append(match.span())
        number = match["parameter"]
        name = f"<{match.lastgroup}>" if number is None else f"{{{names[ord(number) - _FIRST]}}}"
        return f"{_MARK}{name}{_MARK}"

    return _ANY.sub(place, line), spans


def unfold(shape: str, parts: Sequence[str | None]) -> str:
    """Return a shape as words: with the parts that are known, and else with the names of their places.

    >>> unfold(fold("bad value 12 in a.txt", {}).shape, [None, "a.txt"])
    'bad value <n> in a.txt'
    """
    rest = iter(parts)
    return _PLACE.sub(lambda match: next(rest) or match[1], shape)


def pattern(shape: str, parts: Sequence[str | None]) -> str:
    """Return a regular expression that finds lines of a shape; those with the parts that are known.

    >>> pattern(fold("3: ./a.sh: not found", {}).shape, [None, None])
    '^[-+0-9.,eE]+: .*[/.].*: not found$'
    """
    rest = iter(parts)
    found = ""
    for place, piece in enumerate(_PLACE.split(shape)):
        part = piece if place % 2 == 0 else next(rest)
        found += _LIKE.get(piece, ".+") if part is None else literally(part)
    return f"^{found}$"


def literally(text: str) -> str:
    """Return a regular expression for a text, with no more backslashes than it takes: people are going to read it."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def pieces(shape: str) -> Sequence[str]:
    """Return what stands between the places of a shape."""
    return _PLACE.split(shape)[::2]


def _with_parameters(line: str, row: Mapping[str, str]) -> str:
    """Put the number of a parameter, as a character between marks, where its value stands as a word of its own."""
    for number, value in enumerate(row.values()):
        if len(value) >= _TELLING and value in line and value[0].isalpha():
            line = "".join(_exchanged(line, value, f"{_MARK}{chr(_FIRST + number)}{_MARK}"))
    return line


def _exchanged(line: str, value: str, other: str) -> Iterator[str]:
    """Yield a line piece by piece, with `other` where `value` stood. Quicker than a pattern for each task."""
    begin = 0
    while (found := line.find(value, begin)) >= 0:
        end = found + len(value)
        is_word = not (line[found - 1 : found].isalnum() or line[end : end + 1].isalnum())
        yield line[begin:found] + (other if is_word else value)
        begin = end
    yield line[begin:]
