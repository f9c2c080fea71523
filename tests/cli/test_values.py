"""A parameter's value reaches the program byte for byte, wherever it comes from and wherever it stands."""

from __future__ import annotations

import csv
import io
import json

from conftest import User

#: Whatever a shell, a template engine, a CSV reader or a YAML reader could take for its own.
HOSTILE = (
    "a  b; rm -rf ~ $(id) `id` 'single' \"double\" back\\slash \\n {x} {{x}} {index} ${HOME} %s é 漢 🙂 \n\t*? #!&|<> "
)

#: Prints every argument with a NUL after it: what printf gets is what it writes.
DUMP = ("printf", r"%s\0")


def as_csv(*values: str) -> str:
    table = io.StringIO()
    csv.writer(table, quoting=csv.QUOTE_ALL).writerows([["x"], *([value] for value in values)])
    return table.getvalue()


def arguments(user: User, job: str) -> list[list[str]]:
    """Return what each task has dumped."""
    return [user.log(task["task"]).split("\0")[:-1] for task in user.rows("list", job)]


def test_a_value_of_a_csv_is_one_argument(warm: User) -> None:
    warm.write("values.csv", as_csv(HOSTILE, "", "plain"))

    warm.ok("sub", "-n", "csv", "--params", "values.csv", *DUMP, "{x}", "before{x}after{x}", "end")

    assert arguments(warm, "csv") == [
        [HOSTILE, f"before{HOSTILE}after{HOSTILE}", "end"],
        ["", "beforeafter", "end"],
        ["plain", "beforeplainafterplain", "end"],
    ]


def test_a_value_of_a_csv_is_one_word_of_a_shell_line(warm: User) -> None:
    warm.write("values.csv", as_csv(HOSTILE, ""))

    warm.ok("sub", "-n", "line", "--params", "values.csv", r"printf '%s\0' {x} before{x}after end; printf 'more\0'")

    assert arguments(warm, "line") == [
        [HOSTILE, f"before{HOSTILE}after", "end", "more"],
        ["", "beforeafter", "end", "more"],
    ]


def test_a_value_of_a_matrix_is_one_argument(warm: User) -> None:
    warm.ok("sub", "-n", "matrix", "--matrix", f"x={HOSTILE},2", "--matrix", "y=p,q", *DUMP, "{x}", "{y}")

    assert arguments(warm, "matrix") == [[HOSTILE, "p"], [HOSTILE, "q"], ["2", "p"], ["2", "q"]]


def test_a_value_of_env_is_the_variable(warm: User) -> None:
    warm.write("values.csv", as_csv(HOSTILE))
    literal = "a  b; rm -rf ~ $(id) 'single' \"double\" back\\slash é=漢\n"

    warm.ok("sub", "-n", "env", "--params", "values.csv", "--env", "X={x}=", "--env", f"Y={literal}",
            "sh", "-c", r'printf "%s\0" "$X" "$Y"')  # fmt: skip

    assert arguments(warm, "env") == [[f"{HOSTILE}=", literal]]


def test_a_value_of_the_rows_of_a_manifest_is_one_argument(warm: User) -> None:
    # JSON is YAML: nobody's quoting of ours is in the way.
    manifest = {
        "apiVersion": "sparkles/v1",
        "kind": "Job",
        "metadata": {"name": "rows"},
        "spec": {"command": [*DUMP, "{x}", "{a b:c.d}"], "parameters": {"rows": [{"x": HOSTILE, "a b:c.d": "odd"}]}},
    }
    warm.write("rows.yaml", json.dumps(manifest, ensure_ascii=False))

    warm.ok("apply", "--wait", "rows.yaml")

    assert arguments(warm, "rows") == [[HOSTILE, "odd"]]
    assert warm.rows("list", "rows")[0]["parameters"] == {"x": HOSTILE, "a b:c.d": "odd"}
    result = json.loads(warm.result("rows", 1, "result.json"))
    assert result["command"] == [*DUMP, HOSTILE, "odd"]


def test_a_value_survives_the_way_through_sub_and_apply(warm: User) -> None:
    warm.write("values.csv", as_csv(HOSTILE))
    document = warm.ok("sub", "-n", "piped", "--params", "values.csv", "--dry-run", "-o", "yaml", *DUMP, "{x}", "a  b")

    warm.ok("apply", "--wait", "-f", "-", input=document)

    assert arguments(warm, "piped") == [[HOSTILE, "a  b"]]


def test_the_source_text_of_numbers_and_truths_is_kept(warm: User) -> None:
    warm.write(
        "plain.yaml",
        """
        apiVersion: sparkles/v1
        kind: Job
        metadata: {name: plain}
        spec:
          command: [printf, '%s\\0', "{a}", "{b}", 0.10, yes, 012, 1e3, null, ~]
          parameters: {rows: [{a: 0.10, b: off}]}
        """,
    )

    warm.ok("apply", "--wait", "plain.yaml")

    assert arguments(warm, "plain") == [["0.10", "off", "0.10", "yes", "012", "1e3", "null", "~"]]


def test_words_of_the_command_line_reach_the_program_unchanged(warm: User) -> None:
    words = [
        "a  b",
        "",
        "$HOME",
        "*",
        "{print $1}",
        "${HOME}",
        "{}",
        '{"a":{"b":1}}',
        "{a..z}",
        "{{.Names}}",
        "-n",
        "--",
    ]

    warm.ok("sub", "-n", "words", "--", *DUMP, *words)

    assert arguments(warm, "words") == [words]


def test_doubled_braces_stand_for_the_text(warm: User) -> None:
    warm.write("values.csv", as_csv("value"))

    warm.ok("sub", "-n", "escape", "--params", "values.csv", *DUMP, "{x}", "{{x}}", "{{y}}", "{{{x}}}")

    assert arguments(warm, "escape") == [["value", "{x}", "{y}", "{{x}}"]]


def test_no_value_changes_the_meaning_of_what_stands_around_it(warm: User) -> None:
    values = ["-n", "--help", "~", "0", "x=1", "if", "\\", "$", "'", '"', "`", "#", "\n", " ", "*"]
    warm.write("values.csv", as_csv(*values))

    warm.ok("sub", "-n", "around", "--params", "values.csv",
            r"printf '%s\0' $HOME{x} ~{x} {x}{x}; printf '%s\0' {x}>file; cat file # '")  # fmt: skip

    assert arguments(warm, "around") == [[f"{warm.home}{value}", f"~{value}", value + value, value] for value in values]
