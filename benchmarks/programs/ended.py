"""Ends tasks of a job, as its nodes would have: each fiftieth has failed.

Given: the state of sparkles, the job, the index of the last one that has ended; without it all have, and the job, too.
"""

import sqlite3
import sys
import time

_END = """
UPDATE task SET
  state = CASE WHEN "index" % 50 THEN 'succeeded' ELSE 'failed' END, exit = CASE WHEN "index" % 50 THEN 0 ELSE 3 END,
  reason = 'exit', attempts = 1, started = :now - 1000 + "index" % 97, ended = :now - "index" % 89,
  peak_memory = 100000000 + "index" * 1000
WHERE job = :job AND (:last IS NULL OR "index" <= :last)
"""

state, job, *last = sys.argv[1:]
with sqlite3.connect(state, timeout=60) as connection:
    given = {"job": job, "now": time.time(), "last": int(last[0]) if last else None}
    connection.execute(_END, given)
    if not last:
        connection.execute("UPDATE job SET state = 'finished', ended = :now WHERE name = :job", given)
