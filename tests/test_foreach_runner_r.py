"""The runner of foreach for R."""

from __future__ import annotations

import csv
import shutil
import subprocess

import pytest
from phases import EXAMPLES, Phases, ok


@pytest.fixture
def scatter(tmp_path):
    """A script, its runner, and Rscript."""
    if shutil.which("Rscript") is None:
        pytest.skip("needs R: apt-get install r-base-core")
    return Phases(tmp_path, ["Rscript"], runner="foreach.R", suffix="rds")


def script(elements="1", *, extra="NULL", foreach="x", gather="cat(deparse(results), '\\n')", top=""):
    return (
        f"{top}\n"
        f"get_foreach_args <- function(...) list(elements = {elements}, extra_args = {extra})\n"
        f"foreach <- function(x, ...) {{ {foreach} }}\n"
        f"gather <- function(results, ...) {{ {gather} }}\n"
    )


#: From the manual.
RESULTS = [
    ["", "target", "rmse"],
    ["1", "Sepal.Length", 0.300626956897024],
    ["2", "Sepal.Width", 0.262392490381384],
    ["3", "Petal.Length", 0.257419025528041],
    ["4", "Petal.Width", 0.163249617363952],
    ["5", "setosa", 0.0751863401588153],
    ["6", "versicolor", 0.0818033953243054],
    ["7", "virginica", 0.0683978359513745],
]


@pytest.mark.parametrize("size", [1, 3])
def test_the_manual_s_script_writes_what_the_manual_says(scatter, size):
    scatter.write("sample-scatter.r", (EXAMPLES / "sample-scatter.r").read_bytes())

    done = scatter.all(size=size)

    assert done[-1].stdout.startswith('[1] "results"\nList of 7\n')
    with (scatter.folder / "gather" / "results.csv").open(newline="") as table:
        header, *rows = csv.reader(table)
    assert header == RESULTS[0]
    assert [row[:2] for row in rows] == [row[:2] for row in RESULTS[1:]]
    assert [float(row[2]) for row in rows] == pytest.approx([row[2] for row in RESULTS[1:]], rel=1e-12)


def test_arguments_arrive_byte_for_byte(scatter):
    args = [
        b"",
        b"a b",
        b"'\"`$HOME\\",
        b"\xff\xfe",
        "ü€".encode(),
        b"-g",
        b"-e",
        b"--args",
        b"--version",
        b"a\nb",
        b"",
    ]
    scatter.write("s.r", script(
        "list(...)", foreach="out <- file('arg', 'wb'); writeBin(charToRaw(x), out); close(out)", gather=""
    ))  # fmt: skip
    ok(scatter.getargs(*args))

    for batch in range(1, len(args) + 1):
        ok(scatter.foreach(batch))

    assert [(scatter.folder / f"foreach-{n}" / "arg").read_bytes() for n in range(1, len(args) + 1)] == args


@pytest.mark.parametrize("size", [1, 4])
def test_results_keep_their_order_and_null_its_place(scatter, size):
    scatter.write("s.r", script("1:11", extra="list(100)", foreach="if (x %% 5) x + ..1"))

    printed = scatter.all(size=size)[-1].stdout

    assert " ".join(printed.split()) == "list(101, 102, 103, 104, NULL, 106, 107, 108, 109, NULL, 111)"


def test_extra_arguments_may_have_names_and_be_a_vector(scatter):
    top = "foreach <- function(x, b, a) paste(x, a, b)"
    scatter.write("s.r", script("'x'", extra="c(a = 'A', b = 'B')") + top)

    assert scatter.all()[-1].stdout == 'list("x A B") \n'


def test_elements_keep_what_they_are(scatter):
    elements = "list(NULL, factor('b', c('a', 'b')), as.Date('2020-01-02'), list(a = 1), function(x) x + 1, 2L)"
    look = "if (is.null(x)) 'NULL' else if (is.function(x)) x(1) else paste(class(x), format(x))"
    scatter.write("s.r", script(elements, foreach=look))

    printed = " ".join(scatter.all(size=9)[-1].stdout.split())

    assert printed == 'list("NULL", "factor b", "Date 2020-01-02", "list 1", 2, "integer 2")'


@pytest.mark.parametrize(
    ("elements", "classes"),
    [
        ("factor(c('b', 'a'))", "factor"),
        ("as.Date(c('2020-01-02', '2021-01-02'))", "Date"),
        ("as.POSIXlt(c(1, 2), origin = '1970-01-01', tz = 'UTC')", "POSIXct"),
    ],
)
def test_each_element_of_a_vector_has_its_class(scatter, elements, classes):
    scatter.write("s.r", script(elements, foreach="class(x)[[1]]"))

    assert scatter.all(size=2)[-1].stdout == f'list("{classes}", "{classes}") \n'


def test_classes_of_the_script_are_known_in_every_phase(scatter):
    scatter.write("s.r", script(
        "list(new('Point', x = 1), Account$new(total = 2))",
        foreach="if (is(x, 'Point')) new('Point', x = x@x * 10) else { x$add(5); x }",
        gather="print(c(results[[1]]@x, results[[2]]$total, is(results[[1]], 'Point')))",
        top=(
            "setClass('Point', representation(x = 'numeric'))\n"
            "Account <- setRefClass('Account', fields = list(total = 'numeric'),\n"
            "  methods = list(add = function(n) total <<- total + n))\n"
        ),
    ))  # fmt: skip

    assert scatter.all()[-1].stdout == "[1] 10  7  1\n"


def test_a_script_knows_its_file_and_its_neighbours(scatter):
    scatter.write("lib.r", "twice <- function(x) 2 * x\n", is_script=False)
    scatter.write("s.r", script("c(1, 2)", foreach="twice(x)", gather="print(unlist(results)); print(here)", top=(
        "here <- sys.frame(1)$ofile\nsource('lib.r')"
    )))  # fmt: skip

    assert scatter.all()[-1].stdout == '[1] 2 4\n[1] "s.r"\n'


EXPECTED = "expected list(elements = ..., extra_args = list(...)), where extra_args may be missing"
WRONG = {
    "list(elements = iris)": (
        "elements is a data.frame; write split(df, seq_len(nrow(df))) for its rows, as.list(df) for its columns"
    ),
    "list(elements = diag(2))": (
        "elements is a matrix; write split(m, row(m)) for its rows, split(m, col(m)) for its columns"
    ),
    "list(elements = sum)": "elements is a function; write a list or a vector",
    "list(elements = list())": "get_foreach_args returned no elements: there is nothing to do",
    "list(elements = NULL)": "get_foreach_args returned no elements: there is nothing to do",
    "1:3": f"what get_foreach_args returned is an integer; {EXPECTED}",
    "list(element = 1)": f"what get_foreach_args returned is a list; {EXPECTED}",
    "list(elements = 1, extra = 2)": "get_foreach_args returned 'extra'; there are only 'elements' and 'extra_args'",
    "list(elements = 1, extra_args = iris)": (
        "extra_args is a data.frame; write extra_args = list(...), a list of arguments"
    ),
}


@pytest.mark.parametrize("returned", WRONG)
def test_what_is_wrong_with_the_first_function_is_said_in_words(scatter, returned):
    scatter.write("s.r", f"get_foreach_args <- function() {returned}\n")

    done = scatter.getargs()

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"getargs: {WRONG[returned]}\n")


@pytest.mark.parametrize(
    ("function", "said"),
    [("get_args", "; did you mean 'get_foreach_args'?"), ("xyz", "; it has: foreach, gather, get_foreach_args")],
)
def test_a_function_that_is_not_there_is_said_in_words(scatter, function, said):
    scatter.write("s.r", script(top="a <- 1"))

    done = scatter.getargs(function=function)

    assert (done.returncode, done.stderr) == (1, f"getargs: s.r has no function '{function}'{said}\n")


def test_a_script_that_is_not_there_is_said_in_words(scatter):
    scatter.script = "none.r"

    done = scatter.getargs()

    assert (done.returncode, done.stderr) == (
        1,
        f"getargs: there is no file 'none.r' in {scatter.folder / 'getargs'}\n",
    )


def test_an_error_has_the_calls_of_the_script_alone_and_names_the_element(scatter):
    scatter.write("s.r", script("list(list(a = 1), 2)", foreach="inner(x)", top="inner <- function(y) stop('no way')"))
    ok(scatter.getargs(size=2))

    done = scatter.foreach(1)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "Error in inner(x) : no way",
        "  foreach(argument_1)",
        "  inner(x)",
        "foreach failed on element 1 of 2: list(a = 1)",
    ]


LOADED = "getargs failed while s.r was loaded"
CALL = "get_foreach_args(argument_1, argument_2)"
ARGUMENTS = 'getargs failed in get_foreach_args, with the arguments c("a", "b c")'


@pytest.mark.parametrize(
    ("top", "elements", "shown"),
    [
        ("stop('early')", "1", ["Error in eval(ei, envir) : early", LOADED]),
        ("f <- function() stop('early')\nf()", "1", ["Error in f() : early", "  f()", LOADED]),
        ("", "stop('late')", [f"Error in {CALL} : late", f"  {CALL}", ARGUMENTS]),
    ],
)
def test_an_error_of_the_first_phase_says_how_far_it_was(scatter, top, elements, shown):
    scatter.write("s.r", script(elements, top=top))

    done = scatter.getargs("a", "b c")

    assert done.returncode == 1
    assert done.stderr.splitlines() == shown


def test_an_error_of_a_first_phase_without_arguments_says_so(scatter):
    scatter.write("s.r", script("stop('late')"))

    done = scatter.getargs()

    assert done.stderr.splitlines()[-1] == "getargs failed in get_foreach_args, without arguments"


def test_a_syntax_error_is_shown_as_r_shows_it(scatter):
    scatter.write("s.r", "f <- function() {\n  1 +* 2\n}\n")

    done = scatter.getargs()

    assert done.returncode == 1
    assert "s.r:2:6: unexpected '*'" in done.stderr
    assert done.stderr.splitlines()[-1] == LOADED


def test_a_warning_is_printed_and_a_status_is_kept(scatter):
    scatter.write("s.r", script("1", foreach="warning('careful'); quit(status = 3)"))
    ok(scatter.getargs())

    done = scatter.foreach(1)

    assert done.returncode == 3
    assert "careful" in done.stderr


def test_the_same_elements_are_the_same_bytes_in_every_process(scatter):
    scatter.write("s.r", script("list(1, 'ü', list(...), as.Date('2020-01-02'), quote(a + b), iris)"))

    keys = []
    for _ in range(2):
        ok(scatter.getargs("a", "b"))
        keys.append(scatter.keys())

    assert keys[0] == keys[1]
    assert all(len(key) == 32 for key in keys[0])


def test_equal_batches_are_equal_folders(scatter):
    scatter.write("s.r", script("c(1, 2, 1, 2, 1, 3, 1)"))

    ok(scatter.getargs(size=2))

    one, two, three, four = scatter.keys()
    assert (one == two, one == three, one == four) == (True, False, False)
    names = [sorted(path.name for path in scatter.made(f"elements/{batch}").iterdir()) for batch in (1, 2, 4)]
    assert names == [["0.rds", "1.rds"], ["0.rds", "1.rds"], ["0.rds"]]


def test_results_are_in_the_order_of_the_elements_whichever_tasks_had_them(scatter):
    scatter.write("s.r", script("c('a', 'b', 'a', 'c')", foreach="paste0(x, length(list.files('..')))"))
    ok(scatter.getargs())
    for batch in (1, 2, 3, 4):
        ok(scatter.foreach(batch))

    done = scatter.gather({10: 1, 9: 3, 4: 2, 100: 4})

    # The folder of the tasks has one more each time; of the equal elements, the first has the result of the first task.
    assert done.stdout == 'list("a4", "b3", "a2", "c5") \n'


def test_a_result_that_is_not_there_is_said_in_words(scatter):
    scatter.write("s.r", script("c(1, 2)"))
    ok(scatter.getargs())
    ok(scatter.foreach(1))

    done = scatter.gather({1: 1})

    assert (done.returncode, done.stderr) == (1, "gather: batch 2 has no result: its task ended without one\n")


def test_what_a_function_prints_is_seen_at_once(scatter):
    scatter.write("s.r", script("{ cat('waiting\\n'); while (!file.exists('go')) Sys.sleep(0.01); 1 }"))
    argv = scatter.prepare("getargs", "getargs", "get_foreach_args", "1", given={})
    place = scatter.folder / "getargs"

    with subprocess.Popen(argv, cwd=place, env=scatter.environment(), stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        (place / "go").touch()

    assert (line, process.returncode) == (b"waiting\n", 0)
