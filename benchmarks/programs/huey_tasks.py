"""Runs `echo task I` for I = 1..N as tasks of huey: a queue in SQLite, a consumer with two workers."""

import subprocess
import sys
import threading
from pathlib import Path

from huey import SqliteHuey

huey = SqliteHuey(filename="huey.db")
count = int(sys.argv[1])
ended = threading.Semaphore(0)


def run(index: int) -> int:
    """Run one command; its output goes to a file, its exit code becomes the result."""
    with Path("out", str(index)).open("wb") as out:
        done = subprocess.run(
            ["echo", "task", str(index)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False
        )
    ended.release()
    return done.returncode


queue = huey.task()(run)
for index in range(1, count + 1):
    queue(index)
consumer = huey.create_consumer(workers=2, periodic=False)
consumer.start()
for _ in range(count):
    ended.acquire()
consumer.stop(graceful=True)
