"""Simulate genetic drift; leave a table, a plot and some scratch files."""

import os
import random
from pathlib import Path

random.seed(int(os.environ["SEED"]))
for folder in ("plots/by-seed", "tmp"):
    Path(folder).mkdir(parents=True)

share, shares = 50, []
for _ in range(int(os.environ["STEPS"])):
    share = sum(random.random() * 100 < share for _ in range(100))
    shares.append(share)

Path("drift.csv").write_text("".join(f"{share}\n" for share in shares))
Path("plots/by-seed/drift.txt").write_text("".join("*" * (share // 5) + "\n" for share in shares))
Path("tmp/scratch.csv").write_text("not kept\n")
Path("notes.log").write_text("not kept either\n")
print(f"{share} % in the end")
