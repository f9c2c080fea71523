"""CSV text: what is written reads back as it was, by the reader that `sub --params` uses."""

from __future__ import annotations

import json
import random
from itertools import count

import pytest
from contracts.nouns import a_task

from sparkles import csv_text, sweep
from sparkles.errors import RequestError

#: What is dear to programs that read or write CSV files.
PIECES = ["a", "0", "007", "1e5", ",", '"', '""', "\n", "\r", "\r\n", "\t", " ", "'", "ä", "😀", "\ufeff", ";", "=1+2",
          "NA", "\x1b[31m", "\u2028", "{", "}", "\\", "%s", "\x0b", "\x85"]  # fmt: skip
NAMES = ["x", "a:b.c-d e", 'say "x"', "a,b", "ü", "1", "params.x", "Index", "\tin\ttab", "NA"]


def written(columns, rows):
    tasks = [a_task(i, row=json.dumps(dict(zip(columns, row, strict=True)))) for i, row in zip(count(1), rows)]
    return "".join(csv_text.of_parameters(tasks, columns=columns))


def read(text):
    found = sweep.from_csv(text.encode(), "again.csv")
    return found.columns, list(found)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (("x",), [("",), (" ",), ("\t",), ("\n",), ("a",), ("\r",)]),
        (("x", "y"), [("", ""), ("", " "), (" a ", "007"), ("1.50", "-0"), ('"', '""'), ("a,b", "c\r\nd\re\n")]),
        (("a:b.c-d e", "ü"), [("ä", "😀"), ("yes", "no"), ("=1+2", "#")]),
    ],
)
def test_values_read_back_as_they_were(columns, rows):
    assert read(written(columns, rows)) == (columns, rows)


@pytest.mark.parametrize("seed", range(30))
def test_any_values_and_names_read_back_as_they_were(seed):
    chance = random.Random(seed)
    columns = tuple(name.strip() for name in chance.sample(NAMES, chance.randint(1, 3)))
    rows = [
        tuple("".join(chance.choices(PIECES, k=chance.randint(0, 4))) for _ in columns)
        for _ in range(chance.randint(1, 8))
    ]

    assert read(written(columns, rows)) == (columns, rows)


def test_values_keep_to_their_columns_whatever_their_order_in_a_row():
    tasks = [a_task(1, row='{"x":"1","y":"2"}'), a_task(2, row='{"y":"4","x":"3"}')]

    assert list(csv_text.of_parameters(tasks, columns=["y", "x"])) == ["y,x\n", "2,1\n", "4,3\n"]


@pytest.mark.parametrize("name", [" x", "x ", "\ufeffx"])
def test_a_name_that_no_header_can_hold_is_an_error(name):
    with pytest.raises(RequestError, match="cannot have a column named"):
        written((name,), [("1",)])


def test_a_task_with_other_parameters_is_an_error():
    with pytest.raises(RequestError, match=r"^j\.2 has the parameters y, and others have x: .* apply it again"):
        list(csv_text.of_parameters([a_task(1, row='{"x":"1"}'), a_task(2, row='{"y":"1"}')], columns=["x"]))
