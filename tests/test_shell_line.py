"""Shell lines: whatever a value holds, it is one word, in real shells."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkles import shell_line
from sparkles.errors import RequestError
from sparkles.placeholders import UnknownParameterError

SHELLS = [
    pytest.param([path, *options], id=name + "".join(options))
    for name, options in [("sh", []), ("dash", []), ("bash", []), ("bash", ["--posix"]), ("busybox", ["sh"])]
    if (path := shutil.which(name))
]
#: Says how many words it got, and each.
WORDS = "w() { printf '%s:' $#; printf '%s\\0' \"$@\"; }\n"

#: Each writes exactly one word that holds the value alone.
ALLOWED = {
    "a word": "w {x}",
    "an empty neighbour": "w ''{x}\"\"",
    "in a substitution": 'v=$(printf %s. {x}); w "${v%.}"',
    "in a quoted substitution": 'v="$(printf %s. {x})"; w "${v%.}"',
    "in nested substitutions": 'v="$(printf %s "$(printf %s. {x})")"; w "${v%.}"',
    "in a subshell": "(w {x})",
    "in a subshell of a substitution": 'v=$( (printf %s. {x}) ); w "${v%.}"',
    "in a group": "{ w {x}; }",
    "an assignment": 'v={x}; w "$v"',
    "an exported assignment": "v={x} sh -c 'printf %s:%s 1 \"$v\"; printf \"\\0\"'",
    "a default": "unset u; w ${u:-{x}}",
    "a default without colon": "unset u; w ${u-{x}}",
    "an alternative": "u=1; w ${u:+{x}}",
    "a default in a quoted substitution": 'unset u; v="$(printf %s. ${u:-{x}})"; w "${v%.}"',
    "a suffix": 'v=a{x}; v=${v%{x}}; [ "$v" = a ] && w {x}',
    "a prefix": 'v={x}a; v=${v#{x}}; [ "$v" = a ] && w {x}',
    "a pattern": "case {x} in {x}) w {x};; esac",
    "a loop": 'for v in {x}; do w "$v"; done',
    "a function": 'f() { w "$1"; }; f {x}',
    "after a comment": "# it's\nw {x}",
    "after a hash in a word": "v=a#'b'; w {x}",
    "after quotes": """: "it's" 'say "' $'a' \\' \\"; w {x}""",
    "after a variable": 'v=; w "$v"$v{x}',
    "after a longer variable": "u=; w $u{x}",
    "after backticks": "v=`printf \"it's\"`; w {x}",
    "after arithmetic": "v=$((1 + (2 << 3))); w {x}",
    "after a length": "v=; v=${#v}; w {x}",
    "after an escaped dollar": "v=\\$'a'; w {x}",
    "after an even backslash": "v=\\\\; w {x}",
    "after a continuation": "w \\\n  {x}",
    "before a redirection": "w {x}>&1",
    "before a here-document": "w {x} <<E\nit's\nE",
    "in an escaped quote": "v=\\\"; w {x}; v=\\\"",
}  # fmt: skip


def run(shell: list[str], script: str) -> list[str]:
    argv = [*shell, "-c", WORDS + script]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.stderr == b"", (script, done.stderr)
    return done.stdout.decode().split("\0")[:-1]


def render(text: str, value: str) -> str:
    return shell_line.parse(text, ["index", "x"], "spec.command").render({"index": "1", "x": value})


HOSTILE = [
    "", "plain", " ", "a  b", "it's", '"', "'", "''", "'\"'\"'", "$(id)",
    "`id`", "$HOME", "${HOME}", "\\", "\\'",
    "a\\\nb", "\n", "\n\n", "a\nb\n", "\r\n", "*", "?", "[a-z]", "~", "~root",
    "#", "# a", "a#", ";", "; id", "&", "|",
    "<", ">", "<<E", "2", "-n", "--", "!", "!!", "=", "v=1", "if", "done",
    "esac", "{", "}", "{x}", "{{x}}", "{a,b}",
    "(", ")", "))", "$", "$'a'", "%s", "%", "é", "Á\x81", "\u2028", "🙂",
    "\x01", "\x7f", "\t", "/*/../", "a:b",
]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", ALLOWED.values(), ids=ALLOWED)
def test_a_hostile_value_is_one_word_in(context: str, shell: list[str]) -> None:
    script = "\n".join(render(context, value) for value in HOSTILE)

    words = run(shell, script)

    assert words == [f"1:{value}" for value in HOSTILE]


VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.lists(st.sampled_from(HOSTILE), max_size=4).map("".join),
)


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=40, deadline=None)
@given(value=VALUES)
def test_any_value_is_one_word_in_every_allowed_place(shell: list[str], value: str) -> None:
    script = "\n".join(render(context, value) for context in ALLOWED.values())

    assert run(shell, script) == [f"1:{value}"] * len(ALLOWED)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "value", "expected"),
    [
        pytest.param("w a{x}>&1", "2", ["1:a2"], id="no file descriptor"),
        pytest.param("w {x}>&1", "2", ["1:2"], id="a number before a redirection"),
        pytest.param("u=1; uv=2; w $u{x}", "v", ["1:1v"], id="no longer variable"),
        pytest.param("w ~{x}", "root", ["1:~root"], id="no home directory"),
        pytest.param("w $$'a'{x} | sed 's/[0-9][0-9]*a/a/'", "'b", ["1:a'b"], id="a process id is no dollar"),
        pytest.param("if=3; {x}=2 2>/dev/null || w {x}", "if", ["1:if"], id="no assignment"),
    ],
)
def test_what_surrounds_a_value_does_not_change_it(
    shell: list[str], line: str, value: str, expected: list[str]
) -> None:
    assert run(shell, render(line, value)) == expected


REFUSED = {
    "'{x}'": "remove the quotes around {x}",
    "echo 'a\n{x}'": "remove the quotes around {x}",
    'echo "a {x} b"': 'write "a "{x}" b" for "a {x} b"',
    'echo "it\'s {x}"': "remove the quotes",
    'echo "$(date) {x}"': "remove the quotes",
    'echo "$(echo "{x}")"': "remove the quotes",
    'echo "$(echo ")" {x})" "{x}"': "remove the quotes",
    'echo "${HOME:-{x}}"': "remove the quotes",
    'echo "\\" {x}"': "remove the quotes",
    "echo '\\''{x}'": "remove the quotes",
    "echo $'{x}'": "remove the quotes",
    'awk "{ print {x} }"': "remove the quotes",
    "echo \\{x}": "remove the backslash before {x}",
    "echo \\\\\\{x}": "remove the backslash",
    "echo ${x}": "write ${{x}} for the shell's own variable",
    "echo $(echo ${x})": "remove the $",
    "echo # {x}": "{x} stands in a comment",
    "#{x}": "comment",
    "echo a;#{x}": "comment",
    "(echo a)#{x}": "comment",
    "echo a \\\n# {x}": "comment",
    "echo $(echo # {x}\n)": "comment",
    "echo `echo {x}`": "use $(…)",
    'echo "`echo {x}`"': "use $(…)",
    "echo `echo \\`echo {x}\\``": "use $(…)",
    "echo $(({x} + 1))": 'pass it by env: {X: "{x}"} and write "$X"',
    "echo $(( (1 + 2) * {x} ))": "arithmetic",
    'echo "$((${u:-1} + {x}))"': "arithmetic",
    "((i = {x}))": "arithmetic",
    "echo $[{x}]": "shells disagree",
    "echo >& {x}": "shells disagree",
    "echo >&a{x}": "shells disagree",
    "echo >&2{x}": "shells disagree",
    "cat <<E\n{x}\nE": 'stands after <<: pass it by env: {X: "{x}"} and write "$X"',
    "cat <<-'E'\n{x}\nE": "stands after <<",
    "cat <<{x}": "stands after <<",
    "cat <\\\n<E\n{x}\nE": "shells disagree",
    "echo ${v:{x}}": "cannot stand in this ${…}",
    "echo ${v[{x}]}": "cannot stand in this ${…}",
    "echo ${v:={x}}": "cannot stand in this ${…}",
    "echo ${v/a/{x}}": "cannot stand in this ${…}",
    "echo $'a\\'' {x}": "shells disagree",
    "echo $\\\n{x}": "shells disagree",
    '"$(case a in a) echo "{x}";; esac)"': "shells disagree",
    "echo \"${v#'\"'}{x}\"": "shells disagree",
    "echo $((echo ')'; echo \"{x}\"))": "shells disagree",
}  # fmt: skip


@pytest.mark.parametrize(("line", "advice"), REFUSED.items(), ids=REFUSED)
def test_a_placeholder_that_quotes_would_not_protect_is_refused(line: str, advice: str) -> None:
    with pytest.raises(RequestError) as error:
        shell_line.parse(line, ["index", "x"], "spec.command")

    assert str(error.value).startswith("spec.command: ")
    assert advice in str(error.value)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        pytest.param("echo '{{x}}' \"{{x}}\" # {{x}}", "echo '{x}' \"{x}\" # {x}", id="escapes stand anywhere"),
        pytest.param("echo ${HOME} '{{print}}' `a` $((1))", "echo ${HOME} '{print}' `a` $((1))", id="no placeholder"),
        pytest.param("echo 'never closed", "echo 'never closed", id="a mistake is the shell's to report"),
        pytest.param("cat <<<{x}", "cat <<<'v'", id="here-string"),
        pytest.param("cat <(echo {x})", "cat <(echo 'v')", id="process substitution"),
    ],
)
def test_the_rest_of_a_line_is_left_alone(line: str, text: str) -> None:
    assert render(line, "v") == text


def test_an_unknown_name_in_a_line_is_an_error() -> None:
    with pytest.raises(UnknownParameterError, match=r"write \{\{print\}\} for the text"):
        shell_line.parse("awk '{print}' {x}", ["index", "x"], "spec.command")


def test_a_line_with_a_nul_is_an_error() -> None:
    with pytest.raises(RequestError, match="NUL"):
        shell_line.parse("echo \0 {x}", ["x"], "spec.command")


BITS = [*"'\"`\\$(){}#;& \n<|ax", "{x}", "{x}", "$(", "$((", "${a:-", "$'", "<<", "case ", "\\\n", " #"]
#: Runs `mark` wherever it is not inert: in a line, in "…" or after the end of '…', in a comment.
INJECTION = "$(mark)`mark`\nmark\n';mark;'\nmark\n\";mark;\"\nmark\n"


@settings(max_examples=200, deadline=None)
@given(line=st.lists(st.sampled_from(BITS)).map("".join), shell=st.sampled_from([p.values[0] for p in SHELLS]))
def test_a_line_that_is_accepted_never_runs_its_value(line: str, shell: list[str]) -> None:
    try:
        template = shell_line.parse(line, ["x"], "w")
    except RequestError:
        return
    script = "mark() { echo RAN >&2; }\nPATH=/nowhere\n" + template.render({"x": INJECTION})

    done = subprocess.run([*shell, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False)

    assert b"RAN" not in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["echo hello"], True),
        (["a|b"], True),
        (["a;b"], True),
        (["a>b"], True),
        (["a<b"], True),
        (["a&"], True),
        (["a\nb"], True),
        (["./run.sh"], False),
        (["{x}"], False),
        (["a$b"], False),
        (["echo", "a b"], False),
        ([], False),
    ],
)
def test_one_word_with_white_space_or_an_operator_is_a_line(words: list[str], expected: bool) -> None:
    assert shell_line.is_line(words) is expected
