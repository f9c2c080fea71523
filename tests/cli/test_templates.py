"""Templates: what is rendered, with which values, and that all else stays as it is."""

from __future__ import annotations

from conftest import User, listing

HEAD = "apiVersion: sparkles/v1\nkind: Job\nmetadata: {{name: {name}}}\nspec:\n"


def job(name: str, command: str) -> str:
    """Return a manifest with a command for the shell."""
    return f"{HEAD.format(name=name)}  command: [sh, -c, {command}]\n"


def rendered(user: User, text: str, *flags: str) -> str:
    """Return what a template is rendered as."""
    user.write("t.yaml.j2", text)
    return user.ok("apply", "--render", "t.yaml.j2", *flags)


def test_a_template_is_applied_with_its_values(warm: User) -> None:
    rows = "  parameters:\n    rows:\n    {% for x in range(n) %}\n    - {x: {{ x * 10 }}}\n    {% endfor %}\n"
    warm.write("loop.yaml.j2", job("loop", "'echo {x} rate={{ rate }}'") + rows)

    warm.ok("apply", "--wait", "loop.yaml.j2", "--set", "n=2", "--set", "rate=0.10")
    same = warm("diff", "loop.yaml.j2", "--set", "n=2", "--set", "rate=0.10")
    more = warm("diff", "loop.yaml.j2", "--set", "n=3", "--set", "rate=0.10")

    assert [warm.log(f"loop.{index}") for index in (1, 2)] == ["0 rate=0.10\n", "10 rate=0.10\n"]
    assert (same.returncode, more.returncode) == (0, 1)
    assert "1 task new" in more.stdout


def test_a_later_file_wins_and_a_flag_wins_over_files(user: User) -> None:
    user.write("one.yaml", "a: 1\nm: {x: 1, y: 1, deep: {p: 1}}\nlist: [1, 2]\n")
    user.write("two.yaml", 'm: {y: 2, deep: {q: 2}}\nlist: ["3"]\n')
    flags = ["--values", "one.yaml", "--values", "two.yaml", "--set", "m.deep.q=3", "--set", "m.z=4", "--set", "m.z=5"]

    text = rendered(user, "{{ a }} {{ m }} {{ list }}\n", *flags)

    assert text == '1 {"x": 1, "y": 2, "deep": {"p": 1, "q": 3}, "z": 5} ["3"]\n'


def test_a_flag_replaces_a_whole_mapping(user: User) -> None:
    user.write("values.yaml", "m: {x: 1}\n")

    assert rendered(user, "{{ m }}\n", "--values", "values.yaml", "--set", "m=none") == "none\n"


def test_only_the_templates_of_a_folder_are_rendered(warm: User) -> None:
    warm.write("jobs/b.yaml.j2", job("folder-b", "'cat {{ file }}'") + "  uploads: [in.txt]\n")
    warm.write("jobs/a.yaml", job("folder-a", "\"echo '{{ file }}'\""))
    warm.write("jobs/c.yml", job("folder-c", "echo"))
    warm.write("jobs/values.yaml", "file: in.txt\n")
    warm.write("jobs/in.txt", "of the template's folder\n")

    out = warm.ok("apply", "--wait", "jobs", "--values", "jobs/values.yaml")

    names = ["folder-a", "folder-b", "folder-c"]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("job ")] == names
    assert warm.log("folder-a.1") == "{{ file }}\n"
    assert warm.log("folder-b.1") == "of the template's folder\n"


def test_standard_input_is_rendered_if_there_are_values(user: User) -> None:
    text = job("pipe", "\"echo '{{ word }}'\"")

    plain = user.ok("apply", "--render", "-", input=text)
    filled = user.ok("apply", "--render", "-", "--set", "word=hello", input=text)

    assert plain == text
    assert filled == text.replace("{{ word }}", "hello")


def test_a_template_from_a_pipe_finds_its_files_in_the_current_folder(warm: User) -> None:
    warm.write("in.txt", "here\n")

    text = job("piped", '"cat in.txt"') + "  uploads: [{{ file }}]\n"
    warm.ok("apply", "--wait", "-f", "-", "--set", "file=in.txt", input=text)

    assert warm.log("piped.1") == "here\n"


def test_a_template_s_files_are_looked_for_in_its_folder(warm: User) -> None:
    warm.write("deep/in.txt", "there\n")
    warm.write("deep/t.yaml.j2", job("deep", '"cat in.txt"') + "  uploads: [{{ file }}]\n")

    warm.ok("apply", "--wait", "deep/t.yaml.j2", "--set", "file=in.txt")

    assert warm.log("deep.1") == "there\n"


def test_render_prints_files_as_they_are_and_several_as_documents(user: User) -> None:
    user.write("a.yaml", "{{ not rendered }}: [\r\n")
    user.write("b.yaml.j2", "{{ 1 + 1 }}")
    user.write("c.yaml", "c: 1\n")

    alone = user.ok("apply", "--render", "b.yaml.j2")
    together = user.ok("apply", "--render", "--wait", "a.yaml", "b.yaml.j2", "c.yaml")

    assert alone == "2"
    assert together == "{{ not rendered }}: [\r\n---\n2\n---\nc: 1\n"
    assert listing(user.home) == {}


def test_a_value_of_one_template_need_not_be_used_by_the_other(user: User) -> None:
    user.write("a.yaml.j2", "a: {{ a }}\n")
    user.write("b.yaml.j2", "b: {{ b }}\n")

    assert user.ok("apply", "--render", ".", "--set", "a=1", "--set", "b=2") == "a: 1\n---\nb: 2\n"


def test_any_text_reaches_a_command_through_tojson(warm: User) -> None:
    text = "- a: b # c\n'\"\\ {% x %} ${Y} é 😀 \x85\u2028\ufeff"
    warm.write("any.yaml.j2", HEAD.format(name="any") + "  command: [printf, '%s', {{ text | tojson }}]\n")

    warm.ok("apply", "--wait", "any.yaml.j2", "--set", f"text={text}")

    assert warm.log("any.1") == text


def test_an_argument_that_is_not_utf_8_is_refused(user: User) -> None:
    user.write("t.yaml.j2", "{{ x }}")

    done = user("apply", "t.yaml.j2", "--set", "x=\udcff")

    assert done.returncode == 2
    assert "not UTF-8" in done.stderr
