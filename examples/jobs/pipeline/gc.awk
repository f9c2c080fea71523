# Prints how many bases of a sequence are G or C.
/^[^>]/ { total += length($0); count += gsub(/[GC]/, "") }
END { printf "%s: %d of %d bases are G or C\n", name, count, total }
