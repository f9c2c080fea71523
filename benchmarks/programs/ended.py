"""Ends all tasks of a job, as its nodes would have: each fiftieth has failed. Given: the state of sparkles, the job."""

import sqlite3
import sys
import time

_END = """
UPDATE task SET
  state = CASE WHEN "index" % 50 THEN 'succeeded' ELSE 'failed' END, exit = CASE WHEN "index" % 50 THEN 0 ELSE 3 END,
  reason = 'exit', attempts = 1, started = :now - 1000 + "index" % 97, ended = :now - "index" % 89,
  peak_memory = 100000000 + "index" * 1000
WHERE job = :job
"""

with sqlite3.connect(sys.argv[1], timeout=60) as connection:
    given = {"job": sys.argv[2], "now": time.time()}
    connection.execute(_END, given)
    connection.execute("UPDATE job SET state = 'finished', ended = :now WHERE name = :job", given)
