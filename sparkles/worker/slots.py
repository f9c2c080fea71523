"""Slots: the threads that run executions, and what the node holds for them. Writes no state."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence

from sparkles.model import Reason, Sample, Task
from sparkles.worker.attempt import Ended, Execution
from sparkles.worker.speech import say
from sparkles.worker.turn import Turn


class Slots:
    """Runs executions on a number of threads. All methods but `abandon` are for the worker's loop."""

    def __init__(self, *, turn: Turn, call: Callable[[], None]) -> None:
        #: Claim → execution: all that the node has claimed and not given back.
        self.held: dict[str, Execution] = {}
        #: Those of them that a thread has in hands: few, where thousands may be held.
        self._begun: dict[str, Execution] = {}
        self._turn = turn
        self._call = call
        self._ready: queue.SimpleQueue[Execution | None] = queue.SimpleQueue()
        self._ended: deque[Ended] = deque()
        #: Claims that went back while a thread still had them: what comes of them does not count any more.
        self._surrendered: set[str] = set()
        self._surrendering = threading.Lock()
        #: Whether the loop has been called since it last listened.
        self._called = False
        self._samples: dict[str, Sample] = {}
        self._threads: Sequence[threading.Thread] = ()

    def start(self, count: int) -> None:
        """Open for work."""
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def put(self, execution: Execution) -> None:
        """Hand over what was claimed."""
        self.held[execution.claim] = execution
        self._ready.put(execution)

    def stop(self, execution: Execution, why: Reason, *, abandon: bool = False) -> None:
        """Stop what runs; take back at once what only waits for a slot."""
        if execution.withdraw():
            del self.held[execution.claim]
            self._ended.append(Ended(execution.task))
        else:
            execution.stop(why, abandon=abandon)

    def stop_all(self, why: Reason) -> None:
        """Stop everything and give it back."""
        for execution in list(self.held.values()):
            self.stop(execution, why, abandon=True)

    def surrender(self, why: Reason) -> None:
        """Give everything back at once, and have it stopped meanwhile: the machine is gone in seconds.

        Nothing here waits for what runs to end, nor for an engine that is about to end, too, and answers no more.
        """
        with self._surrendering:
            over = self._surrendered | {ended.task.claim for ended in self._ended}
            left = [execution for claim, execution in self.held.items() if claim not in over]
            self._surrendered.update(execution.claim for execution in left)
            self._ended.extend(Ended(execution.task, stopped=why) for execution in left)
        if left:
            threading.Thread(target=_stop_each, args=(left, why), name="surrender", daemon=True).start()

    def tick(self) -> None:
        """Enforce time-outs and the ends of graces."""
        for execution in list(self._begun.values()):
            execution.tick(time.monotonic())

    def next_ticks(self) -> list[float]:
        """Return the times, in time.monotonic(), at which `tick` has something to do."""
        return [tick for execution in list(self._begun.values()) if (tick := execution.next_tick()) is not None]

    def end(self, ended: Ended) -> None:
        """Take note of a task that has ended without a slot."""
        self._ended.append(ended)

    def take_ended(self, most: int) -> Sequence[Ended]:
        """Return what has ended since, to be committed."""
        return [self._ended.popleft() for _ in range(min(len(self._ended), most))]

    def listen(self) -> None:
        """Have the loop called by the next end. To be asked before looking whether anything has ended."""
        self._called = False

    @property
    def have_ended(self) -> bool:
        """Whether there is something to commit."""
        return bool(self._ended)

    @property
    def are_short(self) -> bool:
        """Whether a slot has, or is about to have, nothing to run."""
        return len(self.held) - len(self._ended) < len(self._threads)

    def measure(self) -> None:
        """Sample all commands that run."""
        found = {claim: execution.sample() for claim, execution in list(self._begun.items())}
        self._samples = {claim: sample for claim, sample in found.items() if sample}

    @property
    def samples(self) -> dict[str, Sample]:
        """The latest sample of each command that runs."""
        return {claim: sample for claim, sample in self._samples.items() if claim in self.held}

    def abandon(self) -> None:
        """Kill everything and publish nothing: the node is not ours any more. For any thread."""
        for execution in list(self.held.values()):
            execution.kill()

    def close(self) -> None:
        """Let the threads end when they have nothing to do."""
        for _ in self._threads:
            self._ready.put(None)

    def join(self, *, patience: float) -> None:
        """Wait for the threads, which hold nothing any more but may be about to call.

        For those that hold what was surrendered only for so many seconds: what it writes last is to be kept, but they
        may wait for an engine that never answers.
        """
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) if self._surrendered else None)

    def _run(self) -> None:
        """Run executions, one after the other."""
        turn = self._turn.share()
        while (execution := self._ready.get()) is not None:
            self._begun[execution.claim] = execution
            try:
                with turn:
                    ended = execution.run(turn)
            except Exception:  # noqa: BLE001 - one bad task must not take the slot down
                report(execution.task)
                ended = Ended(execution.task, broke=True)
            del self._begun[execution.claim]
            if ended and self._hand_in(ended) and (not self._called or self.are_short):
                self._called = True
                self._call()

    def _hand_in(self, ended: Ended) -> bool:
        """Put what has ended where the loop finds it; False if it has gone back already."""
        with self._surrendering:
            is_mine = ended.task.claim not in self._surrendered
            if is_mine:
                self._ended.append(ended)
        return is_mine


def _stop_each(executions: Sequence[Execution], why: Reason) -> None:
    for execution in executions:
        execution.stop(why, abandon=True)


def report(task: Task) -> None:
    """Say in the node's log what went wrong with a task, with the traceback of the exception at hand."""
    say(f"task {task.id} could not be executed:\n{traceback.format_exc()}")
