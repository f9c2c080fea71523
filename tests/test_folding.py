"""Lines that say the same have the same shape, whatever they say it of."""

from __future__ import annotations

import re

import pytest

from sparkles.folding import fold, pattern, unfold


def words(line: str, row: dict[str, str] | None = None) -> str:
    folded = fold(line, row or {})
    return unfold(folded.shape, [None] * len(folded.parts))


@pytest.mark.parametrize(
    ("line", "folded"),
    [
        ("line 12 of /a/b/c1.txt", "line <n> of <file>"),
        ("line 7 of c2.txt", "line <n> of <file>"),
        ("ValueError: bad value -8.25e-3", "ValueError: bad value <n>"),
        ("1,234 of 5 (45%) in gene12", "<n> of <n> (<n>%) in gene<n>"),
        ("[2024-03-01 12:00:03,123] ERROR in x.py:12", "[<time>] ERROR in <file>:<n>"),
        ("Thu Nov 26 09:05:02 2026: no", "<time>: no"),
        ("at 9:05 PM", "at <time>"),
        ("No such file or directory: '/a b/c d.txt'", "No such file or directory: <file>"),
        ("cannot open file \N{LEFT SINGLE QUOTATION MARK}a b.csv\N{RIGHT SINGLE QUOTATION MARK}", "cannot open <file>"),
        ("./run.sh: line 3: samtools: command not found", "<file>: line <n>: samtools: command not found"),
        ("cannot open gs://b/x/y.bam: 403", "cannot open <file>: <n>"),
        ("segment 0x7ffe of deadbeef01", "segment <id> of <id>"),
        ("job 2f1e4d3c-0000-1111-2222-333344445555", "job <id>"),
        ("ModuleNotFoundError: No module named 'xml.dom'", "ModuleNotFoundError: No module named 'xml.dom'"),
        ("numpy.linalg.LinAlgError: Singular matrix", "numpy.linalg.LinAlgError: Singular matrix"),
        ("no such gene", "no such gene"),
        ("", ""),
    ],
)
def test_what_differs_from_task_to_task_is_a_place(line: str, folded: str) -> None:
    assert words(line).replace("file <file>", "<file>") == folded


@pytest.mark.parametrize("gene", ["BRCA1", "MYC", "HLA-DRB1"])
def test_a_parameter_is_a_place(gene: str) -> None:
    assert words(f"KeyError: '{gene}'", {"n": "1", "gene": gene}) == "KeyError: '{gene}'"


def test_a_parameter_is_only_found_as_a_word_of_its_own() -> None:
    assert words("errors in err mode", {"mode": "err"}) == "errors in {mode} mode"
    assert words("an error of a", {"x": "a"}) == "an error of a"


@pytest.mark.parametrize(
    "line", ["line 12 of /a/b/c1.txt, 'x y.gz' and BRCA1 at 10:20", "a\0b\0c 1", "\ue000 gene \0\ue001\0 2"]
)
def test_the_parts_belong_into_the_places(line: str) -> None:
    folded = fold(line, {"gene": "BRCA1"})

    assert unfold(folded.shape, folded.parts) == line.replace("\0", "")


def test_a_pattern_finds_the_lines_of_a_shape() -> None:
    shape = fold("t.sh: 3: ./a.sh: (1+1) not found", {}).shape

    found = re.compile(pattern(shape, ["t.sh", None, None, None, None]))

    assert found.search("t.sh: 17: /b/c: (2+5) not found")
    assert not found.search("t.sh: 17: nosuchcommand: (2+5) not found")
    assert not found.search("u.sh: 3: ./a.sh: (1+1) not found")
