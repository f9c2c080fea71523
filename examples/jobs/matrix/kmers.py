"""Count the words of length k in a genome and print the three most frequent."""

import sys
from collections import Counter

path, k, strand = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(path) as file:
    sequence = "".join(line.strip() for line in file if not line.startswith(">"))
if strand == "reverse":
    sequence = sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))
counts = Counter(sequence[i : i + k] for i in range(len(sequence) - k + 1))
for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]:
    print(word, count, sep="\t")
