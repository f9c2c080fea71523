"""Counts the tasks of a job by state in SQL, as any store must; with a number: first makes a table of so many tasks."""

import sqlite3
import sys

_MAKE = """
CREATE TABLE task (job TEXT NOT NULL, state TEXT NOT NULL);
WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
INSERT INTO task SELECT 'j', 'pending' FROM number;
CREATE INDEX task_state ON task(job, state);
"""

with sqlite3.connect(sys.argv[1]) as connection:
    if sys.argv[2:]:
        connection.executescript(_MAKE.format(count=int(sys.argv[2])))
    connection.execute("SELECT state, COUNT(*) FROM task WHERE job = 'j' GROUP BY state").fetchall()
