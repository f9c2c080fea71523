"""Lines: logs as lines of bytes, whatever they hold."""

from __future__ import annotations

import pytest

from sparkles import lines
from sparkles.errors import RequestError


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([], []),
        ([b"one"], [(1, b"one")]),
        ([b"one\n", b"two\n"], [(1, b"one"), (2, b"two")]),
        ([b"o", b"n", b"e\n\n", b"three"], [(1, b"one"), (2, b""), (3, b"three")]),
        ([b"\xff\0\r\n", b"\x80"], [(1, b"\xff\0\r"), (2, b"\x80")]),
    ],
    ids=["nothing", "without an end", "whole", "in parts", "binary"],
)
def test_lines_have_numbers_wherever_their_pieces_begin(pieces, expected) -> None:
    assert list(lines.numbered(pieces)) == expected


def test_of_a_line_that_is_too_long_each_part_has_its_number() -> None:
    parts = list(lines.numbered([b"a\n", b"x" * lines.LONGEST, b"y" * lines.LONGEST, b"\nlast\n"]))

    assert [(number, len(part)) for number, part in parts] == [(1, 1), (2, lines.LONGEST), (2, lines.LONGEST), (3, 4)]


def test_what_is_found_is_shown_with_its_number() -> None:
    search = lines.pattern("lo+ss: (nan|inf)$")

    found = list(lines.found(search, [b"loss: 1\nlooss: ", b"nan\r\n\xfflooss: inf"]))

    assert found == [(2, b"looss: nan\r"), (3, b"\xfflooss: inf")]


def test_of_a_long_line_only_what_is_around_the_place_is_shown() -> None:
    (found,) = lines.found(lines.pattern("HERE"), [b"x" * 100_000 + b"HERE" + b"y" * 100_000])
    (begin,) = lines.found(lines.pattern("HERE"), [b"HERE" + b"y" * 100_000])

    assert found.text.startswith(b"...xxx")
    assert found.text.endswith(b"yyy...")
    assert len(found.text) < 3_000
    assert b"xxHEREyy" in found.text
    assert begin.text.startswith(b"HEREy")


def test_a_pattern_may_hold_any_text() -> None:
    assert lines.pattern("schön")("ganz schön".encode())
    assert lines.pattern("\udcff")(b"a\xff")


def test_a_pattern_that_python_may_read_in_another_way_some_day_is_no_warning(recwarn) -> None:
    assert lines.pattern("[[x]")(b"[x")

    assert not recwarn.list


def test_a_pattern_that_is_none_is_an_error_that_says_where() -> None:
    with pytest.raises(RequestError, match=r"--grep 'a\(': not a regular expression: .*position 1"):
        lines.pattern("a(")


@pytest.mark.parametrize(
    ("content", "number", "place"),
    [
        (b"", 0, 0),
        (b"abc", 0, 3),
        (b"abc", 1, None),
        (b"a\nbc", 1, 2),
        (b"a\nbc\n", 1, 5),
        (b"a\nbc\n", 2, 2),
        (b"\n", 1, 1),
        (b"\n", 2, None),
    ],
)
def test_the_place_after_a_line_break_is_found_from_the_end(content, number, place) -> None:
    assert lines.after_break(content, number) == place
