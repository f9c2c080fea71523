"""Walk at random for a thousand steps: how far does one get? The seed makes it the same walk every time."""

import random
import sys

seed = int(sys.argv[1])
random.seed(seed)
x = y = 0
for _ in range(1000):
    dx, dy = random.choice([(0, 1), (0, -1), (1, 0), (-1, 0)])
    x, y = x + dx, y + dy
print(f"seed {seed}: ended at ({x}, {y})")
