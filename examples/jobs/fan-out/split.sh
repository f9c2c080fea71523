# Splits a text into a file for each verse, and lists them in verses.csv.
awk -v RS= '
    BEGIN { print "verse,file" > "verses.csv" }
    { file = "verse-" NR ".txt"; print NR "," file > "verses.csv"; print > file }
' "$1"
