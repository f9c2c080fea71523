"""Foreach, for Python: runs one phase of a script, and keeps what the next one needs beside this file.

    python .foreach/run.py getargs SCRIPT FUNCTION BATCH_SIZE [ARG...]  -> batches.csv, extra.pkl, elements/BATCH/N.pkl
    python .foreach/run.py foreach SCRIPT FUNCTION KEY                  extra.pkl, elements/N.pkl -> result.pkl
    python .foreach/run.py gather SCRIPT FUNCTION                       extra.pkl, batches.csv, results/**/result.pkl

This one file is for CPython 2.7 and for 3.6 and newer, and needs nothing but the standard library. An error of the
script ends it with exit code 1, with the script's own traceback, and with a line that says what was being done.
"""

from __future__ import print_function

import io
import itertools
import os
import pickle
import sys

try:
    import cPickle as quick_pickle
except ImportError:
    quick_pickle = pickle

#: What was loaded before the script. Its module is not called like one of these.
LOADED = frozenset(sys.modules)

HERE = os.path.dirname(os.path.abspath(__file__))
BATCHES, EXTRA, ELEMENTS, RESULT, RESULTS = (
    os.path.join(HERE, name) for name in ("batches.csv", "extra.pkl", "elements", "result.pkl", "results")
)
PROTOCOL = 2  # the newest that Python 2.7 has

#: What is being done, for the line below a traceback: words, and the values to be shown after them.
doing = ["", ()]


class WrongError(Exception):
    """What is wrong with the script, in words. It is shown without a traceback."""


def main(phase, *words):
    """Run a phase; end with words if the script is wrong, and with its traceback if it failed."""
    print_line_by_line()
    try:
        {"getargs": getargs, "foreach": foreach, "gather": gather}[phase](*words)
    except WrongError as error:
        sys.exit("{}: {}".format(phase, error))
    except SystemExit as end:
        if end.code or phase == "gather":
            raise
        sys.exit("{}: the script ended Python, with exit code 0, before it returned anything".format(phase))
    except Exception:
        show_error(phase, *sys.exc_info())
        sys.exit(1)


# The phases


def getargs(script, name, size, *args):
    """Ask the script what is to be done; write each element into a file of its own, one at a time."""
    from hashlib import sha256  # before the script, beside which there may be a file of this name

    function = function_of(script, name, args)
    now("in {}, with the arguments ".format(name), *args)
    elements, extra = checked(name, function(*args))
    write(EXTRA, pickled(extra, "extra_args"))
    with io.open(BATCHES, "wb") as table:
        table.write(b"batch,key\n")
        for batch, members in enumerate(batches(elements, int(size)), 1):
            key = write_batch(batch, members, int(size), sha256())
            table.write("{},{}\n".format(batch, key).encode("ascii"))
    if not os.path.isdir(ELEMENTS):
        raise WrongError("{} returned no element: there is nothing to do".format(name))


def foreach(script, name, key):
    """Call the function for each element of a batch; write the results behind each other into one file."""
    function = function_of(script, name)
    now("while it read what {} is to work on".format(name))
    extra = read(EXTRA)
    files = sorted(os.listdir(ELEMENTS))
    write(RESULT, quick_pickle.dumps((key, len(files)), PROTOCOL))
    for number, file in enumerate(files, 1):
        element = read(os.path.join(ELEMENTS, file))
        now("on element {} of {}: ".format(number, len(files)) if len(files) > 1 else "on the element ", element)
        result = function(element, *extra)
        try:
            content = quick_pickle.dumps(result, PROTOCOL)
        except Exception as error:
            raise unpicklable("the result for the element {}".format(shown(element)), result, error)
        write(RESULT, content, "ab")


def gather(script, name):
    """Call the function with the list of all results, in the order of the elements."""
    function = function_of(script, name)
    now("while it read the results")
    extra = read(EXTRA)
    results = list(ordered_results())
    now("in {}, with a list of {} results".format(name, len(results)))
    function(results, *extra)


# The script


def function_of(script, name, args=()):
    """Load the script and return a function of it."""
    sys.argv[:] = [script] + list(args)
    now("while {} was loaded".format(script))
    names = vars(load(script))
    if not callable(names.get(name)):
        raise WrongError("{} has no function {!r}; {}".format(script, name, nearest(name, names)))
    return names[name]


def load(script):
    """Run the script as a module. It is not `__main__`; what it defines has the same name in every phase."""
    if not os.path.isfile(script):
        raise WrongError("there is no file {!r} in {}".format(script, os.getcwd()))
    sys.dont_write_bytecode = True  # it would be among the results
    sys.path[0] = os.path.dirname(os.path.abspath(script))
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
    while name in LOADED:
        name += "_"
    return name


def nearest(name, names):
    """Say what there is instead of a name."""
    import difflib

    names = sorted(each for each in names if not each.startswith("_"))
    close = difflib.get_close_matches(name, names, 1)
    return "did you mean {!r}?".format(close[0]) if close else "it has: {}".format(", ".join(names) or "nothing")


# What it returns, and what becomes of it


def checked(name, returned):
    """Return the elements and the extra arguments; refuse what cannot be meant."""
    if not isinstance(returned, dict) or "elements" not in returned:
        raise WrongError(
            "{} returned {}; it must return dict(elements=[...]), which may have extra_args=[...]".format(name, a(returned))
        )
    for key in returned:
        if key not in ("elements", "extra_args"):
            raise WrongError("{} returned {!r}; there are only 'elements' and 'extra_args'".format(name, key))
    extra = returned.get("extra_args")
    if extra is not None and not isinstance(extra, (list, tuple)):
        raise WrongError("extra_args is {}; write extra_args=[...], a list of arguments".format(a(extra)))
    return checked_elements(returned["elements"]), list(extra or [])


#: What can be iterated, but does not give what one would expect.
REFUSED = [
    (lambda value: isinstance(value, dict), "write list(...) for its keys, or list(....items())"),
    (lambda value: isinstance(value, (bytes, type(u""))), "write a list of texts"),
    (lambda value: isinstance(value, (set, frozenset)), "it has no order; write sorted(...)"),
    (lambda value: hasattr(value, "itertuples"), "it would give its columns; write list(....itertuples())"),
    (lambda value: not hasattr(value, "__iter__"), "write a list"),
]


def checked_elements(elements):
    """Return the elements as they are: they may come from a generator, and not fit into memory together."""
    for is_refused, advice in REFUSED:
        if is_refused(elements):
            raise WrongError("elements is {}; {}".format(a(elements), advice))
    return elements


def batches(elements, size):
    """Cut the elements into groups of a size, without reading ahead."""
    elements = iter(elements)
    for first in elements:
        yield itertools.chain([first], itertools.islice(elements, size - 1))


def write_batch(batch, members, size, digest):
    """Write each element of a batch into a file; return the batch's key. Equal batches are equal folders."""
    folder = os.path.join(ELEMENTS, str(batch))
    os.makedirs(folder)
    for number, element in enumerate(members):
        content = pickled(element, "element {}".format((batch - 1) * size + number + 1))
        digest.update(content)
        write(os.path.join(folder, "{:0{}d}.pkl".format(number, len(str(size - 1)))), content)
    return digest.hexdigest()[:32]


def ordered_results():
    """Yield all results, in the order of the batches; of equal batches the first has the result of the first task."""
    by_key = {}
    for path in sorted(result_files(), key=in_numbers, reverse=True):
        with open(path, "rb") as file:
            by_key.setdefault(quick_pickle.load(file)[0], []).append(path)
    with open(BATCHES) as table:
        keys = [line.strip().split(",")[1] for line in table][1:]
    for batch, key in enumerate(keys, 1):
        if not by_key.get(key):
            raise WrongError("the result of batch {} is not there; its task has left none".format(batch))
        for result in read_results(by_key[key].pop()):
            yield result


def result_files():
    """Yield the paths of all results that were brought here."""
    for folder, _, names in os.walk(RESULTS):
        if os.path.basename(RESULT) in names:
            yield os.path.join(folder, os.path.basename(RESULT))


def in_numbers(path):
    """Return what sorts the folder 10 behind the folder 9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in path.split(os.sep)]


def read_results(path):
    """Yield what a task has returned for each of its elements."""
    with open(path, "rb") as file:
        for _ in range(quick_pickle.load(file)[1]):
            yield quick_pickle.load(file)


# Pickles


class EqualPickler(getattr(pickle, "_Pickler", pickle.Pickler)):
    """Gives equal bytes for equal values, so that no task runs again without need.

    Python's own depends on which equal texts are one object, and on the order in which a set was filled.
    """

    def __init__(self, file):
        BasePickler.__init__(self, file, PROTOCOL)
        self.texts = {}

    def save(self, obj, *options):
        if type(obj) in (bytes, type(u"")):
            obj = self.texts.setdefault((type(obj), obj), obj)
        return BasePickler.save(self, obj, *options)

    def save_set(self, obj):
        self.save_reduce(type(obj), (sorted(obj, key=equal_bytes),), obj=obj)

    def save_dict(self, obj):
        ordered = sorted(obj.items(), key=lambda item: equal_bytes(item[0]))
        self.write(pickle.EMPTY_DICT)
        self.memoize(obj)
        self._batch_setitems(iter(ordered))


BasePickler = EqualPickler.__bases__[0]
EqualPickler.dispatch = dict(BasePickler.dispatch)
EqualPickler.dispatch.update({set: EqualPickler.save_set, frozenset: EqualPickler.save_set})
if sys.version_info < (3,):
    EqualPickler.dispatch[dict] = EqualPickler.save_dict  # later, the order of a dict is a part of its value


def equal_bytes(value):
    """Return a pickle that is the same for equal values."""
    file = io.BytesIO()
    EqualPickler(file).dump(value)
    return file.getvalue()


def pickled(value, what):
    """Return the pickle of what travels to the tasks."""
    try:
        return equal_bytes(value)
    except Exception as error:
        raise unpicklable(what, value, error)


def unpicklable(what, value, error):
    """Return the error that says what cannot travel between machines."""
    return WrongError("{} is {}, which cannot be pickled: {}".format(what, a(value), error))


def write(path, content, mode="wb"):
    with open(path, mode) as file:
        file.write(content)


def read(path):
    with open(path, "rb") as file:
        return quick_pickle.load(file)


# What is printed


def print_line_by_line():
    """Let what the script prints be seen at once, though it is not printed on a terminal."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    elif sys.version_info >= (3,):
        sys.stdout = io.TextIOWrapper(sys.stdout.detach(), sys.stdout.encoding, sys.stdout.errors, line_buffering=True)
    else:
        sys.stdout = os.fdopen(1, "w", 1)


def now(words, *values):
    """Keep in mind what is being done."""
    doing[:] = [words, values]


def show_error(phase, kind, error, trace):
    """Print a traceback without the frames of this file, and below it what was being done."""
    while trace is not None and trace.tb_frame.f_code.co_filename == main.__code__.co_filename:
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.excepthook(kind, error, trace)
    words, values = doing
    print("{} failed {}{}".format(phase, words, ", ".join(map(shown, values))), file=sys.stderr)


def shown(value):
    """Return a short text of any value."""
    try:
        from reprlib import Repr
    except ImportError:
        from repr import Repr
    short = Repr()
    short.maxlevel, short.maxstring, short.maxother = 3, 80, 80
    try:
        return " ".join(short.repr(value).split("\n"))
    except Exception:
        return a(value)


def a(value):
    """Return the type of a value with its article, for messages."""
    name = type(value).__name__
    return "{} {}".format("an" if name[0] in "aeiou" else "a", name)


if __name__ == "__main__":
    main(*sys.argv[1:])
