"""Sweeps: many sources of parameters, one shape: columns, and rows that can be read again and again.

Everything is checked when a sweep is made; reading its rows afterwards is quick and makes one row at a time,
so a million rows are never held at once.
"""

from __future__ import annotations

import codecs
import csv
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO, TextIOWrapper
from itertools import islice, product, repeat

from sparkles.errors import RequestError

Row = tuple[str, ...]
_Record = tuple[int, list[str]]

#: The csv module knows no "unlimited"; this is the most that fits a C long everywhere.
_FIELD_LIMIT = 2**31 - 1
_CSV_ERRORS = {
    "unexpected end of data": "expected a closing quote, found the end of the file",
    "',' expected after '\"'": 'expected a comma after the closing quote (write "" for a quote)',
    "'\t' expected after '\"'": 'expected a tab after the closing quote (write "" for a quote)',
}
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Sweep:
    """The parameters of every task of a job, in order."""

    #: Parameter names, without `index`, which always exists.
    columns: tuple[str, ...]
    #: How many rows there are.
    count: int
    #: Starts anew from the first row; each row holds its values in the order of the columns.
    rows: Callable[[], Iterable[Row]]
    #: Whether a row's index is its parameter.
    seq: bool = False
    #: What people should be told about the source.
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows())


def single() -> Sweep:
    """Return the sweep of a job without parameters: one empty row."""
    return Sweep((), 1, partial(repeat, (), 1))


def unknown() -> Sweep:
    """Return the sweep of a job whose rows another job has yet to make: none."""
    return Sweep((), 0, partial(repeat, (), 0))


def from_seq(n: int) -> Sweep:
    """Return `n` rows that differ in their index alone."""
    _check_count(n, "spec.parameters.seq")
    return Sweep((), n, partial(repeat, (), n), seq=True)


def from_rows(rows: Sequence[Mapping[str, str]]) -> Sweep:
    """Return the rows as they are written; all have the same parameters."""
    where = "spec.parameters.rows"
    _check_count(len(rows), where)
    columns = tuple(rows[0])
    _check_names(columns, f"{where}[0]")
    for i, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            raise RequestError(
                f"{where}[{i}]: expected the parameters of {where}[0] ({', '.join(columns)}),"
                f" found {', '.join(row) or 'none'}"
            )
        for name, value in row.items():
            _check_value(value, f"{where}[{i}].{name}")
    table = tuple(tuple(row[name] for name in columns) for row in rows)
    return Sweep(columns, len(table), partial(iter, table))


def from_matrix(matrix: Mapping[str, Sequence[str]]) -> Sweep:
    """Return every combination of the values, in written order, the last parameter changing fastest."""
    where = "spec.parameters.matrix"
    columns = tuple(matrix)
    if not columns:
        raise RequestError(f"{where}: expected at least one parameter, found none")
    _check_names(columns, where)
    for name, values in matrix.items():
        if not values:
            raise RequestError(f"{where}.{name}: expected at least one value, found none")
        for i, value in enumerate(values):
            _check_value(value, f"{where}.{name}[{i}]")
    pools = tuple(tuple(values) for values in matrix.values())
    count = math.prod(map(len, pools))
    _check_count(count, where)
    return Sweep(columns, count, partial(product, *pools))


def from_csv(data: bytes, name: str) -> Sweep:
    """Return the rows of a CSV file (TSV, if `name` says so); `name` is what errors call it."""
    csv.field_size_limit(_FIELD_LIMIT)
    text = _utf8(data, name)
    try:
        header, count = _validated(_records(text, name), name)
    except UnicodeDecodeError:
        raise _undecodable(text, "utf-8", name) from None
    rows = partial(_rows, text, name, len(header))
    if header[0]:
        return Sweep(header, count, rows)
    note = f"{name}: the unnamed first column was dropped"
    return Sweep(header[1:], count, lambda: (values[1:] for values in rows()), notes=(note,))


def _utf8(data: bytes, name: str) -> bytes:
    """Return the file as UTF-8 without a byte order mark; whether it is valid shows on reading."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise _undecodable(data, "utf-16", name) from None
    data = data.removeprefix(codecs.BOM_UTF8)
    if (nul := data.find(b"\0")) >= 0:
        line = _line_of(data[:nul].decode(errors="replace"))
        raise RequestError(f"{name}:{line}: a NUL byte; expected UTF-8, or UTF-16 with a byte order mark")
    return data


def _undecodable(data: bytes, encoding: str, name: str) -> RequestError:
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line_of(data[: error.start].decode(encoding))
        byte = f"0x{data[error.start]:02x}"
        return RequestError(f"{name}:{line}: byte {byte} is not {encoding.upper()}; save the file as UTF-8")
    raise AssertionError("only undecodable data come here")


def _line_of(text_before: str) -> int:
    return len(_LINE_END.findall(text_before)) + 1


def _delimiter(name: str) -> str:
    return "\t" if name.lower().endswith(".tsv") else ","


def _lines(text: bytes) -> Iterable[str]:
    return TextIOWrapper(BytesIO(text), "utf-8", newline="")


def _records(text: bytes, name: str) -> Iterator[_Record]:
    """Yield every record that is no blank line, header included, with the number of its first line."""
    last = [""]
    reader = csv.reader(_remembered(_lines(text), last), delimiter=_delimiter(name), strict=True)
    line = 1
    try:
        for values in reader:
            if values and not (len(values) == 1 and last[0].isspace()):
                yield line, values
            line = reader.line_num + 1
    except csv.Error as error:
        raise RequestError(f"{name}:{line}: {_CSV_ERRORS.get(str(error), error)}") from None


def _remembered(lines: Iterable[str], last: list[str]) -> Iterator[str]:
    for line in lines:
        last[0] = line
        yield line


def _rows(text: bytes, name: str, width: int) -> Iterator[Row]:
    """Yield the rows of a file that has been read once, and so has no flaw."""
    if width == 1:  # only the line itself tells a blank one from a value
        return (tuple(values) for _, values in islice(_records(text, name), 1, None))
    reader = csv.reader(_lines(text), delimiter=_delimiter(name), strict=True)
    return islice((tuple(values) for values in reader if len(values) == width), 1, None)


def _validated(records: Iterable[_Record], name: str) -> tuple[Row, int]:
    """Read the whole file once: its header, with an unnamed first column still in, and its number of rows."""
    records = iter(records)
    line, values = next(records, (0, []))
    if not values:
        raise RequestError(f"{name}: expected a header and rows, found nothing")
    header = _header(values, f"{name}:{line}")
    width, count = len(header), 0
    for line, values in records:
        if len(values) != width:
            names = ", ".join(header)
            raise RequestError(f"{name}:{line}: expected {width} values ({names}), found {len(values)}")
        count += 1
    if not count:
        raise RequestError(f"{name}: expected at least one row after the header, found none")
    return header, count


def _header(record: list[str], where: str) -> Row:
    names = tuple(name.strip() for name in record)
    if "" in names[1:]:
        raise RequestError(f"{where}: column {names.index('', 1) + 1} has no name")
    columns = names if names[0] else names[1:]
    if not columns:
        raise RequestError(f"{where}: expected the names of the columns, found none")
    _check_names(columns, where)
    return names


def _check_names(names: Sequence[str], where: str) -> None:
    for name in names:
        if name == "index":
            raise RequestError(f"{where}: 'index' is the name of every task's own number; rename the column")
        if not name.strip() or re.search(r"[{}\r\n]", name):
            raise RequestError(f"{where}: expected a name without braces or newlines, found {name!r}")
        _check_value(name, where)
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise RequestError(f"{where}: {times} columns are named {name!r}")


def _check_value(value: str, where: str) -> None:
    if "\0" in value:
        raise RequestError(f"{where}: a value cannot hold a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RequestError(f"{where}: {value!r} holds half of a surrogate pair; expected Unicode text") from None


def _check_count(count: int, where: str) -> None:
    if count < 1:
        raise RequestError(f"{where}: expected at least one task, found {count}")
    if count > sys.maxsize:
        raise RequestError(f"{where}: {count} tasks are too many")
