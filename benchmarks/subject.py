"""Subject: how sparkles is run, of this checkout or of another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Run

ROOT = Path(__file__).resolve().parents[1]

#: The programs of the contestants.
PROGRAMS = Path(__file__).with_name("programs")

#: Where each run has the home of sparkles.
HOME = "home"

#: What pip makes of the entry point `sparkles`.
_SCRIPT = "import sys\nfrom sparkles.cli import main\nsys.exit(main())\n"


@dataclass(frozen=True)
class Subject:
    """The sparkles of a checkout."""

    checkout: Path = ROOT

    def run(
        self, folder: Path, *words: str, before: Sequence[Sequence[str]] = (), times: int = 1, ends: bool = False
    ) -> Run:
        """Return the run of `sparkles WORDS`, in a folder with a home of its own, after others `before`."""
        (folder / "sparkles").write_text(_SCRIPT, encoding="utf-8")
        return Run(
            command=_argv(words),
            before=[_argv(step) for step in before],
            env={"PYTHONPATH": str(self.checkout), "SPARKLES_HOME": str(folder / HOME)},
            times=times,
            ends=ends,
        )


def _argv(words: Sequence[str]) -> list[str]:
    return [sys.executable, "sparkles", *words]
