"""The runner of foreach for Python, with every Python that is here."""

from __future__ import annotations

import functools
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from phases import EXAMPLES, Phases, ok

CURRENT = "{}.{}".format(*sys.version_info)
VERSIONS = ["2.7", *(f"3.{minor}" for minor in range(6, 15))]


@functools.cache
def interpreter(version):
    """Return the path of a Python, or None."""
    if version == CURRENT:
        return sys.executable
    roots = [Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser(), Path("/opt/pyenv")]
    pyenv = [path for root in roots for path in root.glob(f"versions/{version}.*/bin/python")]
    on_path = shutil.which(f"python{version}")
    return str(pyenv[0]) if pyenv else on_path if on_path and "shims" not in Path(on_path).parts else None


def found(version):
    path = interpreter(version)
    if path is None:
        pytest.skip(f"needs Python {version}: pyenv install {version}, or a python{version} on the PATH")
    return path


@pytest.fixture(params=[version for version in VERSIONS if version == "2.7" or interpreter(version)])
def scatter(request, tmp_path):
    """A script, its runner, and a Python."""
    return phases(tmp_path, found(request.param))


@pytest.fixture(params=["2.7", CURRENT])
def edges(request, tmp_path):
    """The same for what is mere words: with the oldest Python, and with the one that runs the tests."""
    return phases(tmp_path, found(request.param))


@pytest.fixture
def here(tmp_path):
    """The same with the Python that runs the tests."""
    return phases(tmp_path, sys.executable)


def phases(folder, python):
    return Phases(folder, [python], runner="foreach.py", suffix="pkl")


def script(elements="[1]", *, extra="", foreach="return x", gather="print(results)", top=""):
    return (
        f"{top}\n"
        f"def get_foreach_args(*args):\n    return dict(elements={elements}{extra and f', extra_args={extra}'})\n"
        f"def foreach(x, *extra):\n    {foreach}\n"
        f"def gather(results, *extra):\n    {gather}\n"
    )


def test_the_manual_s_script_prints_what_the_manual_says(scatter):
    scatter.write("sample-scatter.py", (EXAMPLES / "sample-scatter.py").read_bytes())

    printed = [done.stdout for done in scatter.all("2.0")]

    assert printed == ["", "", "", "", "", "[2.0, 4.0, 6.0, 8.0]\n"]


def test_it_does_not_matter_how_many_elements_a_task_has(scatter):
    scatter.write("s.py", script("range(23)", extra="[100]", foreach="return x + extra[0] if x % 5 else None"))

    printed = {scatter.all(size=size)[-1].stdout for size in (1, 4, 11, 100)}

    assert printed == {f"{[x + 100 if x % 5 else None for x in range(23)]}\n"}


def test_arguments_arrive_byte_for_byte(scatter):
    args = [b"", b"a b", b"'\"`$HOME\\", b"\xff\xfe", "ü€".encode(), b"-c", b"--", b"--help", b"a\nb", b""]
    scatter.write(
        "s.py",
        script("args", foreach="write(x)", top=(
            "import os\n"
            "def write(x):\n"
            "    with open('arg', 'wb') as file:\n"
            "        file.write(getattr(os, 'fsencode', bytes)(x))\n"
        )),
    )  # fmt: skip

    scatter.all(*args)

    assert [(scatter.folder / f"foreach-{n}" / "arg").read_bytes() for n in range(1, len(args) + 1)] == args


def test_a_script_is_a_module_that_has_a_file_neighbours_and_classes(scatter):
    scatter.write("lib/neighbour.py", "import fit\ndef point(x):\n    return fit.Point(x)\n", is_script=False)
    scatter.write("lib/fit.py", script(
        "[neighbour().point(n) for n in (1, 2)]",
        foreach="return type(x) is Point and Point(x.x * 10)",
        gather="print([type(r) is Point and r.x for r in results], __file__, __name__, sys.argv)",
        top=(
            "from __future__ import print_function\nimport sys\n"
            "class Point(object):\n    def __init__(self, x):\n        self.x = x\n"
            "def neighbour():\n    import neighbour\n    return neighbour\n"
            "if __name__ == '__main__':\n    print('main')\n"
        ),
    ))  # fmt: skip

    printed = "".join(done.stdout for done in scatter.all())

    assert printed == "[10, 20] lib/fit.py fit ['lib/fit.py']\n"


def test_no_other_files_than_the_script_s_are_left(scatter):
    scatter.write("neighbour.py", "", is_script=False)
    scatter.write("s.py", script(top="import neighbour"))

    scatter.all()

    left = {path.name for path in scatter.folder.rglob("*") if ".foreach" not in path.parts and path.is_file()}
    assert left == {"s.py", "neighbour.py"}


@pytest.mark.parametrize("name", ["pickle.py", "hashlib.py", "two.dots.py", "a-b c.py", "none"])
def test_a_script_may_have_any_name(edges, name):
    edges.write(name, script("[P(), P()]", top="class P(object):\n    pass", gather="print(len(results))"))

    assert edges.all(size=2)[-1].stdout == "2\n"


def test_other_processes_can_be_started_from_a_function(scatter):
    scatter.write("my-fit.py", script(
        "[[1, 2, 3]]",
        foreach="return pool().map(double, x)",
        top=(
            "import multiprocessing\n"
            "def double(x):\n    return x * 2\n"
            "def pool():\n"
            "    how = getattr(multiprocessing, 'get_context', lambda _: multiprocessing)('spawn')\n"
            "    return how.Pool(2)\n"
        ),
    ))  # fmt: skip

    assert scatter.all()[-1].stdout == "[[2, 4, 6]]\n"


@pytest.mark.parametrize("elements", ["[1, 'a', None]", "(1, 'a', None)", "(x for x in [1, 'a', None])"])
def test_elements_are_whatever_can_be_iterated(edges, elements):
    edges.write("s.py", script(elements))

    assert edges.all(size=9)[-1].stdout == "[1, 'a', None]\n"


def test_an_array_of_numpy_gives_its_rows(here):
    pytest.importorskip("numpy", reason="needs numpy: pip install 'sparkles[test]'")
    here.write("s.py", script(
        "np.arange(6).reshape(3, 2)",
        extra="[np.eye(2)]",
        foreach="return (x @ extra[0]).sum()",
        gather="print([float(result) for result in results])",
        top="import numpy as np",
    ))  # fmt: skip

    assert here.all()[-1].stdout == "[1.0, 5.0, 9.0]\n"


def test_the_elements_of_a_generator_are_written_one_by_one(scatter):
    scatter.write("s.py", script("many()", top=(
        "import os\n"
        "def many():\n"
        "    for number in range(4):\n"
        "        yield sum(len(files) for _, _, files in os.walk('.foreach/elements'))\n"
    )))  # fmt: skip

    assert scatter.all(size=9)[-1].stdout == "[0, 1, 2, 3]\n"


REFUSED = {
    "dict(a=1)": "elements is of type dict; write list(...) for its keys, list(....items()) for pairs",
    "'abc'": "elements is of type str; write a list of texts",
    "{1, 2}": "elements is of type set; it has no order; write sorted(...)",
    "7": "elements is of type int; write a list",
    "[]": "get_foreach_args returned no elements: there is nothing to do",
    "iter([])": "get_foreach_args returned no elements: there is nothing to do",
}


@pytest.mark.parametrize("elements", REFUSED)
def test_elements_that_cannot_be_meant_are_refused(edges, elements):
    edges.write("s.py", script(elements))

    done = edges.getargs()

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"getargs: {REFUSED[elements]}\n")


#: What the script does wrong in its first function, and what is said.
WRONG = {
    "return [1, 2]": "what get_foreach_args returned is of type list; expected dict(elements=[...], ",
    "return dict(element=[1])": "what get_foreach_args returned is of type dict; expected dict(elements=[...], ",
    "return dict(elements=[1], extra_arg=[2])": "get_foreach_args returned 'extra_arg'; there are only 'elements' and ",
    "return dict(elements=[1], extra_args='ab')": "extra_args is of type str; write extra_args=[...], a list of ",
    "return dict(elements=[1, lambda: 1])": "element 2 is of type function, which cannot be pickled: ",
    "import sys; return dict(elements=[1], extra_args=[sys])": "extra_args is of type list, which cannot be pickled: ",
    "import sys; sys.exit()": "the script ended Python, with exit code 0, before it had returned anything",
}


@pytest.mark.parametrize("body", WRONG)
def test_what_is_wrong_with_the_first_function_is_said_in_words(edges, body):
    edges.write("s.py", f"def get_foreach_args():\n    {body}\n")

    done = edges.getargs()

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"getargs: {WRONG[body]}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("get_args", "s.py has no function 'get_args'; did you mean 'get_foreach_args'?"),
        ("xyz", "s.py has no function 'xyz'; it has: foreach, gather, get_foreach_args"),
        ("A", "s.py has no function 'A'; it has: foreach, gather, get_foreach_args"),
    ],
)
def test_a_function_that_is_not_there_is_said_in_words(edges, function, said):
    edges.write("s.py", script(top="A = 1"))

    done = edges.getargs(function=function)

    assert (done.returncode, done.stderr) == (1, f"getargs: {said}\n")


def test_a_script_that_is_not_there_is_said_in_words(edges):
    edges.script = "none.py"

    done = edges.getargs()

    assert (done.returncode, done.stderr) == (1, f"getargs: there is no file 'none.py' in {edges.folder / 'getargs'}\n")


def test_functions_may_have_other_names(edges):
    edges.write(
        "s.py", "def a(*words):\n    return {'elements': words}\ndef b(x):\n    return x\ndef c(xs):\n    print(xs)"
    )

    ok(edges.getargs("x", function="a"))
    ok(edges.foreach(1, function="b"))

    assert edges.gather(function="c").stdout == "['x']\n"


def without_marks(text):
    """Return a traceback without the lines in which newer Pythons point at a place."""
    return [line for line in text.splitlines() if line.strip(" ~^")]


def test_an_error_has_the_traceback_of_the_script_alone_and_names_the_element(scatter):
    scatter.write("s.py", (
        "def get_foreach_args():\n    return dict(elements=[dict(a=1)])\n"
        "def foreach(x):\n    return inner(x)\n"
        "def inner(x):\n    raise ValueError('no\\nway')\n"
    ))  # fmt: skip
    ok(scatter.getargs())

    done = scatter.foreach(1)

    assert (done.returncode, done.stdout) == (1, "")
    assert without_marks(done.stderr) == [
        "Traceback (most recent call last):",
        '  File "s.py", line 4, in foreach',
        "    return inner(x)",
        '  File "s.py", line 6, in inner',
        "    raise ValueError('no\\nway')",
        "ValueError: no",
        "way",
        "foreach failed on the element {'a': 1}",
    ]


@pytest.mark.parametrize(
    ("top", "elements", "last"),
    [
        ("import nothing", "[]", "getargs failed while s.py was loaded"),
        ("", "[1 / 0 for x in args]", "getargs failed in get_foreach_args, with the arguments 'a', 'b c'"),
        ("", "(1 // (2 - x) for x in range(9))", "getargs failed after it had element 2"),
        ("", "(1 // x for x in range(9))", "getargs failed before it had the first element"),
    ],
)
def test_an_error_of_the_first_phase_says_how_far_it_was(edges, top, elements, last):
    edges.write("s.py", script(elements, top=top))

    done = edges.getargs("a", "b c")

    assert done.returncode == 1
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "s.py", line')
    assert done.stderr.splitlines()[-1] == last
    assert "run.py" not in done.stderr


def test_an_error_of_a_first_phase_without_arguments_says_so(edges):
    edges.write("s.py", script("[1 / 0]"))

    done = edges.getargs()

    assert done.stderr.splitlines()[-1] == "getargs failed in get_foreach_args, without arguments"


def test_an_error_in_a_batch_names_the_element_and_that_of_the_gather_the_phase(edges):
    edges.write(
        "s.py", script("range(1, 9)", foreach="return 100 // (7 - x - extra[0])", extra="[0]", gather="results[99]")
    )
    ok(edges.getargs(size=4))
    ok(edges.foreach(1))

    foreach = edges.foreach(2)
    gather = edges.gather({1: 1, 2: 1})

    assert foreach.stderr.splitlines()[-1] == "foreach failed on element 3 of 4: 7"
    assert (gather.returncode, gather.stderr) == (1, "gather: batch 2 has no result: its task ended without one\n")


def test_a_syntax_error_is_shown_as_python_shows_it(edges):
    edges.write("s.py", "def get_foreach_args():\n    return (\n")

    done = edges.getargs()

    assert done.returncode == 1
    assert done.stderr.startswith('  File "s.py", line ')
    assert done.stderr.splitlines()[-1] == "getargs failed while s.py was loaded"


@pytest.mark.parametrize(
    ("element", "shown"),
    [
        ("'x' * 500", "'" + "x" * 37),
        ("list(range(10 ** 6))", "[0, 1, 2, 3, 4, 5, ...]"),
        ("Bad()", "<Bad instance at 0x"),
    ],
)
def test_an_element_is_shown_shortly(edges, element, shown):
    bad = "class Bad(object):\n    def __repr__(self):\n        1 / 0"
    edges.write("s.py", script(f"[{element}]", foreach="fail()", top=bad))
    ok(edges.getargs())

    last = edges.foreach(1).stderr.splitlines()[-1]

    assert last.startswith(f"foreach failed on the element {shown}") or last.endswith("of type Bad")
    assert len(last) < 120


def test_a_result_that_cannot_travel_is_said_in_words(edges):
    edges.write("s.py", script("[5]", foreach="return lambda: 1"))
    ok(edges.getargs())

    done = edges.foreach(1)

    said = "foreach: the result for the element 5 is of type function, which cannot be pickled: "
    assert (done.returncode, done.stderr[: len(said)]) == (1, said)


def test_the_exit_code_of_a_function_is_kept(edges):
    edges.write("s.py", script("[0, 3, 'text']", foreach="sys.exit(x)", top="import sys"))
    ok(edges.getargs())

    ends = [edges.foreach(batch) for batch in (1, 2, 3)]

    assert [end.returncode for end in ends] == [1, 3, 1]
    assert ends[0].stderr == "foreach: the script ended Python, with exit code 0, before it had returned anything\n"
    assert ends[2].stderr == "text\n"


@pytest.mark.parametrize("code", [0, 4])
def test_the_last_function_may_end_python(edges, code):
    edges.write("s.py", script(gather=f"sys.exit({code})", top="import sys"))
    ok(edges.getargs())
    ok(edges.foreach(1))

    assert edges.gather().returncode == code


def test_what_a_function_prints_is_seen_at_once(scatter):
    scatter.write("s.py", script(top=(
        "import os, time\n"
        "def wait():\n"
        "    print('waiting')\n"
        "    while not os.path.exists('go'):\n"
        "        time.sleep(0.01)\n"
        "    return [1]\n"
    ), elements="wait()"))  # fmt: skip
    argv = scatter.prepare("getargs", "getargs", "get_foreach_args", "1", given={})
    place = scatter.folder / "getargs"

    with subprocess.Popen(argv, cwd=place, env=scatter.environment(), stdout=subprocess.PIPE) as process:
        line = process.stdout.readline()
        (place / "go").touch()

    assert (line, process.returncode) == (b"waiting\n", 0)


#: Pairs of expressions for equal values, which Python's own pickles tell apart.
EQUAL = {
    "one text and two": ("[A, A, 1]", "[A, ''.join(['te', 'xt']), 1]"),
    "one binary and two": ("[B, B]", "[B, b''.join([b'b', b'in'])]"),
    "a set filled in another order": ("set([0, 8, 16])", "set([16, 8, 0])"),
    "a frozenset of tuples": ("frozenset([(1, A), (2, A)])", "frozenset([(2, ''.join(['te', 'xt'])), (1, A)])"),
    "a set in an object": ("P(set([0, 8]), A)", "P(set([8, 0]), ''.join(['te', 'xt']))"),
}


@pytest.mark.parametrize("pair", EQUAL)
def test_equal_elements_are_equal_bytes(scatter, pair):
    top = (
        "A, B = 'text', b'bin'\n"
        "class P(object):\n    def __init__(self, x, y):\n        self.x, self.y = x, y\n"
    )  # fmt: skip
    scatter.write("s.py", script("[{}, {}]".format(*EQUAL[pair]), top=top))

    ok(scatter.getargs())

    one, other = scatter.keys()
    assert one == other


def test_equal_elements_are_equal_bytes_in_every_process(scatter):
    scatter.write("s.py", script("[set(args), frozenset(args), dict((a, set(args)) for a in args)]"))

    keys = set()
    for seed in ("0", "1", "2"):
        scatter.env = {"PYTHONHASHSEED": seed}
        ok(scatter.getargs(*"thequickbrownfox"))
        keys.add(tuple(scatter.keys()))

    assert len(keys) == 1


def test_an_old_dict_has_no_order_and_a_new_one_has(scatter):
    scatter.write("s.py", script("[{0: 1, 8: 2, 'x': 3}, {8: 2, 0: 1, 'x': 3}]"))

    ok(scatter.getargs())

    one, other = scatter.keys()
    assert (one == other) == ("2.7" in scatter.interpreter[0])


def test_what_is_one_object_in_an_element_stays_one(scatter):
    scatter.write("s.py", script(
        "[element()]",
        foreach="return x[0] is x[1], x[2][0] is x[2], x[3].others == set([x[3]]), depth(x[4])",
        top=(
            "class Node(object):\n    pass\n"
            "def depth(x):\n    return 1 + depth(x[0]) if x else 0\n"
            "def element():\n"
            "    shared, loop, node, deep = [], [], Node(), []\n"
            "    loop.append(loop)\n"
            "    node.others = set([node])\n"
            "    for _ in range(200):\n        deep = [deep]\n"
            "    return [shared, shared, loop, node, deep]\n"
        ),
    ))  # fmt: skip

    assert scatter.all()[-1].stdout == "[(True, True, True, 200)]\n"


def test_what_python_can_pickle_is_never_nested_too_deeply(here):
    here.write("s.py", script("[nested()]", foreach="return len(repr(x))", top=(
        "import pickle\n"
        "def nested():\n"
        "    deep = []\n"
        "    try:\n"
        "        while pickle.dumps([deep]):\n            deep = [deep]\n"
        "    except RecursionError:\n        return deep[0][0]\n"
    )))  # fmt: skip

    ok(here.getargs())

    assert pickle.loads(here.made("elements/1/0.pkl").read_bytes())


def test_equal_batches_are_equal_folders(scatter):
    scatter.write("s.py", script("[1, 2, 1, 2, 1, 3, 1]"))

    ok(scatter.getargs(size=2))

    one, two, three, four = scatter.keys()
    assert (one == two, one == three, one == four) == (True, False, False)
    names = [sorted(path.name for path in scatter.made(f"elements/{batch}").iterdir()) for batch in (1, 2, 4)]
    assert names == [["0.pkl", "1.pkl"], ["0.pkl", "1.pkl"], ["0.pkl"]]


def test_results_are_in_the_order_of_the_elements_whichever_tasks_had_them(scatter):
    scatter.write(
        "s.py", script("['a', 'b', 'a', 'c']", foreach="return x + str(len(os.listdir('..')))", top="import os")
    )
    ok(scatter.getargs())
    for batch in (1, 2, 3, 4):
        ok(scatter.foreach(batch))

    done = scatter.gather({10: 1, 9: 3, 4: 2, 100: 4})

    # The folder of the tasks has one more each time; of the equal elements, the first has the result of the first task.
    assert done.stdout == "['a4', 'b3', 'a2', 'c5']\n"
