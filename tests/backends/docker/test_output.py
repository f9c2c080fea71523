"""The engine's stream, taken apart."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from sparkles.backends.docker.output import Frames


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))), st.lists(st.integers(1, 20)))
def test_the_output_is_the_same_however_the_stream_is_cut(frames, cuts) -> None:
    stream = b"".join(struct.pack(">BxxxL", number, len(output)) + output for number, output in frames)
    places = sorted({place % (len(stream) + 1) for place in cuts})
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    taken = Frames()

    output = b"".join(taken.feed(piece) for piece in pieces)

    assert output == b"".join(output for _, output in frames)
