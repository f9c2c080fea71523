"""Every example runs, gives what it says it gives, and applied again leaves nothing to do."""

from __future__ import annotations

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "jobs"
MANIFESTS = {path.parent.name: path for path in sorted(EXAMPLES.glob("*/job.yaml*"))}
NAMES = list(MANIFESTS)


def words(name):
    """Return what names an example on the command line; a template comes with its values."""
    values = EXAMPLES / name / "values.yaml"
    return [str(MANIFESTS[name]), *(["--values", str(values)] if values.exists() else [])]


def contents(folder):
    """Return the files below a folder, but for reports, which differ from run to run, and what is between phases."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "result.json" and ".foreach" not in path.parts
    }


@pytest.mark.on_both
@pytest.mark.parametrize("name", NAMES)
def test_an_example_gives_what_is_expected_and_then_there_is_nothing_to_do(warm, name, request):
    if "image: r-base" in MANIFESTS[name].read_text():
        request.getfixturevalue("r_base")
    warm.ok("apply", "--wait", *words(name))

    warm.ok("fetch", name, "results")
    assert contents(warm.folder / "results") == contents(EXAMPLES / name / "expected")
    assert "nothing to do" in warm.ok("apply", *words(name))
    assert warm("diff", *words(name)).returncode == 0


def test_the_example_of_retries_fails_at_first(user):
    user.ok("apply", "--wait", str(EXAMPLES / "retries" / "job.yaml"))

    assert user.rows("list", "retries")[0]["attempts"] == 2


def test_every_example_has_its_line_in_the_readme():
    lines = (EXAMPLES / "README.md").read_text().splitlines()

    for name in NAMES:
        assert sum(line.startswith(f"| [{name}]({name}/{MANIFESTS[name].name}) | ") for line in lines) == 1


def test_an_example_is_called_as_its_folder():
    for name in NAMES:
        assert f"\n  name: {name}\n" in MANIFESTS[name].read_text()
