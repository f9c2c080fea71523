"""Cures: how an attempt ended and what it wrote last in, what was wrong and what mends it out. Pure: a table.

What a program wrote is only a sign: where a rule reads it, it says that it looks as if. What a worker wrote is certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from signal import Signals
from typing import NamedTuple

from sparkles.model import Reason


class Cure(NamedTuple):
    """What was wrong, and what mends it."""

    #: Empty where the way in which it ended says it already.
    says: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Endings that are known, and what mends them. `{name}` stands for the part of the line that has this name."""

    reason: Reason = Reason.EXIT
    #: None for any.
    exit: int | None = None
    #: Is found in the last line, whatever its case; None if that does not matter.
    line: str | None = None
    #: What is wrong.
    says: str = ""
    #: What mends it.
    do: str


#: Begins all that a worker writes into the log of a task.
WORKER = "sparkles: "

_IMAGE = "in the image; without an image, on this machine"
_MEMORY = "give it more (--memory, or a larger machine type with -m), or run fewer at once (--slots)"
_SPELLING = (
    "check how the command is spelled, that the image has it, and that files of yours are uploaded (-u) and named as "
    "./FILE; of a script also that the program named in its first line is there"
)
_MACHINE = (
    "build the program, or the image, for the machines that it runs on: docker build --platform linux/amd64; a script "
    "needs a first line such as #!/bin/sh"
)
_EXECUTABLE = "make it executable (chmod +x FILE), and submit again, or name the program that runs it: python3 FILE"
_LINE_ENDS = "give it the line ends of Unix, and submit again: sed -i 's/\\r$//' FILE"
_DISK = (
    "make room on it (df -h shows how much there is), or give the nodes a larger one: resources.bootDisk.sizeGb in the "
    "manifest"
)
_QUOTED = r"['\"`\u2018\u201c]?(?P<name>[^'\"`\u2018\u2019\u201c\u201d]+?)['\"`\u2019\u201d]?"

#: The first that fits holds.
RULES: Sequence[Rule] = (
    # What a worker says.
    Rule(
        line=r"^sparkles: (?P<name>.+): the interpreter named in its first line was not found",
        says="the first line of {name} names a program that is not there",
        do="correct it (#!/usr/bin/env python3, for example), or install that program; if the file was written on "
        "Windows, " + _LINE_ENDS,
    ),
    Rule(line=r"^sparkles: (?P<name>.+): not on the PATH;", do="write ./{name} in the command"),
    Rule(line=r"^sparkles: .+: not executable;", do=_EXECUTABLE),
    Rule(
        line=r"^sparkles: (?P<name>.+): (neither a program of this machine|made for another kind of machine)",
        says="{name} is no program that this kind of machine can run",
        do=_MACHINE,
    ),
    Rule(line="^sparkles: image .*", says="its image could not be used", do="check the image with docker run; "
         "'sparkles validate' tries what jobs stand on"),
    Rule(line="^sparkles: .*command not found", do=_SPELLING),
    Rule(
        reason=Reason.UPLOAD, line="No space left on device|Disk quota exceeded", says="the disk is full", do=_DISK,
    ),
    Rule(
        reason=Reason.UPLOAD, line="^sparkles: this task cannot be executed",
        do="submit again: what was kept of the task does not fit together any more",
    ),
    Rule(
        reason=Reason.UPLOAD, line="^sparkles: the task's files could not be brought in",
        do="check that the files are still where they were when the job was submitted; then retry",
    ),
    # Signs of what programs lack.
    Rule(
        line=r"No module named ['\"]?(?P<name>[\w.]+)",
        says="the Python module {name} is missing",
        do=f"install it (pip install {{name}}) {_IMAGE}; if it is a file of yours, upload it (-u)",
    ),
    Rule(
        line=f"there is no package called {_QUOTED}$",
        says="the R package {name} is missing",
        do=f"install it (install.packages(\"{{name}}\"), or BiocManager::install for Bioconductor) {_IMAGE}",
    ),
    Rule(
        line=r"(?P<name>[^ :'/]+\.so[.0-9]*): cannot open shared object file",
        says="the library {name} is missing",
        do=f"install the package that has it {_IMAGE}",
    ),
    Rule(
        line="version [`'\"]?(?P<name>GLIBC[A-Z]*_[0-9.]+)",
        says="the program was made for a newer system: it needs {name}",
        do="build it in the image that it runs in, or take a newer image",
    ),
    Rule(
        line=r"\\r['\"\u2019]|\^M|^['\"\u2019]?: ((command )?not found|No such file|numeric argument|"
        "invalid option|syntax error)",
        says="the script was written on Windows: its lines end in a way that Unix does not understand",
        do=_LINE_ENDS,
    ),
    Rule(
        exit=127,
        line=rf"\benv: (?:can't execute )?{_QUOTED}: (No such file|not found|Permission denied)",
        says="the program {name}, which the first line of the script names, is missing",
        do=f"install {{name}} {_IMAGE}; or choose an image that has it (-i)",
    ),
    Rule(
        line=r"(?P<name>[^ :]+): bad interpreter",
        says="the program {name}, which the first line of the script names, is missing",
        do=f"install {{name}} {_IMAGE}; or choose an image that has it (-i)",
    ),
    Rule(
        line="Exec format error|cannot execute binary file",
        says="the program was made for another kind of machine",
        do=_MACHINE,
    ),
    Rule(
        line=r"(?P<name>[^ :]+): cannot execute: required file not found",
        says="the program that the first line of {name} names is missing",
        do=f"correct it (#!/usr/bin/env python3, say), or install the program {_IMAGE}; if the file was written "
        f"on Windows, {_LINE_ENDS}",
    ),
    Rule(exit=126, line="Permission denied", says="the file is not executable", do=_EXECUTABLE),
    Rule(
        line="No space left on device|ENOSPC|Disk quota exceeded|disk (is )?full|not enough (free )?(disk )?space",
        says="the disk is full",
        do=_DISK,
    ),
    Rule(
        line="CUDA (error: )?out of memory|CUDA_ERROR_OUT_OF_MEMORY|CUBLAS_STATUS_ALLOC_FAILED",
        says="the memory of the GPU was too small",
        do="work in smaller batches, or choose a GPU with more memory: resources.gpus in the manifest",
    ),
    Rule(
        line="no CUDA[- ]|not compiled with CUDA|No CUDA GPUs|no NVIDIA (driver|GPU)|CUDA driver version|"
        r"libcuda\.so|CUDA (is )?(not|un)available|could not select device driver|nvidia-smi.*(not found|fail)|"
        "GPU (is )?not (available|found)|no GPU",
        says="there is no GPU, or the program has no way to it",
        do="ask for one (resources.gpus in the manifest), and take an image with CUDA",
    ),
    Rule(
        line="MemoryError|bad_alloc|Cannot allocate memory|cannot allocate vector|OutOfMemoryError|out of memory|"
        "Unable to allocate",
        says="it ran out of memory",
        do=_MEMORY,
    ),
    Rule(
        line="Could not resolve|name resolution|Name or service not known|Network is unreachable|No route to host|"
        "Connection (refused|timed out|reset)|Temporary failure|SSLError|Max retries exceeded",
        says="it could not reach something on the network",
        do="retry, if that was down for a while; better, upload what it needs (-u) instead of downloading it in each "
        "task",
    ),
    Rule(
        line="unrecognized (arguments|option)|arguments are required|(invalid|illegal|unknown) option|no such option",
        says="the program does not know one of its options, or misses one",
        do="check the command: 'sparkles get JOB' prints it",
    ),
    Rule(
        line="SyntaxError|IndentationError|syntax error|unexpected (symbol|end of input|end of file)",
        says="there is a mistake in the script itself",
        do="correct it where the line above says, and submit again",
    ),
    Rule(exit=127, line="not found|No such file or directory", do=_SPELLING),
    Rule(
        line="No such file or directory|FileNotFoundError|cannot open (the )?(file|connection)|can't open file|"
        r"cannot find (the )?file|(file|folder|directory|path)\b.* does not exist|does not exist in current|"
        "File not found",
        says="it did not find a file",
        do="upload what it reads (-u FILE); there it has the name under which it was uploaded, and no other path",
    ),
    Rule(
        line="Permission denied|PermissionError|Operation not permitted|Read-only file system",
        says="it may not read or write a file",
        do="let it write in the folder that it starts in, and check the permissions of what it reads",
    ),
    Rule(
        line="Killed$", says="the system killed a part of it: mostly that is for want of memory", do=_MEMORY,
    ),
    # What exit codes mean.
    Rule(
        exit=126,
        do="make the file executable (chmod +x) and give it a first line such as #!/bin/sh; a program for another "
        "processor cannot be executed either",
    ),
    Rule(exit=127, do=_SPELLING),
    Rule(
        exit=128 + Signals.SIGILL,
        do="it was made for a newer processor: build it for older ones, or choose a newer machine type (-m)",
    ),
    Rule(exit=128 + Signals.SIGABRT, do="the program gave itself up, and mostly says why in its log"),
    Rule(
        exit=128 + Signals.SIGBUS,
        do="mostly its disk or its shared memory (/dev/shm) was full: write less there, or use a larger disk",
    ),
    Rule(exit=128 + Signals.SIGFPE, do="it divided by zero: check the parameters of this task"),
    Rule(exit=128 + Signals.SIGKILL, do=f"it may have run out of memory: {_MEMORY}"),
    Rule(
        exit=128 + Signals.SIGSEGV,
        do="that is a mistake in the program, or in a library that does not fit it: try it on this machine with the "
        "parameters of the task",
    ),
    Rule(exit=128 + Signals.SIGPIPE, do="a reader in its pipe ended early, as head does: let it read to the end"),
    Rule(exit=128 + Signals.SIGTERM, do="something asked it to end, perhaps the program itself; retry"),
    Rule(exit=128 + Signals.SIGXCPU, do="it used up its share of the processor (ulimit -t): raise that"),
    Rule(exit=128 + Signals.SIGXFSZ, do="a file became larger than it may (ulimit -f): raise that"),
    # What else ends an attempt.
    Rule(reason=Reason.TIMEOUT, do="raise --timeout, or make the task smaller"),
    Rule(reason=Reason.OUT_OF_MEMORY, do=_MEMORY),
    Rule(
        reason=Reason.NODE_LOST,
        do="it may be what kills its nodes, by using up their memory or disk: give it a larger machine type (-m) or "
        "disk",
    ),
    Rule(reason=Reason.NODE_LIMIT, do="raise nodes.maxLife, or make the task smaller"),
    Rule(reason=Reason.UPLOAD, do="check that the bucket can be written to"),
)  # fmt: skip

#: (reason, exit code; None for any) → how an attempt ended, as a part of a sentence; `cause_text` says it briefly.
_AT_LENGTH: Mapping[tuple[Reason | None, int | None], str] = {
    (Reason.EXIT, None): "exit code {exit}",
    (Reason.EXIT, 126): "exit code 126, the command cannot be executed",
    (Reason.EXIT, 127): "exit code 127, there is no such command",
    (Reason.EXIT, 128 + Signals.SIGILL): "exit code 132, it used an instruction that the processor lacks (SIGILL)",
    (Reason.EXIT, 128 + Signals.SIGABRT): "exit code 134, it gave itself up (SIGABRT)",
    (Reason.EXIT, 128 + Signals.SIGKILL): "exit code 137, it was ended with SIGKILL",
    (Reason.EXIT, 128 + Signals.SIGSEGV): "exit code 139, it reached for memory that is not its own (SIGSEGV)",
    (Reason.EXIT, 128 + Signals.SIGTERM): "exit code 143, it was asked to end (SIGTERM)",
    (Reason.TIMEOUT, None): "it took longer than its timeout",
    (Reason.OUT_OF_MEMORY, None): "it needed more memory than it may use",
    (Reason.PREEMPTED, None): "Google took its node away",
    (Reason.NODE_LOST, None): "its node died under it",
    (Reason.NODE_LIMIT, None): "its node had come to the end of its life",
    (Reason.KILLED, None): "it was killed",
    (Reason.UPLOAD, None): "its files could not be brought in, or its result not stored",
}


def at_length(reason: Reason | None, code: int | None) -> str:
    """Return how an attempt ended, in words."""
    words = _AT_LENGTH.get((reason, code)) or _AT_LENGTH.get((reason, None)) or "for an unknown reason"
    return words.format(exit=code)


def cure(reason: Reason | None, code: int | None, line: str) -> Cure | None:
    """Return what was wrong with an attempt that ended like this and wrote `line` last; None if that is not known."""
    found = rule(reason, code, line)
    if found is None:
        return None
    match = _found(found, line)
    names = match.groupdict() if match else {}
    says, do = found.says.format_map(names), found.do.format_map(names)
    is_sign = says and not line.startswith(WORKER)
    return Cure(f"it looks as if {says}" if is_sign else says, do)


def rule(reason: Reason | None, code: int | None, line: str) -> Rule | None:
    """Return the first rule that fits an ending."""
    return next((one for one in RULES if _fits(one, reason, code) and (not one.line or _found(one, line))), None)


def _fits(one: Rule, reason: Reason | None, code: int | None) -> bool:
    return one.reason is reason and one.exit in (None, code)


def _found(one: Rule, line: str) -> re.Match[str] | None:
    return re.search(one.line, line, re.IGNORECASE) if one.line else None
