"""The lines that say that a phase of a Foreach begins."""

from __future__ import annotations

import pytest

from sparkles import foreach, phase_text


def documents(**spec):
    return foreach.jobs({"apiVersion": "sparkles/v1", "kind": "Foreach", "metadata": {"name": "s"}, "spec": spec})


@pytest.mark.parametrize(
    ("args", "call"),
    [
        ([], "s-getargs()"),
        (["2.0"], "s-getargs('2.0')"),
        (["2.0", "x y", "it's", "{a}", "{{b}}"], """s-getargs('2.0', 'x y', "it's", '{a}', '{{b}}')"""),
    ],
)
def test_arguments_are_printed_as_they_were_given(args, call):
    line = phase_text.submission_line(documents(script="s.py", args=args)[0])

    assert line == f"Submitting job named s-getargs to execute {call}"


def test_a_phase_says_what_is_evaluated_on_how_much():
    _, middle, gather = documents(script="s.R", functions={"foreach": "score"})

    assert phase_text.submission_line(middle, tasks=4) == "Submitting job named s to evaluate score on 4 elements"
    assert phase_text.submission_line(gather) == "Submitting job named s-gather to evaluate gather"


def test_batches_are_counted_where_a_task_has_several_elements():
    getargs, middle, _ = documents(script="s.py", batchSize=10)

    line = phase_text.submission_line(middle, tasks=3, batch_size=phase_text.batch_size_of(getargs))

    assert line == "Submitting job named s to evaluate foreach on 3 batches of up to 10 elements"


def test_an_interpreter_with_arguments_does_not_confuse_it():
    getargs, *_ = documents(script="s.py", interpreter=["env", "getargs", "python3"], args=["1"])

    assert phase_text.submission_line(getargs) == "Submitting job named s-getargs to execute s-getargs('1')"
