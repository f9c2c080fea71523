"""The distance of two aligned sequences: what each place costs at which they differ."""

import argparse
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("files", nargs=2)
parser.add_argument("--mismatch", type=float, required=True)
given = parser.parse_args()

one, other = (Path(name).read_text().strip() for name in given.files)
differences = sum(a != b for a, b in zip(one, other, strict=True))
print(f"{given.files[0]} {given.files[1]}: {differences} of {len(one)} differ, distance {differences * given.mismatch}")
