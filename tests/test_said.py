"""Said: the line of a log that a task's record keeps."""

from __future__ import annotations

import pytest

from sparkles.said import said


@pytest.mark.parametrize(
    ("end", "line"),
    [
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\n \r\n", None, id="blank"),
        pytest.param(b"one\ntwo\n\n", "two", id="blank at the end"),
        pytest.param(b"cut off", "cut off", id="without an end"),
        pytest.param(b"10%\r50%\r", "50%", id="written over itself"),
        pytest.param(b"one\r\ntwo\r\n", "two", id="ends of Windows"),
        pytest.param(b"\x1b[31mno\x1b[0m\n\x1b[0m\n", "no", id="colours"),
        pytest.param(
            b"\xff\xfe caf\xe9", "\N{REPLACEMENT CHARACTER}" * 2 + " caf\N{REPLACEMENT CHARACTER}", id="bytes"
        ),
        pytest.param(
            b"Error in f(x) :\n  there is no gene\nCalls: f -> g\nExecution halted\n", "there is no gene", id="R"
        ),
        pytest.param(b"java.lang.Error: no\n\tat a.B.c(B.java:3)\n\t... 7 more\n", "java.lang.Error: no", id="Java"),
        pytest.param(b"Error: no\n\nNode.js v18.19.0\n", "Error: no", id="Node.js"),
        pytest.param(b"cc: no\nmake[1]: *** [all] Error 1\nmake: *** [x] Error 2\n", "cc: no", id="make"),
        pytest.param(b"env: 'a b': no\nenv: use -[v]S to pass options in shebang lines\n", "env: 'a b': no", id="env"),
        pytest.param(b"Execution halted\n", "Execution halted", id="nothing but the end"),
        pytest.param(b"x" * 4096, "x" * 200, id="long"),
    ],
)
def test_a_task_says_its_last_line(end: bytes, line: str | None) -> None:
    assert said(end) == line


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            b"  File 's.py', line 5, in foreach\n    return x * 2.0\nTypeError: can't multiply\n"
            b"foreach failed on the element 'three'\n", id="python",
        ),
        pytest.param(
            b"TypeError: can't multiply\n  foreach(argument_1)\n  f(x)\nforeach failed on the element 3\n", id="r"
        ),
    ],
)  # fmt: skip
def test_a_task_of_a_foreach_says_what_was_wrong_and_not_with_which_element(end: bytes) -> None:
    assert said(end) == "TypeError: can't multiply"
