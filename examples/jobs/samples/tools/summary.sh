#!/bin/sh
# Sum up the second column of a table and name its largest row.
awk -f tools/lib/summary.awk "$1"
