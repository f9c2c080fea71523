# Splits a FASTA file into a file for each sequence, and lists them in sequences.csv.
mkdir parts
awk '
    BEGIN { print "name,file" > "sequences.csv" }
    /^>/ { name = substr($1, 2); file = "parts/" name ".fa"; print name "," file > "sequences.csv" }
    { print > file }
' "$1"
