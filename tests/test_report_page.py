"""The page of a report in a browser: what it shows, and that it can be used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from browser import browser
from test_report import HOSTILE, a_job, a_subject, a_task

from sparkles.model import JobState, TaskState
from sparkles.report import page

#: More than anybody would put into a document as they are.
MANY = 20_000

#: How WebDriver writes keys.
ENTER, END, HOME, DOWN, ESCAPE = "\ue007", "\ue010", "\ue011", "\ue015", "\ue00c"

ROWS = ".scroller tbody tr:not(.gap)"


@pytest.fixture(scope="module")
def chromium():
    with browser() as window:
        yield window


@pytest.fixture
def show(chromium, tmp_path):
    def show(*subjects, now=1000.0, **window):
        path = tmp_path / "report.html"
        path.write_text(page("fit", subjects, now=now), encoding="utf-8")
        chromium.open(path, **window)
        return chromium

    yield show
    assert chromium.complaints() == []


@pytest.fixture
def many():
    """20,000 tasks on 40 slots, every hundredth of which failed."""
    return a_subject(
        *(
            a_task(
                index, row={"size": str(index % 7), "name": f"n{index}"}, node=f"node-{index % 10}",
                state=TaskState.FAILED if index % 100 == 0 else TaskState.SUCCEEDED, exit=int(index % 100 == 0),
                started=float(index // 40), ended=float(index // 40) + 0.9, peak_memory=1_000_000 * (1 + index % 50),
            )
            for index in range(1, MANY + 1)
        )
    )  # fmt: skip


def test_what_a_task_wrote_is_text_and_never_a_part_of_the_page(show):
    subject = a_subject(a_task(1, row={HOSTILE: HOSTILE}, state=TaskState.FAILED, exit=1, said=HOSTILE, node=HOSTILE))

    window = show(replace(subject, fields={HOSTILE: [HOSTILE]}, notes=[HOSTILE], origin={HOSTILE: HOSTILE}))
    window.type("table[role=grid]", HOME, ENTER)

    assert HOSTILE in window.run("return document.querySelector('.detail').textContent")
    assert window.run("return document.querySelectorAll('img').length") == 0
    assert window.run("return window.harmed") is None


def test_of_many_tasks_only_the_rows_in_sight_are_there_and_the_last_can_be_reached(show, many):
    window = show(many)

    window.type("table[role=grid]", END)

    assert window.run(f"return document.querySelectorAll('{ROWS}').length") < 60
    assert window.texts(f"{ROWS} th")[-1] == str(MANY)
    window.type("table[role=grid]", HOME)
    assert window.texts(f"{ROWS} th")[0] == "1"


def test_tasks_are_filtered_as_list_does_it_and_by_words(show, many):
    window = show(many)

    window.type(".filter", "state=failed size>3")
    assert window.text(".tasks .count") == f"{sum(n % 7 > 3 for n in range(100, MANY + 1, 100))} of 20,000"
    window.run("document.querySelector('.filter').value = ''")
    window.type(".filter", "n12345")
    assert window.texts(f"{ROWS} th") == ["12345"]
    window.run("document.querySelector('.filter').value = ''")
    window.type(".filter", "memory>1.5MB memory<=3MB index<=50")
    assert window.texts(f"{ROWS} th") == ["1", "2"]
    window.run("document.querySelector('.filter').value = ''")
    window.type(".filter", "sise=3")
    assert window.text(".problem").startswith("there is no field sise; there is: index, state, params.size")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("said=", ["2"]),
        ("said!=", ["1"]),
        ("said!=NaN", ["2"]),
        ("said~.*", ["1"]),
        ("said !~ NaN", ["2"]),
        ("said!~x", ["1", "2"]),
    ],
)
def test_what_is_not_set_is_filtered_as_list_does_it(show, text, found):
    window = show(a_subject(a_task(1, said="NaN"), a_task(2)))

    window.type(".filter", text)

    assert window.texts(f"{ROWS} th") == found


def test_a_column_sorts_numbers_as_numbers_and_back(show):
    window = show(a_subject(*(a_task(n, row={"x": x}) for n, x in enumerate(["10", "9", "1e1", "-3"], start=1))))

    window.click("thead button[title='params.x']")

    assert window.texts(f"{ROWS} th") == ["4", "2", "1", "3"]
    assert window.run("return document.querySelector('th[aria-sort=ascending]').innerText") == "x ▴"
    window.click("thead button[title='params.x']")
    assert window.texts(f"{ROWS} th") == ["1", "3", "2", "4"]


def test_the_keyboard_moves_through_the_table_and_shows_a_task(show, many):
    window = show(many)

    window.type("table[role=grid]", HOME, DOWN, DOWN, ENTER)

    assert window.texts("tr[aria-selected=true] th") == ["3"]
    assert window.texts(".detail code") == ["sparkles logs fit.3", "sparkles why fit.3"]
    window.type("table[role=grid]", ESCAPE)
    assert window.texts(".detail") == []


def test_the_timeline_draws_every_state_and_zooms(show, many):
    window = show(many)
    canvas = ".timeline canvas"
    whole = window.picture(canvas)

    assert {"succeeded", "failed"} <= colours_of(window, canvas)
    window.type(canvas, "++")
    assert window.picture(canvas) != whole
    window.type(canvas, "0")
    assert window.picture(canvas) == whole


def test_what_a_picture_shows_is_also_said_in_words(show, many):
    window = show(many)

    labels = window.run("return [...document.querySelectorAll('canvas')].map((one) => one.ariaLabel)")

    assert labels[0].startswith("Timeline. 20,000 attempts on 10 nodes, up to 40 tasks at once")
    assert labels[1] == "Histogram of run time. least 900 ms · median 900 ms · 90 % below 900 ms · most 900 ms"
    assert labels[2].startswith("Histogram of memory. least 1.0 MB · median 26.0 MB")
    assert labels[3].startswith("Plot. run time over size, of 20,000 tasks")


def test_the_plot_follows_what_is_chosen(show, many):
    window = show(replace(many, fields={"auc": [f"0.{n % 89}" for n in range(MANY)]}))
    before = window.picture(".plot canvas")

    window.run("const y = document.querySelector('.y'); y.value = 'memory'; y.dispatchEvent(new Event('change'))")

    assert window.picture(".plot canvas") != before
    assert window.text(".plot .words").startswith("memory over size")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_as_wide_as_the_window(show, many, width):
    window = show(many, width=width)

    assert window.run("return document.documentElement.scrollWidth") == width


def test_colours_are_those_of_the_system_until_others_are_chosen(show, many):
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = show(many).run(ground)
    dark = show(many, dark=True)

    assert dark.run(ground) != light
    assert {"succeeded", "failed"} <= colours_of(dark, ".timeline canvas")
    dark.click("#theme")
    assert dark.text("#theme") == "○ light"
    assert dark.run(ground) == light


def test_of_a_whole_one_job_is_shown_and_the_others_can_be_chosen(show):
    parts = [
        replace(a_subject(a_task(1)), job=a_job(name=f"fit{part}", whole="fit")) for part in ("-getargs", "", "-gather")
    ]
    window = show(*parts)

    assert window.texts("h2") == ["fit-getargs"]
    window.click("[data-part='2']")
    assert window.texts("h2") == ["fit-gather"]
    assert window.texts("[aria-current=true]") == ["gather"]


@pytest.mark.parametrize(
    "subject",
    [
        a_subject(),
        a_subject(a_task(1, state=TaskState.PENDING, node=None, started=None, ended=None, exit=None)),
        a_subject(a_task(1, state=TaskState.CLAIMED, ended=None, exit=None, peak_memory=None)),
        a_subject(a_task(1, started=5.0, ended=5.0, peak_memory=0)),
    ],
    ids=["no task", "pending", "running", "no time and no memory"],
)
def test_a_job_of_which_little_is_known_has_a_page_too(show, subject):
    window = show(replace(subject, job=replace(subject.job, state=JobState.ACTIVE, ended=None), document=None))

    assert window.texts("article h2") == ["fit"]
    assert len(window.texts(".verdict")) == 1


def colours_of(window, canvas):
    """Return which of the states' colours are on a canvas."""
    script = """
        const canvas = document.querySelector(arguments[0]);
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const there = new Set();
        for (let at = 0; at < pixels.length; at += 4) there.add(`${pixels[at]}, ${pixels[at + 1]}, ${pixels[at + 2]}`);
        return Object.values(STATES).filter((state) => there.has(colour(state).match(/\\d+, \\d+, \\d+/)[0]));
    """
    return set(window.run(script, canvas))


def test_the_csv_has_the_rows_that_are_shown(show):
    window = show(a_subject(*(a_task(n, row={"x": f'{n},"'}) for n in (1, 2, 3))))
    window.type(".filter", "index>1")

    text = window.run("let kept; save = (name, text) => { kept = [name, text] };"
                      "document.querySelector('.csv').click(); return kept")  # fmt: skip

    assert text[0] == "fit.csv"
    assert [line.split(",")[0] for line in text[1].splitlines()] == ["index", "2", "3"]
    assert '"2,"""' in text[1]


def test_on_paper_the_page_is_light_and_has_rows_and_no_gaps(show, many):
    window = show(many, dark=True)

    window.run("dispatchEvent(new Event('beforeprint'))")

    assert window.run(f"return document.querySelectorAll('{ROWS}').length") == 200
    assert window.run("return document.documentElement.dataset.theme") == "light"
    window.run("dispatchEvent(new Event('afterprint'))")
    assert window.run(f"return document.querySelectorAll('{ROWS}').length") < 60
    assert window.run("return document.documentElement.dataset.theme") == "auto"
