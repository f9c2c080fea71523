"""Runs `echo task I` for I = 1..N with joblib: two processes of loky; exit codes to the file `codes`."""

import subprocess
import sys
from pathlib import Path

from joblib import Parallel, delayed


def run(index: int) -> int:
    """Run one command; its output goes to a file."""
    with Path("out", str(index)).open("wb") as out:
        return subprocess.run(
            ["echo", "task", str(index)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        ).returncode


if __name__ == "__main__":
    codes = Parallel(n_jobs=2)(delayed(run)(index) for index in range(1, int(sys.argv[1]) + 1))
    Path("codes").write_text("\n".join(map(str, codes)), encoding="utf-8")
