"""The engine's stream, taken apart."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkles.backends.docker.output import Frames, Lines

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50)))


@given(FRAMES, st.lists(st.integers(1, 20)))
def test_the_output_is_the_same_however_the_stream_is_cut(frames, cuts) -> None:
    stream = b"".join(struct.pack(">BxxxL", number, len(output)) + output for number, output in frames)
    places = sorted({place % (len(stream) + 1) for place in cuts})
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    taken = Frames()

    found = [part for piece in pieces for part in taken.feed(piece)]

    for source in (1, 2):
        assert b"".join(part for number, part in found if number == source) == b"".join(
            output for number, output in frames if number == source
        )


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5), st.booleans())))
def test_lines_of_two_sources_stay_whole(pieces) -> None:
    lines = Lines()

    output = b"".join(
        lines.feed(ord(letter), letter.encode() * count + b"\n" * ends, now=0.0) for letter, count, ends in pieces
    )
    rest = lines.rest()

    for letter in "ab":
        of_one = "".join(letter * count + "\n" * ends for source, count, ends in pieces if source == letter)
        assert [line for line in output.decode().split("\n") if letter in line] == [
            line for line in of_one.split("\n")[:-1] if line
        ]
        assert rest.decode().count(letter) == len(of_one.split("\n")[-1])
    assert not [line for line in output.splitlines() if b"a" in line and b"b" in line]
    assert lines.patience(now=0.0) is None


def test_a_line_that_does_not_end_is_not_held_back_for_ever() -> None:
    lines = Lines()

    assert lines.feed(1, b"x" * 70_000, now=0.0) == b"x" * 70_000


def test_a_line_that_grows_all_the_time_is_not_held_back_for_long() -> None:
    lines = Lines()

    left = []
    for step in range(4):
        lines.feed(1, b"\r%d%%" % step, now=step * 0.04)
        left.append(lines.patience(now=step * 0.04))

    assert left[:3] == pytest.approx([0.1, 0.06, 0.02])
    assert left[3] == 0
    assert lines.rest() == b"\r0%\r1%\r2%\r3%"
