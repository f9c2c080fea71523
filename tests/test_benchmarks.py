"""The benchmarks: the table says what was measured, and what is measured is all that a command took."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, eventually, lives

from benchmarks import cloud, containers, foreach, looking, startup, submission, tasks, watching
from benchmarks import record as records
from benchmarks.__main__ import main
from benchmarks.interleave import interleave
from benchmarks.measure import Run, RunFailed, Sample, measure
from benchmarks.nouns import Comparison, Contestant, Metric, Row, beside
from benchmarks.record import Entry, Measured, Record
from benchmarks.subject import Subject
from benchmarks.table import into, table

GROUPS = (startup, tasks, foreach, containers, submission, watching, looking, cloud)

linux = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks use what only Linux has")


def a_sample(cpu: float = 1.0, **others: float) -> Sample:
    return Sample(**{"wall": cpu, "cpu": cpu, "own": cpu / 4, "peak": 20e6, **others})


def a_row(*comparisons: Comparison, **entries: Entry) -> Measured:
    return Measured(name="r", title="work", unit="task", comparisons=comparisons, entries=entries)


def lines(row: Measured) -> list[str]:
    return table(Record(versions={}, rows=[row])).splitlines()[2:-2]


# The table


def test_a_line_gives_medians_spread_ratio_and_verdict():
    row = a_row(
        Comparison(of="sparkles", metric=Metric.CPU, than="loop", at_most=2),
        sparkles=Entry(count=1000, samples=[a_sample(3), a_sample(1), a_sample(9)]),
        loop=Entry(count=1000, samples=[a_sample(1), a_sample(1), a_sample(2)]),
    )

    assert lines(row) == [
        "| work, each task | CPU | ≤ 2 × | 3 ms (1 to 9) | loop | 1 ms (1 to 2) | 3.00 × | **missed** |",
    ]


def test_costs_are_compared_per_thing_however_many_each_has_done():
    row = a_row(
        Comparison(of="many", metric=Metric.WALL, than="few", at_most=1.2),
        many=Entry(count=100, samples=[a_sample(100)]),
        few=Entry(count=10, samples=[a_sample(10)]),
    )

    assert lines(row) == [
        "| work, each task | time: many | ≤ 1.2 × | 1 s (1 to 1) | few | 1 s (1 to 1) | 1.00 × | held |"
    ]


def test_a_budget_may_be_of_seconds_or_of_memory():
    row = a_row(
        Comparison(of="sparkles", metric=Metric.WALL, at_most=0.5),
        Comparison(of="sparkles", metric=Metric.PEAK, at_most=10e6),
        sparkles=Entry(count=2, samples=[a_sample(0.5)]),
    )

    assert lines(row) == [
        "| work, each task | time | ≤ 500 ms | 250 ms (250 to 250) |  |  |  | held |",
        "|  | peak memory | ≤ 10 MB | 20 MB (20 to 20) |  |  |  | **missed** |",
    ]


def test_the_cpu_of_the_node_is_what_the_command_has_not_waited_for():
    row = a_row(Comparison(of="sparkles", metric=Metric.REST), sparkles=Entry(count=1, samples=[a_sample(4, own=1)]))

    assert lines(row) == ["| work, each task | CPU of the node |  | 3 s (3 to 3) |  |  |  |  |"]


def test_what_a_contestant_has_counted_is_no_share_of_each_thing():
    row = a_row(
        Comparison(of="sparkles", metric=Metric.CONFLICTS, at_most=0.05),
        Comparison(of="sparkles", metric=Metric.REQUESTS),
        Comparison(of="sparkles", metric=Metric.UPLOADS, at_most=0),
        sparkles=Entry(
            count=2, samples=[replace(a_sample(), told={"conflicts": 0.025, "requests": 10_001, "uploads": 1})]
        ),
    )

    assert lines(row) == [
        "| work, each task | commits in vain | ≤ 5 % | 2.5 % (2.5 to 2.5) |  |  |  | held |",
        "|  | requests for objects |  | 10,001 (10,001 to 10,001) |  |  |  |  |",
        "|  | uploads among them | ≤ 0 | 1 (1 to 1) |  |  |  | **missed** |",
    ]


def test_why_somebody_is_not_there_is_said_once():
    row = a_row(
        Comparison(of="sparkles", metric=Metric.CPU, than="huey", at_most=2),
        Comparison(of="sparkles", metric=Metric.WALL, than="huey"),
        Comparison(of="sparkles", metric=Metric.WALL),
        sparkles=Entry(count=1, samples=[a_sample()]),
        huey=Entry(count=1, skipped="not | installed"),
    )

    assert lines(row) == [
        "| work, each task | CPU | ≤ 2 × | 1 s (1 to 1) | huey | skipped: not / installed |  |  |",
        "|  | time |  | 1 s (1 to 1) |  |  |  |  |",
    ]


def test_the_versions_are_below_the_table():
    assert table(Record(versions={"python": "3.11", "kernel": "6"}, rows=[])).endswith("\n\npython 3.11 · kernel 6.\n")


def test_only_what_is_between_the_marks_of_a_page_is_replaced():
    page = "before\n<!-- benchmarks: table -->\nold\n<!-- end -->\nafter\n"

    assert into(page, "new\\1\n") == "before\n<!-- benchmarks: table -->\nnew\\1\n<!-- end -->\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path):
    page, record = tmp_path / "page.md", tmp_path / "record.json"
    page.write_text("nothing")
    records.write(Record(versions={}, rows=[]), record)

    done = CliRunner().invoke(main, ["table", str(record), "--into", str(page)])

    assert (done.exit_code, page.read_text()) == (1, "nothing")
    assert "<!-- benchmarks: table -->" in done.output


def test_a_record_is_read_as_it_was_written(tmp_path):
    row = a_row(
        Comparison(of="sparkles", metric=Metric.CPU, than="huey", at_most=2),
        sparkles=Entry(count=3, samples=[a_sample(), replace(a_sample(2), told={"uploads": 0})]),
        huey=Entry(count=3, samples=[], skipped="not installed"),
    )
    record = Record(versions={"python": "3.11"}, rows=[replace(row, comparisons=list(row.comparisons))])

    records.write(record, tmp_path / "record.json")

    assert records.read(tmp_path / "record.json") == record


# The rows


@pytest.mark.parametrize("quick", [True, False])
def test_every_comparison_is_of_contestants_that_there_are(quick):
    rows = [row for group in GROUPS for row in group.rows(Subject(), quick=quick)]

    for row in rows:
        names = {one.name for one in row.contestants}
        assert names >= {name for one in row.comparisons for name in (one.of, one.than) if name}, row.name
    assert len({row.name for row in rows}) == len(rows)


def test_another_checkout_s_sparkles_is_measured_beside_this_one_s(tmp_path):
    row, *_ = tasks.rows(Subject(), quick=True)
    other, *_ = tasks.rows(Subject(tmp_path), quick=True)

    both = beside(row, other)

    assert [one.name for one in both.contestants][-1] == "other sparkles"
    assert Comparison(of="sparkles", metric=Metric.CPU, than="other sparkles") in both.comparisons


def test_an_unknown_row_is_refused_with_those_there_are():
    done = CliRunner().invoke(main, ["run", "--only", "taks"])

    assert done.exit_code == 2
    assert "taks: there is no such row; there are help, status" in done.output


def test_the_rows_of_the_cloud_are_left_out_where_it_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARKLES_FIRESTORE_JAR", str(tmp_path / "none.jar"))

    reasons = {one.missing() for row in cloud.rows(Subject(), quick=True) for one in row.contestants}

    assert len(reasons) == 1
    assert "apt-get install" in reasons.pop()


# Measuring


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "folder"
    place.mkdir()
    return place


def shell(line: str, **others: object) -> Run:
    return Run(command=["sh", "-c", line], **others)


@linux
def test_what_a_command_has_detached_is_measured_with_it(folder):
    hungry = f"{sys.executable} -c 'x = bytearray(100_000_000)'"

    plain = measure(shell("true"), folder)
    sample = measure(shell(f"setsid -f {hungry}"), folder)

    assert plain.peak < 50e6
    assert sample.peak > 100e6
    assert sample.cpu > sample.own


@linux
def test_what_is_left_running_is_waited_for(folder):
    measure(shell("setsid -f sh -c 'sleep 0.2; touch done'"), folder)

    assert (folder / "done").exists()


@linux
def test_what_is_left_running_is_ended_where_nobody_waits_for_it(folder):
    # Nobody would be back within the time of a test if that were waited for.
    measure(shell("true", before=[["sh", "-c", "setsid -f sh -c 'sleep 600; touch done'"]], ends=True), folder)

    assert not (folder / "done").exists()


@linux
def test_nothing_is_left_of_a_benchmark_that_is_killed(folder):
    sleeper = ["setsid", "-w", "sh", "-c", "echo $$ >pid; exec sleep 600"]
    program = (
        "from pathlib import Path; from benchmarks.measure import Run, measure; "
        f"measure(Run(command={sleeper!r}), Path({str(folder)!r}))"
    )
    benchmark = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    pid = int(eventually(lambda: (folder / "pid").exists() and (folder / "pid").read_text()))

    benchmark.kill()
    benchmark.wait()

    assert eventually(lambda: not lives(pid))


@linux
@pytest.mark.parametrize("run", [shell("echo oops; exit 4"), shell("true", before=[["sh", "-c", "echo oops; exit 4"]])])
def test_a_command_that_fails_says_what_it_printed(folder, run):
    with pytest.raises(RunFailed, match="exit 4: oops"):
        measure(run, folder)


@linux
def test_contestants_take_turns_and_the_warm_up_does_not_count(tmp_path):
    said = []
    row = Row(
        name="r", group="g", title="t", comparisons=[], warm_ups=2,
        contestants=[Contestant(name=name, make=lambda _: shell("true")) for name in "ab"],
    )  # fmt: skip

    found = interleave(row, tmp_path, said.append, rounds=2, warm_up=True)

    assert [line.rpartition(" ")[2] for line in said] == ["a", "b"] * 4
    assert [line.partition(": ")[0] for line in said[::2]] == ["r, warm-up"] * 2 + [
        "r, round 1 of 2",
        "r, round 2 of 2",
    ]
    assert [len(entry.samples) for entry in found.entries.values()] == [2, 2]


@linux
def test_a_contestant_that_has_not_done_its_work_is_out(tmp_path):
    lazy = Contestant(name="lazy", make=lambda _: shell("touch out.1"), count=2, leaves="out.*")
    absent = Contestant(name="absent", make=lambda _: shell("true"), missing=lambda: "not installed")
    row = Row(name="r", group="g", title="t", comparisons=[], contestants=[lazy, absent])

    found = interleave(row, tmp_path, lambda _: None, rounds=2, warm_up=False)

    assert found.entries["lazy"] == Entry(count=2, samples=[], skipped="failed: 1 results of 2")
    assert found.entries["absent"].skipped == "not installed"


@linux
def test_what_a_contestant_tells_is_kept_or_puts_it_out(tmp_path):
    def refuse(_: Path) -> dict[str, float]:
        raise RunFailed("it cheats")

    row = Row(
        name="r", group="g", title="t", comparisons=[],
        contestants=[
            Contestant(name="honest", make=lambda _: shell("touch a b"), tells=lambda to: {"n": len([*to.glob("?")])}),
            Contestant(name="cheat", make=lambda _: shell("true"), tells=refuse),
        ],
    )  # fmt: skip

    found = interleave(row, tmp_path, lambda _: None, rounds=1, warm_up=False)

    assert [sample.told for sample in found.entries["honest"].samples] == [{"n": 2}]
    assert found.entries["cheat"].skipped == "failed: it cheats"


@linux
def test_workers_of_the_cloud_finish_each_task_once(tmp_path):
    (row,) = (row for row in cloud.rows(Subject(), quick=True) if row.name == "claims-cloud")
    if why := row.contestants[0].missing():
        pytest.skip(why)

    found = interleave(row, tmp_path, lambda _: None, rounds=1, warm_up=False)

    assert {name: entry.skipped for name, entry in found.entries.items()} == {
        "sparkles, 2 workers": "",
        "sparkles, 1 worker": "",
    }
    (one,) = found.entries["sparkles, 1 worker"].samples
    assert one.told == {"conflicts": 0.0}


@linux
@pytest.mark.process
def test_the_cheapest_row_is_measured_and_printed(tmp_path):
    file, page = tmp_path / "record.json", tmp_path / "page.md"
    page.write_text("<!-- benchmarks: table -->\n<!-- end -->\n")

    ran = CliRunner().invoke(main, ["run", "--quick", "--only", "help", "--folder", str(tmp_path), "-o", str(file)])
    wrote = CliRunner().invoke(main, ["table", str(file), "--into", str(page)])

    assert (ran.exit_code, wrote.exit_code) == (0, 0), ran.output
    assert "| `sparkles --help` | time | ≤ 2 × |" in ran.stdout
    assert ran.stdout in page.read_text()
    (row,) = json.loads(file.read_text())["rows"]
    assert {name: len(entry["samples"]) for name, entry in row["entries"].items()} == {
        "sparkles": 1,
        "click hello-world": 1,
    }
