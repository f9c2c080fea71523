"""Bad inputs: one clear message on stderr, exit code 2 (or 3 if something else stands against it), nothing changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import User, listing, until
from stores import Stores


@dataclass(frozen=True)
class Case:
    """A command that must be refused."""

    id: str
    words: str | list[str]
    #: Each is somewhere in the message.
    says: list[str]
    code: int = 2
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    input: str = ""


def document(name: str = "new", **spec: object) -> str:
    spec = {"command": ["echo"], **spec}
    return json.dumps({"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec})


def table(content: str | bytes, *says: str) -> dict[str, object]:
    """Return what makes a case of a CSV file."""
    return {"words": "sub --params p.csv echo", "files": {"p.csv": content}, "says": list(says)}


def manifest(content: str | bytes, *says: str) -> dict[str, object]:
    """Return what makes a case of a manifest."""
    return {"words": "apply job.yaml", "files": {"job.yaml": content}, "says": list(says)}


PLAIN = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {name: new}\nspec:\n  command: [echo]\n"

FLAGS = [
    Case("no command", "sub", ["there is no command to run", "sparkles sub echo hello world"]),
    Case("no tasks", "sub --seq 0 echo", ["--seq", "0 is not in the range"]),
    Case("fewer than no tasks", "sub --seq=-1 echo", ["--seq", "-1 is not in the range"]),
    Case("a sequence of words", "sub --seq three echo", ["--seq", "'three' is not a valid"]),
    Case("two sweeps", "sub --seq 3 --params p.csv echo", ["--seq and --params exclude each other"]),
    Case("another two sweeps", "sub --matrix a=1 --params p.csv echo", ["--params and --matrix exclude each other"]),
    Case("Slurm's array", "sub --array 1-3 echo", ["--array is another scheduler's flag", "--seq N"]),
    Case("Slurm's memory", "sub --mem=4G echo", ["--mem is another scheduler's flag", "--memory 4G"]),
    Case("Slurm's CPUs", "sub --cpus-per-task 2 echo", ["--cpus-per-task is another scheduler's", "-m MACHINE_TYPE"]),
    Case("Slurm's time", "sub --time 1:00 echo", ["--time is another scheduler's flag", "--timeout 2h"]),
    Case("no slot", "sub --slots 0 echo", ["--slots", "0 is not in the range"]),
    Case("a time without unit", "sub --timeout 5 echo", ["spec.timeout", "5 has no unit", "5m"]),
    Case("no time", "sub --timeout 0s echo", ["spec.timeout", "no time at all"]),
    Case("a variable without value", "sub --env A echo", ["--env A: expected NAME=VALUE"]),
    Case("a variable twice", "sub --env A=1 --env A=2 echo", ["A is given twice"]),
    Case("a variable of ours", "sub --env SPARKLES_JOB=x echo", ["spec.env", "SPARKLES_JOB", "a variable name"]),
    Case("a label without value", "sub --label x echo", ["--label x: expected KEY=VALUE"]),
    Case("a matrix without values", "sub --matrix a echo", ["--matrix a: expected NAME=VALUE"]),
    Case("a flag that is not there", "sub --nam x echo", ["--nam", "--name"]),
    Case("a document of a real run", "sub -o yaml echo", ["-o yaml goes with --dry-run"]),
    Case("two backends", "sub --local --backend gcp echo", ["--local and --backend gcp exclude each other"]),
    Case("an unknown backend", "sub --backend azure echo", ["--backend", "azure", "local", "gcp"]),
    Case(
        "a backend without its settings",
        "sub --backend gcp echo",
        ["the gcp backend needs a project", "SPARKLES_PROJECT", "the gcp backend needs a bucket"],
        code=3,
    ),
    Case("a work directory elsewhere", "sub --cd ../.. echo", ["spec.workingDir", "leaves the work directory"]),
    Case("a command that is not there", "statsu", ["no command 'statsu'", "did you mean 'status'?"]),
    Case("a wait of no unit", "wait --timeout 5 fit", ["--timeout 5", "30s"]),
]

NAMES = [
    Case("an empty name", ["sub", "-n", "", "echo"], ["metadata.name"]),
    Case("a dot in a name", "sub -n a.b echo", ["metadata.name", "letters, digits, - and _", '"a.b"']),
    Case("a slash in a name", "sub -n ../x echo", ["metadata.name", '"../x"']),
    Case("a name that begins with _", "sub -n _x echo", ["metadata.name", "beginning with a letter or digit"]),
    Case("a long name", ["sub", "-n", "x" * 64, "echo"], ["metadata.name", "at most 63"]),
    Case("a name in umlauts", "sub -n größe echo", ["metadata.name", "letters, digits"]),
    Case("the name LAST", "sub -n LAST echo", ["metadata.name", '"LAST" is the word for your newest job']),
]

TABLES = [
    Case("no table", "sub --params p.csv echo", ["spec.parameters.csv: no file 'p.csv' in "]),
    Case("a folder as table", "sub --params . echo", ["spec.parameters.csv", "directory"]),
    Case("an empty table", **table("", "p.csv: expected a header and rows, found nothing")),
    Case("a header alone", **table("a,b\n", "p.csv: expected at least one row after the header")),
    Case("a duplicate header", **table("a,b,a\n1,2,3\n", "p.csv:1: 2 columns are named 'a'")),
    Case("a short row", **table("a,b\n1,2\n3\n", "p.csv:3: expected 2 values (a, b), found 1")),
    Case("a long row", **table("a,b\n1,2,3\n", "p.csv:2: expected 2 values (a, b), found 3")),
    Case("Latin-1", **table("a\nx\nécole\n".encode("latin-1"), "p.csv:3: byte 0xe9 is not UTF-8")),
    Case("a NUL", **table(b"a\n\0\n", "p.csv:2: a NUL byte")),
    Case("a column named index", **table("index\n1\n", "'index' is the name of every task's own number")),
    Case("a column without name", **table("a,,b\n1,2,3\n", "p.csv:1: column 2 has no name")),
    Case("an open quote", **table('a\n"x\n', "p.csv:2: expected a closing quote")),
]

PLACEHOLDERS = [
    Case("a table of another land", "sub --params p.csv echo {b}", ["seem to be separated by ';'"],
         files={"p.csv": "a;b\n1;2\n"}),
    Case("a table of tabs", "sub --params p.csv echo {b}", ["seem to be separated by tabs", ".tsv"],
         files={"p.csv": "a\tb\n1\t2\n"}),
    Case("an unknown placeholder", "sub --matrix size=1 echo {siz}",
         ["spec.command[1]: no parameter named 'siz'", "there is: index, size", "did you mean 'size'?", "{{siz}}"]),
    Case("a placeholder of a table nearby", "sub echo {lambda}", ["'lambda'", "--params parameters.csv"],
         files={"parameters.csv": "lambda,size\n1,2\n"}),
    Case("a quoted placeholder", ["sub", "--seq", "2", 'echo "{index}"'], ["values are quoted for you"]),
    Case("a placeholder in a comment", ["sub", "--seq", "2", "echo # {index}"], ["stands in a comment"]),
    Case("an unknown placeholder in env", "sub --env A={x} echo", ["spec.env.A: no parameter named 'x'"]),
    Case("an unknown placeholder in an upload", "sub -u f:{x} echo", ["spec.uploads[0]: no parameter named 'x'"],
         files={"f": ""}),
    Case("a line that is a file", ["sub", "my tool.sh"], ["also a file here", "command: ['my tool.sh']"],
         files={"my tool.sh": ""}),
]  # fmt: skip

UPLOADS = [
    Case("missing uploads", "sub -u no1 -u no2 echo", ["no file 'no1' in ", "no file 'no2' in "]),
    Case("an upload to elsewhere", "sub -u f:../x echo", ["'../x' is not inside the work directory"],
         files={"f": ""}),
    Case("an upload to /", "sub -u f:/etc/x echo", ["'/etc/x' is not inside the work directory"], files={"f": ""}),
    Case("an upload from elsewhere", "sub -u ../f echo", ["'../f' is outside", "../f:f"]),
    Case("two sources of one file", "sub -u a:x -u b:x echo", ["two different files would be put at 'x'"],
         files={"a": "1", "b": "2"}),
    Case("a missing list", "sub -u @files.txt echo", ["no file 'files.txt' in "]),
    Case("a list that names itself", "sub -u @a.txt echo", ["a.txt → b.txt → a.txt", "in a circle"],
         files={"a.txt": "@b.txt\n", "b.txt": "# back\n@a.txt\n"}),
    Case("a missing file in a list", "sub -u @a.txt echo", ["no file 'gone' in "], files={"a.txt": "gone\n"}),
    Case("a file of a bucket", "sub -u gs://b/x echo", ["gs://b/x: files of a bucket need the gcp backend"], code=3),
    Case("half a scheme", "sub -u gs:/b/x echo", ["spec.uploads[0]: 'gs:/b/x': expected gs://BUCKET/OBJECT"]),
    Case("a saved file that is there", "sub --save x.yaml echo", ["--save x.yaml", "--yes"], files={"x.yaml": ""}),
    Case("an absolute pattern", "sub --results /tmp/* echo", ["spec.outputs.include[0]", "patterns are relative"]),
    Case("a saved list", "sub --save jobs/x.yaml -u @a.txt echo", ["--save", "@a.txt"], files={"a.txt": "# none\n"}),
]  # fmt: skip

SCATTERS = [
    Case("no script", "sub --foreach", ["there is no script to run", "sub --foreach sample-scatter.py 2.0"]),
    Case("a script that is not there", "sub --foreach x.py 1", ["--foreach: no file 'x.py' here"]),
    Case("a script of another language", "sub --foreach x.sh", ["spec.script", "whose name ends in .py, .r or .R"],
         files={"x.sh": ""}),
    Case("a table beside a script", "sub --params p.csv --foreach x.py", ["--params and --foreach exclude each other"],
         files={"x.py": "", "p.csv": "a\n1\n"}),
    Case("a folder beside a script", "sub --cd x --foreach x.py", ["--cd and --foreach exclude each other"],
         files={"x.py": ""}),
    Case("batches of no script", "sub --foreach-batch-size 2 echo", ["--foreach-batch-size goes with --foreach"]),
    Case("a start of no script", "sub --start-at gather echo", ["--start-at goes with --foreach"]),
    Case("no gather and its name", "sub --no-gather --gather-function g --foreach x.py", ["exclude each other"],
         files={"x.py": ""}),
    Case("a start with no gather", "sub --no-gather --start-at gather --foreach x.py", ["exclude each other"],
         files={"x.py": ""}),
    Case("a saved script that would move", "sub --save jobs/x.yaml --foreach in/x.py",
         ["--save: in/x.py stays in its folder"], files={"in/x.py": ""}),
    Case("a missing upload of a script", "sub -u no1 --foreach x.py", ["no file 'no1' in "], files={"x.py": ""}),
]  # fmt: skip

MANIFESTS = [
    Case("no manifest", "apply", ["name a manifest: a file, a folder, or -"]),
    Case("a wrong manifest among several", "apply a.yaml b.yaml", ["b.yaml: spec.command[1]", "'x'"],
         files={"a.yaml": PLAIN.replace("new", "a"), "b.yaml": PLAIN.replace("[echo]", "[echo, '{x}']")}),
    Case("a manifest that is not there", "apply job.yaml", ["no file 'job.yaml' in "]),
    Case("an empty manifest", **manifest("# nothing\n", "there is no document in it")),
    Case("a folder without manifest", "apply .", ["there is no *.yaml"]),
    Case("an unknown field", **manifest(PLAIN + "  node: {max: 1}\n", "job.yaml:6:3: spec.node", "mean 'nodes'?")),
    Case("a wrong type", **manifest(PLAIN + "  nodes: {max: many}\n", "job.yaml:6:11: spec.nodes.max", '"many"')),
    Case("a duplicate key", **manifest(PLAIN + "  command: [ls]\n", "job.yaml:6:3", "command")),
    Case("no YAML", **manifest("a: [1\nb: 2\n", "job.yaml:2")),
    Case("a tab", **manifest("a:\n\tb: 1\n", "job.yaml:2")),
    Case("a placeholder without quotes", **manifest(PLAIN.replace("[echo]", "[echo, {x}]"), "5:", '"{x}"')),
    Case("no name", **manifest(PLAIN.replace("{name: new}", "{}"), "job.yaml:3:1: metadata: ", "'name' is missing")),
    Case("another version", **manifest(PLAIN.replace("v1", "v9"), "apiVersion", "sparkles/v1")),
    Case("two sweeps in a manifest", **manifest(document(parameters={"seq": 1, "csv": "x"}), "spec.parameters")),
    Case("rows that differ", **manifest(document(parameters={"rows": [{"a": "1"}, {"b": "1"}]}), "rows[1]", "(a)")),
    Case("no rows", **manifest(document(parameters={"rows": []}), "spec.parameters.rows")),
    Case("a manifest in Latin-1", **manifest("# é\n".encode("latin-1"), "job.yaml:1", "not UTF-8")),
    Case("all that is wrong", **manifest(document(name="a b", timeout="x", comand=1), "name", "timeout", "comand")),
    Case("a bomb", **manifest(
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "job.yaml", "alias")),
    Case("a job twice", "apply job.yaml job.yaml", ["job new is described twice"], files={"job.yaml": PLAIN}),
    Case("a manifest from a pipe", "apply -f -", ["<stdin>:5:3: spec.comand"],
         input=PLAIN.replace("command", "comand")),
    Case("a need that is not there", **manifest(document(needs=["fitt"]), "spec.needs: there is no job 'fitt'; did")),
]  # fmt: skip


def template(content: str | bytes, *says: str, flags: str = "", **files: str) -> dict[str, object]:
    """Return what makes a case of a template; a file named `values` becomes values.yaml."""
    others = {f"{name}.yaml": text for name, text in files.items()}
    words = ["apply", "t.yaml.j2", *flags.split()]
    return {"words": words, "files": {"t.yaml.j2": content, **others}, "says": list(says)}


def expression(code: str, *says: str) -> dict[str, object]:
    """Return what makes a case of a template whose third line is this expression."""
    return template(f"# first\n\n{{{{ {code} }}}}\n", "t.yaml.j2:3: ", *says)


NAMED = PLAIN.replace("new", "{{ name }}")

TEMPLATES = [
    Case("a template without a value", **expression("n", "'n' is undefined; set it with --set n=VALUE or in a --val")),
    Case("a template with a mistyped value", **template(
        NAMED, "t.yaml.j2:3: 'name' is undefined", "did you mean 'nam'?", flags="--values v.yaml", v="nam: x\n")),
    Case("a value that a mapping has not", **template(
        "{{ m.rat }}", "no 'rat' in this mapping; there is: rate", flags="--values v.yaml", v="m: {rate: 1}\n")),
    Case("a template that is not there", "apply t.yaml.j2", ["no file 't.yaml.j2' in "]),
    Case("a template in Latin-1", **template("# é\n".encode("latin-1"), "t.yaml.j2:1", "not UTF-8")),
    Case("an open tag", **template("a\nb\n{% if x %}\n", "t.yaml.j2:3: ", "'endif'")),
    Case("an open expression", **template("a\n{{ x\n", "t.yaml.j2:2: ", "unexpected end")),
    Case("an unknown tag", **template("a\n{% fro x in y %}\n", "t.yaml.j2:2: ", "unknown tag 'fro'")),
    Case("a comment by accident", **template("a\nb: ${#x}\n", "t.yaml.j2:2: ", "end of comment")),
    Case("an unknown filter", **expression("1 | tojsn", "no filter named 'tojsn'; did you mean 'tojson'?")),
    Case("an unknown filter where nobody comes by", **expression("1 if true else 2 | nope", "no filter named 'nope'")),
    Case("an unknown test", **expression("1 is evn", "no test named 'evn'; did you mean 'even'?")),
    *(Case(f"a template with {tag}", **template(f"\n{{% {tag} %}}", "t.yaml.j2:2: ", "a template is one file"))
      for tag in ("include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'")),
    Case("division by zero", **expression("1 / 0", "division by zero")),
    Case("a text and a number", **expression("'1' + 1", "str")),
    Case("what is no value", **expression("range", "a function cannot be printed")),
    Case("a generator", **expression("['a'] | map('upper')", "add | list")),
    Case("no Unicode", **template("{{ '\\ud800' }}", "t.yaml.j2: U+D800")),
    Case("a way out", **expression("''.__class__.__mro__", "'__class__'", "unsafe")),
    Case("a way out through a format", **expression("'{0.__class__}'.format(1)", "'__class__'", "unsafe")),
    Case("a way out through a function", **expression("range.__globals__", "'__globals__'", "unsafe")),
    Case("a changed list", **expression("[1].append(2)", "'append'", "unsafe")),
    Case("chance", **expression("[1, 2] | random", "no filter named 'random'")),
    Case("a long text", **expression("'a' * 10**9", "1,000,000,000 characters")),
    Case("a long list", **expression("10**9 * [1]", "1,000,000,000 characters or items")),
    Case("a high power", **expression("9 ** (9 ** 9)", "too many digits")),
    Case("a wide text", **expression("'a'.ljust(10**11)", "100,000,000,000 characters")),
    Case("a wide format", **expression("'%999999999d' % 1", "a width in a format")),
    Case("another wide format", **expression("'{:999999999}'.format(1)", "a width in a format")),
    Case("a long range", **expression("range(10**9)", "Range too big")),
    Case("a loop without end", **template(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "t.yaml.j2:1: ", "steps")),
    Case("a macro without end", **template("{% macro f() %}\n{{ f() }}{% endmacro %}{{ f() }}", "j2:2: ", "recursion")),
    Case("a text that doubles", **template(
        "{% set n = namespace(t='aaaaaaaa') %}{% for i in range(99) %}\n{% set n.t = n.t ~ n.t %}{% endfor %}",
        "t.yaml.j2:2: ", "characters")),
    Case("a template that nests", **template("{{ " + "(" * 9999 + ")" * 9999 + " }}", "t.yaml.j2: ", "recursion")),
    Case("a rendered text of no YAML", **template(
        "{% for i in [1, 2, 3] %}\na: [1\n{% endfor %}", "t.yaml.j2 (rendered):2:")),
    Case("a rendered manifest that is wrong", **template(
        "{% if true %}\n" + PLAIN + "{% endif %}\n  node: {max: 1}\n",
        "t.yaml.j2 (rendered):6:3: spec.node", "did you mean 'nodes'?")),
    Case("a rendered manifest of an unknown parameter", **template(
        PLAIN.replace("[echo]", '[echo, "{x}"]'), "t.yaml.j2 (rendered): spec.command[1]: no parameter named 'x'")),
    Case("a rendered text of nothing", **template("{% if false %}x{% endif %}", "(rendered)", "no document in it")),
    Case("values for nothing", "apply job.yaml --set x=1", ["nothing to render; only *.j2 files and - are rendered"],
         files={"job.yaml": PLAIN}),
    Case("a file of values for nothing", "apply job.yaml --values v.yaml", ["nothing to render"],
         files={"job.yaml": PLAIN, "v.yaml": "x: 1\n"}),
    Case("a value that is not used", **template(NAMED, "--set nmae: no template uses 'nmae'", "did you mean 'name'?",
                                                flags="--set name=x --set nmae=y")),
    Case("a nested value that is not used", **template(
        NAMED.replace("name }}", "m.name }}"), "no template uses 'm.nam'", "did you mean 'm.name'?",
        flags="--set m.name=x --set m.nam=y")),
    Case("a value without a name", **template(NAMED, "--set =x: expected NAME=VALUE", flags="--set =x")),
    Case("a name without a value", **template(NAMED, "--set name: expected NAME=VALUE", flags="--set name")),
    Case("a value with a wrong name", **template(NAMED, "--set a-b=x: expected NAME=VALUE", flags="--set a-b=x")),
    Case("a value in a value", **template(NAMED, "--set name.x: name is not a mapping",
                                          flags="--set name=a --set name.x=b")),
    Case("a value in a value of a file", **template(NAMED, "--set m.a.x: m.a is not a mapping",
                                                    flags="--values v.yaml --set m.a.x=b", v="m: {a: [1]}\n")),
    Case("a value of deep names", **template(NAMED, "nested too deep", flags=f"--set {'a.' * 9999}a=1")),
    Case("no file of values", **template(NAMED, "no file 'v.yaml' in ", flags="--values v.yaml")),
    Case("values of no YAML", **template(NAMED, "v.yaml:2:1: ", "not YAML", flags="--values v.yaml", v="a: [\n")),
    Case("duplicate values", **template(NAMED, "v.yaml:2:1: duplicate key 'a'",
                                        flags="--values v.yaml", v="a: 1\na: 2\n")),
    Case("a list as values", **template(NAMED, "v.yaml:2:1: expected one mapping", "found a list",
                                        flags="--values v.yaml", v="# values\n- a\n")),
    Case("a text as values", **template(NAMED, "v.yaml:1:1: expected one mapping", 'found "a"',
                                        flags="--values v.yaml", v="a\n")),
    Case("no values in a file", **template(NAMED, "v.yaml:1:1: expected one mapping", "found nothing",
                                           flags="--values v.yaml", v="# a: 1\n")),
    Case("two documents of values", **template(NAMED, "v.yaml:3:1: expected one mapping", "a second document",
                                               flags="--values v.yaml", v="a: 1\n---\nb: 2\n")),
    Case("a bad template in a folder", "apply .", ["b.yaml.j2:1: 'n' is undefined"],
         files={"a.yaml": PLAIN, "b.yaml.j2": "{{ n }}"}),
    Case("a bad template from a pipe", "apply - --set n=1", ["<stdin>:2: 'm' is undefined"], input="{{ n }}\n{{ m }}"),
    Case("a bad template to look at", "diff t.yaml.j2", ["t.yaml.j2:1: 'n' is"], files={"t.yaml.j2": "{{ n }}"}),
    Case("a bad template to render", "apply --render t.yaml.j2", ["j2:1: 'n' is"], files={"t.yaml.j2": "{{ n }}"}),
]  # fmt: skip

CONFIGS = [
    Case("a config of no YAML", "sub echo", [".sparkles.yaml"], files={".sparkles.yaml": "a: [\n"}),
    Case("an unknown key of a config", "status", [".sparkles.yaml", "did you mean 'backend'?"],
         files={".sparkles.yaml": "bakend: local\n"}),
    Case("a config in Latin-1", "status", ["not UTF-8"], files={".sparkles.yaml": b"# \xe9\n"}),
    Case("a config that is not there", "status --config no.yaml", ["no.yaml", "cannot be read"]),
    Case("a config with a project", "sub echo", ["the gcp backend needs a bucket"], code=3,
         files={".sparkles.yaml": "project: my-project\n"}),
    Case("a backend of the environment", "status", ["SPARKLES_BACKEND: expected one of local, gcp"],
         env={"SPARKLES_BACKEND": "nope"}),
    Case("a bucket of the environment", "sub echo", ["SPARKLES_BUCKET: expected a bucket name", "without gs://"],
         env={"SPARKLES_BUCKET": "gs://bucket"}),
    Case("a broken config to look at", "config", [".sparkles.yaml:2:1: bukket: unknown", "did you mean 'bucket'?"],
         files={".sparkles.yaml": "project: p\nbukket: b\n"}),
    Case("a home that is a file", "sub echo", ["SPARKLES_HOME"], files={"file": ""}, env={"SPARKLES_HOME": "file"}),
]  # fmt: skip

JOBS = [
    *(Case(f"{command} of an unknown job", f"{command} fti", ["no job 'fti' here", "did you mean 'fit'?"])
      for command in ("watch", "wait", "status", "list", "logs", "get", "kill", "delete")),
    Case("fetch of an unknown job", "fetch fti results", ["no job 'fti' here", "did you mean 'fit'?"]),
    Case("a pattern of no job", "kill x*", ["no job 'x*' here"]),
    Case("a pattern of several jobs", "list *", ["'*' stands for 2 jobs", "name one: "]),
    Case("an unknown task", "logs fit.9", ["job fit has no task 9", "1 to 2"]),
    Case("an unknown task to kill", "kill fit.9", ["job fit has no task 9"]),
    Case("a task of an unknown job", "get fti.1", ["no job 'fti' here"]),
    Case("kill of nothing", "kill", ["JOB"]),
    Case("delete of nothing", "delete", ["JOBS"]),
    Case("fetch to nowhere", "fetch fit", ["DEST_DIR"]),
    Case("fetch into a file", "fetch fit f", ["f", "file"], files={"f": ""}),
    Case("results of a deleted job", "sub -n left echo", ["results of a deleted job", "sparkles fetch left DEST_DIR",
                                                         "sparkles delete --results left"]),
    *(Case(f"{words} over someone else's job", f"{words} echo" if words[:3] == "sub" else words,
           ["job theirs is someone's", "--yes"], code=3)
      for words in ("sub -n theirs", "kill theirs", "delete theirs")),
    Case("an unknown field to explain", "explain spec.nodes.mx", ["spec.nodes.mx", "did you mean 'max'?"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def quiet(shared_stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """Someone with two jobs, one of them someone else's, and the results of a third. No node is up."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("folder")
    user = User(folder=folder, home=home, stores=shared_stores.another(home / "sparkles"))
    parts = {"parameters": {"seq": 2}, "nodes": {"linger": "0s"}}
    user.ok("apply", "--wait", "-f", "-", input=f"{document('fit', **parts)}\n---\n{document('left', **parts)}")
    user.env["LOGNAME"] = "someone"
    user.ok("apply", "--wait", "-f", "-", input=document("theirs", **parts))
    del user.env["LOGNAME"]
    user.ok("delete", "left")
    user.wait_for_nodes_to_leave()
    yield user
    user.stop_nodes()


@pytest.mark.at_home("asks no store, or is about choosing one")
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.id)
        for case in (*FLAGS, *NAMES, *TABLES, *PLACEHOLDERS, *UPLOADS, *SCATTERS, *MANIFESTS, *TEMPLATES, *CONFIGS)
    ],
)
def test_a_bad_input_is_refused_with_a_clear_message(case: Case, quiet: User, tmp_path: Path) -> None:
    assert_refused(case, quiet, tmp_path)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in JOBS])
def test_what_does_not_fit_the_jobs_that_there_are_is_refused(case: Case, quiet: User, tmp_path: Path) -> None:
    assert_refused(case, quiet, tmp_path)


def assert_refused(case: Case, quiet: User, folder: Path) -> None:
    user = User(folder=folder, home=quiet.home, env=dict(case.env), stores=quiet.stores)
    for name, content in case.files.items():
        user.write(name, content)
    before = user.everything(), listing(folder)

    done = user(*(case.words.split() if isinstance(case.words, str) else case.words), input=case.input)

    assert done.returncode == case.code, done.stderr
    assert done.stdout == ""
    assert [words for words in case.says if words not in done.stderr] == [], done.stderr
    assert re.match(r"error: |Usage: ", done.stderr)
    assert "Traceback" not in done.stderr
    assert (user.everything(), listing(folder)) == before


def test_a_job_that_still_runs_is_not_submitted_over(warm: User) -> None:
    warm.ok("sub", "-n", "busy", "--no-wait", f"{until(warm.folder / 'go')}; echo first")
    warm.wait_for("busy", claimed=1)

    done = warm("sub", "-n", "busy", "echo", "second")

    assert (done.returncode, done.stdout) == (2, "")
    for way_out in ("sparkles watch busy", "sparkles kill busy", "another name with -n", "--rerun all"):
        assert way_out in done.stderr
    (warm.folder / "go").touch()
    warm.ok("wait", "busy")
    assert warm.log("busy.1") == "first\n"


@pytest.mark.parametrize(
    "words",
    [
        "kill nope", "watch", "wait nope", "fetch nope there", "delete nope", "list", "sub -u missing.txt echo",
        "sub echo {x}", "apply missing.yaml",
    ],
)  # fmt: skip
def test_a_bad_input_leaves_no_home_behind(user: User, words: str) -> None:
    done = user(*words.split())

    assert done.returncode == 2, done.stderr
    assert user.everything() == ({}, {})


@pytest.mark.at_home("asks nothing of the stores that other tests do not")
def test_what_a_locale_cannot_show_is_a_question_mark(user: User) -> None:
    user.env["PYTHONIOENCODING"] = "iso8859-7"  # Greek
    user.ok("sub", "-n", "j", "--save", "j.yaml", "echo", "sch\u00f6n")

    done = user("apply", "--wait", "j.yaml")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("job j   generation 0 ? 1\n")
    assert "] sch?n\n" in done.stdout
    assert user.log("j.1") == "sch\u00f6n\n"
