"""For each way in which tasks fail: what was wrong, as far as it can be told, and what mends it."""

from __future__ import annotations

from typing import Any

import pytest

from sparkles.diagnose import cures
from sparkles.diagnose.cures import RULES, cure
from sparkles.model import Reason

OPEN, CLOSE = "\N{LEFT SINGLE QUOTATION MARK}", "\N{RIGHT SINGLE QUOTATION MARK}"
WINDOWS = "it looks as if the script was written on Windows: its lines end in a way that Unix does not understand"

#: Exit code, last line, what is said of it, and a part of what to do.
SIGNS = [
    (1, "ModuleNotFoundError: No module named 'numpy'", "the Python module numpy is missing", "pip install numpy"),
    (1, "/usr/bin/python: No module named pytest", "the Python module pytest is missing", "upload it (-u)"),
    (1, f"Error in library(DESeq2) : there is no package called {OPEN}DESeq2{CLOSE}", "the R package DESeq2 is missing",
     'install.packages("DESeq2")'),
    (1, "there is no package called 'ape'", "the R package ape is missing", "BiocManager::install"),
    (127, "samtools: error while loading shared libraries: libhts.so.3: cannot open shared object file: No such file",
     "the library libhts.so.3 is missing", "install the package"),
    (1, "./tool: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by ./tool)",
     "the program was made for a newer system: it needs GLIBC_2.34", "newer image"),
    (127, f"/usr/bin/env: {OPEN}python3\\r{CLOSE}: No such file or directory", WINDOWS, "sed -i"),
    (126, "bash: ./a.sh: /bin/bash^M: bad interpreter: No such file or directory", WINDOWS, "sed -i"),
    (127, "a.sh: line 2: $'\\r': command not found", WINDOWS, "sed -i"),
    (127, "': No such file or directory", WINDOWS, "sed -i"),
    (2, ": numeric argument required", WINDOWS, "sed -i"),
    (127, "env: 'Rscript': No such file or directory",
     "the program Rscript, which the first line of the script names, is missing", "install Rscript in the image"),
    (127, "env: can't execute 'perl': No such file or directory",
     "the program perl, which the first line of the script names, is missing", "choose an image that has it (-i)"),
    (126, "bash: ./a.py: /usr/bin/python2: bad interpreter: No such file or directory",
     "the program /usr/bin/python2, which the first line of the script names, is missing", "install /usr/bin/python2"),
    (127, "bash: line 1: ./a.sh: cannot execute: required file not found",
     "the program that the first line of ./a.sh names is missing", "or install the program"),
    (126, "sh: 1: ./tool: Exec format error", "the program was made for another kind of machine", "linux/amd64"),
    (126, "./tool: cannot execute binary file", "the program was made for another kind of machine", "linux/amd64"),
    (126, "sh: 1: ./a.sh: Permission denied", "the file is not executable", "chmod +x"),
    (1, "OSError: [Errno 28] No space left on device", "the disk is full", "bootDisk"),
    (1, "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB", "the memory of the GPU was too small", "batches"),
    (1, "RuntimeError: No CUDA GPUs are available", "there is no GPU, or the program has no way to it", "gpus"),
    (1, "AssertionError: Torch not compiled with CUDA enabled", "there is no GPU, or the program has no way to it",
     "an image with CUDA"),
    (127, "sh: 1: nvidia-smi: not found", "there is no GPU, or the program has no way to it", "gpus"),
    (1, "MemoryError", "it ran out of memory", "--memory"),
    (1, "Error: cannot allocate vector of size 3.7 Gb", "it ran out of memory", "--memory"),
    (1, "curl: (6) Could not resolve host: example.org", "it could not reach something on the network", "retry"),
    (2, "fit.py: error: unrecognized arguments: --lamda", "the program does not know one of its options, or misses one",
     "sparkles get JOB"),
    (1, "SyntaxError: invalid syntax", "there is a mistake in the script itself", "submit again"),
    (2, "cat: in.txt: No such file or directory", "it did not find a file", "-u FILE"),
    (2, "python3: can't open file 'fit.py': [Errno 2] No such file or directory", "it did not find a file", "-u FILE"),
    (1, "In file(file, \"rt\") : cannot open file 'a.csv': No such file or directory", "it did not find a file", "-u"),
    (1, "Error: 'a.csv' does not exist in current working directory ('/w').", "it did not find a file", "-u FILE"),
    (1, "PermissionError: [Errno 13] Permission denied: '/out'", "it may not read or write a file", "permissions"),
    (1, "a.sh: line 3: 4711 Killed", "the system killed a part of it: mostly that is for want of memory", "--memory"),
]  # fmt: skip

#: What a worker writes itself is certain, and so is what exit codes tell.
CERTAIN = [
    (127, "sparkles: ./a.py: the interpreter named in its first line was not found",
     "the first line of ./a.py names a program that is not there", "#!/usr/bin/env python3"),
    (127, "sparkles: a.py: not on the PATH; to run the uploaded file write ./a.py", "", "write ./a.py in the command"),
    (126, "sparkles: ./a.py: not executable; chmod +x it before it is uploaded", "", "chmod +x"),
    (126, "sparkles: ./tool: neither a program of this machine nor a script with a #! line",
     "./tool is no program that this kind of machine can run", "linux/amd64"),
    (126, "sparkles: tool: made for another kind of machine than this one (x86_64), and so perhaps all of the image",
     "tool is no program that this kind of machine can run", "linux/amd64"),
    (126, "sparkles: image a@sha256:1: no such thing", "its image could not be used", "sparkles validate"),
    (127, "sparkles: samtools: command not found in the image", "", "how the command is spelled"),
    (127, "bash: ./a.sh: No such file or directory", "", "how the command is spelled"),
]  # fmt: skip

#: What exit codes tell.
CODES = [
    (126, "chmod +x"), (127, "how the command is spelled"), (132, "newer processor"), (134, "gave itself up"),
    (135, "/dev/shm"), (136, "divided by zero"), (137, "--memory"), (139, "mistake in the program"),
    (141, "pipe"), (143, "asked it to end"), (152, "ulimit -t"), (153, "ulimit -f"),
]  # fmt: skip

#: What else ends attempts.
OTHERS = [
    (Reason.TIMEOUT, "sparkles: stopped after 5 s (timeout)", "", "--timeout"),
    (Reason.OUT_OF_MEMORY, "sparkles: stopped because it needed more than 5M of memory", "", "--memory"),
    (Reason.NODE_LOST, "", "", "larger machine type"),
    (Reason.NODE_LIMIT, "", "", "nodes.maxLife"),
    (Reason.UPLOAD, "sparkles: the task's files could not be brought in: a", "", "still where they were"),
    (Reason.UPLOAD, "sparkles: the task's files could not be brought in: No space left on device", "the disk is full",
     "bootDisk"),
    (Reason.UPLOAD, "sparkles: this task cannot be executed: a", "", "submit again"),
    (Reason.UPLOAD, "sparkles: the task's result could not be stored: a", "", "bucket"),
    (Reason.UPLOAD, "done", "", "bucket"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "line", "says", "do"), SIGNS)
def test_what_a_program_wrote_is_a_sign(code: int, line: str, says: str, do: str) -> None:
    found = cure(Reason.EXIT, code, line)

    assert found
    assert found.says == f"it looks as if {says.removeprefix('it looks as if ')}"
    assert do in found.do


@pytest.mark.parametrize(("code", "line", "says", "do"), CERTAIN)
def test_what_a_worker_wrote_is_certain(code: int, line: str, says: str, do: str) -> None:
    found = cure(Reason.EXIT, code, line)

    assert found
    assert found.says == says
    assert do in found.do


@pytest.mark.parametrize(("code", "do"), CODES)
@pytest.mark.parametrize("line", ["", "epoch 12"])
def test_an_exit_code_tells_what_to_do(code: int, line: str, do: str) -> None:
    found = cure(Reason.EXIT, code, line)

    assert found
    assert (found.says, do in found.do) == ("", True)


@pytest.mark.parametrize(("reason", "line", "says", "do"), OTHERS)
def test_what_ends_an_attempt_tells_what_to_do(reason: Reason, line: str, says: str, do: str) -> None:
    found = cure(reason, None, line)

    assert found
    assert (found.says, do in found.do) == (says, True)


@pytest.mark.parametrize("line", ["", "epoch 12", "ValueError: bad value 3", ": and so on", "gene 7 does not exist"])
def test_where_nothing_is_known_nothing_is_said(line: str) -> None:
    assert cure(Reason.EXIT, 3, line) is None


def test_every_rule_has_its_case() -> None:
    cases: list[tuple[Any, int | None, str]] = [(Reason.EXIT, code, line) for code, line, *_ in [*SIGNS, *CERTAIN]]
    cases += [(Reason.EXIT, code, "") for code, _ in CODES] + [(reason, None, line) for reason, line, *_ in OTHERS]

    assert {cures.rule(*case) for case in cases} == set(RULES)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    assert "unknown" not in cures.at_length(reason, 3)
