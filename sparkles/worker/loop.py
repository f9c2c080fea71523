"""Loop: the worker's one thread that reads and writes state. See PROTOCOL §2 and §3.

Each commit carries the node's own record with all finishes, releases and claims since the last one: heartbeat and
fence in one. Slots run in threads of their own and never touch the state.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Sequence

from sparkles import presence
from sparkles.errors import SparklesError, UnreachableError
from sparkles.model import Node, NodeState, Reason, Records, Task, TaskState
from sparkles.ports.backend import Backend
from sparkles.ports.place import Place
from sparkles.presence import FencedError
from sparkles.timing import Timing
from sparkles.worker.ahead import Ahead
from sparkles.worker.attempt import Ended
from sparkles.worker.commit import Commit
from sparkles.worker.definitions import Definitions
from sparkles.worker.departure import Why
from sparkles.worker.guard import Guard
from sparkles.worker.handover import Handover
from sparkles.worker.leaving import Leaving
from sparkles.worker.ledger import Ledger
from sparkles.worker.outlook import Outlook
from sparkles.worker.rest import Rest
from sparkles.worker.search import Search
from sparkles.worker.settler import Settler
from sparkles.worker.slots import Slots
from sparkles.worker.speech import say
from sparkles.worker.tenure import Tenure
from sparkles.worker.turn import Turn

#: Tasks that one commit may finish, and claim, if the store takes so many.
_BATCH = 250

#: Seconds for which the worker of a machine waits at its start for a store that is out of reach. Its script gives up on
#: one that ends soon too often, and all machines of a fleet would go at once, with nobody left to ask for others.
_OUTAGE = 540.0


class Worker:
    """Serves one cluster with the slots of one node until there is nothing to do any more."""

    def __init__(self, backend: Backend, place: Place, timing: Timing) -> None:
        self._backend = backend
        self._place = place
        self._timing = timing
        self._batch = min(_BATCH, (backend.state.commit_limit - 1) // 2)
        self._turn = Turn()
        self._slots = slots = Slots(turn=self._turn.share(), call=place.call)
        self._settler = settler = Settler(reopen=backend.reopen, call=place.call)
        self._tenure = tenure = Tenure(backend, place, timing)
        self._ledger = ledger = Ledger(backend, place, timing)
        ahead, definitions = Ahead(timing.ahead, most=self._batch), Definitions(backend)
        self._search = Search(backend, ledger=ledger, ahead=ahead, tenure=tenure, definitions=definitions)
        self._handover = Handover(
            backend, place, timing, slots=slots, ahead=ahead, definitions=definitions, lease=ledger.lease
        )
        self._outlook = Outlook(
            backend,
            place,
            timing,
            ledger=ledger,
            slots=slots,
            definitions=definitions,
            settler=settler,
            tenure=tenure,
        )
        self._leaving = Leaving(backend, place, ledger=ledger, settler=settler, tenure=tenure, write=self._move_node)
        self._rest = Rest(
            backend,
            place,
            ledger=ledger,
            outlook=self._outlook,
            search=self._search,
            settler=settler,
            tenure=tenure,
            leaving=self._leaving,
        )
        #: Jobs of which a task has ended here, to be settled.
        self._touched: set[str] = set()
        #: Why all is to be given back.
        self._terminated: Reason | None = None

    def terminate(self, reason: Reason = Reason.NODE_LIMIT) -> None:
        """Give everything back and go. Safe in any thread and in a signal handler.

        PREEMPTED: the machine is taken away just now, and made anew without being asked for. That its processes are
        told to end then, too, says nothing more.
        """
        if self._terminated is not Reason.PREEMPTED:
            self._terminated = reason
        self._place.call()

    @property
    def comes_anew(self) -> bool:
        """Whether the node has left a machine that is made anew for others."""
        return self._leaving.comes_anew

    def run(self) -> None:
        """Work until the node may leave. Raises FencedError if others have given it up."""
        self._adopt()
        self._slots.start(self._ledger.node.slots)
        try:
            with Guard(lambda: self._ledger.lease.left, self._give_up):
                while not self._is_done():
                    with self._turn:
                        self._step()
                    self._wait()
        except BaseException:
            self._slots.abandon()
            raise
        finally:
            self._slots.close()
            self._settler.close()
        self._slots.join(patience=self._timing.log_patience)

    def _adopt(self) -> None:
        """Take the node's record, as long as it is kept for this process. That of a machine is kept for no other."""
        began = self._place.clock()
        while error := self._hindrance():
            self._say(error)
            waits = self._tenure.has_machine and isinstance(error, UnreachableError)
            if self._place.clock() - began > (_OUTAGE if waits else presence.RESERVATION):
                raise FencedError
            time.sleep(self._timing.retry)

    def _hindrance(self) -> SparklesError | None:
        """Try to begin; return what stands against it."""
        try:
            self._begin()
        except SparklesError as error:
            return error
        return None

    def _begin(self) -> None:
        now = self._place.clock()
        self._ledger.adopt(now)
        self._sampled = now
        self._rest.begin(now)
        self._outlook.begin(now)

    def _give_up(self) -> None:
        """End what runs, for good: the lease is over, even if a commit should still come to pass."""
        self._ledger.lease.is_spent = True
        self._slots.abandon()

    def _step(self) -> None:
        now = self._place.clock()
        self._fence_myself(now)
        self._slots.tick()
        if self._ledger.undelivered and not self._deliver(self._ledger.undelivered):
            return
        if self._terminated:
            self._outlook.skip(now)
            if self._terminated is Reason.PREEMPTED:
                self._slots.surrender(self._terminated)
            else:
                self._slots.stop_all(self._terminated)
        else:
            self._search.may_find |= self._outlook.look_if_due(now, self._rest.since)
        if self._tenure.is_over(now):
            self._end_what_runs()
        ended = self._slots.take_ended(self._batch) if now >= self._commit_due() else ()
        held = len(self._slots.held) - len(ended)
        candidates = self._search.candidates(now, held=held) if self._may_claim(now) else ()
        if ended or candidates or now >= self._ledger.beat_due:
            self._commit(ended, candidates)
        self._settle()

    def _wait(self) -> None:
        """Sleep until something happens, or is due."""
        self._slots.listen()
        now = self._place.clock()
        moments = [self._ledger.beat_due, self._outlook.next_look(self._rest.since), now + self._ledger.lease.left]
        if self._search.may_find and self._search.room(len(self._slots.held)) > 0 and self._wants_work(now):
            moments.append(self._ledger.due)
        if self._tenure.end is not None and not self._tenure.is_over(now):
            moments.append(self._tenure.end)
        if self._slots.have_ended:
            moments.append(self._commit_due())
        if self._ledger.undelivered:
            moments.append(now)
        if not self._slots.held:
            moments.append(self._rest.next_turn)
        monotonic = time.monotonic()
        timeout = min([moment - now for moment in moments] + [tick - monotonic for tick in self._slots.next_ticks()])
        select.select([self._place.wake], [], [], max(0.0, timeout))

    def _commit_due(self) -> float:
        """Return when what has ended is to be committed: at once if a slot could have something new for it."""
        return self._ledger.gathered(at_once=self._slots.are_short or self._terminated is not None)

    def _may_claim(self, now: float) -> bool:
        return self._ledger.lease.may_claim(now) and now >= self._ledger.due and self._wants_work(now)

    def _wants_work(self, now: float) -> bool:
        has_to_go = self._terminated or self._tenure.is_surplus or self._tenure.is_over(now)
        return not has_to_go and self._ledger.node.state is NodeState.ALIVE

    def _say(self, error: SparklesError) -> None:
        say(f"node {self._place.name}: {error}")

    def _commit(self, ended: Sequence[Ended], candidates: Sequence[Task]) -> None:
        """Write all that happened since the last commit, or find out that this node was given up."""
        sent = self._place.clock()
        if sent >= self._sampled + self._timing.beat:
            self._sampled = sent
            self._slots.measure()
        self._deliver(
            Commit(
                node=self._ledger.node,
                sent=sent,
                boot=self._place.boot,
                wall=time.time(),
                ended=ended,
                policies={end.task.claim: self._handover.retries(end.task) for end in ended},
                tokens={task.key: os.urandom(8).hex() for task in candidates},
                samples=self._slots.samples,
            )
        )

    def _deliver(self, commit: Commit) -> bool:
        """Write a commit, and do what follows from it; say whether it is written."""
        written = self._ledger.deliver(commit)
        if written is None:
            self._search.may_find = True
            return False
        self._forget(commit.ended, written)
        if self._handover.take(written, set(commit.tokens.values())):
            self._rest.end()
        return True

    def _forget(self, ended: Sequence[Ended], written: Records) -> None:
        """Let go of what ended, and see to what went back."""
        self._handover.forget(ended, written)
        self._touched |= {end.task.job for end in ended}
        if ended:
            self._rest.begin(self._place.clock())
        tasks = [task for task in written.values() if isinstance(task, Task)]
        failed = [task for task in tasks if task.state is TaskState.FAILED]
        # At once, even if this node holds others of the job: they may have to be stopped.
        self._settler.put({task.job for task in failed if self._handover.is_guarded(task)})
        back = [task for task in tasks if task.state is TaskState.PENDING]
        # What went back, for whatever reason, can be claimed again; after a change of resources only by others.
        self._search.may_find |= bool(back)
        self._settler.staff({task.job for task in back if task.cluster != self._ledger.node.cluster})

    def _settle(self) -> None:
        """End the jobs whose last task this node may have ended: not those of which it still holds one."""
        held = self._slots.held.values()
        # Mostly the first one held decides it; there may be hundreds.
        done = {job for job in self._touched if all(execution.task.job != job for execution in held)}
        self._settler.put(done)
        self._touched -= done

    def _is_done(self) -> bool:
        """Say whether the node may go; if so, it has announced that and found nothing new since."""
        if self._slots.held or self._slots.have_ended or self._ledger.undelivered:
            return False
        if self._ledger.node.state is NodeState.GONE:
            return True
        try:
            why = self._rest.why_leave(self._terminated)
            return why is not None and self._leaves(why)
        except SparklesError as error:
            self._say(error)
            time.sleep(self._timing.retry)
            return False

    def _leaves(self, why: Why) -> bool:
        """Take the next steps of a departure; say whether the node is gone."""
        self._leaving.begin(why)
        if self._leaving.go_on():
            self._search.may_find = True
        return self._ledger.node.state is NodeState.GONE

    def _end_what_runs(self) -> None:
        """Stop everything: what had most of a node's life has come to its limit, the rest is for another node."""
        for execution in list(self._slots.held.values()):
            self._slots.stop(execution, Reason.NODE_LIMIT, abandon=not self._tenure.lived_half(execution.age))

    def _move_node(self, step: Callable[[Node], Node]) -> bool:
        """Change the node's own state; say whether that is written."""
        sent = self._place.clock()
        return self._deliver(
            Commit(node=self._ledger.node, sent=sent, boot=self._place.boot, wall=time.time(), step=step)
        )

    def _fence_myself(self, now: float) -> None:
        """Near the end of the lease stop what runs; at its end, everything."""
        if not self._ledger.lease.holds():
            raise FencedError
        if self._ledger.lease.is_ending(now):
            self._slots.stop_all(Reason.NODE_LOST)
