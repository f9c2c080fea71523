"""Logistic growth of a population, generation by generation, as a table."""

import argparse
import csv

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
parser.add_argument("--capacity", type=int, required=True)
given = parser.parse_args()

size = 10.0
with open("growth.csv", "w", newline="") as file:
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["generation", "size"])
    for generation in range(11):
        table.writerow([generation, round(size)])
        size += given.rate * size * (1 - size / given.capacity)
print(f"rate {given.rate}, capacity {given.capacity}: {round(size)} in the end")
