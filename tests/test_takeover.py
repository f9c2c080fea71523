"""Takeover: when an apply may take a job over from another, and how one finds out that somebody has."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.nouns import a_job

from sparkles import takeover
from sparkles.model import Applying, Canary, JobState, Waiting
from sparkles.takeover import APPLY_PATIENCE, BEGIN_PATIENCE


def applying(**fields) -> Applying:
    return Applying(**{"token": "t", "digest": "mine", "generation": 5, "progress": 100.0, **fields})


@pytest.mark.parametrize(
    ("job", "generation"),
    [
        pytest.param(None, 1, id="a new job"),
        pytest.param(a_job(generation=4), 5, id="an apply after another"),
        pytest.param(a_job(generation=4, applying=applying()), 5, id="the same again, after it was cut off"),
        pytest.param(a_job(generation=4, applying=applying(digest="other")), 6, id="another, after one was cut off"),
        pytest.param(
            a_job(generation=0, applying=applying(generation=1, digest="other")), 2, id="another, after the first"
        ),
    ],
)
def test_an_apply_leads_to_the_next_generation(job, generation) -> None:
    assert takeover.next_generation(job, digest="mine") == generation


@pytest.mark.parametrize(
    ("current", "force", "now", "may"),
    [
        pytest.param(None, False, 100.0, True, id="nobody else"),
        pytest.param(applying(), False, 100.0, True, id="the same manifest"),
        pytest.param(applying(digest="other"), False, 100.0, False, id="another, just now"),
        pytest.param(applying(digest="other"), False, 100.0 + APPLY_PATIENCE, False, id="another, nearly stuck"),
        pytest.param(applying(digest="other"), False, 100.1 + APPLY_PATIENCE, True, id="another, stuck"),
        pytest.param(applying(digest="other"), True, 100.0, True, id="by force"),
    ],
)
def test_an_apply_begins_while_another_has_not_ended_if_it_is_the_same_stuck_or_forced(
    current, force, now, may
) -> None:
    assert takeover.may_take_over(a_job(applying=current), applying(), force=force, now=now) is may


@pytest.mark.parametrize(("silence", "quiet"), [(None, 30.0), (0.5, 0.5), (500.0, 500.0)])
def test_how_long_an_apply_has_been_quiet_is_for_the_stores_clock_to_say(silence, quiet) -> None:
    job = a_job(applying=applying(progress=1000.0), silence=silence)

    assert takeover.quiet(job, now=1030.0) == quiet


@pytest.mark.parametrize("silence", [None, 0.0])
def test_an_apply_that_goes_no_further_has_been_quiet_for_ever(silence) -> None:
    job = a_job(applying=applying(progress=0.0, digest="other"), silence=silence)

    assert takeover.may_take_over(job, applying(), force=False, now=10.0)


CANARY, WAITING = Canary(first="1", held=1), Waiting(needs=("other",))


@pytest.mark.parametrize(
    ("planned", "meanwhile", "holds"),
    [
        pytest.param({}, {"state": JobState.FINISHED, "ended": 1.0}, True, id="it ended"),
        pytest.param({}, {"state": JobState.KILLED}, True, id="it was killed"),
        pytest.param({"canary": CANARY}, {"state": JobState.FINISHED, "ended": 1.0}, True, id="its first tasks failed"),
        pytest.param({"canary": CANARY}, {"state": JobState.KILLED}, False, id="it was killed after its first tasks"),
        pytest.param({"canary": CANARY}, {"canary": None, "generation": 2}, False, id="it went on"),
        pytest.param({"waiting": WAITING}, {"waiting": None, "state": JobState.KILLED}, False, id="its wait was ended"),
        pytest.param({}, {"submitted": 9.0}, False, id="it was begun anew"),
        pytest.param({}, {"applying": applying()}, False, id="another apply has begun"),
    ],
)
def test_a_plan_holds_while_its_job_is_what_it_was_and_ending_is_no_change(planned, meanwhile, holds) -> None:
    job = a_job(**planned)

    assert takeover.is_as_planned(replace(job, **meanwhile), job) is holds


def test_a_plan_for_a_new_job_holds_while_there_is_none() -> None:
    assert takeover.is_as_planned(None, None)
    assert not takeover.is_as_planned(a_job(), None)
    assert not takeover.is_as_planned(None, a_job())


@pytest.mark.parametrize(
    ("current", "taken"),
    [
        pytest.param(None, False, id="nobody applies it"),
        pytest.param(applying(begins=True), True, id="a begin, just now"),
        pytest.param(applying(begins=True, progress=100.0 - BEGIN_PATIENCE), False, id="a begin that was cut off"),
        pytest.param(applying(progress=0.0), True, id="a client's apply, however quiet"),
    ],
)
def test_a_job_that_begins_by_itself_is_left_to_whoever_applies_it_but_for_begins_that_were_cut_off(
    current, taken
) -> None:
    assert takeover.is_taken(a_job(applying=current), now=100.0) is taken


@pytest.mark.parametrize(
    ("meanwhile", "same"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"max_nodes": 9, "version": 7}, True, id="it was scaled"),
        pytest.param({"state": JobState.KILLED}, False, id="it was killed"),
        pytest.param({"state": JobState.FINISHED}, False, id="it ended"),
        pytest.param({"submitted": 9.0}, False, id="it was begun anew"),
        pytest.param({"applying": applying()}, False, id="another apply has begun"),
    ],
)
def test_a_run_is_the_same_until_its_job_is_begun_anew_killed_or_ends(meanwhile, same) -> None:
    assert takeover.is_same_run(replace(a_job(), **meanwhile), a_job()) is same
    assert not takeover.is_same_run(None, a_job())
