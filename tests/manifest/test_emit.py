"""Emitting: what is written reads back as it was, here and elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sparkles.manifest import dump, read

HOSTILE = [
    *(
        "0.10",
        "yes",
        "No",
        "null",
        "~",
        "",
        " a",
        "a ",
        "{x}",
        "[x]",
        "a: b",
        "a #b",
        "# a",
        "- a",
        "-",
        "--",
        "---",
    ),
    *(
        "a\nb",
        "a\nb\n",
        "a\n\nb\n",
        "a\n\n",
        "\n",
        "\na",
        "a\n  b\n",
        "a\n \nb",
        "a\n\tb",
        "\ta",
        "a\tb",
        "a\r\nb",
    ),
    *(
        "\x01",
        "\x1b[0m",
        "\x7f",
        "\x85",
        "a\x85b\nc",
        "\xa0",
        "\u2028",
        "a\u2029b",
        "\ufeff",
        "\ufffe",
        "\uffff",
    ),
    *(
        "🎉",
        "größe",
        "日本\n語\n",
        "\U0001fffe",
        "*.csv",
        "&a",
        "!x",
        "@x",
        "%x",
        "`x`",
        "|",
        ">",
        "'",
        '"',
        "\\n",
    ),
    *(
        "0x1F",
        "1e3",
        "1_000",
        "012",
        "1:30",
        "2026-01-01",
        "2h",
        "1h30m",
        ".inf",
        "-.inf",
        "nan",
        "+1",
        "=",
        "<<",
        "?",
    ),
    *(
        "a" * 5000,
        "a " * 3000,
        "é" * 2000,
        "gs://b/x:y",
        "--lambda",
        "--y={z}",
        "a,b",
        "a]b",
        "y",
        "n",
        "LAST",
        "x:",
        ".",
        "..",
        "./a",
        "...",
        ".5",
        "../",
    ),
]


def a_job(spec):
    return {"apiVersion": "sparkles/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}


def read_back(document):
    (manifest,) = read(dump(document), source="job.yaml", base=Path())
    return manifest.document


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_reads_back_wherever_it_stands(text):
    job = a_job(
        {
            "command": ["echo", text],
            "env": {"A": text},
            "parameters": {"rows": [{text: text}, {"b" * 100: text, text: "x"}]},
        }
    )
    job["metadata"]["labels"] = {text or "x": text}

    assert read_back(job) == job
    assert yaml.safe_load(dump(job)) == job


@pytest.mark.parametrize("text", [text for text in HOSTILE if text], ids=ascii)
def test_a_hostile_shell_line_reads_back(text):
    assert read_back(a_job({"command": text})) == a_job({"command": text})


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.sampled_from(HOSTILE)
SOME = TEXT.filter(bool)
SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True).filter(lambda name: name != "LAST")
DURATION = st.sampled_from(["30s", "10m", "2h", "7d", "1h30m", "1d2h3m4s"])
PATHS = TEXT.map(lambda text: "/" + text)
GENERATION = st.text("0123456789", min_size=1, max_size=19)
FILE = st.one_of(
    st.fixed_dictionaries({"src": SOME, "sha256": SHA}, optional={"executable": st.booleans()}),
    st.fixed_dictionaries({"src": SOME, "generation": GENERATION}, optional={"executable": st.booleans()}),
)
UPLOAD = SOME | st.fixed_dictionaries(
    {"src": SOME},
    optional={
        "dest": SOME,
        "sha256": SHA,
        "generation": GENERATION,
        "executable": st.booleans(),
        "files": st.lists(FILE, max_size=3),
    },
)
PARAMETERS = st.one_of(
    st.fixed_dictionaries({"seq": st.integers(1, 10_000_000)}),
    st.fixed_dictionaries({"csv": SOME}, optional={"sha256": SHA, "count": st.integers(1, 10**18 - 1)}),
    st.fixed_dictionaries({"rows": st.lists(st.dictionaries(TEXT, TEXT, max_size=3), min_size=1, max_size=3)}),
    st.fixed_dictionaries(
        {"matrix": st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), min_size=1, max_size=3)}
    ),
)
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        "machineType": SOME,
        "slots": st.integers(1, 1024),
        "gpus": st.fixed_dictionaries({"type": SOME}, optional={"count": st.integers(1, 8)}),
        "disks": st.lists(st.fixed_dictionaries({"sizeGb": st.integers(1, 9999), "mount": PATHS}), max_size=2),
    },
)
SPEC = st.fixed_dictionaries(
    {"command": SOME | st.lists(TEXT, min_size=1)},
    optional={
        "image": SOME,
        "env": st.dictionaries(st.from_regex(r"[A-RT-Z_a-z][A-Za-z0-9_]*", fullmatch=True), TEXT, max_size=3),
        "uploads": st.lists(UPLOAD, max_size=4),
        "parameters": PARAMETERS,
        "resources": RESOURCES,
        "nodes": st.fixed_dictionaries({}, optional={"max": st.integers(1, 10**18 - 1), "linger": DURATION}),
        "timeout": DURATION,
        "outputs": st.fixed_dictionaries({}, optional={"include": st.lists(SOME), "exclude": st.lists(SOME)}),
        "needs": st.lists(NAME, max_size=3),
    },
)
JOBS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("sparkles/v1"),
        "kind": st.just("Job"),
        "metadata": st.fixed_dictionaries({"name": NAME}, optional={"labels": st.dictionaries(SOME, TEXT, max_size=3)}),
        "spec": SPEC,
    },
    optional={"status": st.fixed_dictionaries({"generation": st.integers(0, 99), "indices": st.just("1-39,1001")})},
)


@given(JOBS)
@example(a_job({"command": ["a" * 200]}))
def test_every_valid_document_reads_back(document):
    assert read_back(document) == document


@given(JOBS)
def test_what_is_written_depends_only_on_the_document(document):
    assert dump(read_back(document)) == dump(document)


def test_a_manifest_is_written_the_way_people_write_it():
    job = a_job(
        {
            "command": ["python", "fit.py", "--lambda", "{lambda}"],
            "env": {},
            "uploads": [{"src": "s/{x}.bam", "dest": "in.bam"}],
            "parameters": {"rows": [{"sample": f"A{n}", "note": "größe 🎉"} for n in range(3)]},
            "nodes": {"max": 3, "maxLife": "7d", "externalIp": True},
        }
    )
    job["spec"]["env"] = {"SCRIPT": "set -e\n\nif true; then\n  echo hi\nfi\n", "VERSION": "0.10"}

    assert dump({"spec": job.pop("spec"), **job}) == (
        """\
apiVersion: sparkles/v1
kind: Job
metadata:
  name: j
spec:
  command: [python, fit.py, --lambda, "{lambda}"]
  env:
    SCRIPT: |
      set -e

      if true; then
        echo hi
      fi
    VERSION: "0.10"
  uploads: [{src: "s/{x}.bam", dest: in.bam}]
  parameters:
    rows:
      - {sample: A0, note: "größe 🎉"}
      - {sample: A1, note: "größe 🎉"}
      - {sample: A2, note: "größe 🎉"}
  nodes:
    max: 3
    maxLife: 7d
    externalIp: true
"""
    )


def test_a_long_command_has_a_word_per_line():
    text = dump(a_job({"command": ["python", "x" * 100]}))

    assert f"  command:\n    - python\n    - {'x' * 100}\n" in text
