"""Sweeps: many sources, one shape."""

from __future__ import annotations

import csv
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles import sweep
from sparkles.errors import RequestError

MANUAL = "lambda,size\n0.1,small\n1.0,large\n"
ROWS = [("0.1", "small"), ("1.0", "large")]


def test_a_job_without_parameters_has_one_empty_row() -> None:
    one = sweep.single()

    assert (one.columns, len(one), list(one), one.seq) == ((), 1, [()], False)


def test_a_seq_has_rows_that_differ_in_their_index_alone() -> None:
    three = sweep.from_seq(3)

    assert (three.columns, len(three), list(three), three.seq) == ((), 3, [(), (), ()], True)


def test_rows_may_name_their_parameters_in_any_order() -> None:
    two = sweep.from_rows([{"lambda": "0.1", "size": "small"}, {"size": "large", "lambda": "1.0"}])

    assert (two.columns, len(two), list(two)) == (("lambda", "size"), 2, ROWS)


def test_the_last_parameter_of_a_matrix_changes_fastest() -> None:
    matrix = sweep.from_matrix({"a": ["1", "2"], "b": ["x", "y", "z"]})

    assert matrix.columns == ("a", "b")
    assert len(matrix) == 6
    assert ["".join(row) for row in matrix] == ["1x", "1y", "1z", "2x", "2y", "2z"]


def test_a_matrix_is_as_lazy_as_it_is_large() -> None:
    huge = sweep.from_matrix({f"p{i}": ["0", "1"] for i in range(60)})

    assert len(huge) == 2**60
    assert next(iter(huge)) == ("0",) * 60


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(sweep.single(), id="single"),
        pytest.param(sweep.from_seq(4), id="seq"),
        pytest.param(sweep.from_rows([{"a": "1"}, {"a": "2"}]), id="rows"),
        pytest.param(sweep.from_matrix({"a": ["1", "2"], "b": ["3"]}), id="matrix"),
        pytest.param(sweep.from_csv(MANUAL.encode(), "p.csv"), id="csv"),
    ],
)
def test_rows_can_be_read_again_and_at_once(made: sweep.Sweep) -> None:
    pairs = list(zip(made, made, strict=True))

    assert len(pairs) == len(made)
    assert all(first == second for first, second in pairs)
    assert all(len(row) == len(made.columns) for row in made)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(MANUAL.encode(), id="as in the manual"),
        pytest.param(MANUAL.encode("utf-8-sig"), id="byte order mark"),
        pytest.param(MANUAL.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(MANUAL.replace("\n", "\r").encode(), id="CR"),
        pytest.param(b"lambda,size\r\n0.1,small\r1.0,large\n", id="mixed line ends"),
        pytest.param(MANUAL.encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xfe\xff" + MANUAL.encode("utf-16-be"), id="UTF-16, other byte order"),
        pytest.param(MANUAL.rstrip("\n").encode(), id="no last newline"),
        pytest.param(b'"lambda","size"\n"0.1","small"\n"1.0","large"\n', id="quoted"),
        pytest.param(b" lambda ,\tsize\n0.1,small\n1.0,large\n", id="spaced header"),
        pytest.param(b"\n\r\n  \nlambda,size\n\n0.1,small\n \t\n1.0,large\n\n\n", id="blank lines"),
    ],
)
def test_the_csv_of_the_manual_is_read_however_it_was_saved(data: bytes) -> None:
    made = sweep.from_csv(data, "parameters.csv")

    assert (made.columns, len(made), list(made), made.notes) == (("lambda", "size"), 2, ROWS, ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"a,b\n 1 ,  2\n", [(" 1 ", "  2")], id="spaces"),
        pytest.param(b'a,b\n"x\r\ny","p""q"\n', [("x\r\ny", 'p"q')], id="newline and quote in quotes"),
        pytest.param(b'a,b\n"x\n\n\ny",""\n', [("x\n\n\ny", "")], id="blank lines in quotes"),
        pytest.param(b'a,b\n3.5" disk,2\n', [('3.5" disk', "2")], id="a quote in a bare value"),
        pytest.param(b"a,b\n,\n", [("", "")], id="empty values"),
        pytest.param("a,b\né,日本🙂\n".encode(), [("é", "日本🙂")], id="not ASCII"),
        pytest.param(b'a\n1\n""\n\n"  "\n  \n2\n', [("1",), ("",), ("  ",), ("2",)], id="one column"),
        pytest.param(b' \na,b\n  \n1,2\n\n\t\n"",3\n', [("1", "2"), ("", "3")], id="blank lines before and between"),
        pytest.param(b"a:b,my size,c.d-e\n1,2,3\n", [("1", "2", "3")], id="odd names"),
        pytest.param(b"a\n" + b"x" * 200_000, [("x" * 200_000,)], id="a long value"),
        pytest.param("a,b\nx\u2028y,\x85\n".encode(), [("x\u2028y", "\x85")], id="odd line ends are no line ends"),
    ],
)
def test_values_are_kept_as_they_are(data: bytes, expected: list[tuple[str, ...]]) -> None:
    made = sweep.from_csv(data, "p.csv")

    assert list(made) == expected
    assert len(made) == len(expected)


def test_a_tsv_is_split_at_tabs() -> None:
    assert list(sweep.from_csv(b"a\tb\n1,5\t2\n\t\n", "p.TSV")) == [("1,5", "2"), ("", "")]


@pytest.mark.parametrize("header", [b'"",lambda,size', b",lambda,size", b" ,lambda,size"])
def test_an_unnamed_first_column_is_dropped_with_a_note(header: bytes) -> None:
    made = sweep.from_csv(header + b"\n1,0.1,small\n2,1.0,large\n", "parameters.csv")

    assert (made.columns, list(made)) == (("lambda", "size"), ROWS)
    assert made.notes == ("parameters.csv: the unnamed first column was dropped",)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(
            b"lambda,size\n0.1,small\n1.0\n",
            "parameters.csv:3: expected 2 values (lambda, size), found 1",
            id="short row",
        ),
        pytest.param(b"a,b\r1,2,3\r", "parameters.csv:2: expected 2 values (a, b), found 3", id="long row"),
        pytest.param(
            b'a,b\n\n"1\n\n",2\n\n3\n',
            "parameters.csv:7: expected 2 values",
            id="line after multi-line values",
        ),
        pytest.param(b"a,b\n1,2\n\xe9,4\n", "parameters.csv:3: byte 0xe9 is not UTF-8", id="Latin-1"),
        pytest.param(b"\xef\xbb\xbfa,b\r\n\xff,4\n", "parameters.csv:2: byte 0xff is not UTF-8", id="after a mark"),
        pytest.param(b"\xff\xfea\x00\n\x00\x00\xd8", "parameters.csv:2: byte 0x00 is not UTF-16", id="UTF-16"),
        pytest.param(b"a\n1\n\0\n", "parameters.csv:3: a NUL byte; expected UTF-8", id="NUL"),
        pytest.param("a\n1\n".encode("utf-16-le"), "parameters.csv:1: a NUL byte", id="UTF-16 without a mark"),
        pytest.param("a\n\0\n".encode("utf-16"), "parameters.csv:2: a NUL byte", id="NUL in UTF-16"),
        pytest.param(b'a,b\n1,2\n\n3,"4\n5,6\n', "parameters.csv:4: expected a closing quote", id="open quote"),
        pytest.param(
            b'a,b\n"1"2,3\n', "parameters.csv:2: expected a comma after the closing quote", id="after a quote"
        ),
        pytest.param(b"", "parameters.csv: expected a header and rows, found nothing", id="empty"),
        pytest.param(b"\xff\xfe", "parameters.csv: expected a header and rows, found nothing", id="a mark alone"),
        pytest.param(b"a,b\n", "parameters.csv: expected at least one row", id="no row"),
        pytest.param(b"a\n\n\n  \n", "parameters.csv: expected at least one row", id="no row but blank lines"),
        pytest.param(b"a,b,a\n1,2,3\n", "parameters.csv:1: 2 columns are named 'a'", id="duplicate"),
        pytest.param(b"a, a \n1,2\n", "parameters.csv:1: 2 columns are named 'a'", id="duplicate once stripped"),
        pytest.param(b"a,,b\n1,2,3\n", "parameters.csv:1: column 2 has no name", id="unnamed second column"),
        pytest.param(b"a,b,\n1,2,3\n", "parameters.csv:1: column 3 has no name", id="unnamed last column"),
        pytest.param(b",\n1,2\n", "parameters.csv:1: column 2 has no name", id="all unnamed"),
        pytest.param(b'""\n1\n', "parameters.csv:1: expected the names of the columns", id="unnamed and alone"),
        pytest.param(b"\nindex,b\n1,2\n", "parameters.csv:2: 'index' is the name of", id="index"),
        pytest.param(b"{a},b\n1,2\n", "parameters.csv:1: expected a name without braces", id="braces"),
        pytest.param(b'"a\nb",c\n1,2\n', "parameters.csv:1: expected a name without braces or newlines", id="newline"),
    ],
)
def test_a_broken_csv_is_an_error_that_names_file_and_line(data: bytes, message: str) -> None:
    with pytest.raises(RequestError) as error:
        sweep.from_csv(data, "parameters.csv")

    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: sweep.from_seq(0), "spec.parameters.seq: expected at least one task", id="no task"),
        pytest.param(lambda: sweep.from_seq(10**30), "spec.parameters.seq: 10", id="too many tasks"),
        pytest.param(lambda: sweep.from_rows([]), "spec.parameters.rows: expected at least one", id="no row"),
        pytest.param(
            lambda: sweep.from_rows([{"a": "1", "b": "2"}, {"b": "1", "a": "2"}, {"a": "1"}]),
            "spec.parameters.rows[2]: expected the parameters of spec.parameters.rows[0] (a, b), found a",
            id="short row",
        ),
        pytest.param(
            lambda: sweep.from_rows([{"a": "1"}, {"a": "\0"}]), "spec.parameters.rows[1].a: a value", id="NUL"
        ),
        pytest.param(
            lambda: sweep.from_rows([{"a": "\ud800"}]), "spec.parameters.rows[0].a: '\\ud800'", id="surrogate"
        ),
        pytest.param(lambda: sweep.from_rows([{"index": "1"}]), "spec.parameters.rows[0]: 'index'", id="index"),
        pytest.param(lambda: sweep.from_rows([{"": "1"}]), "spec.parameters.rows[0]: expected a name", id="no name"),
        pytest.param(lambda: sweep.from_matrix({}), "spec.parameters.matrix: expected at least", id="empty matrix"),
        pytest.param(
            lambda: sweep.from_matrix({"a": ["1"], "b": []}),
            "spec.parameters.matrix.b: expected at least one value, found none",
            id="empty list",
        ),
        pytest.param(
            lambda: sweep.from_matrix({"a": ["1", "\udfff"]}),
            "spec.parameters.matrix.a[1]: ",
            id="matrix surrogate",
        ),
        pytest.param(lambda: sweep.from_matrix({"a}": ["1"]}), "spec.parameters.matrix: expected a name", id="brace"),
        pytest.param(
            lambda: sweep.from_matrix({f"p{i}": ["0", "1"] for i in range(64)}),
            "spec.parameters.matrix: 1844",
            id="2^64",
        ),
    ],
)
def test_a_sweep_that_cannot_be_is_an_error_that_says_where(make, message) -> None:
    with pytest.raises(RequestError) as error:
        make()

    assert str(error.value).startswith(message)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
TABLES = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1))


@given(
    TABLES,
    st.sampled_from(["\n", "\r", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([("p.csv", ","), ("p.tsv", "\t")]),
)
def test_whatever_was_written_is_read(table: list[list[str]], end: str, encoding: str, kind: tuple[str, str]) -> None:
    name, delimiter = kind
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL, delimiter=delimiter)
    writer.writerows([[f"p{i}" for i in range(len(table[0]))], *table])

    made = sweep.from_csv(out.getvalue().encode(encoding), name)

    assert [list(row) for row in made] == table
    assert len(made) == len(table)


@given(st.binary() | st.text('a,"\n\r \t\0é').map(str.encode))
def test_any_bytes_are_a_sweep_or_an_error_with_the_name_of_the_file(data: bytes) -> None:
    try:
        made = sweep.from_csv(data, "p.csv")
    except RequestError as error:
        outcome = str(error)
    else:
        outcome = "p.csv:" if [len(row) for row in made] == [len(made.columns)] * len(made) else "ragged"

    assert outcome.startswith("p.csv:")


@given(st.dictionaries(st.text("abc", min_size=1), st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_a_matrix_is_the_product_in_written_order(matrix: dict[str, list[str]]) -> None:
    made = sweep.from_matrix(matrix)

    assert list(made) == list(itertools.product(*matrix.values()))
    assert len(made) == len(list(made))
