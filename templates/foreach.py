"""Foreach, for Python: runs one phase of a script, and keeps what the next one needs beside this file.

    python .foreach/run.py getargs SCRIPT FUNCTION BATCH_SIZE [ARG...]  -> extra.pkl, batches.csv, elements/BATCH/N.pkl
    python .foreach/run.py foreach SCRIPT FUNCTION KEY                  extra.pkl, elements/N.pkl -> result.pkl
    python .foreach/run.py gather SCRIPT FUNCTION                       extra.pkl, batches.csv, results/TASK/...

This one file is for CPython 2.7, 3.6 and newer, and needs nothing but the standard library. An error of the script
ends it with exit code 1, the script's own traceback, and a line that says what was being done.
"""

from __future__ import print_function

import io
import itertools
import os
import sys

try:
    import cPickle as quick_pickle
    from repr import Repr
except ImportError:  # Python 3, where the module pickle loads a lot that a task does without
    import _pickle as quick_pickle
    from reprlib import Repr

#: What was loaded before the script. Its module is not called like one of these.
LOADED = frozenset(sys.modules)

HERE = os.path.dirname(os.path.abspath(__file__))
NAMES = ("extra.pkl", "batches.csv", "elements", "result.pkl", "results")
EXTRA, BATCHES, ELEMENTS, RESULT, RESULTS = (os.path.join(HERE, name) for name in NAMES)
PROTOCOL = 2  # the newest that Python 2.7 has
TEXTS = (bytes, type(b"".decode("ascii")))

#: What is being done, for the line below a traceback: words, and values that are shown after them.
doing = ["", ()]


class WrongError(Exception):
    """Something in the script is wrong, and words say what; a traceback would not help."""


def main(phase, *words):
    """Run a phase. It ends with words if the script is wrong, and with a traceback if it failed."""
    print_line_by_line()
    try:
        {"getargs": getargs, "foreach": foreach, "gather": gather}[phase](*words)
    except WrongError as error:
        sys.exit("{}: {}".format(phase, error))
    except SystemExit as end:
        if end.code or phase == "gather":
            raise
        sys.exit("{}: the script ended Python, with exit code 0, before it had returned anything".format(phase))
    except Exception:
        show_error(phase, *sys.exc_info())
        sys.exit(1)


def getargs(script, name, size, *args):
    """Ask the script what is to be done; write each element into a file of its own, one after the other."""
    from hashlib import sha256  # before the script, since a file beside it may have this name

    as_bytes = equal_pickler()
    function = function_of(script, name, args)
    now("in {}, {}".format(name, "with the arguments " if args else "without arguments"), *args)
    elements, extra = checked(name, function(*args))
    write(EXTRA, pickled(extra, "extra_args", as_bytes))
    now("before it had the first element")
    with io.open(BATCHES, "wb") as table:
        table.write(b"batch,key\n")
        for batch, members in enumerate(in_batches(elements, int(size)), 1):
            contents = ((number, pickled(each, "element {}".format(number), as_bytes)) for number, each in members)
            key = write_batch(batch, contents, sha256(), width=len(str(int(size) - 1)))
            table.write("{},{}\n".format(batch, key).encode("ascii"))
    if not os.path.isdir(ELEMENTS):
        raise WrongError("{} returned no elements: there is nothing to do".format(name))


def foreach(script, name, key):
    """Call the function for each element of a batch; write the results into one file, one behind the other."""
    function = function_of(script, name)
    now("while it read what {} is to work on".format(name))
    extra = read(EXTRA)
    files = sorted(os.listdir(ELEMENTS))
    write(RESULT, quick_bytes((key, len(files))))
    for number, file in enumerate(files, 1):
        element = read(os.path.join(ELEMENTS, file))
        now("on element {} of {}: ".format(number, len(files)) if len(files) > 1 else "on the element ", element)
        result = function(element, *extra)
        content = pickled(result, "the result for the element {}".format(shown(element)), quick_bytes)
        write(RESULT, content, "ab")


def gather(script, name):
    """Call the function with the list of all results, in the order of the elements."""
    function = function_of(script, name)
    now("while it read the results")
    extra = read(EXTRA)
    results = list(ordered_results())
    now("in {}, with a list of {} results".format(name, len(results)))
    function(results, *extra)


def function_of(script, name, args=()):
    """Load the script; return a function of it."""
    if not os.path.isfile(script):
        raise WrongError("there is no file {!r} in {}".format(script, os.getcwd()))
    now("while {} was loaded".format(script))
    sys.argv[:] = [script] + list(args)
    names = vars(load(script))
    if not callable(names.get(name)):
        raise WrongError("{} has no function {!r}; {}".format(script, name, nearest(name, names)))
    return names[name]


def load(script):
    """Run the script as a module. It is not `__main__`; what it defines has the same name in every phase."""
    sys.dont_write_bytecode = True  # it would be among the results
    beside = os.path.dirname(os.path.abspath(script))
    sys.path[:] = [beside] + [each for each in sys.path if os.path.abspath(each) != HERE]
    module = type(sys)(module_name(script))
    module.__file__ = script
    sys.modules[module.__name__] = module
    with io.open(script, "rb") as file:
        code = compile(file.read(), script, "exec", 0, True)
    exec(code, vars(module))
    return module


def module_name(script):
    """Return the name by which files beside the script, and other processes, import it, unless it is taken."""
    name = os.path.splitext(os.path.basename(script))[0].replace(".", "_")
    return name + "_" if name in LOADED else name


def nearest(name, names):
    """Say what there is instead of a function."""
    import difflib

    names = sorted(each for each in names if callable(names[each]))
    close = difflib.get_close_matches(name, names, 1)
    return "did you mean {!r}?".format(close[0]) if close else "it has: {}".format(", ".join(names) or "none")


def checked(name, returned):
    """Return the elements and the extra arguments; refuse what cannot be meant."""
    if not isinstance(returned, dict) or "elements" not in returned:
        wanted = "dict(elements=[...], extra_args=[...]), where extra_args may be missing"
        raise WrongError("what {} returned is {}; expected {}".format(name, kind(returned), wanted))
    for key in returned:
        if key not in ("elements", "extra_args"):
            raise WrongError("{} returned {!r}; there are only 'elements' and 'extra_args'".format(name, key))
    extra = returned.get("extra_args")
    if extra is not None and not isinstance(extra, (list, tuple)):
        raise WrongError("extra_args is {}; write extra_args=[...], a list of arguments".format(kind(extra)))
    for is_refused, advice in REFUSED:
        if is_refused(returned["elements"]):
            raise WrongError("elements is {}; {}".format(kind(returned["elements"]), advice))
    return returned["elements"], list(extra or ())


#: What cannot be iterated, or gives something else than one would expect; and what to write.
REFUSED = [
    (lambda value: isinstance(value, dict), "write list(...) for its keys, list(....items()) for pairs"),
    (lambda value: isinstance(value, TEXTS), "write a list of texts"),
    (lambda value: isinstance(value, (set, frozenset)), "it has no order; write sorted(...)"),
    (lambda value: hasattr(value, "itertuples"), "it would give its columns; write ....itertuples() for its rows"),
    (lambda value: not hasattr(value, "__iter__"), "write a list"),
]


def in_batches(elements, size):
    """Cut the elements, each with its number, into groups, without reading ahead."""
    numbered = enumerate(elements, 1)
    for first in numbered:
        yield itertools.chain([first], itertools.islice(numbered, size - 1))


def write_batch(batch, contents, digest, width):
    """Write each element of a batch into a file; return the batch's key. Equal batches are equal folders."""
    folder = os.path.join(ELEMENTS, str(batch))
    os.makedirs(folder)
    for place, (number, content) in enumerate(contents):
        digest.update(content)
        write(os.path.join(folder, "{:0{}d}.pkl".format(place, width)), content)
        now("after it had element {}".format(number))
    return digest.hexdigest()[:32]


def ordered_results():
    """Yield all results in the order of the batches. Of equal batches, the first has the result of the first task."""
    paths = {}
    for task in sorted(os.listdir(RESULTS), key=int, reverse=True):
        path = os.path.join(RESULTS, task, ".foreach", "result.pkl")
        paths.setdefault(read(path)[0], []).append(path)
    with open(BATCHES) as table:
        keys = [line.strip().split(",")[1] for line in table][1:]
    for batch, key in enumerate(keys, 1):
        if not paths.get(key):
            raise WrongError("batch {} has no result: its task ended without one".format(batch))
        with open(paths[key].pop(), "rb") as file:
            for _ in range(quick_pickle.load(file)[1]):
                yield quick_pickle.load(file)


def equal_pickler():
    """Return a function that gives equal bytes for equal values, so that no task runs again without need.

    What Python's own gives depends on which equal texts are one object, and on the order in which a set was filled.
    """
    import pickle

    slow = getattr(pickle, "_Pickler", pickle.Pickler)

    class Pickler(slow):
        dispatch = dict(slow.dispatch)
        texts = None

        def save(self, obj, *options):
            if type(obj) in TEXTS:
                obj = self.texts.setdefault((type(obj), obj), obj)
            return slow.save(self, obj, *options)

        def save_set(self, obj):
            self.save_reduce(type(obj), (in_order(obj),), obj=obj)

        def save_old_dict(self, obj):
            self.write(pickle.EMPTY_DICT)
            self.memoize(obj)
            self._batch_setitems(iter([(key, obj[key]) for key in in_order(obj)]))

        dispatch[set] = dispatch[frozenset] = save_set
        if sys.version_info < (3,):  # later, the order of a dict is a part of it
            dispatch[dict] = save_old_dict

    def equal_bytes(value):
        file = io.BytesIO()
        pickler = Pickler(file, PROTOCOL)
        pickler.texts = {}
        try:
            pickler.dump(value)
        except RuntimeError:  # it is nested too deeply
            return quick_bytes(value)
        return file.getvalue()

    return equal_bytes


def in_order(values):
    """Return the values of a set in an order that depends on them alone; objects, which have none, as they come."""
    plain = all(type(each).__module__ == set.__module__ for each in values)
    return sorted(values, key=quick_bytes) if plain else list(values)


def quick_bytes(value):
    return quick_pickle.dumps(value, PROTOCOL)


def pickled(value, what, as_bytes):
    """Return the pickle of what travels between machines; say what it is if that is impossible."""
    try:
        return as_bytes(value)
    except Exception as error:
        raise WrongError("{} is {}, which cannot be pickled: {}".format(what, kind(value), error))


def write(path, content, mode="wb"):
    with open(path, mode) as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return quick_pickle.load(file)


def print_line_by_line():
    """Let what the script prints be seen at once, though it is not printed on a terminal."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    elif sys.version_info < (3,):
        sys.stdout = os.fdopen(1, "w", 1)
    else:
        sys.stdout = io.open(1, "w", 1, sys.stdout.encoding, sys.stdout.errors, closefd=False)


def now(words, *values):
    """Keep in mind what is being done."""
    doing[:] = [words, values]


def show_error(phase, error_type, error, trace):
    """Print a traceback without the calls of this file, and below it what was being done."""
    while trace is not None and trace.tb_frame.f_code.co_filename == main.__code__.co_filename:
        trace = trace.tb_next
    if hasattr(error, "with_traceback"):
        error.with_traceback(trace)
    sys.excepthook(error_type, error, trace)
    words, values = doing
    print("{} failed {}{}".format(phase, words, ", ".join(map(shown, values))), file=sys.stderr)


def shown(value):
    """Return a short text of any value."""
    short = Repr()
    short.maxlevel, short.maxstring, short.maxother = 3, 80, 80
    try:
        return " ".join(short.repr(value).split("\n"))
    except Exception:
        return kind(value)


def kind(value):
    return "of type {}".format(type(value).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
