{ total += $2; if ($2 > most) { most = $2; gene = $1 } }
END { print total " reads, most of them from " gene }
