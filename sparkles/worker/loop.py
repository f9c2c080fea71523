"""Loop: the worker's one thread that reads and writes state. See PROTOCOL §2 and §3.

Each commit carries the node's own record with all finishes, releases and claims since the last one: heartbeat and
fence in one. Slots run in threads of their own and never touch the state.
"""

from __future__ import annotations

import os
import random
import select
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sparkles import lifecycle
from sparkles.errors import SparklesError, UnreachableError
from sparkles.lifecycle import Attempt, FencedError, RetryPolicy
from sparkles.model import Cluster, Key, Node, NodeState, Reason, Record, Records, Stop, Task, TaskState, Writes
from sparkles.ports import Backend, Place
from sparkles.timing import Timing
from sparkles.worker.ahead import Ahead
from sparkles.worker.attempt import Ended, Execution
from sparkles.worker.budget import Budget
from sparkles.worker.commit import Commit, LandedError
from sparkles.worker.definitions import Definitions
from sparkles.worker.departure import Why
from sparkles.worker.guard import Guard
from sparkles.worker.lease import Lease
from sparkles.worker.leaving import Leaving
from sparkles.worker.settler import Settler
from sparkles.worker.slots import Slots, report
from sparkles.worker.speech import say
from sparkles.worker.tenure import Tenure
from sparkles.worker.turn import Turn

#: Tasks that one commit may finish, and claim, if the store takes so many.
_BATCH = 250

#: Seconds after which a commit that failed is tried again.
_RETRY = 1.0

#: Seconds for which the worker of a machine waits at its start for a store that is out of reach. Its script gives up on
#: one that ends soon too often, and all machines of a fleet would go at once, with nobody left to ask for others.
_OUTAGE = 540.0

#: Seconds in which the ends of tasks are gathered for one commit, as long as all slots have something to run.
_GATHER = 0.05


class Worker:
    """Serves one cluster with the slots of one node until there is nothing to do any more."""

    def __init__(self, backend: Backend, place: Place, timing: Timing) -> None:
        self._backend = backend
        self._place = place
        self._timing = timing
        self._batch = min(_BATCH, (backend.state.commit_limit - 1) // 2)
        self._budget = Budget(timing.commit_gap)
        #: A commit of which nobody knows whether it was written.
        self._undelivered: Commit | None = None
        self._definitions = Definitions(backend)
        self._turn = Turn()
        self._slots = Slots(turn=self._turn.share(), call=place.call)
        self._ahead = Ahead(timing.ahead, most=self._batch)
        self._lease = Lease(timing, place.clock)
        self._settler = Settler(reopen=backend.reopen, call=place.call)
        #: Jobs of which a task has ended here, to be settled.
        self._touched: set[str] = set()
        #: Whether all that this node might have to settle has been, since it last had work.
        self._settled_all = False
        self._may_find = True
        #: Why all is to be given back.
        self._terminated: Reason | None = None
        self._tenure = Tenure(backend, place, timing)
        self._leaving = Leaving(
            backend,
            place,
            self._settler,
            node=lambda: self._node,
            write=self._move_node,
            waits_for_lost=self._waits_for_lost,
        )

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
        self._slots.start(self._node.slots)
        try:
            with Guard(lambda: self._lease.left, self._give_up):
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
        self._slots.join()

    def _adopt(self) -> None:
        """Take the node's record, as long as it is kept for this process. That of a machine is kept for no other."""
        began = self._place.clock()
        while error := self._hindrance():
            self._say(error)
            waits = self._tenure.has_machine and isinstance(error, UnreachableError)
            if self._place.clock() - began > (_OUTAGE if waits else lifecycle.RESERVATION):
                raise FencedError
            time.sleep(_RETRY)

    def _hindrance(self) -> SparklesError | None:
        """Try to begin; return what stands against it."""
        try:
            self._begin()
        except SparklesError as error:
            return error
        return None

    def _begin(self) -> None:
        sent = self._place.clock()

        def move(records: Records) -> Writes:
            node = records.get(Key.node(self._place.name))
            if isinstance(node, Node) and node.pid == os.getpid() and node.beat == 1:
                return Writes(put=[node])  # this is the second try, and the first one came to pass after all
            if node is None and self._place.node:
                entered = lifecycle.enter(self._place.node, pid=os.getpid(), clock=sent, boot=self._place.boot)
                return Writes(put=[entered])
            if not isinstance(node, Node) or node.state is not NodeState.STARTING:
                raise FencedError
            return Writes(put=[lifecycle.adopt(node, pid=os.getpid(), clock=sent, boot=self._place.boot)])

        written = self._backend.state.change([Key.node(self._place.name)], move)
        self._confirmed(written, sent)
        cluster = self._cluster()
        self._idle_since = self._looked = self._asked = self._sampled = self._swept = sent
        self._epoch, self._linger = cluster.epoch, cluster.linger
        self._tenure.saw(cluster)
        if self._tenure.has_machine:
            self._settler.sweep(cluster.name)  # an earlier worker of this very machine may have died
        self._vary()

    def _vary(self) -> None:
        """Vary the times at which nodes look, lest they all do at once."""
        self._variation = random.uniform(0.75, 1.25)  # noqa: S311 - it spreads load, no more

    def _give_up(self) -> None:
        """End what runs, for good: the lease is over, even if a commit should still come to pass."""
        self._lease.is_spent = True
        self._slots.abandon()

    def _confirmed(self, written: Mapping[Key, Record], sent: float) -> None:
        """Take note of a commit: the lease counts from before it was sent."""
        node = written[Key.node(self._place.name)]
        assert isinstance(node, Node)
        self._node = node
        self._lease.renew(sent)
        self._beat_due = sent + self._timing.beat

    def _cluster(self) -> Cluster:
        key = Key.cluster(self._node.cluster)
        cluster = self._backend.state.read([key]).get(key)
        assert isinstance(cluster, Cluster)
        return cluster

    # The loop

    def _step(self) -> None:
        now = self._place.clock()
        self._fence_myself(now)
        self._slots.tick()
        if self._undelivered and not self._deliver(self._undelivered):
            return
        if self._terminated:
            self._is_called()
            self._looked = now
            self._slots.stop_all(self._terminated)
        else:
            self._look_if_due(now)
        if self._tenure.is_over(now):
            self._end_what_runs()
        ended = self._slots.take_ended(self._batch) if now >= self._commit_due() else ()
        candidates = self._candidates(now, held=len(self._slots.held) - len(ended))
        if ended or candidates or now >= self._beat_due:
            self._commit(ended, candidates)
        self._settle()

    def _wait(self) -> None:
        """Sleep until something happens, or is due."""
        self._slots.listen()
        now = self._place.clock()
        moments = [self._beat_due, self._next_look(), now + self._lease.left]
        if self._may_find and self._room(len(self._slots.held)) > 0 and self._wants_work(now):
            moments.append(self._budget.due)
        if self._tenure.end is not None and not self._tenure.is_over(now):
            moments.append(self._tenure.end)
        if self._slots.have_ended:
            moments.append(self._commit_due())
        if self._undelivered:
            moments.append(now)
        if not self._slots.held and not self._settler.is_busy and not self._leaving.is_under_way:
            moments.append(max(self._idle_since + self._tenure.patience(self._linger), self._tenure.recheck))
        monotonic = time.monotonic()
        timeout = min([moment - now for moment in moments] + [tick - monotonic for tick in self._slots.next_ticks()])
        select.select([self._place.wake], [], [], max(0.0, timeout))

    def _commit_due(self) -> float:
        """Return when what has ended is to be committed: at once if a slot could have something new for it."""
        at_once = self._slots.are_short or self._terminated
        return self._budget.due if at_once else max(self._lease.committed + _GATHER, self._budget.due)

    def _is_called(self) -> bool:
        """Say whether the node was woken, and forget it."""
        called = False
        with suppress(BlockingIOError):
            while os.read(self._place.wake, 4096):
                called = True
        return called

    def _next_look(self) -> float:
        """Return when to look at the cluster: less and less often while there is nothing to do."""
        pause = self._timing.look
        if not self._slots.held:
            pause = min(max(pause, self._looked - self._idle_since), self._timing.idle_look / 2)
        return self._looked + self._variation * pause

    def _look_if_due(self, now: float) -> None:
        """Look at the cluster if it is time or somebody called; ask for work if there may be any."""
        called = self._is_called()
        if not called and now < self._next_look():
            return
        self._looked = now
        self._vary()
        try:
            moved = self._look()
            late = now - self._asked >= self._timing.idle_look
            if late and not self._slots.held:
                self._settler.put(job.name for job in self._backend.state.jobs() if job.waiting)
        except SparklesError as error:
            self._say(error)
            self._asked = float("-inf")  # whoever called is heard the next time
            return
        if called or moved or late:
            self._asked = now
            self._may_find = True
        if self._timing.sweep and now - self._swept >= self._variation * self._timing.sweep:
            self._swept = now
            self._settler.sweep(self._node.cluster)

    def _look(self) -> bool:
        """Say whether the cluster's epoch has moved; if so, stop what is to be stopped."""
        cluster = self._cluster()
        self._linger = cluster.linger
        if self._tenure.saw(cluster) and not self._node.spot:
            self._settler.man(cluster.name)
        if cluster.epoch == self._epoch:
            return False
        self._definitions.refresh()
        mine = {task.claim: task for task in self._backend.state.held(self._node.name)} if self._slots.held else {}
        for claim, execution in list(self._slots.held.items()):
            task = mine.get(claim)
            if task is None or task.stop is Stop.REPLACED:
                self._slots.stop(execution, Reason.KILLED, abandon=True)
            elif task.stop is Stop.KILLED:
                self._slots.stop(execution, Reason.KILLED)
        self._epoch = cluster.epoch  # at last: what could not be read is looked for again
        return True

    def _room(self, held: int) -> int:
        return self._ahead.room(self._node.slots, held=held)

    def _candidates(self, now: float, *, held: int) -> Sequence[Task]:
        """Return pending tasks to try to claim, with so many `held` beside them."""
        if not self._may_find or not self._may_claim(now) or (room := self._room(held)) <= 0:
            return []
        try:
            found = self._backend.state.pending(self._node.cluster, limit=room)
        except SparklesError as error:
            self._say(error)
            return []
        fitting = self._tenure.fitting(found, now, self._definitions)
        chosen, is_all = self._ahead.choose(fitting, free=self._node.slots - held)
        self._may_find = bool(fitting) and (len(found) == room or not is_all)
        return chosen

    def _may_claim(self, now: float) -> bool:
        return self._lease.may_claim(now) and now >= self._budget.due and self._wants_work(now)

    def _wants_work(self, now: float) -> bool:
        has_to_go = self._terminated or self._tenure.is_surplus or self._tenure.is_over(now)
        return not has_to_go and self._node.state is NodeState.ALIVE

    def _say(self, error: SparklesError) -> None:
        say(f"node {self._place.name}: {error}")

    # Commits

    def _commit(self, ended: Sequence[Ended], candidates: Sequence[Task]) -> None:
        """Write all that happened since the last commit, or find out that this node was given up."""
        sent = self._place.clock()
        if sent >= self._sampled + self._timing.beat:
            self._sampled = sent
            self._slots.measure()
        self._deliver(
            Commit(
                node=self._node,
                sent=sent,
                boot=self._place.boot,
                wall=time.time(),
                ended=ended,
                policies={end.task.claim: self._retries(end.task) for end in ended},
                tokens={task.key: os.urandom(8).hex() for task in candidates},
                samples=self._slots.samples,
            )
        )

    def _deliver(self, commit: Commit) -> bool:
        """Write a commit. If that fails, it is kept, to be delivered as it is until the lease is over.

        No result is lost to a full disk, or to a network that goes away in the middle of an answer.
        """
        self._undelivered = commit
        written: Mapping[Key, Record]
        try:
            try:
                written = self._backend.state.change(commit.keys, commit.move)
            except LandedError:
                written = self._backend.state.read(commit.keys)
        except SparklesError as error:
            self._say(error)
            self._may_find = True
            time.sleep(_RETRY)
            return False
        self._undelivered = None
        self._budget.spend(commit.sent)
        self._confirmed(written, commit.sent)
        self._forget(commit.ended, written)
        self._take(written, set(commit.tokens.values()))
        return True

    def _retries(self, task: Task) -> RetryPolicy:
        """Return what holds now for tries of a task, or else what held when it was claimed."""
        try:
            return self._definitions.policy(task)[0].retries
        except Exception:  # noqa: BLE001 - the job was deleted, and so was the task; or the stores are out of reach
            execution = self._slots.held.get(task.claim or "")
            return execution.retries if execution else RetryPolicy()

    def _forget(self, ended: Sequence[Ended], written: Mapping[Key, Record]) -> None:
        """Let go of what ended; make committed results visible."""
        for end in ended:
            claim = end.task.claim or ""
            self._slots.held.pop(claim, None)
            self._touched.add(end.task.job)
            if end.attempt is None:
                continue
            self._ahead.note(end.task, end.attempt.ended - end.attempt.started)
            task = written.get(end.task.key)
            generation = end.attempt.result_generation
            try:
                if isinstance(task, Task) and generation and task.result_generation == generation:
                    self._backend.objects.promote(task.job, task.index, generation)
                else:
                    self._backend.objects.discard(end.task.job, end.task.index, claim)
            except (SparklesError, OSError):
                report(end.task)  # it is committed: whoever reads the result moves it into place
        if ended:
            self._idle_since = self._place.clock()
        back = [task for task in written.values() if isinstance(task, Task) and task.state is TaskState.PENDING]
        # What went back, for whatever reason, can be claimed again; after a change of resources only by others.
        self._may_find |= bool(back)
        self._settler.staff({task.job for task in back if task.cluster != self._node.cluster})

    def _take(self, written: Mapping[Key, Record], tokens: set[str]) -> None:
        """Hand what was claimed to the slots."""
        unreachable = False
        for task in written.values():
            if not isinstance(task, Task) or task.claim not in tokens:
                continue
            self._has_work()
            if unreachable:  # one is enough to wait for: meanwhile nothing says that this node lives
                self._slots.end(Ended(task))
                continue
            try:
                assignment = self._definitions.assignment(task)
            except UnreachableError as error:
                say(f"task {task.id} goes back: {error}")
                self._slots.end(Ended(task))
                unreachable = True
                continue
            except Exception as error:  # noqa: BLE001 - one unreadable task must not take the worker down
                self._slots.end(self._unreadable(task, error))
                continue
            self._slots.put(
                Execution(
                    assignment,
                    backend=self._backend,
                    work=self._place.work,
                    timing=self._timing,
                    node=self._node.name,
                    call=self._place.call,
                    holds=self._lease.holds,
                )
            )

    def _has_work(self) -> None:
        self._settled_all = False
        if self._tenure.claimed():
            self._settler.prove(self._node.name)
        self._leaving.found()

    def _unreadable(self, task: Task, error: Exception) -> Ended:
        """Fail a task that cannot even be begun, saying why where people look: in its log."""
        report(task)
        with suppress(OSError):
            log = self._backend.objects.open_log(task.job, task.index, task.claim or "")
            log.write_text(f"sparkles: this task cannot be executed: {error}\n", encoding="utf-8")
        now = time.time()
        attempt = Attempt(
            claim=task.claim or "", digest=task.digest, reason=Reason.UPLOAD, exit=None, started=now, ended=now
        )
        return Ended(task, attempt)

    # The end

    def _settle(self) -> None:
        """End the jobs whose last task this node may have ended: not those of which it still holds one."""
        held = self._slots.held.values()
        # Mostly the first one held decides it; there may be hundreds.
        done = {job for job in self._touched if all(execution.task.job != job for execution in held)}
        self._settler.put(done)
        self._touched -= done

    def _is_done(self) -> bool:
        """Say whether the node may go; if so, it has announced that and found nothing new since."""
        if self._slots.held or self._slots.have_ended or self._undelivered:
            return False
        if self._node.state is NodeState.GONE:
            return True
        try:
            why = self._why_leave()
            return why is not None and self._leaves(why)
        except SparklesError as error:
            self._say(error)
            time.sleep(_RETRY)
            return False

    def _why_leave(self) -> Why | None:
        if self._terminated:
            return Why.PREEMPTED if self._terminated is Reason.PREEMPTED else Why.LIMIT
        if self._leaving.why:
            return self._leaving.why
        if self._tenure.is_over(self._place.clock()) or self._tenure.is_too_old:
            return Why.LIMIT
        if self._tenure.is_surplus and not self._waits_for_lost() and self._tenure.take_drain():
            return Why.SURPLUS
        return Why.IDLE if self._may_leave() else None

    def _waits_for_lost(self) -> bool:
        return self._tenure.waits_for_lost(self._node, self._place.clock())

    def _leaves(self, why: Why) -> bool:
        """Take the next steps of a departure; say whether the node is gone."""
        self._leaving.begin(why)
        if self._leaving.go_on():
            self._may_find = True
        return self._node.state is NodeState.GONE

    def _end_what_runs(self) -> None:
        """Stop everything: what had most of a node's life has come to its limit, the rest is for another node."""
        for execution in list(self._slots.held.values()):
            self._slots.stop(execution, Reason.NODE_LIMIT, abandon=not self._tenure.lived_half(execution.age))

    def _may_leave(self) -> bool:
        """Say whether there is nothing left to wait for or to settle, which may bring new work."""
        if self._may_find or self._settler.is_busy:
            return False
        idle = self._place.clock() - self._idle_since
        if idle < self._linger and self._tenure.may_linger(self._node):
            self._may_find = self._leaving.shed()
            return False
        if self._waits_for_lost():
            return False
        if not self._settled_all:
            self._settled_all = self._may_find = True
            jobs = self._backend.state.jobs()
            self._settler.put(job.name for job in jobs if job.waiting or job.cluster == self._node.cluster)
            return False
        return True

    def _move_node(self, step: Callable[[Node], Node]) -> bool:
        """Change the node's own state; say whether that is written."""
        sent = self._place.clock()
        return self._deliver(Commit(node=self._node, sent=sent, boot=self._place.boot, wall=time.time(), step=step))

    def _fence_myself(self, now: float) -> None:
        """Near the end of the lease stop what runs; at its end, everything."""
        if not self._lease.holds():
            raise FencedError
        if self._lease.is_ending(now):
            self._slots.stop_all(Reason.NODE_LOST)
