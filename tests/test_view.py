"""The view: a job at one moment, and what a terminal shows of it, by its size and its characters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from sparkles.cli.area import Extent
from sparkles.cli.view import job_rows, painted, shares, transfer_row
from sparkles.model import Sample, TaskState
from sparkles.printable import encodable, printable
from sparkles.quantities import clock
from sparkles.sight import Failure, Sight, Tailed

P, C, S, F, K = TaskState.PENDING, TaskState.CLAIMED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.KILLED

FIT = Sight(
    job="fit",
    counts={P: 30, C: 2, S: 24, F: 3, K: 1},
    nodes={"staging": 1, "running": 2},
    elapsed=63.0,
    rate=0.205,
    eta=130.0,
    tailed=Tailed(
        id="fit.29", sample=Sample(3, 343_000_000, 0, 0, 0), unfinished="\x1b[2K\repoch 1\repoch 2: 45%"
    ),
    failures=(
        Failure(id="fit.17", how="exit code 3", last_line="\x1b[31mValueError: [bold]λ[/bold] = 漢字\x07"),
        Failure(id="fit.4", how="timeout"),
    ),
)  # fmt: skip


def shown(sight, width, height, *, unicode=True):
    return [row.plain for row in job_rows(sight, Extent(width, height, unicode))]


def test_a_terminal_of_the_usual_size_shows_all():
    assert shown(FIT, 78, 24) == [
        "fit.29  3 processes, 343.0 MB  epoch 2: 45%",
        "fit  ████████████████████████▓▓▓▚▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  46 %",
        "█ succeeded 24  ▓ failed 3  ▚ killed 1  ▒ claimed 2  ░ pending 30",
        "12.3 tasks/min  ETA 2:10  elapsed 1:03  nodes: staging (1), running (2)",
        "fit.17 failed (exit code 3): ValueError: [bold]λ[/bold]…  sparkles logs fit.17",
        "fit.4 failed (timeout)  sparkles logs fit.4",
    ]


def test_jobs_that_are_watched_at_the_same_time_are_a_bar_each_beside_the_first():
    fine, waits = Sight(job="fine", counts={S: 1, P: 1}), Sight(job="waits", counts={}, needs=("fit",))

    assert shown(replace(FIT, beside=(fine, waits)), 78, 24)[3:6] == [
        "12.3 tasks/min  ETA 2:10  elapsed 1:03  nodes: staging (1), running (2)",
        f"fine  {'█' * 30}{'░' * 30}  50 %",
        "waits  waiting for fit",
    ]


def test_nodes_that_are_long_to_come_are_shown_with_the_time():
    sight = replace(
        FIT, coming={"staging": 125.0, "submitted": 4.0}, nodes={"submitted": 1, "staging": 1, "running": 2}
    )

    assert shown(sight, 98, 24)[3].endswith("nodes: submitted (1), staging (1) for 2:05, running (2)")


def test_the_page_on_watching_shows_what_is_shown():
    failures = (replace(FIT.failures[0], last_line="ValueError: NaN"), FIT.failures[1])
    rows = shown(replace(FIT, nodes={"running": 2}, failures=failures), 78, 24)

    assert "\n".join(rows) in (Path(__file__).parents[1] / "docs" / "watching.md").read_text()


def test_a_large_terminal_shows_lines_whole():
    assert shown(FIT, 198, 50)[4] == (
        "fit.17 failed (exit code 3): ValueError: [bold]λ[/bold] = 漢字  sparkles logs fit.17"
    )


def test_a_small_terminal_shows_what_matters_most():
    assert shown(FIT, 38, 10) == [
        "fit.29  3 processes, 343.0 MB  epoch …",
        "fit  ███████████▓▚▒░░░░░░░░░░░░░  46 %",
        "█ succeeded 24  ▓ failed 3  ▚ killed 1",
        "▒ claimed 2  ░ pending 30",
        "12.3 tasks/min  ETA 2:10  elapsed 1:03",
    ]
    assert shown(FIT, 38, 24)[-2:] == ["fit.17  sparkles logs fit.17", "fit.4  sparkles logs fit.4"]
    assert len(shown(FIT, 28, 5)) == 2
    assert shown(FIT, 28, 1)[0].startswith("fit  ")


def test_a_terminal_without_unicode_is_shown_ascii():
    assert shown(FIT, 78, 24, unicode=False) == [
        "fit.29  3 processes, 343.0 MB  epoch 2: 45%",
        "fit  ########################xxx/==------------------------------  46 %",
        "# succeeded 24  x failed 3  / killed 1  = claimed 2  - pending 30",
        "12.3 tasks/min  ETA 2:10  elapsed 1:03  nodes: staging (1), running (2)",
        "fit.17 failed (exit code 3): ValueError: [bold]?[/bold]   sparkles logs fit.17",
        "fit.4 failed (timeout)  sparkles logs fit.4",
    ]


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("height", [1, 5, 8, 24, 50])
@pytest.mark.parametrize("width", [1, 10, 28, 38, 78, 198])
def test_the_area_keeps_within_its_half_of_any_terminal(width, height, unicode):
    wide = Tailed(id="fit.1", unfinished="漢" * 300)
    failures = (Failure(id="fit.2", how="exit code 1", last_line="字" * 300),) * 3
    sight = Sight(job="j" * 63, counts={P: 10**6, S: 1, F: 1}, nodes={"running": 1}, tailed=wide, failures=failures)

    rows = shown(sight, width, height, unicode=unicode)

    assert 1 <= len(rows) <= max(1, height // 2)
    assert all(cell_len(row) <= width for row in rows)
    assert unicode or all(row.isascii() for row in rows)


def test_a_job_that_waits_shows_for_what():
    sight = Sight(job="last", counts={}, needs=("one", "two"), elapsed=3.0)

    assert shown(sight, 78, 24) == ["last  waiting for one, two", "elapsed 0:03"]


def test_a_job_with_a_canary_shows_how_many_it_holds_back():
    sight = Sight(job="fit", counts={P: 10}, held=990, elapsed=3.0)

    assert shown(sight, 78, 24)[2] == "canary: 990 more when these have succeeded  elapsed 0:03"


def test_a_job_does_not_look_complete_before_it_is():
    assert shown(Sight(job="j", counts={S: 9_999, C: 1}), 78, 24)[0].endswith("▒  99 %")


@pytest.mark.parametrize(
    ("rate", "words"),
    [(100.0, "6000 tasks/min"), (0.5, "30.0 tasks/min"), (1 / 60, "1.0 tasks/min"), (1 / 120, "30.0 tasks/h")],
)
def test_a_rate_is_said_in_the_unit_that_suits_it(rate, words):
    assert shown(Sight(job="j", counts={P: 1}, rate=rate), 78, 24)[-1].startswith(words)


def test_an_upload_shows_bytes_files_and_rate():
    def row(done, files, rate, width=78, unicode=True):
        extent = Extent(width, 24, unicode)
        return transfer_row("uploading", done, 4 * 10**9, files=files, rate=rate, extent=extent).plain

    assert row(0, (0, 1), None) == "uploading " + "░" * 36 + "  0 bytes of 4.0 GB  0 of 1 file"
    assert row(10**9, (3, 12), 2e8) == (
        "uploading ██████░░░░░░░░░░░░░░░░░  1.0 GB of 4.0 GB  3 of 12 files  200.0 MB/s"
    )
    assert row(10**9, (3, 12), 2e8, width=28, unicode=False) == "uploading #----  1.0 GB of 4"


def test_an_image_shows_bytes_and_rate():
    row = transfer_row("fetching image r", 10**8, 4 * 10**8, files=None, rate=5e7, extent=Extent(70, 24, True))

    assert row.plain == "fetching image r █████░░░░░░░░░░░░░░░  100.0 MB of 400.0 MB  50.0 MB/s"


def test_what_nobody_knows_the_size_of_has_no_bar():
    row = transfer_row("fetching fit", 10**8, 0, files=(12, 0), rate=5e7, extent=Extent(70, 24, True))

    assert row.plain == "fetching fit  100.0 MB  12 files  50.0 MB/s"


@pytest.mark.parametrize(
    ("numbers", "width", "cells"),
    [
        ([], 5, []),
        ([0, 0], 5, [0, 0]),
        ([1, 1], 5, [2, 3]),
        ([1, 0, 10**6], 10, [1, 0, 9]),
        ([10**6, 1, 1, 1, 1], 5, [1, 1, 1, 1, 1]),
        ([1, 1, 1, 1, 1], 3, [1, 0, 1, 0, 1]),
    ],
)
def test_a_bar_is_divided_so_that_nothing_is_lost(numbers, width, cells):
    assert shares(numbers, width) == cells


def test_colours_are_those_of_the_terminal_if_any_are_wanted(monkeypatch):
    rows = job_rows(Sight(job="j", counts={S: 1}), Extent(78, 24, unicode=True))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLORTERM", raising=False)

    coloured = painted(rows)
    monkeypatch.setenv("NO_COLOR", "1")
    plain = painted(rows)

    assert "\x1b[32m" in coloured[1].text
    assert plain[1].text == rows[1].plain
    assert [row.cells for row in coloured] == [row.cell_len for row in rows]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("plain, schön 漢字", "plain, schön 漢字"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[H\x1b[?25lgone\x1b[1A", "gone"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x1b(B\x1bc\x1b7a\x1b", "a"),
        ("\x9b31mred", "red"),
        ("10%\r50%\r100%\r", "100%"),
        ("ends\r", "ends"),
        ("a\tb\x08\x07\x00c", "a       bc"),
        ("left\u202eright\u200b", "leftright"),
        ("\x1b]0;a title without an end", ""),
    ],
)
def test_what_moves_the_cursor_is_not_printed(line, text):
    assert printable(line) == text


def test_what_an_encoding_lacks_becomes_a_question_mark():
    assert encodable("schön 漢", "latin-1") == "schön ?"
    assert encodable("schön 漢", None) == "schön 漢"


def test_time_spans_are_said_as_clocks_say_them():
    assert [clock(seconds) for seconds in (0, 59.9, 125, 3_720, 90_000)] == [
        "0:00", "0:59", "2:05", "1:02:00", "1 d 1:00:00"
    ]  # fmt: skip
